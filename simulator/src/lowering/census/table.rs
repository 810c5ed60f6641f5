//! Products of a census under a way of cutting rotations in two.

use super::{Census, Visit};
use crate::config::{BlockSplit, Schedule};
use crate::lowering::diagonals::Diagonal;
use crate::lowering::found::KeyMap;
use crate::lowering::schedule::Cut;
use crate::lowering::signature::mix;

impl Census {
    /// A table for every way of cutting rotations in two that any pattern may have.
    pub(crate) fn tables(&self) -> Vec<Table> {
        let (unit, blocks) = (self.frame.unit(), self.frame.blocks());
        let most = blocks.last().map_or(0, |b| b / unit.max(1)) + 1;
        let mut splits = vec![Split::None];
        let mut step = 2 * unit;
        while step < unit * 2 * most {
            splits.push(Split::Step(step));
            step *= 2;
        }
        if blocks.len() > 1 {
            splits.push(Split::All);
        }
        let cuts = |any: bool| if any { &[false, true][..] } else { &[false] };
        let any =
            |part: fn(&Diagonal) -> isize| self.frame.diagonals.iter().any(|(d, _)| part(d) != 0);
        let (rows, cols) = (cuts(any(|d| d.row)), cuts(any(|d| d.col)));
        let parts = || cols.iter().flat_map(|col| rows.iter().map(|row| (*row, *col)));
        splits.iter().flat_map(|s| parts().map(|(row, col)| self.table(*s, row, col))).collect()
    }

    fn table(&self, split: Split, row: bool, col: bool) -> Table {
        let (unit, block) = match split {
            Split::None => (1, BlockSplit::None),
            Split::Step(step) => (step, BlockSplit::Baby(1)),
            Split::All => (1, BlockSplit::All),
        };
        let schedule = Schedule { block, row, col, double_hoisting: true };
        let cut = Cut::new(&self.frame, unit, &schedule);
        let (mut sums, mut sources) = (Places::default(), Places::default());
        let mut products: KeyMap<(usize, usize), u32> = KeyMap::default();
        let mut table = Table {
            split,
            row,
            col,
            of_diagonal: Vec::with_capacity(self.frame.diagonals.len()),
            products: Vec::new(),
            giants: Vec::with_capacity(self.frame.diagonals.len()),
            sums: Vec::new(),
            sources: Vec::new(),
            classes: 0,
            varying: false,
        };
        for (d, _) in &self.frame.diagonals {
            let (giant, shift) = cut.apply(d);
            let key = (sums.number(d.output, giant), sources.number(d.input, shift));
            let next = table.products.len() as u32;
            let product = *products.entry((key.0 as usize, key.1 as usize)).or_insert(next);
            if product == next {
                table.products.push(Product { sum: key.0, source: key.1, class: next });
            }
            table.of_diagonal.push(product);
            table.giants.push(giant as u32);
        }
        (table.sums, table.sources) = (sums.list, sources.list);
        table.classes = table.products.len();
        if !self.distinct {
            self.classify(&mut table);
        }
        table
    }

    /// Finds which products have the same plaintext when every cell has weights, and whether that could change.
    fn classify(&self, table: &mut Table) {
        let mut contents = vec![0u64; table.products.len()];
        for visit in &self.visits {
            let sum = &mut contents[table.of_diagonal[visit.diagonal as usize] as usize];
            *sum = sum.wrapping_add(self.moved(table, visit));
        }
        let mut classes: KeyMap<u64, u32> = KeyMap::default();
        for (product, content) in table.products.iter_mut().zip(contents) {
            let next = classes.len() as u32;
            product.class = *classes.entry(content).or_insert(next);
        }
        table.classes = classes.len();
        let mut of_part: KeyMap<u64, u32> = KeyMap::default();
        table.varying = self.visits.iter().any(|visit| {
            let product = table.of_diagonal[visit.diagonal as usize];
            let class = table.products[product as usize].class;
            *of_part.entry(self.moved(table, visit)).or_insert(class) != class
        });
    }

    /// Identity of a visit's part of a plaintext.
    pub(super) fn moved(&self, table: &Table, visit: &Visit) -> u64 {
        let giant = table.giants[visit.diagonal as usize] as usize;
        let at = (visit.base as usize + giant) & (self.frame.plaintext_period - 1);
        mix(visit.what ^ mix(at as u64 + 1))
    }
}

/// How rotations across blocks are cut, in slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    None,
    Step(usize),
    All,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    pub(super) sum: u32,
    pub(super) source: u32,
    pub(super) class: u32,
}

/// Numbered (ciphertext, rotation) pairs.
#[derive(Default)]
struct Places {
    numbers: KeyMap<(usize, usize), u32>,
    list: Vec<(u32, bool)>,
}

impl Places {
    fn number(&mut self, ciphertext: usize, rotation: usize) -> u32 {
        let next = self.list.len() as u32;
        let number = *self.numbers.entry((ciphertext, rotation)).or_insert(next);
        if number == next {
            self.list.push((ciphertext as u32, rotation != 0));
        }
        number
    }
}

/// The products of all diagonals under one way of cutting rotations in two.
pub(crate) struct Table {
    pub(super) split: Split,
    pub(super) row: bool,
    pub(super) col: bool,
    pub(super) of_diagonal: Vec<u32>,
    pub(super) giants: Vec<u32>,
    pub(super) products: Vec<Product>,
    /// Ciphertexts of partial sums and of rotated inputs, and whether they are turned.
    pub(super) sums: Vec<(u32, bool)>,
    pub(super) sources: Vec<(u32, bool)>,
    /// How many different plaintexts the products have.
    pub(super) classes: usize,
    /// Whether products may have the same plaintext in one step and not in another.
    pub(super) varying: bool,
}

#[cfg(test)]
impl Table {
    /// Whether some products have the same plaintext.
    pub(crate) fn shares_plaintexts(&self) -> bool {
        self.classes < self.products.len()
    }

    /// Whether products have the same plaintext in some steps only.
    pub(crate) fn varies(&self) -> bool {
        self.varying
    }
}
