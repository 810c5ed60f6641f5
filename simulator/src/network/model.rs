//! A network together with checked weights, and its plain forward pass.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::forward::{ConvGeometry, convolve, sum_pool};
use super::{LayerKind, Network, Source, Weights};
use crate::{Error, Result};

/// Numbers of one layer, lengths checked against its shape.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerParameters {
    /// The layer has none.
    None,
    /// Weights `[out][in / groups][k][k]` or `[out][in]`, and one bias per output channel.
    Linear {
        /// Weights.
        weight: Vec<f64>,
        /// Biases, zeros where the layer has none.
        bias: Vec<f64>,
    },
    /// Coefficients of `a x^2 + b x + c`, one of each per channel.
    Activation {
        /// Quadratic coefficient.
        a: Vec<f64>,
        /// Linear coefficient.
        b: Vec<f64>,
        /// Constant.
        c: Vec<f64>,
    },
    /// `scale x + shift` per channel, from batch statistics.
    Affine {
        /// Factor.
        scale: Vec<f64>,
        /// Summand.
        shift: Vec<f64>,
    },
}

/// A network with weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The network, with the group counts of the variant.
    pub network: Network,
    /// One entry per layer.
    pub parameters: Vec<LayerParameters>,
}

impl Model {
    /// Checks the weights against the network's shapes.
    pub fn new(network: Network, weights: &Weights) -> Result<Self> {
        let mut parameters = Vec::new();
        for layer in &network.layers {
            let name = &layer.name;
            let channels = layer.input.channels;
            let bias_of = |present: bool, out: usize| -> Result<Vec<f64>> {
                let key = format!("{name}.bias");
                if present {
                    return weights.expect_shape(&key, &[out]).map(<[f64]>::to_vec);
                }
                match weights.get(&key) {
                    None => Ok(vec![0.0; out]),
                    Some(_) => Err(Error::Tensor {
                        name: key,
                        found: "a bias".into(),
                        expected: "none: the description says bias = false".into(),
                    }),
                }
            };
            parameters.push(match layer.kind {
                LayerKind::Conv { out, kernel, groups, bias, .. } => {
                    let shape = [out, channels / groups, kernel, kernel];
                    let weight = weights.expect_shape(&format!("{name}.weight"), &shape)?.to_vec();
                    LayerParameters::Linear { weight, bias: bias_of(bias, out)? }
                }
                LayerKind::Fc { out, bias } => {
                    let shape = [out, layer.input.len()];
                    let weight = weights.expect_shape(&format!("{name}.weight"), &shape)?.to_vec();
                    LayerParameters::Linear { weight, bias: bias_of(bias, out)? }
                }
                LayerKind::Activation => activation(weights, &format!("{name}.coeffs"), channels)?,
                LayerKind::BatchNorm { epsilon } => batch_norm(weights, name, channels, epsilon)?,
                LayerKind::AvgPool { .. } | LayerKind::Flatten | LayerKind::Add => {
                    LayerParameters::None
                }
            });
        }
        Ok(Self { network, parameters })
    }

