//! Whether values keep to the bounds that the weights give.

use super::{LayerKind, Model};
use crate::{Error, Result};

/// What the network's results are called where layers are named, and in the name of their bound.
pub const OUTPUT: &str = "output";

/// The largest absolute value, zero without any; not a number if one is none.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| larger(m, v.abs()))
}

/// The larger of two numbers; not a number if one is none, which `f64::max` would hide.
pub fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

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
            let found = largest(values);
            let exceeds = found.is_nan() || found > bound * (1.0 + BOUND_TOLERANCE);
            if broken.is_none() && exceeds {
                let (layer, image) = (layer.to_owned(), image.to_owned());
                broken = Some(Error::Bound { layer, image, found, bound });
            }
        };
        let layers = &self.network.layers;
        let results = self.forward_observed(pixels, |k, input| {
            if layers[k].kind == LayerKind::Activation {
                check(&layers[k].name, input, self.bounds.activations.get(&k).copied());
            }
        })?;
        check(OUTPUT, &results, self.bounds.output);
        broken.map_or(Ok(results), Err)
    }
}

/// By what part of itself a bound may be exceeded: bounds are stored in single precision, or measured by another program
/// that adds in another order.
const BOUND_TOLERANCE: f64 = 1e-5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;

    #[test]
    fn what_is_no_number_is_not_hidden_by_numbers_after_it() {
        assert!(largest(&[1.0, f64::NAN, 2.0]).is_nan());
        assert!(larger(f64::NAN, 1.0).is_nan() && larger(1.0, f64::NAN).is_nan());
        assert_eq!((largest(&[]), largest(&[1.0, -3.0])), (0.0, 3.0));
        let network = Network::from_toml(
            "name = \"n\"\n[input]\nchannels = 1\nheight = 1\nwidth = 3\n\
             [[layer]]\nname = \"act\"\nkind = \"activation\"\n",
        );
        let mut model = Model::random(network.unwrap(), 1);
        model.bounds.activations.insert(0, 10.0);
        let error = model.forward_checked(&[1.0, f64::NAN, 2.0], "image 1").unwrap_err();
        assert!(matches!(error, Error::Bound { found, .. } if found.is_nan()), "{error}");
    }
}
