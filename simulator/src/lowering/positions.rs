//! How positions of an output map reach into an input map, for each kernel offset.

use std::collections::BTreeMap;

use crate::fold::LinearPart;
use crate::layout::Layout;

/// Slots (offsets from a channel's base) of output positions that share phases and a slot distance.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    /// Phase pair of the input, `row * phases + column`.
    pub input_phase: usize,
    /// Phase pair of the output.
    pub output_phase: usize,
    /// Slot distance of rows, input minus output.
    pub row: isize,
    /// Slot distance of columns.
    pub col: isize,
    /// Index into [`Reach::sets`].
    pub set: usize,
    /// The gain of all these positions.
    pub gain: f64,
}

/// The spots of every kernel offset.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Distinct sets of output offsets, each ascending.
    pub sets: Vec<Vec<usize>>,
    /// Spots per kernel offset, `[ky * kernel columns + kx]`.
    pub spots: Vec<Vec<Spot>>,
}

/// Positions along one axis: (output coordinate, output offset, whether the input is inside the map).
type AxisPositions = Vec<(usize, usize, bool)>;
/// Positions with the same input phase, output phase and slot distance.
type AxisClass = ((usize, usize, isize), AxisPositions);

impl Reach {
    /// Computes the reach of a convolution between two layouts.
    ///
    /// A padded position whose slot is known to be zero is treated as present, which makes plaintexts
    /// uniform; any other is left out of the set.
    pub fn new(part: &LinearPart, input: &Layout, output: &Layout) -> Self {
        let g = &part.geometry;
        let gain =
            |y: usize, x: usize| part.gains.get(y * g.output.width + x).copied().unwrap_or(1.0);
        let used = input.used_offsets();
        let mut reach = Self::default();
        let mut ids: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for ky in 0..g.kernel.0 {
            let rows = axis(g.output.height, g.input.height, |y| {
                let at = g.input_row(y, ky);
                (at, input.row_at(at), output.row_at(y as isize))
            });
            for kx in 0..g.kernel.1 {
                let cols = axis(g.output.width, g.input.width, |x| {
                    let at = g.input_col(x, kx);
                    (at, input.col_at(at), output.col_at(x as isize))
                });
                let mut spots = Vec::new();
                for ((ipy, opy, row), ys) in &rows {
                    for ((ipx, opx, col), xs) in &cols {
                        let zero = |y: usize, x: usize| {
                            let (iy, ix) = (g.input_row(y, ky), g.input_col(x, kx));
                            input.known_zero(iy, ix, &used)
                        };
                        for (gain, set) in positions(ys, xs, zero, gain) {
                            let next = ids.len();
                            let id = *ids.entry(set).or_insert(next);
                            spots.push(Spot {
                                input_phase: ipy * input.phases + ipx,
                                output_phase: opy * output.phases + opx,
                                row: *row,
                                col: *col,
                                set: id,
                                gain,
                            });
                        }
                    }
                }
                reach.spots.push(spots);
            }
        }
        reach.sets = vec![Vec::new(); ids.len()];
        for (set, id) in ids {
            reach.sets[id] = set;
        }
        reach
    }

    /// Whether every kernel offset reaches the map from all output positions of the phases that it reaches it from, each time
    /// over one distance: then weights do not depend on the position.
    pub(super) fn is_uniform(&self, output: &Layout) -> bool {
        let mut all = vec![0; output.phases * output.phases];
        for y in 0..output.shape.height {
            for x in 0..output.shape.width {
                let (row, col) = (output.row_at(y as isize), output.col_at(x as isize));
                all[row.phase * output.phases + col.phase] += 1;
            }
        }
        let whole = |spot: &Spot| self.sets[spot.set].len() == all[spot.output_phase];
        self.spots.iter().flatten().all(whole)
    }

    /// The same with one position in place of all.
    pub(super) fn of_one_position(mut self) -> Self {
        self.sets = vec![vec![0]];
        self.spots.iter_mut().flatten().for_each(|spot| spot.set = 0);
        self
    }
}

/// The slot offset of what each kernel position of a convolution meets from the first output position, if it comes after a pool
/// of that `step`, rows and columns, which it does as well: of the first value of each window.
pub(crate) fn first_offsets(
    kernel: (usize, usize),
    padding: (usize, usize),
    step: (usize, usize),
    input: &Layout,
) -> Vec<isize> {
    let at =
        |k: usize, padding: usize, step: usize| (k as isize - padding as isize) * step as isize;
    let row = |y: usize| input.row_at(at(y, padding.0, step.0)).offset;
    let col = |x: usize| input.col_at(at(x, padding.1, step.1)).offset;
    (0..kernel.0)
        .flat_map(|y| (0..kernel.1).map(move |x| (y, x)))
        .map(|(y, x)| row(y) + col(x))
        .collect()
}

fn axis(
    out: usize,
    inside: usize,
    at: impl Fn(usize) -> (isize, crate::layout::Coordinate, crate::layout::Coordinate),
) -> Vec<AxisClass> {
    let mut classes: BTreeMap<(usize, usize, isize), AxisPositions> = BTreeMap::new();
    for y in 0..out {
        let (iy, from, to) = at(y);
        let key = (from.phase, to.phase, from.offset - to.offset);
        let present = iy >= 0 && iy < inside as isize;
        classes.entry(key).or_default().push((y, to.offset as usize, present));
    }
    classes.into_iter().collect()
}

/// Offsets of the positions of a class by their gain (positive), or none if all of them lie in the padding.
fn positions(
    ys: &[(usize, usize, bool)],
    xs: &[(usize, usize, bool)],
    zero: impl Fn(usize, usize) -> bool,
    gain: impl Fn(usize, usize) -> f64,
) -> Vec<(f64, Vec<usize>)> {
    if !ys.iter().any(|y| y.2) || !xs.iter().any(|x| x.2) {
        return Vec::new();
    }
    let extended = ys.iter().all(|y| xs.iter().all(|x| (y.2 && x.2) || zero(y.0, x.0)));
    // The bits of positive numbers are in their order.
    let mut sets: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for y in ys {
        for x in xs {
            if extended || (y.2 && x.2) {
                sets.entry(gain(y.0, x.0).to_bits()).or_default().push(y.1 + x.1);
            }
        }
    }
    sets.values_mut().for_each(|set| set.sort_unstable());
    sets.into_iter().map(|(gain, set)| (f64::from_bits(gain), set)).collect()
}
