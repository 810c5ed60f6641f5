//! Which unit each weight of a layer belongs to.

use std::collections::{BTreeSet, HashMap};

use super::Unit;
use crate::layout::Layout;
use crate::lowering::{LinearForm, Placed, Splitter, first_offsets};
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
        Ok(Finder::new(g, input, output, fold, (1, 1)).map())
    }

    /// The units of a layer in the form that a configuration gives it. A pool that is merged into the layer spreads each
    /// weight over a window of positions: the layer's own kernel position tells its unit or, in a layer with one output position, the
    /// diagonal of the first of them.
    ///
    /// # Errors
    /// [`Error::Layout`] for layouts of other maps than the layer's.
    pub fn placed(layer: &Placed) -> Result<Self> {
        let g = &layer.geometry;
        match layer.form {
            LinearForm::Plain => Self::new(g, &layer.input, &layer.output, layer.fold),
            LinearForm::Patches => {
                Self::new(&g.over_patches(), &layer.input, &layer.output, layer.fold)
            }
            LinearForm::Merged { stride, .. } => {
                let input = layer.input.shape;
                let read = Shape::new(g.input.channels, input.height, input.width);
                check_maps((input, layer.output.shape), (read, g.output))?;
                Ok(Finder::new(g, &layer.input, &layer.output, layer.fold, stride).map())
            }
        }
    }
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
    /// As [`first_offsets`] says, for a layer with one output position; none for others.
    offsets: Vec<isize>,
}

impl<'a> Finder<'a> {
    /// `stride` is that of a pool merged into the layer.
    fn new(
        g: &'a ConvGeometry,
        input: &'a Layout,
        output: &'a Layout,
        fold: usize,
        stride: (usize, usize),
    ) -> Self {
        let offsets = match g.output.area() {
            1 => first_offsets(g.kernel, g.padding, stride, input),
            _ => Vec::new(),
        };
        Self { g, input, output, splitter: Splitter::new(input, output, fold), offsets }
    }

    /// The unit of the weight between an output and an input channel at a kernel position.
    fn unit(&self, o: usize, i: usize, at: usize) -> Unit {
        let (to, from) = (self.output.channels[o], self.input.channels[i]);
        let base = from.base as isize - to.base as isize;
        let (offset, kernel) = self.offsets.get(at).map_or((0, at), |offset| (*offset, 0));
        let diagonal = self.splitter.split(base, offset, 0).block;
        Unit { output: to.ct, input: from.ct, diagonal, kernel }
    }

    fn map(&self) -> UnitMap {
        let g = self.g;
        let per_out = g.input.channels / g.groups;
        let area = g.kernel.0 * g.kernel.1;
        let mut numbers: HashMap<Unit, u32> = HashMap::new();
        let mut of_weight = Vec::with_capacity(g.weights());
        for o in 0..g.output.channels {
            for k in 0..per_out {
                for at in 0..area {
                    let unit = self.unit(o, g.input_channel(o, k), at);
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
        let dense = if g.groups == 1 { units.len() } else { self.dense() };
        UnitMap { units, of_weight, dense, groups: g.groups }
    }

    /// Units of a dense layer.
    fn dense(&self) -> usize {
        let g = self.g;
        let mut units = BTreeSet::new();
        for o in 0..g.output.channels {
            for i in 0..g.input.channels {
                for at in 0..g.kernel.0 * g.kernel.1 {
                    units.insert(self.unit(o, i, at));
                }
            }
        }
        units.len()
    }
}
