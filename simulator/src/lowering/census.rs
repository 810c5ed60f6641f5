//! What each weight of a convolution would take between two layouts, so that patterns can be counted one after the other.
//!
//! Channel pairs whose blocks lie equally far apart have their weights, at a kernel position, on the same diagonals: they are
//! a cell. A pattern says from which step on each cell has a weight, the first of eight steps being the sparsest. One pass over
//! the cells then tells, for all eight at once, what lowering would make: no slot vector and no weight is looked at again.

use std::collections::HashSet;

use costmodel::{LinearShape, Primitive};

use super::diagonals::{Contents, Diagonal, Diagonals, Splitter};
use super::found::KeyMap;
use super::schedule::Cut;
use super::signature::mix;
use super::sorting::{Sorting, reaches, replicas};
use super::{Fill, Shapes};
use crate::config::{BlockSplit, Schedule};
use crate::fold::LinearStage;
use crate::layout::Layout;
use crate::program::shape_words;
use crate::{Error, Result};

/// Steps of a pattern: the shares of its units that it keeps are eighths.
pub(crate) const STEPS: usize = 8;
/// The step of what no step has.
pub(crate) const NEVER: u8 = STEPS as u8;

/// A diagonal that the weights of a cell are on.
#[derive(Debug, Clone, Copy)]
struct Visit {
    cell: u32,
    diagonal: u32,
    /// Identity of the weights and their positions, and the slot that they begin at.
    what: u64,
    base: u32,
}

/// The cells of a stage between layouts, and what they take.
pub(crate) struct Census {
    /// Without contents.
    frame: Diagonals,
    visits: Vec<Visit>,
    /// Cells of the pattern, and beyond them one for the weights of shortcuts, which every step has.
    cells: usize,
    /// For every channel pair of the convolution, `[out][in]`, the cell of its first kernel position.
    of_pair: Vec<u32>,
    /// Whether no two products can have the same plaintext.
    distinct: bool,
}

impl Census {
    /// The cells of a stage whose convolution has one group. `window` is extent and stride of a pool that it does as well, if
    /// so; windows must not overlap. Cells have the kernel positions of the convolution before that.
    ///
    /// # Errors
    /// Those of [`Diagonals::new`], and [`Error::Unsupported`] where the output has a shorter period than products.
    pub(crate) fn new(
        name: &str,
        stage: &LinearStage,
        (inputs, output): (&[&Layout], &Layout),
        mask: usize,
        window: usize,
    ) -> Result<Self> {
        let fill = Fill::Signatures;
        Sorting { name, stage, inputs, output, mask, fill, most: usize::MAX }.check()?;
        let period = inputs.iter().map(|input| input.period).fold(output.period, usize::max);
        let (reaches, plaintext_period) = reaches(stage, inputs, output, mask, period);
        let cts = |input: &&Layout| std::iter::repeat_n(input.period, input.ciphertexts());
        let input_periods: Vec<usize> = inputs.iter().flat_map(cts).collect();
        let mut census = Self {
            frame: Diagonals {
                diagonals: Vec::new(),
                sets: Default::default(),
                outputs: output.ciphertexts(),
                slots: output.slots,
                copies: [vec![1; output.ciphertexts()], vec![1; input_periods.len()]],
                input_periods,
                period,
                plaintext_period,
            },
            visits: Vec::new(),
            cells: 0,
            of_pair: Vec::new(),
            distinct: output.phases == 1 && window == 1,
        };
        let mut numbers: KeyMap<Diagonal, u32> = KeyMap::default();
        let (mut first, mut first_set) = (0, 0);
        let parts = stage.parts().zip(inputs).zip(reaches).enumerate();
        for (number, ((part, input), reach)) in parts {
            let g = &part.geometry;
            let splitter = Splitter::new(input, output, mask);
            if replicas(output.period, plaintext_period, mask).len() > 1 {
                // Which of their plaintexts are found to be the same depends on the order of the weights.
                return Err(Error::unsupported(
                    name,
                    "its output has copies that are written one by one",
                ));
            }
            census.distinct &= input.phases == 1 && number == 0;
            let columns = g.kernel.1 / window;
            // The position of the convolution's own kernel that each of the stage's belongs to.
            let own = |at: usize| match number {
                0 => at / g.kernel.1 / window * columns + at % g.kernel.1 / window,
                _ => at,
            };
            let area = g.kernel.0 * g.kernel.1;
            let own_area = if number == 0 { area / (window * window) } else { area };
            let (in_phases, out_phases) =
                (input.phases * input.phases, output.phases * output.phases);
            let per_out = g.input.channels / g.groups;
            let mut pairs: KeyMap<(usize, usize, usize), u32> = KeyMap::default();
            let mut seen: HashSet<(usize, usize, usize, usize)> = HashSet::new();
            for o in 0..g.output.channels {
                let to = output.channels[o];
                for k in 0..per_out {
                    let from = input.channels[g.input_channel(o, k)];
                    let weights = &part.weights[(o * per_out + k) * area..][..area];
                    let distance = from.base as isize - to.base as isize;
                    let apart = distance.rem_euclid(input.period as isize) as usize;
                    let mut cell = 0;
                    if number == 0 {
                        let new = census.cells as u32;
                        cell = *pairs.entry((to.ct, from.ct, apart)).or_insert(new);
                        census.of_pair.push(cell);
                        if cell != new {
                            continue;
                        }
                        census.cells += own_area;
                    }
                    for (at, spots) in reach.spots.iter().enumerate().take(area) {
                        // Of a shortcut, weights that are zero stay so.
                        if number > 0
                            && (weights[at] == 0.0 || !seen.insert((to.ct, from.ct, apart, at)))
                        {
                            continue;
                        }
                        let cell = if number == 0 { cell + own(at) as u32 } else { FIXED };
                        let pair = (to.ct as u64) << 48 ^ (from.ct as u64) << 32 ^ apart as u64;
                        for spot in spots {
                            let s = splitter.split(distance, spot.row, spot.col);
                            let key = Diagonal {
                                output: to.ct * out_phases + spot.output_phase,
                                input: first + from.ct * in_phases + spot.input_phase,
                                block: s.block,
                                row: s.row,
                                col: s.col,
                            };
                            let next = census.frame.diagonals.len() as u32;
                            let diagonal = *numbers.entry(key).or_insert(next);
                            if diagonal == next {
                                census.frame.diagonals.push((key, Contents::default()));
                            }
                            let set = (first_set + spot.set) as u64;
                            let place = (own(at) as u64) << 40 ^ set << 8 ^ number as u64;
                            let what = mix(mix(pair) ^ place);
                            let base = (to.base + s.fold) as u32;
                            census.visits.push(Visit { cell, diagonal, what, base });
                        }
                    }
                }
            }
            first += input.ciphertexts();
            first_set += reach.sets.len();
        }
        Ok(census)
    }

