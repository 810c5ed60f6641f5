//! Scales of a program, where they are not all the nominal one.

use serde::{Deserialize, Serialize};

/// Base-2 logarithms of the scales of a program, in thousandths so that equal plans compare equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScalePlan {
    /// Of the encrypted image, in thousandths of a bit.
    pub input_millibits: i32,
    /// Of each linear layer's result, in thousandths of a bit.
    pub layers_millibits: Vec<(String, i32)>,
}

impl ScalePlan {
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
