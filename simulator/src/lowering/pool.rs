//! Instructions of window sums, and of squares, which can be merged with them.

use super::State;
use super::builder::{Builder, Product};
use super::linear::fold_steps;
use crate::config::PoolMethod;
use crate::fold::{Stage, StageKind};
use crate::layout::{Layout, Margin};
use crate::network::Shape;
use crate::program::ValueId;
use crate::{Error, Result};

/// A pool's window and method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) kernel: (usize, usize),
    pub(crate) stride: (usize, usize),
    pub(crate) method: PoolMethod,
}

/// Groups of ciphertexts to be summed, one per result, and the layout of the results.
type Grouping = (Vec<Vec<usize>>, Layout);

/// Squares every ciphertext and sums the windows of the pool after it, if there is one: over phases in the same instructions.
pub(crate) fn square(
    b: &mut Builder<'_>,
    state: &mut State,
    next: Option<Pool<'_>>,
    rescale: bool,
) -> Result<()> {
    let merged = match &next {
        Some(pool) if pool.sums_phases(&state.layout) => Some(pool.grouping(&state.layout)?),
        _ => None,
    };
    let single = (0..state.values.len()).map(|k| vec![k]).collect();
    let (groups, layout) = merged.unwrap_or_else(|| (single, state.layout.clone()));
    let values = groups
        .into_iter()
        .map(|g| b.sum_squares(g.into_iter().map(|k| state.values[k]).collect(), rescale))
        .collect::<Result<Vec<ValueId>>>()?;
    *state = State { values, layout };
    match next {
        Some(pool) => {
            b.layer(&pool.stage.name);
            pool.within(b, state)
        }
        None => Ok(()),
    }
}

/// Sums windows.
pub(crate) fn pool(b: &mut Builder<'_>, state: &mut State, pool: Pool<'_>) -> Result<()> {
    if pool.sums_phases(&state.layout) {
        let (groups, layout) = pool.grouping(&state.layout)?;
        let products: Vec<Vec<Product>> =
            groups.iter().map(|g| g.iter().map(|k| (*k as u32, 0, None)).collect()).collect();
        let values = b.linear(state.values.clone(), &products, false)?;
        *state = State { values, layout };
    }
    pool.within(b, state)
}

impl<'a> Pool<'a> {
    /// The pool that a stage is, by its method.
    pub(crate) fn new(
        stage: &'a Stage,
        method: impl Fn(&str) -> Result<PoolMethod>,
    ) -> Result<Self> {
        let StageKind::SumPool { kernel, stride } = stage.kind else {
            return Err(Error::unsupported(&stage.name, "it is no pool"));
        };
        Ok(Self { stage, kernel, stride, method: method(&stage.name)? })
    }

    /// What is left to do when phases are summed.
    fn within(self, b: &mut Builder<'_>, state: &mut State) -> Result<()> {
        match self.method {
            PoolMethod::Phases => Ok(()),
            PoolMethod::Fold { radix } => self.fold(b, state, radix),
            PoolMethod::Rotate => self.rotate(b, state, false),
            PoolMethod::RotateHoisted => self.rotate(b, state, true),
            PoolMethod::Merge => {
                Err(self.refuse("a pool that is merged must come just before a linear layer"))
            }
        }
    }

    fn refuse(&self, reason: impl Into<String>) -> Error {
        Error::unsupported(&self.stage.name, reason)
    }

    /// Whether ciphertexts of different phases are summed.
    fn sums_phases(&self, layout: &Layout) -> bool {
        match self.method {
            PoolMethod::Phases => true,
            PoolMethod::Fold { .. } => layout.phases > 1,
            _ => false,
        }
    }

