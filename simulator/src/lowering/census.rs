//! What each weight of a convolution would take between two layouts, so that patterns can be counted one after the other.
//!
//! Channel pairs whose blocks lie equally far apart have their weights, at a kernel position, on the same diagonals: they are
//! a cell. A pattern says from which step on each cell has a weight, the first of eight steps being the sparsest. One pass over
//! the cells then tells, for all eight at once, what lowering would make: no slot vector and no weight is looked at again.

mod alive;
mod table;

use std::collections::HashSet;

use super::Fill;
use super::diagonals::{Contents, Diagonal, Diagonals, Splitter};
use super::found::KeyMap;
use super::positions::first_offsets;
use super::signature::mix;
use super::sorting::{Sorting, reaches, replicas};
use crate::fold::LinearStage;
use crate::layout::Layout;
use crate::{Error, Result};

pub(crate) use alive::Alive;
pub(crate) use table::Table;

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
    /// For every channel pair of the convolution, `[out][in]`, its kind, numbered in the order of their first pairs.
    of_pair: Vec<u32>,
    /// Kernel positions of the convolution.
    area: usize,
    /// As [`first_offsets`] says, for a layer with one output position; none for others.
    offsets: Vec<isize>,
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
        let whole = inputs.iter().chain([&output]).all(|layout| layout.unread.is_empty());
        assert!(whole, "a pattern is of all channels");
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
            area: 0,
            offsets: Vec::new(),
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
            // Where rotations are the same and only folds differ, the weights of all pairs move alike.
            let single = number == 0 && output.shape.area() == 1;
            let cycle = if single { splitter.cycle() } else { input.period };
            if number == 0 {
                census.area = own_area;
            }
            if single {
                let own = |(rows, cols): (usize, usize)| (rows / window, cols / window);
                census.offsets =
                    first_offsets(own(g.kernel), own(g.padding), (window, window), input);
            }
            let mut pairs: KeyMap<(usize, usize, usize), u32> = KeyMap::default();
            let mut seen: HashSet<(usize, usize, usize, usize)> = HashSet::new();
            for o in 0..g.output.channels {
                let to = output.channels[o];
                for k in 0..per_out {
                    let from = input.channels[g.input_channel(o, k)];
                    let weights = &part.weights[(o * per_out + k) * area..][..area];
                    let distance = from.base as isize - to.base as isize;
                    let apart = distance.rem_euclid(cycle as isize) as usize;
                    let mut kind = 0;
                    if number == 0 {
                        let new = pairs.len() as u32;
                        kind = *pairs.entry((to.ct, from.ct, apart)).or_insert(new);
                        census.of_pair.push(kind);
                        if kind != new {
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
                        let cell = match number {
                            0 => census.first_cell(kind) + own(at) as u32,
                            _ => FIXED,
                        };
                        let pair = (to.ct as u64) << 48 ^ (from.ct as u64) << 32 ^ apart as u64;
                        for spot in spots {
                            let s = splitter.split(distance, spot.row, spot.col);
                            let key = Diagonal {
                                output: to.ct * out_phases + spot.output_phase,
                                input: first + input.sent(from.ct * in_phases + spot.input_phase),
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
                            let what = mix(mix(pair) ^ place ^ mix(spot.gain.to_bits()));
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

    /// For every channel pair of the convolution, `[out][in]`, its kind: those of a kind have the same cells and the same units.
    /// Kinds are numbered in the order of their first pairs.
    pub(crate) fn of_pair(&self) -> &[u32] {
        &self.of_pair
    }

    /// The cell of the first kernel position of a kind; the others follow.
    pub(crate) fn first_cell(&self, kind: u32) -> u32 {
        kind * self.area as u32
    }

    /// Of a layer with one output position, what tells the unit of each kernel position: see [`first_offsets`].
    pub(crate) fn offsets(&self) -> &[isize] {
        &self.offsets
    }

    /// The layout that is left of the output.
    pub(crate) fn left(&self, output: &Layout, mask: usize) -> Layout {
        self.frame.left(output, mask)
    }
}

/// The cell of weights that are no pattern's.
const FIXED: u32 = u32::MAX;

fn step_of(cells: &[u8], visit: &Visit) -> u8 {
    cells.get(visit.cell as usize).copied().unwrap_or(0)
}
