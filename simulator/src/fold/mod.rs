//! Folding: a network becomes linear stages, squares and window sums, with nothing in between.
//!
//! `a x^2 + b x + c` is `sign(a) (sqrt|a| (x + b / 2a))^2 + (c - b^2 / 4a)`, or the sum of two squares where that would be
//! of large numbers ([`complete`]): inner factors and shifts go into the linear stage before, outer ones and constants into
//! the one after. Average-pool factors go into the next linear stage, batch norm into the nearest. A constant that meets
//! zero padding makes the bias depend on the position, so every bias is a whole map. Fully connected layers are
//! convolutions whose kernel is the whole map, so flattening disappears.
//!
//! Stages name what they read: a folded network is a graph. The sum at the end of a residual block is no stage of its own,
//! but one linear stage with two sources, `conv2(x) + shortcut(x0)`:
//!
//! ```text
//!   x0 ----> conv1 ----> square ----> conv2 + shortcut ----> square
//!     \______________________________/
//! ```

mod activate;
mod affine;
mod bound;
mod build;
mod complete;
mod flat;
mod forward;
mod linear;
mod means;
mod method;
mod parts;
mod statistics;
mod transform;
mod unread;

use crate::network::Shape;

pub use linear::{LinearPart, LinearStage, depthwise_identity};
pub use method::{ActivationChoice, ActivationMethod, Activations};
pub use statistics::{Statistics, ValueSize};
pub use transform::{im2col, merge_pool, to_patches};

/// What a stage reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The image.
    Image,
    /// The result of stage number `.0`, an earlier one.
    Stage(usize),
}

/// A quadratic activation kept as it is (two levels), coefficients per channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadratic {
    /// Coefficient of `x^2`.
    pub a: Vec<f64>,
    /// Coefficient of `x`.
    pub b: Vec<f64>,
    /// Constant.
    pub c: Vec<f64>,
}

/// What a stage computes.
#[derive(Debug, Clone, PartialEq)]
pub enum StageKind {
    /// Convolution plus bias.
    Linear(LinearStage),
    /// `x^2`, with or without a rescale of its own.
    Square {
        /// Whether it takes a level.
        rescale: bool,
    },
    /// `a x^2 + b x + c`.
    Quadratic(Quadratic),
    /// Sum over windows, without padding.
    SumPool {
        /// Window extent: rows, columns.
        kernel: (usize, usize),
        /// Stride, down and across.
        stride: (usize, usize),
    },
}

/// One stage of a folded network.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Name of the layer it came from.
    pub name: String,
    /// What it computes.
    pub kind: StageKind,
    /// What it reads: one source, but for a linear stage one for each of its parts.
    pub sources: Vec<Origin>,
    /// Shape of its first source.
    pub input: Shape,
    /// Shape of its result.
    pub output: Shape,
    /// What the values of its result do not exceed in absolute value, where the weights say so (see
    /// [`crate::network::Bounds`]).
    pub bound: Option<f64>,
}

impl Stage {
    /// Levels it consumes.
    pub fn levels(&self) -> usize {
        match self.kind {
            StageKind::Linear(_) | StageKind::Square { rescale: true } => 1,
            StageKind::Quadratic(_) => 2,
            StageKind::Square { rescale: false } | StageKind::SumPool { .. } => 0,
        }
    }
}

/// A folded network: a graph of stages.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// Name of the network.
    pub name: String,
    /// Shape of the image.
    pub input: Shape,
    /// How its activations were folded.
    pub activations: Activations,
    /// The stages, each after those that it reads; the last one's result is the network's.
    pub stages: Vec<Stage>,
}

impl Folded {
    /// Shape of the result.
    pub fn output(&self) -> Shape {
        self.stages.last().map_or(self.input, |s| s.output)
    }

    /// Levels from what each stage reads to the end of the network, on the longest way.
    pub fn depths(&self) -> Vec<usize> {
        depths(self.stages.iter().map(|s| (s.levels(), &s.sources[..])).collect())
    }

    /// Levels that the whole network consumes.
    pub fn levels(&self) -> usize {
        self.depths().into_iter().max().unwrap_or(0)
    }

    /// The linear stages, in order.
    pub fn linear(&self) -> impl Iterator<Item = (&str, &LinearStage)> {
        self.stages.iter().filter_map(|s| match &s.kind {
            StageKind::Linear(l) => Some((s.name.as_str(), l)),
            _ => None,
        })
    }
}

/// Levels from what each of a list of steps reads to the end of the longest way from there; a step has levels of its own and
/// sources, which are numbers of the list.
pub(crate) fn depths(steps: Vec<(usize, &[Origin])>) -> Vec<usize> {
    let mut after = vec![0; steps.len()];
    let mut depths = vec![0; steps.len()];
    for (k, (levels, sources)) in steps.into_iter().enumerate().rev() {
        depths[k] = after[k] + levels;
        for source in sources {
            if let Origin::Stage(n) = source {
                after[*n] = after[*n].max(depths[k]);
            }
        }
    }
    depths
}
