//! What a census has at each step of a pattern.

use std::collections::HashSet;

use costmodel::{LinearShape, Primitive};

use super::table::{Split, Table};
use super::{Census, NEVER, STEPS, Visit, step_of};
use crate::config::{BlockSplit, Schedule};
use crate::layout::Layout;
use crate::lowering::Shapes;
use crate::lowering::diagonals::Diagonals;
use crate::lowering::found::KeyMap;
use crate::program::shape_words;

impl Census {
    /// The steps of diagonals, given those of cells. Where `output` lacks ciphertexts, nothing leads to them.
    pub(crate) fn alive(&self, cells: &[u8], output: &Layout) -> Alive<'_> {
        let phases = output.phases * output.phases;
        let there = output.numbers().into_iter().map(|number| number.is_some());
        let there: Vec<bool> = there.flat_map(|t| std::iter::repeat_n(t, phases)).collect();
        let mut diagonals = vec![NEVER; self.frame.diagonals.len()];
        for visit in self.visits.iter().filter(|visit| there[self.output_of(visit)]) {
            let step = &mut diagonals[visit.diagonal as usize];
            *step = (*step).min(step_of(cells, visit));
        }
        // What decides which schedules there are, by step.
        let mut blocks: KeyMap<usize, u8> = KeyMap::default();
        let periods = self.frame.input_periods.iter().fold(0, |all, period| all | period);
        let (mut units, mut counts) = ([periods; STEPS], [0; STEPS]);
        let of_diagonal = self.frame.diagonals.iter().zip(&diagonals);
        for ((d, _), step) in of_diagonal.filter(|((d, _), _)| there[d.output]) {
            let known = blocks.entry(d.block).or_insert(NEVER);
            *known = (*known).min(*step);
        }
        for (block, step) in blocks {
            for k in usize::from(step)..STEPS {
                units[k] |= block;
                counts[k] += 1;
            }
        }
        let units = units.map(|all| all & all.wrapping_neg());
        let outputs = there.iter().filter(|there| **there).count();
        Alive {
            census: self,
            cells: cells.to_vec(),
            there,
            outputs,
            diagonals,
            units,
            blocks: counts,
        }
    }

    fn output_of(&self, visit: &Visit) -> usize {
        self.frame.diagonals[visit.diagonal as usize].0.output
    }
}

/// A pattern's steps in a census.
pub(crate) struct Alive<'a> {
    census: &'a Census,
    cells: Vec<u8>,
    /// Whether each output ciphertext is there, and how many are.
    there: Vec<bool>,
    outputs: usize,
    diagonals: Vec<u8>,
    /// Largest power of two that divides every block rotation, and how many distinct ones there are, by step.
    units: [usize; STEPS],
    blocks: [usize; STEPS],
}

/// How many things there are from each step on.
struct Tally([usize; STEPS]);

impl Tally {
    fn of(steps: impl Iterator<Item = u8>) -> Self {
        let mut counts = [0; STEPS + 1];
        steps.for_each(|step| counts[usize::from(step)] += 1);
        let mut sum = 0;
        Self(std::array::from_fn(|k| {
            sum += counts[k];
            sum
        }))
    }
}

/// How many (ciphertext, rotation) pairs there are by step, turned and not, and how many ciphertexts.
struct Turns {
    turned: Tally,
    unturned: Tally,
    ciphertexts: Tally,
    decomposed: Tally,
    /// The step of each pair, and of each ciphertext.
    steps: Vec<u8>,
}

impl Turns {
    fn new(list: &[(u32, bool)], steps: Vec<u8>, ciphertexts: usize) -> Self {
        let mut any = vec![NEVER; ciphertexts];
        let mut turned = any.clone();
        for ((ct, is_turned), step) in list.iter().zip(&steps) {
            let ct = *ct as usize;
            any[ct] = any[ct].min(*step);
            if *is_turned {
                turned[ct] = turned[ct].min(*step);
            }
        }
        let of = |is: bool| {
            let all = list.iter().zip(&steps);
            Tally::of(all.filter(|((_, turned), _)| *turned == is).map(|(_, step)| *step))
        };
        Self {
            turned: of(true),
            unturned: of(false),
            ciphertexts: Tally::of(any.into_iter()),
            decomposed: Tally::of(turned.into_iter()),
            steps,
        }
    }
}

