//! Rewriting stages: pools merged into the next linear stage, patches.

use super::linear::{LinearPart, LinearStage};
use super::{Stage, StageKind};
use crate::network::{ConvGeometry, Shape};
use crate::{Error, Result};

/// The linear stage that reads the map before a pool and does the pool's window sums itself: its kernel
/// is the old one with each offset spread over a window.
///
/// # Errors
/// [`Error::Unsupported`] for stages that are no pool and linear stage of one part, and where windows that overlap or leave
/// a rest meet a padding.
pub fn merge_pool(pool: &Stage, next: &Stage) -> Result<Stage> {
    let (StageKind::SumPool { kernel, stride }, StageKind::Linear(linear)) =
        (&pool.kind, &next.kind)
    else {
        return Err(Error::unsupported(
            &pool.name,
            "only a pool that is followed by a linear layer can be merged into it",
        ));
    };
    if !linear.shortcuts.is_empty() {
        return Err(Error::unsupported(&pool.name, "what it feeds is the sum of two branches"));
    }
    let main = merge_window((*kernel, *stride), pool.input, &linear.main)
        .map_err(|reason| Error::unsupported(&pool.name, reason))?;
    Ok(Stage {
        name: next.name.clone(),
        kind: StageKind::Linear(LinearStage { main, ..linear.clone() }),
        sources: pool.sources.clone(),
        input: pool.input,
        output: next.output,
        bound: next.bound,
    })
}

/// The convolution that reads the map `input` before a sum over windows of this extent and step and does it itself.
///
/// # Errors
/// Why it cannot.
pub(super) fn merge_window(
    (extent, step): ((usize, usize), (usize, usize)),
    input: Shape,
    part: &LinearPart,
) -> std::result::Result<LinearPart, &'static str> {
    let g = part.geometry;
    // Along each axis, windows that lie side by side leave padding where it is.
    let tiles = |windows: usize, map: usize, extent: usize, step: usize| {
        extent == step && windows * step == map
    };
    let rows = tiles(g.input.height, input.height, extent.0, step.0);
    let cols = tiles(g.input.width, input.width, extent.1, step.1);
    if !(g.rows().is_within() || rows) || !(g.cols().is_within() || cols) {
        return Err(
            "it cannot be merged into a padded layer, as its windows overlap or leave a rest",
        );
    }
    let geometry = ConvGeometry {
        input,
        kernel: ((g.kernel.0 - 1) * step.0 + extent.0, (g.kernel.1 - 1) * step.1 + extent.1),
        stride: (g.stride.0 * step.0, g.stride.1 * step.1),
        padding: (g.padding.0 * step.0, g.padding.1 * step.1),
        ..g
    };
    let kernel = geometry.kernel;
    let mut weights = vec![0.0; geometry.weights()];
    let old = g.kernel.0 * g.kernel.1;
    let new = kernel.0 * kernel.1;
    for plane in 0..part.weights.len() / old {
        for ky in 0..g.kernel.0 {
            for kx in 0..g.kernel.1 {
                let w = part.weights[plane * old + ky * g.kernel.1 + kx];
                for dy in 0..extent.0 {
                    let line = plane * new + (ky * step.0 + dy) * kernel.1 + kx * step.1;
                    weights[line..][..extent.1].iter_mut().for_each(|sum| *sum += w);
                }
            }
        }
    }
    Ok(LinearPart { geometry, weights, gains: part.gains.clone() })
}

/// The first linear stage as a 1x1 convolution over patches: every (channel, kernel offset) becomes an
/// input channel, which [`im2col`] fills before encryption. Group counts stay.
pub fn to_patches(stage: &Stage) -> Result<Stage> {
    let StageKind::Linear(linear) = &stage.kind else {
        return Err(Error::unsupported(&stage.name, "patches feed a linear layer only"));
    };
    if !linear.shortcuts.is_empty() {
        return Err(Error::unsupported(&stage.name, "patches feed one branch only"));
    }
    let geometry = linear.geometry.over_patches();
    let main = LinearPart { geometry, ..linear.main.clone() };
    Ok(Stage {
        kind: StageKind::Linear(LinearStage { main, ..linear.clone() }),
        input: geometry.input,
        ..stage.clone()
    })
}

/// Patches of an image: `[channel * kernel offset][output row][output column]`, zero in the padding.
pub fn im2col(g: &ConvGeometry, image: &[f64]) -> Result<Vec<f64>> {
    if image.len() != g.input.len() {
        return Err(Error::argument("length of an image", image.len(), g.input.len()));
    }
    let (kh, kw) = g.kernel;
    let mut out = vec![0.0; g.input.channels * kh * kw * g.output.area()];
    for (k, v) in out.iter_mut().enumerate() {
        let (x, rest) = (k % g.output.width, k / g.output.width);
        let (y, plane) = (rest % g.output.height, rest / g.output.height);
        let (c, ky, kx) = (plane / (kh * kw), plane / kw % kh, plane % kw);
        let (iy, ix) = (g.input_row(y, ky), g.input_col(x, kx));
        if (0..g.input.height as isize).contains(&iy) && (0..g.input.width as isize).contains(&ix) {
            *v = image[(c * g.input.height + iy as usize) * g.input.width + ix as usize];
        }
    }
    Ok(out)
}