    /// Which ciphertexts are summed for each result of a sum over phases.
    fn grouping(&self, layout: &Layout) -> Result<Grouping> {
        let p = layout.phases;
        if layout.margin != Margin::default() {
            return Err(self
                .refuse("its input has a margin; pool only results of a linear layer by phases"));
        }
        // Phases that one window covers: its stride's, or all of them when the window is the whole map.
        let by_phases = matches!(self.method, PoolMethod::Phases);
        let covered = if by_phases { self.stride.0 } else { p };
        let square = self.stride.0 == self.stride.1;
        let tiles = !by_phases || (self.kernel == self.stride && square);
        if !tiles || !p.is_multiple_of(covered) || covered < 2 {
            return Err(self.refuse(format!(
                "{p} phases cannot be summed by windows of {:?} with stride {:?}; use square ones side by side, and a multiple of \
                 the stride",
                self.kernel, self.stride
            )));
        }
        let q = p / covered;
        let mut groups = Vec::new();
        for ct in 0..layout.channel_ciphertexts() {
            for (ry, rx) in (0..q).flat_map(|y| (0..q).map(move |x| (y, x))) {
                let mut group = Vec::new();
                for (dy, dx) in (0..covered).flat_map(|y| (0..covered).map(move |x| (y, x))) {
                    group.push(layout.ciphertext(ct, ry * covered + dy, rx * covered + dx));
                }
                groups.push(group);
            }
        }
        let map = layout.shape;
        let shape = if by_phases {
            self.stage.output
        } else {
            Shape::new(map.channels, map.height.div_ceil(covered), map.width.div_ceil(covered))
        };
        // A window size that leaves a rest of the map outside leaves it in slots that no longer count.
        let whole = shape.height * covered == map.height && shape.width * covered == map.width;
        let clean = layout.clean && (whole || !by_phases);
        Ok((groups, Layout { phases: q, shape, clean, ..layout.clone() }))
    }

    fn fold(&self, b: &mut Builder<'_>, state: &mut State, radix: usize) -> Result<()> {
        let layout = &state.layout;
        if self.stage.output.area() != 1
            || self.kernel != (self.stage.input.height, self.stage.input.width)
        {
            return Err(self.refuse("folding sums a whole map; this pool has smaller windows"));
        }
        if !layout.clean || layout.margin != Margin::default() {
            return Err(self.refuse(
                "folding needs blocks that are zero outside the map; repack, or pool otherwise",
            ));
        }
        let last = (layout.shape.height - 1) * layout.row + (layout.shape.width - 1) * layout.col;
        // With channels innermost, a sum over whole positions stays within a channel.
        if (!layout.inner && last >= layout.tile) || !layout.is_aligned() {
            return Err(self.refuse("folding needs every channel in a block of its own"));
        }
        let low = 1usize << layout.row.trailing_zeros().min(layout.col.trailing_zeros());
        let mask = (last + 1).next_power_of_two() - 1;
        let mut values = state.values.clone();
        for shifts in fold_steps(mask & !(low - 1), radix) {
            values = b.sum_rotations(&values, &shifts, false)?;
        }
        let layout = Layout { shape: self.stage.output, clean: false, ..layout.clone() };
        *state = State { values, layout };
        Ok(())
    }

    fn rotate(&self, b: &mut Builder<'_>, state: &mut State, hoisted: bool) -> Result<()> {
        let layout = &state.layout;
        if layout.phases != 1 || layout.margin != Margin::default() {
            return Err(
                self.refuse("rotating needs one phase and no margin; use the phases method")
            );
        }
        let along = |count: usize, distance: usize| -> Vec<usize> {
            (0..count).map(|k| k * distance).collect()
        };
        let (cols, rows) = (along(self.kernel.1, layout.col), along(self.kernel.0, layout.row));
        let values = if hoisted {
            let all: Vec<usize> =
                rows.iter().flat_map(|r| cols.iter().map(move |c| r + c)).collect();
            b.sum_rotations(&state.values, &all, false)?
        } else {
            let summed = b.sum_rotations(&state.values, &cols, false)?;
            b.sum_rotations(&summed, &rows, false)?
        };
        let layout = Layout {
            shape: self.stage.output,
            row: layout.row * self.stride.0,
            col: layout.col * self.stride.1,
            clean: false,
            ..layout.clone()
        };
        *state = State { values, layout };
        Ok(())
    }
}
