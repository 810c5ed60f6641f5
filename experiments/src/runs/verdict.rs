//! Whether encrypted results are right.

use serde::{Deserialize, Serialize};
use simulator::precision::{Demand, Precision};

use super::statistics::Classes;
use crate::runs::execute::Sample;

/// Bits reported of results without any error: those of a double.
pub const MOST_BITS: f64 = 53.0;

/// Encrypted results beside those of the same network unencrypted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Share of images whose class is that of the same network unencrypted; none for a network of one logit.
    pub class_agreement: Option<f64>,
    /// Images of another class between whose logit and the largest one there lies less than the measured noise.
    pub ties_within_noise: usize,
    /// `-log2` of the largest error of any logit.
    pub logit_precision_bits: f64,
    /// The same, relative to the largest logit of its image.
    pub logit_relative_precision_bits: f64,
}

impl Verdict {
    /// Compares samples with exact results of the same images.
    pub fn of(samples: &[Sample], plain: &[Vec<f64>]) -> Self {
        let logits: Vec<&[f64]> = samples.iter().map(|s| s.logits.as_slice()).collect();
        Self::of_logits(&logits, plain)
    }

    /// Compares results with exact ones of the same images.
    pub fn of_logits(logits: &[&[f64]], plain: &[Vec<f64>]) -> Self {
        let Classes { agreeing, ties } = Classes::of(logits, plain);
        let share = agreeing as f64 / logits.len() as f64;
        let pairs = logits.iter().zip(plain);
        let precision = pairs.fold(Precision::EXACT, |p, (l, q)| p.least(Precision::of(l, q)));
        Self {
            class_agreement: plain.iter().all(|p| p.len() > 1).then_some(share),
            ties_within_noise: ties,
            logit_precision_bits: precision.absolute_bits.min(MOST_BITS),
            logit_relative_precision_bits: precision.relative_bits.min(MOST_BITS),
        }
    }

    /// What is wrong with the results of so many images: classes that differ by more than noise, or less precision than is
    /// asked for.
    pub fn failures(&self, images: usize, asked: Demand) -> Vec<String> {
        let mut failures = Vec::new();
        let differing = (1.0 - self.class_agreement.unwrap_or(1.0)) * images as f64;
        let wrong = (differing.round() as usize).saturating_sub(self.ties_within_noise);
        if wrong > 0 {
            failures.push(format!("{wrong} of {images} classes differ from the plain network's"));
        }
        let found = Precision {
            absolute_bits: self.logit_precision_bits,
            relative_bits: self.logit_relative_precision_bits,
        };
        if !asked.is_met(&found) {
            failures.push(format!(
                "logits have {:.1} bits {}, expected at least {}",
                asked.found(&found),
                asked.kind(),
                asked.bits()
            ));
        }
        failures
    }
}