    /// The number of cells that a pattern has steps for.
    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    /// For every channel pair of the convolution, `[out][in]`, the cell of its first kernel position; the others follow.
    pub(crate) fn of_pair(&self) -> &[u32] {
        &self.of_pair
    }

    /// The layout that is left of the output.
    pub(crate) fn left(&self, output: &Layout, mask: usize) -> Layout {
        self.frame.left(output, mask)
    }

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
    fn moved(&self, table: &Table, visit: &Visit) -> u64 {
        let giant = table.giants[visit.diagonal as usize] as usize;
        let at = (visit.base as usize + giant) & (self.frame.plaintext_period - 1);
        mix(visit.what ^ mix(at as u64 + 1))
    }

    /// The steps of diagonals, given those of cells.
    pub(crate) fn alive(&self, cells: &[u8]) -> Alive<'_> {
        let mut diagonals = vec![NEVER; self.frame.diagonals.len()];
        for visit in &self.visits {
            let step = &mut diagonals[visit.diagonal as usize];
            *step = (*step).min(step_of(cells, visit));
        }
        // What decides which schedules there are, by step.
        let mut blocks: KeyMap<usize, u8> = KeyMap::default();
        let periods = self.frame.input_periods.iter().fold(0, |all, period| all | period);
        let (mut units, mut counts) = ([periods; STEPS], [0; STEPS]);
        for ((d, _), step) in self.frame.diagonals.iter().zip(&diagonals) {
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
        Alive { census: self, cells: cells.to_vec(), diagonals, units, blocks: counts }
    }
}

/// The cell of weights that are no pattern's.
const FIXED: u32 = u32::MAX;

fn step_of(cells: &[u8], visit: &Visit) -> u8 {
    cells.get(visit.cell as usize).copied().unwrap_or(0)
}

/// How rotations across blocks are cut, in slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    None,
    Step(usize),
    All,
}

#[derive(Debug, Clone, Copy)]
struct Product {
    sum: u32,
    source: u32,
    class: u32,
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
    split: Split,
    row: bool,
    col: bool,
    of_diagonal: Vec<u32>,
    giants: Vec<u32>,
    products: Vec<Product>,
    /// Ciphertexts of partial sums and of rotated inputs, and whether they are turned.
    sums: Vec<(u32, bool)>,
    sources: Vec<(u32, bool)>,
    /// How many different plaintexts the products have.
    classes: usize,
    /// Whether products may have the same plaintext in one step and not in another.
    varying: bool,
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

/// A pattern's steps in a census.
pub(crate) struct Alive<'a> {
    census: &'a Census,
    cells: Vec<u8>,
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
            let idle = frame.outputs - sums.ciphertexts.0[k];
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
            if frame.summed(outputs, turned) {
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
                outputs: frame.outputs,
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
