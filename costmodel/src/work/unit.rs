//! Single kernels on words in the caches.

use engine::unit::Unit;

use super::{Counter, Feature, reductions};

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
                let often = reductions(digits as f64, self.sum_terms.keys);
                vec![
                    // P c0 is one more.
                    (Feature::KeyProducts, 2.0 * pairs + words),
                    (Feature::PackedWords, self.keys.packed_words() * pairs),
                    (Feature::MaskWords, if made { pairs } else { 0.0 }),
                    (Feature::Reductions, 2.0 * words * often),
                    (Feature::ElementwiseWords, 2.0 * words),
                ]
            }
            Unit::PairSum { terms, outputs } | Unit::PeriodicPairSum { terms, outputs } => {
                let (sums, terms) = (2.0 * outputs as f64 * words, terms as f64);
                let products = match unit {
                    Unit::PairSum { .. } => Feature::DotProducts,
                    _ => Feature::PeriodicProducts,
                };
                let reduced = sums * reductions(terms, self.sum_terms.pairs);
                vec![(products, terms * sums), (Feature::Reductions, reduced)]
            }
            Unit::Conversion { rows } => {
                vec![(Feature::Conversions, self.converted(rows as f64) * words)]
            }
            Unit::Lift | Unit::Scale | Unit::Add => vec![(Feature::ElementwiseWords, words)],
            Unit::Fourier => return self.fourier(),
        };
        self.serial(&amounts);
    }
}
