//! Scales of a program, where they are not all the nominal one.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Base-2 logarithms of the scales of a program, in thousandths so that equal plans compare equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScalePlan {
    /// Of the encrypted image, in thousandths of a bit.
    pub input_millibits: i32,
    /// Of the result of each linear layer and of each activation that is no square, in thousandths of a bit.
    pub layers_millibits: Vec<(String, i32)>,
}

/// Smallest and largest scale, in thousandths of a bit. Less than one is of use where values are large.
pub(crate) const SCALES_MILLIBITS: std::ops::RangeInclusive<i32> = -40_000..=200_000;

impl ScalePlan {
    /// Checks that scales are within their limits.
    ///
    /// # Errors
    /// [`Error::Argument`] with the layer.
    pub(super) fn check(&self) -> Result<()> {
        let image = std::iter::once(("scales.input_millibits", &self.input_millibits));
        let layers = self.layers_millibits.iter().map(|(layer, bits)| (layer.as_str(), bits));
        for (name, bits) in image.chain(layers) {
            if !SCALES_MILLIBITS.contains(bits) {
                return Err(Error::Argument {
                    what: "a scale in thousandths of a bit",
                    found: format!("{bits} ({name})"),
                    expected: format!("{} to {}", SCALES_MILLIBITS.start(), SCALES_MILLIBITS.end()),
                });
            }
        }
        Ok(())
    }

    /// Scale of the encrypted image.
    pub fn input(&self) -> f64 {
        (f64::from(self.input_millibits) / 1000.0).exp2()
    }

    /// Scale of a layer's result, if the plan names it.
    pub fn layer(&self, name: &str) -> Option<f64> {
        let entry = self.layers_millibits.iter().find(|(layer, _)| layer == name);
        entry.map(|(_, millibits)| (f64::from(*millibits) / 1000.0).exp2())
    }
}
