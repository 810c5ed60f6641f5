//! Lowering: a folded network and a configuration become a [`Program`].

mod activation;
mod alike;
mod builder;
mod chain;
mod count;
mod diagonals;
mod found;
mod linear;
mod outline;
mod pool;
mod positions;
mod room;
mod scales;
mod schedule;
mod signature;
mod stages;

use crate::config::Configuration;
use crate::fold::{ActivationMethod, Folded, StageKind, im2col};
use crate::layout::{Layout, pack, unpack};
use crate::network::ConvGeometry;
use crate::program::{Program, ValueId, ValueInfo};
use crate::{Error, Result};

pub use chain::Chain;
pub use diagonals::{Contents, Diagonal, Diagonals, Entry, check_mask};
pub use positions::{Reach, Spot};
pub use scales::ScalePlan;
pub use schedule::{BlockSplit, LinearPlan, Partial, PlanTerm, Schedule};
pub use signature::Signature;
pub use stages::LinearForm;

pub(crate) use activation::quadratic as emit_quadratic;
pub(crate) use builder::Builder;
pub(crate) use count::count;
pub(crate) use diagonals::Splitter;
pub(crate) use linear::{LinearEmission, fold_steps};
pub(crate) use outline::Outline;
pub(crate) use pool::{Pool, pool as emit_pool, square as emit_square};
pub(crate) use stages::{Prepared, prepare};

/// Ciphertext values and the layout of the map they hold.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) values: Vec<ValueId>,
    pub(crate) layout: Layout,
}

/// A program, with how to make its inputs and read its outputs.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// The program.
    pub program: Program,
    /// Layout of the encrypted input.
    pub input: Layout,
    /// If the client makes patches: of which convolution.
    pub patches: Option<ConvGeometry>,
    /// Layout of the outputs.
    pub output: Layout,
    /// The linear layers, in order; without repacks.
    pub linear: Vec<Placed>,
}

/// Where a linear layer finds its input and leaves its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Name of the layer.
    pub layer: String,
    /// Its own convolution, whatever the form.
    pub geometry: ConvGeometry,
    /// In which form it is computed.
    pub form: LinearForm,
    /// Layout of what it reads in that form: the map, the map before the pool, or patches.
    pub input: Layout,
    /// Layout of its result.
    pub output: Layout,
    /// Slot-index bits summed up by rotations.
    pub fold: usize,
}

impl Lowered {
    /// Slot vectors to encrypt for a normalised image (`[channel][row][column]`).
    pub fn encode(&self, image: &[f64]) -> Result<Vec<Vec<f64>>> {
        match &self.patches {
            Some(g) => pack(&self.input, &im2col(g, image)?),
            None => pack(&self.input, image),
        }
    }

    /// The network's result from the slot vectors of the program's outputs.
    pub fn decode(&self, outputs: &[Vec<f64>]) -> Result<Vec<f64>> {
        unpack(&self.output, outputs)
    }
}

/// Lowers a folded network. With `values` false, plaintexts have no slot values (for pricing); the program
/// is otherwise the same.
///
/// # Errors
/// [`Error::Depth`] for a chain of too few levels, [`Error::Room`] for one whose primes have no room for values as large
/// as the network's bounds allow, and others for a configuration that does not fit the network.
pub fn lower(
    folded: &Folded,
    configuration: &Configuration,
    chain: &Chain,
    values: bool,
) -> Result<Lowered> {
    let Prepared { stages, forms, input, patches } = prepare(folded, configuration, chain.slots)?;
    let depth: usize = stages.iter().map(|s| s.levels()).sum();
    let mut level = chain.levels();
    let mut rest = depth;
    for stage in &stages {
        if stage.levels() > level {
            return Err(Error::Depth {
                layer: stage.name.clone(),
                needed: rest,
                available: level,
                missing: depth - chain.levels(),
            });
        }
        level -= stage.levels();
        rest -= stage.levels();
    }
    let scale = match (&configuration.scales, configuration.activations) {
        (Some(plan), _) => plan.input(),
        (None, ActivationMethod::PairedSquare) => chain.scale * chain.scale,
        (None, ActivationMethod::Square | ActivationMethod::Quadratic) => chain.scale,
    };
    let fresh = ValueInfo { level: depth, scale };
    let mut b = Builder::new(chain, values, input.ciphertexts(), fresh);
    let mut state = State { values: (0..input.ciphertexts()).collect(), layout: input.clone() };
    let mut placed = Vec::new();
    let mut phases_done = false;
    let mut bound: Option<f64> = None;
    for (k, stage) in stages.iter().enumerate() {
        b.layer(&stage.name);
        match &stage.kind {
            StageKind::Linear(linear) => {
                let choice = configuration
                    .repacks
                    .iter()
                    .find(|r| repack_name(&r.layer) == stage.name)
                    .map_or_else(|| configuration.linear_choice(&stage.name), Ok)?;
                let output = choice
                    .layout
                    .layout(chain.slots, stage.output, Default::default())
                    .map_err(|e| e.of_layer(&stage.name))?;
                let diagonals = Diagonals::new(
                    &stage.name,
                    linear,
                    &state.layout,
                    &output,
                    choice.fold,
                    values,
                )?;
                let planned =
                    configuration.scales.as_ref().and_then(|plan| plan.layer(&stage.name));
                if let Some(&(geometry, form)) = forms.get(&stage.name) {
                    placed.push(Placed {
                        layer: stage.name.clone(),
                        geometry,
                        form,
                        input: state.layout.clone(),
                        output: output.clone(),
                        fold: choice.fold,
                    });
                }
                LinearEmission {
                    scale: planned.unwrap_or(chain.scale),
                    diagonals: &diagonals,
                    schedule: choice.schedule,
                    fold: choice.fold,
                    radix: choice.radix,
                    output: &output,
                    bias: &linear.bias,
                }
                .emit(&mut b, &mut state)?;
            }
            StageKind::Square { rescale } => {
                let next =
                    stages.get(k + 1).map(|s| pool_of(s, configuration)).transpose()?.flatten();
                phases_done = emit_square(&mut b, &mut state, next, *rescale)?;
            }
            StageKind::Quadratic(q) => {
                // The square within it, before its rescale.
                let info = b.info(state.values[0]);
                let squared = ValueInfo { scale: info.scale * info.scale, ..info };
                bound.map_or(Ok(()), |r| room::check(&stage.name, r * r, squared, chain))?;
                emit_quadratic(&mut b, &mut state, q)?;
            }
            StageKind::SumPool { .. } => {
                if let Some(pool) = pool_of(stage, configuration)? {
                    emit_pool(&mut b, &mut state, pool, phases_done)?;
                }
                phases_done = false;
            }
        }
        bound = stage.bound;
        if let (Some(bound), Some(&value)) = (bound, state.values.first()) {
            room::check(&stage.name, bound, b.info(value), chain)?;
        }
    }
    let mut program = b.program;
    program.outputs = state.values;
    Ok(Lowered { program, input, patches, output: state.layout, linear: placed })
}

fn pool_of<'a>(
    stage: &'a crate::fold::Stage,
    configuration: &Configuration,
) -> Result<Option<Pool<'a>>> {
    let StageKind::SumPool { kernel, stride } = stage.kind else { return Ok(None) };
    let method = configuration.pool_choice(&stage.name)?.method;
    Ok(Some(Pool { stage, kernel, stride, method }))
}

/// Name of the identity layer after layer `after`.
pub(crate) fn repack_name(after: &str) -> String {
    format!("{after}.repack")
}
