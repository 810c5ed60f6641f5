//! Which unit each weight of a layer belongs to.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Unit;
use crate::layout::Layout;
use crate::lowering::{LinearForm, Placed, Splitter};
use crate::network::{ConvGeometry, Shape};
use crate::{Error, Result};

/// The units of a layer, and the unit of each of its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitMap {
    /// Every unit that has a weight, ascending.
    pub units: Vec<Unit>,
    /// For each weight, in the order of the layer's own weights (`[out][in / groups][row][column]`), the index of its
    /// unit in `units`.
    pub of_weight: Vec<u32>,
    /// Units that a dense layer of that shape has.
    pub dense: usize,
    /// Groups of the layer.
    pub groups: usize,
}

impl UnitMap {
    /// The units of a convolution between two layouts. `fold` is the fold mask of the lowering.
    ///
    /// # Errors
    /// [`Error::Layout`] for layouts of other maps than the convolution's.
    pub fn new(g: &ConvGeometry, input: &Layout, output: &Layout, fold: usize) -> Result<Self> {
        check_maps((input.shape, output.shape), (g.input, g.output))?;
        let finder = Finder::new(g, input, output, fold, ((1, 1), (1, 1)));
        // A window of one position is on one diagonal.
        finder.map().ok_or_else(|| Error::layout("units", "none", "one for each weight"))
    }

    /// The units of a layer in the form that a configuration gives it. A pool that is merged into the layer spreads each
    /// weight over a window of positions: they make one unit, the layer's own kernel position telling which, unless the
    /// layer has one output position and these are on different diagonals.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where a weight belongs to no one unit.
    pub fn placed(layer: &Placed) -> Result<Self> {
        let g = &layer.geometry;
        match layer.form {
            LinearForm::Plain => Self::new(g, &layer.input, &layer.output, layer.fold),
            LinearForm::Patches => {
                Self::new(&g.over_patches(), &layer.input, &layer.output, layer.fold)
            }
            LinearForm::Merged { kernel, stride } => {
                let input = layer.input.shape;
                let read = Shape::new(g.input.channels, input.height, input.width);
                check_maps((input, layer.output.shape), (read, g.output))?;
                let window = (kernel, stride);
                let finder = Finder::new(g, &layer.input, &layer.output, layer.fold, window);
                finder.map().ok_or_else(|| {
                    Error::unsupported(
                        &layer.layer,
                        "it does the pool before it as well, which spreads each of its weights over several diagonals; \
                         choose another method for the pool to prune this layer",
                    )
                })
            }
        }
    }
}

/// Whether every weight of a convolution belongs to one unit when a layer does a pool of so many rows and columns before it,
/// without overlap, as well.
pub(crate) fn has_units(
    g: &ConvGeometry,
    (input, output): (&Layout, &Layout),
    fold: usize,
    window: usize,
) -> bool {
    if window == 1 || g.output.area() > 1 {
        return true;
    }
    let finder = Finder::new(g, input, output, fold, ((window, window), (window, window)));
    let area = g.kernel.0 * g.kernel.1;
    let mut known = HashSet::new();
    let ins = 0..g.input.channels;
    (0..g.output.channels).flat_map(|o| ins.clone().map(move |i| (o, i))).all(|(o, i)| {
        let apart = input.channels[i].base as isize - output.channels[o].base as isize;
        !known.insert(apart) || (0..area).all(|at| finder.unit(o, i, at).is_some())
    })
}

fn check_maps(found: (Shape, Shape), wanted: (Shape, Shape)) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::layout(
        "maps of the layouts",
        format!("{} and {}", found.0, found.1),
        format!("{} and {}", wanted.0, wanted.1),
    ))
}

/// Finds the unit of a weight.
struct Finder<'a> {
    g: &'a ConvGeometry,
    input: &'a Layout,
    output: &'a Layout,
    splitter: Splitter,
    /// For each kernel position, slot offsets of rows and columns of what the weight meets: one of each, or as many as the
    /// windows of a merged pool. Empty where they do not matter.
    offsets: Vec<Vec<(isize, isize)>>,
}

impl<'a> Finder<'a> {
    /// `window` is extent and stride of a pool merged into the layer.
    fn new(
        g: &'a ConvGeometry,
        input: &'a Layout,
        output: &'a Layout,
        fold: usize,
        (extent, stride): ((usize, usize), (usize, usize)),
    ) -> Self {
        let within = |at: isize, extent: usize, stride: usize| {
            (0..extent).map(move |d| at * stride as isize + d as isize)
        };
        let offsets = |at: usize| -> Vec<(isize, isize)> {
            let (y, x) = (at / g.kernel.1, at % g.kernel.1);
            let cols = || within(g.input_col(0, x), extent.1, stride.1);
            within(g.input_row(0, y), extent.0, stride.0)
                .flat_map(|y| cols().map(move |x| (y, x)))
                .map(|(y, x)| (input.row_at(y).offset, input.col_at(x).offset))
                .collect()
        };
        let single = g.output.area() == 1;
        let positions = if single { g.kernel.0 * g.kernel.1 } else { 0 };
        Self {
            g,
            input,
            output,
            splitter: Splitter::new(input, output, fold),
            offsets: (0..positions).map(offsets).collect(),
        }
    }

    /// The unit of the weight between an output and an input channel at a kernel position; none if there is no one.
    fn unit(&self, o: usize, i: usize, at: usize) -> Option<Unit> {
        let (to, from) = (self.output.channels[o], self.input.channels[i]);
        let base = from.base as isize - to.base as isize;
        let unit = |diagonal, kernel| Unit { output: to.ct, input: from.ct, diagonal, kernel };
        let Some(offsets) = self.offsets.get(at) else {
            return Some(unit(self.splitter.split(base, 0, 0).block, at));
        };
        let mut diagonals =
            offsets.iter().map(|(row, col)| self.splitter.split(base, *row, *col).block);
        let first = diagonals.next()?;
        diagonals.all(|d| d == first).then(|| unit(first, 0))
    }

    fn map(&self) -> Option<UnitMap> {
        let g = self.g;
        let per_out = g.input.channels / g.groups;
        let area = g.kernel.0 * g.kernel.1;
        let mut numbers: HashMap<Unit, u32> = HashMap::new();
        let mut of_weight = Vec::with_capacity(g.weights());
        for o in 0..g.output.channels {
            for k in 0..per_out {
                for at in 0..area {
                    let unit = self.unit(o, g.input_channel(o, k), at)?;
                    let next = numbers.len() as u32;
                    of_weight.push(*numbers.entry(unit).or_insert(next));
                }
            }
        }
        let mut units: Vec<(Unit, u32)> = numbers.into_iter().collect();
        units.sort_unstable();
        let mut order = vec![0; units.len()];
        units.iter().zip(0u32..).for_each(|((_, found), number)| order[*found as usize] = number);
        of_weight.iter_mut().for_each(|number| *number = order[*number as usize]);
        let units: Vec<Unit> = units.into_iter().map(|(unit, _)| unit).collect();
        let dense = if g.groups == 1 { units.len() } else { self.dense()? };
        Some(UnitMap { units, of_weight, dense, groups: g.groups })
    }

    /// Units of a dense layer.
    fn dense(&self) -> Option<usize> {
        let g = self.g;
        let mut units = BTreeSet::new();
        for o in 0..g.output.channels {
            for i in 0..g.input.channels {
                for at in 0..g.kernel.0 * g.kernel.1 {
                    units.insert(self.unit(o, i, at)?);
                }
            }
        }
        Some(units.len())
    }
}