impl Alive<'_> {
    /// The schedule of a table at a step; none where no search would try it there.
    pub(crate) fn schedule(&self, table: &Table, step: usize) -> Option<Schedule> {
        let (unit, blocks) = (self.units[step], self.blocks[step]);
        let block = match table.split {
            Split::None => BlockSplit::None,
            Split::All if blocks > 1 => BlockSplit::All,
            Split::Step(slots) => {
                let baby = slots / unit.max(1);
                (baby >= 2 && baby < blocks).then_some(BlockSplit::Baby(baby))?
            }
            Split::All => return None,
        };
        Some(Schedule { block, row: table.row, col: table.col, double_hoisting: true })
    }

    /// The instructions of the stage at every step: those that lowering makes.
    pub(crate) fn count(&self, table: &Table, folds: bool) -> [Shapes; STEPS] {
        let frame = &self.census.frame;
        let mut products = vec![NEVER; table.products.len()];
        for (product, step) in table.of_diagonal.iter().zip(&self.diagonals) {
            let known = &mut products[*product as usize];
            *known = (*known).min(*step);
        }
        let mut sums = vec![NEVER; table.sums.len()];
        let mut sources = vec![NEVER; table.sources.len()];
        let mut classes = vec![NEVER; table.classes];
        for (product, step) in table.products.iter().zip(&products) {
            for (list, number) in [
                (&mut sums, product.sum),
                (&mut sources, product.source),
                (&mut classes, product.class),
            ] {
                let known = &mut list[number as usize];
                *known = (*known).min(*step);
            }
        }
        let terms = Tally::of(products.into_iter());
        let plaintexts = match table.varying {
            false => Tally::of(classes.into_iter()).0,
            true => self.contents(table),
        };
        let sums = Turns::new(&table.sums, sums, frame.outputs);
        let sources = Turns::new(&table.sources, sources, frame.input_periods.len());
        // The first input as it is, which an output without weights is a product of.
        let first = table.sources.iter().position(|source| *source == (0, false));
        let first = first.map_or(NEVER, |k| sources.steps[k]);
        let of_first = table.sources.iter().zip(&sources.steps).filter(|((ct, _), _)| *ct == 0);
        let of_first = of_first.map(|(_, step)| *step).min().unwrap_or(NEVER);
        std::array::from_fn(|k| {
            let idle = self.outputs - sums.ciphertexts.0[k];
            let (turned, mut unturned) = (sums.turned.0[k], sums.unturned.0[k]);
            let (mut terms, mut plaintexts) = (terms.0[k], plaintexts[k]);
            let (mut unrotated, mut used) = (sources.unturned.0[k], sources.ciphertexts.0[k]);
            if idle > 0 {
                unturned += idle;
                terms += idle;
                plaintexts += 1;
                unrotated += usize::from(usize::from(first) > k);
                used += usize::from(usize::from(of_first) > k);
            }
            let outputs = turned + unturned;
            let products = LinearShape {
                sources: used,
                decomposed: sources.decomposed.0[k],
                rotations: sources.turned.0[k],
                unrotated,
                terms,
                plaintexts,
                plaintext_words: shape_words(frame.plaintext_period, frame.slots),
                outputs,
                rescale: !folds,
                detail: None,
            };
            if Diagonals::summed(self.outputs, outputs, turned) {
                return (Primitive::Linear(products), None);
            }
            let second = LinearShape {
                sources: outputs,
                decomposed: turned,
                rotations: turned,
                unrotated: unturned,
                terms: outputs,
                plaintexts: 0,
                plaintext_words: 0,
                outputs: self.outputs,
                rescale: !folds,
                detail: None,
            };
            let products = LinearShape { rescale: false, ..products };
            (Primitive::Linear(products), Some(Primitive::Linear(second)))
        })
    }

    /// How many plaintexts differ at each step, by what they hold.
    fn contents(&self, table: &Table) -> [usize; STEPS] {
        let census = self.census;
        let mut parts: Vec<(u8, u32, u64)> = census
            .visits
            .iter()
            .filter(|visit| self.there[census.output_of(visit)])
            .map(|visit| {
                let product = table.of_diagonal[visit.diagonal as usize];
                (step_of(&self.cells, visit), product, census.moved(table, visit))
            })
            .filter(|(step, ..)| *step < NEVER)
            .collect();
        parts.sort_unstable_by_key(|(step, ..)| *step);
        let mut sums = vec![0u64; table.products.len()];
        let mut parts = parts.into_iter().peekable();
        std::array::from_fn(|k| {
            while let Some((_, product, part)) = parts.next_if(|(step, ..)| usize::from(*step) <= k)
            {
                let sum = &mut sums[product as usize];
                *sum = sum.wrapping_add(part);
            }
            let distinct: HashSet<u64> = sums.iter().copied().filter(|sum| *sum != 0).collect();
            distinct.len()
        })
    }
}
