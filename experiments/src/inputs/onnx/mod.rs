//! Networks from ONNX files.
//!
//! Nodes are gone through in order. What depends on constants only is computed; a tensor that depends on the image is a
//! [map](map::Map) of a layer with the order of its axes, and with what is still to be done on it: a quadratic by channel, a
//! padding. So transposes, reshapes, and quadratics in whatever spelling are no layers, and one is added where another layer
//! reads the result. Layers are named by their kind and number: names of weights say nothing, as exporters merge equal
//! ones and keep names for values that they have changed.

mod activations;
mod constants;
mod elementwise;
mod error;
mod import;
mod inputs;
mod layers;
mod linear;
mod map;
mod messages;
mod nodes;
mod operators;
mod pools;
mod tensor;
mod weights;
mod wire;

use std::path::Path;

use simulator::network::{Model, Network, Variant};

pub use activations::Activations;
pub use error::{OnnxError, Result};

/// Name of the one variant that a model has.
pub const VARIANT: &str = "onnx";

/// What is not in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Quadratics in place of activations that cannot be encrypted.
    pub activations: Activations,
    /// Mean of the pixels, 0 to 1, that is subtracted from an image: one for all channels or for each. Zero, if none.
    pub mean: Option<Vec<f64>>,
    /// What an image is divided by then. One, if none.
    pub std: Option<Vec<f64>>,
}

/// The network of a model, named after its file, with one variant. Its weights are not read.
///
/// # Errors
/// [`OnnxError`]: what cannot be read or has no counterpart, by the name of its node, and what to do.
pub fn network(path: &Path, options: &Options) -> Result<Network> {
    with_variant(import::import(path, options, false)?.0, path)
}

/// The network and its weights.
///
/// # Errors
/// The same, and what is wrong with weights.
pub fn model(path: &Path, options: &Options) -> Result<Model> {
    let (network, weights) = import::import(path, options, true)?;
    let network = with_variant(network, path)?;
    Ok(Model::owning(network, weights.unwrap_or_default())?)
}

fn with_variant(mut network: Network, path: &Path) -> Result<Network> {
    let weights = path.file_name().map(|name| name.to_string_lossy().into_owned());
    network.variants = vec![Variant {
        name: VARIANT.into(),
        weights: weights.unwrap_or_default(),
        groups: Default::default(),
        accuracy: None,
        pattern: None,
    }];
    Ok(network)
}
