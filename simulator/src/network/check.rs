//! Whether values keep to the bounds that the weights give.

use super::{LayerKind, Model};
use crate::{Error, Result};

impl Model {
    /// The plain result for a normalised image (`[channel][row][column]`), and a check of every bound on the way.
    /// `image` is what an error calls it.
    ///
    /// # Errors
    /// [`Error::Bound`] for the first layer that reads, or results that are, more than their bound;
    /// [`Error::Argument`] for an image of another size.
    pub fn forward_checked(&self, pixels: &[f64], image: &str) -> Result<Vec<f64>> {
        let mut broken = None;
        let mut check = |layer: &str, values: &[f64], bound: Option<f64>| {
            let Some(bound) = bound else { return };
            let largest = values
                .iter()
                .fold(0.0f64, |m, v| if v.is_nan() { f64::NAN } else { v.abs().max(m) });
            let exceeds = largest.is_nan() || largest > bound * (1.0 + BOUND_TOLERANCE);
            if broken.is_none() && exceeds {
                let (layer, image) = (layer.to_owned(), image.to_owned());
                broken = Some(Error::Bound { layer, image, found: largest, bound });
            }
        };
        let layers = &self.network.layers;
        let results = self.forward_observed(pixels, |k, input| {
            if layers[k].kind == LayerKind::Activation {
                check(&layers[k].name, input, self.bounds.activations.get(&k).copied());
            }
        })?;
        check("output", &results, self.bounds.output);
        broken.map_or(Ok(results), Err)
    }
}

/// By what part of itself a bound may be exceeded: bounds are stored in single precision, or measured by another program
/// that adds in another order.
const BOUND_TOLERANCE: f64 = 1e-5;
