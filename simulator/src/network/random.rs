//! Random weights, for tests and for pricing a network before it is trained.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::operations::dilated;
use super::{Bounds, LayerKind, LayerParameters, Model, Network};

/// Name of the variant with random weights, which every network has: for prices before there are trained ones, or where
/// no dense one was trained.
pub const UNTRAINED: &str = "random";

impl Model {
    /// Random weights that keep values of order one: for tests, and for pricing a network before it is trained.
    pub fn random(network: Network, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |n: usize, centre: f64, width: f64| -> Vec<f64> {
            (0..n).map(|_| centre + width * (rng.random::<f64>() * 2.0 - 1.0)).collect()
        };
        let parameters = network
            .layers
            .iter()
            .map(|layer| match layer.kind {
                LayerKind::Conv { out, window, groups, bias } => {
                    let fan_in = layer.input.channels / groups * window.area();
                    let weight = uniform(out * fan_in, 0.0, (3.0 / fan_in as f64).sqrt());
                    let weight = dilated(&window, weight);
                    let bias = uniform(out, 0.0, if bias { 0.3 } else { 0.0 });
                    LayerParameters::Linear { weight, bias }
                }
                LayerKind::Fc { out, bias } => {
                    let fan_in = layer.input.len();
                    let weight = uniform(out * fan_in, 0.0, (3.0 / fan_in as f64).sqrt());
                    let bias = uniform(out, 0.0, if bias { 0.3 } else { 0.0 });
                    LayerParameters::Linear { weight, bias }
                }
                LayerKind::Activation => {
                    let n = layer.input.channels;
                    // Signs of both kinds, bounded away from zero.
                    let a =
                        uniform(n, 0.0, 1.0).iter().map(|v| 0.2 * v + 0.2 * v.signum()).collect();
                    LayerParameters::Activation {
                        a,
                        b: uniform(n, 0.4, 0.2),
                        c: uniform(n, 0.0, 0.3),
                    }
                }
                LayerKind::BatchNorm { .. } => {
                    let n = layer.input.channels;
                    LayerParameters::Affine {
                        scale: uniform(n, 1.0, 0.5),
                        shift: uniform(n, 0.0, 0.3),
                    }
                }
                LayerKind::AvgPool { .. }
                | LayerKind::Flatten
                | LayerKind::Add
                | LayerKind::Shortcut { .. } => LayerParameters::None,
            })
            .collect();
        Self { network, parameters, bounds: Bounds::default() }
    }
}
