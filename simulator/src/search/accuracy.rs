//! What a pattern is expected to cost in accuracy, from the importance of what it removes.
//!
//! A network's drop is the sum of its layers', each from two shares of the layer's importance (of its Taylor scores, or of its
//! squared weights): that which groups keep, and that which the kept units have of it. The coefficients are fitted to trained
//! networks; what is left of these says how wide the interval is.

use serde::{Deserialize, Serialize};

/// Least share of importance that is told from none.
const LEAST_KEPT: f64 = 1e-6;

/// Shares of a layer's importance that a pattern keeps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KeptImportance {
    /// Of the dense layer's, that within the groups; 0 to 1.
    pub groups: f64,
    /// Of that within the groups, that of the kept units; 0 to 1.
    pub units: f64,
}

impl KeptImportance {
    /// Everything.
    pub const ALL: Self = Self { groups: 1.0, units: 1.0 };

    /// How much goes, each as the logarithm of a factor.
    fn lost(self) -> (f64, f64) {
        let log = |kept: f64| -kept.clamp(LEAST_KEPT, 1.0).ln();
        (log(self.groups), log(self.units))
    }
}

/// The expected drop of accuracy, after training, in points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyModel {
    /// Points for importance lost to groups, for each e-fold, in all layers.
    pub groups: f64,
    /// Points for importance lost to units, for each e-fold, in all layers.
    pub units: f64,
    /// Exponent of the latter.
    pub power: f64,
    /// By how many points an expected drop may be too small: the end of its interval.
    pub margin: f64,
}

impl AccuracyModel {
    /// The two features of a network that a drop is a sum of, from what its layers that have patterns keep.
    pub fn features(layers: &[KeptImportance], power: f64) -> [f64; 2] {
        let count = layers.len().max(1) as f64;
        layers.iter().map(|kept| kept.lost()).fold([0.0; 2], |[a, b], (groups, units)| {
            [a + groups / count, b + units.powf(power) / count]
        })
    }

    /// The part of one of so many layers in the drop, in points.
    pub fn layer(&self, kept: KeptImportance, layers: usize) -> f64 {
        let (groups, units) = kept.lost();
        (self.groups * groups + self.units * units.powf(self.power)) / layers.max(1) as f64
    }

    /// The drop of a network, in points: expected, and the upper end of its interval. None where nothing is removed.
    pub fn drop(&self, layers: &[KeptImportance]) -> (f64, f64) {
        let expected: f64 = layers.iter().map(|kept| self.layer(*kept, layers.len())).sum();
        (expected, self.upper(expected))
    }

    /// The upper end of the interval of an expected drop.
    pub fn upper(&self, expected: f64) -> f64 {
        if expected == 0.0 { 0.0 } else { expected + self.margin }
    }
}
