//! Single kernels on words in the caches.

use engine::unit::Unit;

use super::{Counter, Feature};

impl Counter {
    /// One run of a kernel.
    pub(super) fn unit(&mut self, unit: Unit) {
        let words = unit.words(self.n as usize) as f64;
        // Of one prime and direction, and the limb itself.
        self.constants = self.constant_bytes() + self.limb_bytes();
        let amounts: Vec<(Feature, f64)> = match unit {
            Unit::ForwardNtt => self.ntts(Feature::ForwardButterflies, 1.0).into(),
            Unit::InverseNtt => self.ntts(Feature::InverseButterflies, 1.0).into(),
            Unit::KeyProduct { digits } | Unit::KeyProductHeld { digits } => {
                let made = self.keys.masks_made && matches!(unit, Unit::KeyProduct { .. });
                let pairs = digits as f64 * words;
                vec![
                    // P c0 is one more.
                    (Feature::KeyProducts, 2.0 * pairs + words),
                    (Feature::MaskWords, if made { pairs } else { 0.0 }),
                    (Feature::Reductions, 2.0 * words),
                    (Feature::ElementwiseWords, 2.0 * words),
                ]
            }
            Unit::PairSum { terms, outputs } => {
                let sums = 2.0 * outputs as f64 * words;
                vec![(Feature::DotProducts, terms as f64 * sums), (Feature::Reductions, sums)]
            }
            Unit::PeriodicPairSum { terms, outputs } => {
                let sums = 2.0 * outputs as f64 * words;
                vec![(Feature::PeriodicProducts, terms as f64 * sums), (Feature::Reductions, sums)]
            }
            // As much as one product more to be reduced.
            Unit::Conversion { rows } => vec![(Feature::Conversions, (rows as f64 + 1.0) * words)],
            Unit::Lift | Unit::Scale | Unit::Add => vec![(Feature::ElementwiseWords, words)],
        };
        self.serial(&amounts);
    }
}