    /// The named variant of a network, its weights read from `folder`.
    pub fn read_variant(
        network: &Network,
        variant: &str,
        folder: &std::path::Path,
    ) -> Result<Self> {
        let v = network.variant(variant)?;
        let weights = Weights::read(&folder.join(&v.weights))?;
        Self::new(network.with_groups(&v.groups)?, &weights)
    }

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
                LayerKind::Conv { out, kernel, groups, bias, .. } => {
                    let fan_in = layer.input.channels / groups * kernel * kernel;
                    let weight = uniform(out * fan_in, 0.0, (3.0 / fan_in as f64).sqrt());
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
                LayerKind::AvgPool { .. } | LayerKind::Flatten | LayerKind::Add => {
                    LayerParameters::None
                }
            })
            .collect();
        Self { network, parameters }
    }

    /// The plain result for a normalised image (`[channel][row][column]`).
    pub fn forward(&self, image: &[f64]) -> Result<Vec<f64>> {
        if image.len() != self.network.input.len() {
            let wanted = self.network.input.len();
            return Err(Error::argument("length of an image", image.len(), wanted));
        }
        let mut results: Vec<Vec<f64>> = Vec::with_capacity(self.network.layers.len());
        for (layer, parameters) in self.network.layers.iter().zip(&self.parameters) {
            let read = |k: usize| match layer.sources[k] {
                Source::Input => image,
                Source::Layer(n) => results[n].as_slice(),
            };
            let x = read(0);
            let per_channel = |f: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
                x.iter().enumerate().map(|(k, v)| f(k / layer.input.area(), *v)).collect()
            };
            let y = match (&layer.kind, parameters) {
                (
                    LayerKind::Conv { kernel, stride, padding, groups, .. },
                    LayerParameters::Linear { weight, bias },
                ) => {
                    let geometry = ConvGeometry {
                        input: layer.input,
                        output: layer.output,
                        kernel: (*kernel, *kernel),
                        stride: *stride,
                        padding: *padding,
                        groups: *groups,
                    };
                    let mut y = convolve(&geometry, weight, x);
                    let area = layer.output.area();
                    y.iter_mut().enumerate().for_each(|(k, v)| *v += bias[k / area]);
                    y
                }
                (LayerKind::Fc { .. }, LayerParameters::Linear { weight, bias }) => bias
                    .iter()
                    .zip(weight.chunks_exact(x.len()))
                    .map(|(b, row)| b + row.iter().zip(x).map(|(w, v)| w * v).sum::<f64>())
                    .collect(),
                (LayerKind::AvgPool { kernel, stride }, _) => {
                    let mut y = sum_pool(layer.input, layer.output, *kernel, *stride, x);
                    y.iter_mut().for_each(|v| *v /= (kernel * kernel) as f64);
                    y
                }
                (LayerKind::Activation, LayerParameters::Activation { a, b, c }) => {
                    per_channel(&|k, v| a[k] * v * v + b[k] * v + c[k])
                }
                (LayerKind::BatchNorm { .. }, LayerParameters::Affine { scale, shift }) => {
                    per_channel(&|k, v| scale[k] * v + shift[k])
                }
                (LayerKind::Flatten, _) => x.to_vec(),
                (LayerKind::Add, _) => x.iter().zip(read(1)).map(|(a, b)| a + b).collect(),
                _ => {
                    return Err(Error::layer(
                        &layer.name,
                        "parameters",
                        "of another kind of layer",
                        "those of its own kind; build the model with Model::new",
                    ));
                }
            };
            results.push(y);
        }
        Ok(results.pop().unwrap_or_else(|| image.to_vec()))
    }
}

fn activation(weights: &Weights, name: &str, channels: usize) -> Result<LayerParameters> {
    let data = match weights.get(name) {
        Some(t) if t.shape.len() == 2 => weights.expect_shape(name, &[3, channels])?,
        _ => weights.expect_shape(name, &[3])?,
    };
    let one = |k: usize| {
        if data.len() == 3 {
            vec![data[k]; channels]
        } else {
            data[k * channels..][..channels].to_vec()
        }
    };
    Ok(LayerParameters::Activation { a: one(0), b: one(1), c: one(2) })
}

fn batch_norm(
    weights: &Weights,
    name: &str,
    channels: usize,
    epsilon: f64,
) -> Result<LayerParameters> {
    let get = |what: &str| weights.expect_shape(&format!("{name}.{what}"), &[channels]);
    let (gamma, beta) = (get("weight")?, get("bias")?);
    let (mean, var) = (get("running_mean")?, get("running_var")?);
    if let Some(v) = var.iter().find(|v| **v + epsilon <= 0.0) {
        return Err(Error::Tensor {
            name: format!("{name}.running_var"),
            found: format!("a variance {v}"),
            expected: "variances that are positive together with epsilon".into(),
        });
    }
    let scale: Vec<f64> = gamma.iter().zip(var).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
    let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
    Ok(LayerParameters::Affine { scale, shift })
}
