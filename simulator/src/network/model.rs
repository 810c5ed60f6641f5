//! A network together with checked weights.

use std::collections::BTreeMap;

use super::operations::dilated;
use super::{Layer, LayerKind, Network, OUTPUT, Weights};
use crate::{Error, Result};

/// Numbers of one layer, lengths checked against its shape.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerParameters {
    /// The layer has none.
    None,
    /// Weights `[out][in / groups][rows][columns]` (of a dilated kernel with its zeros) or `[out][in]`, and one bias per
    /// output channel.
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
    /// How large values are, as far as the weights say.
    pub bounds: Bounds,
}

/// Sizes that values keep to on every image that the training checked, from the weight file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bounds {
    /// For each activation, by its layer's number: the most that its inputs are in absolute value (`<layer>.bound`).
    pub activations: BTreeMap<usize, f64>,
    /// The most that the network's results are in absolute value (`output.bound`).
    pub output: Option<f64>,
}

impl Model {
    /// Checks the weights against the network's shapes.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a tensor that is missing or has another shape, and for a bound that is not positive or
    /// belongs to no activation.
    pub fn new(network: Network, weights: &Weights) -> Result<Self> {
        Self::owning(network, weights.clone())
    }

    /// The same with weights of its own, which are then in memory once.
    ///
    /// # Errors
    /// The same.
    pub fn owning(network: Network, mut weights: Weights) -> Result<Self> {
        let bounds = bounds(&network, &weights)?;
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
                LayerKind::Conv { out, window, groups, bias } => {
                    let shape = [out, channels / groups, window.kernel.0, window.kernel.1];
                    let bias = bias_of(bias, out)?;
                    let weight = weights.take(&format!("{name}.weight"), &shape)?;
                    LayerParameters::Linear { weight: dilated(&window, weight), bias }
                }
                LayerKind::Fc { out, bias } => {
                    let shape = [out, layer.input.len()];
                    let bias = bias_of(bias, out)?;
                    let weight = weights.take(&format!("{name}.weight"), &shape)?;
                    LayerParameters::Linear { weight, bias }
                }
                LayerKind::Activation => activation(&weights, &format!("{name}.coeffs"), channels)?,
                LayerKind::BatchNorm { epsilon, affine } => {
                    batch_norm(&weights, name, channels, (epsilon, affine))?
                }
                LayerKind::AvgPool { .. }
                | LayerKind::Flatten
                | LayerKind::Add
                | LayerKind::Shortcut { .. } => LayerParameters::None,
            });
        }
        Ok(Self { network, parameters, bounds })
    }

    /// The named variant of a network, its weights read from `folder`.
    ///
    /// # Errors
    /// [`Error::Description`] for an unknown variant; those of [`Weights::read_for`] and of [`Self::new`].
    pub fn read_variant(
        network: &Network,
        variant: &str,
        folder: &std::path::Path,
    ) -> Result<Self> {
        let v = network.variant(variant)?;
        let network = network.with_groups(&v.groups)?;
        let weights = Weights::read_for(&network, &folder.join(&v.weights))?;
        Self::owning(network, weights)
    }
}

/// Ending of the name of a bound.
const BOUND: &str = ".bound";

fn bounds(network: &Network, weights: &Weights) -> Result<Bounds> {
    let mut bounds = Bounds::default();
    for name in weights.names() {
        let Some(layer) = name.strip_suffix(BOUND) else { continue };
        let bound = weights.expect_shape(name, &[1])?[0];
        if bound <= 0.0 {
            return Err(Error::Tensor {
                name: name.to_owned(),
                found: format!("a bound {bound}"),
                expected: "a positive number".into(),
            });
        }
        let is_it = |l: &Layer| l.name == layer && l.kind == LayerKind::Activation;
        match network.layers.iter().position(is_it) {
            Some(k) => {
                bounds.activations.insert(k, bound);
            }
            None if layer == OUTPUT => bounds.output = Some(bound),
            None => {
                return Err(Error::Tensor {
                    name: name.to_owned(),
                    found: format!("a bound of {layer}, which is no activation"),
                    expected: "the name of an activation, or `output`".into(),
                });
            }
        }
    }
    Ok(bounds)
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
    (epsilon, affine): (f64, bool),
) -> Result<LayerParameters> {
    let get = |what: &str| weights.expect_shape(&format!("{name}.{what}"), &[channels]);
    let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
    let (gamma, beta) = match affine {
        true => (get("weight")?, get("bias")?),
        false => (&ones[..], &zeros[..]),
    };
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
