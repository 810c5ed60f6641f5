//! A convolution as a product of matrices: weights times patches of the map.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::ConvGeometry;

/// Weights of which fewer than one in so many are not zero are looked at one by one.
const SPARSE: usize = 8;
/// The fewest output channels of a group for which patches are worth being laid out.
const FEWEST_CHANNELS: usize = 4;

/// Whether a product of matrices is the faster way, and gives the same but for roundings: zeros of the weights hide nothing that
/// is not a number.
pub(super) fn pays(g: &ConvGeometry, weights: &[f64], x: &[f64]) -> bool {
    let present = weights.iter().filter(|w| **w != 0.0).count();
    let channels = g.output.channels / g.groups;
    channels >= FEWEST_CHANNELS
        && SPARSE * present >= weights.len()
        && x.iter().all(|v| v.is_finite())
}

/// The convolution without bias, as `super::convolve` takes and gives it.
pub(super) fn convolve(g: &ConvGeometry, weights: &[f64], x: &[f64]) -> Vec<f64> {
    let (fan_in, area) = (g.fan_in(), g.output.area());
    let mut y = vec![0.0; g.output.len()];
    let per_group = (g.output.channels / g.groups, g.input.channels / g.groups);
    let outs = y.chunks_exact_mut(per_group.0 * area);
    let groups = weights
        .chunks_exact(per_group.0 * fan_in)
        .zip(x.chunks_exact(per_group.1 * g.input.area()));
    let mut patches = vec![0.0; fan_in * area];
    for ((weights, maps), out) in groups.zip(outs) {
        fill(g, maps, &mut patches);
        let weights = ArrayView2::from_shape((per_group.0, fan_in), weights);
        let patches = ArrayView2::from_shape((fan_in, area), &patches);
        let out = ArrayViewMut2::from_shape((per_group.0, area), out);
        let (Ok(weights), Ok(patches), Ok(mut out)) = (weights, patches, out) else {
            unreachable!("slices are cut to these shapes")
        };
        general_mat_mul(1.0, &weights, &patches, 0.0, &mut out);
    }
    y
}

/// Lays out the patches of a group's maps, `[channel, kernel row, kernel column][output row][output column]`; zeros where windows
/// reach outside are there already.
fn fill(g: &ConvGeometry, maps: &[f64], patches: &mut [f64]) {
    let width = g.input.width;
    let lines = patches.chunks_exact_mut(g.output.area());
    let places = (0..g.kernel.0).flat_map(|ky| (0..g.kernel.1).map(move |kx| (ky, kx)));
    let all =
        maps.chunks_exact(g.input.area()).flat_map(|map| places.clone().map(move |at| (map, at)));
    for ((map, (ky, kx)), patch) in all.zip(lines) {
        let cols = g.cols().inside(kx);
        if cols.is_empty() {
            continue;
        }
        let first = cols.start * g.stride.1 + kx - g.padding.1;
        for oy in g.rows().inside(ky) {
            let from = &map[(oy * g.stride.0 + ky - g.padding.0) * width + first..];
            let to = &mut patch[oy * g.output.width..][cols.clone()];
            match g.stride.1 {
                1 => to.copy_from_slice(&from[..cols.len()]),
                stride => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(t, f)| *t = *f),
            }
        }
    }
}
