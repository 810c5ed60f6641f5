//! Measured times.

use serde::{Deserialize, Serialize};

use crate::operation::{Operation, Residency};
use crate::primitive::Setting;

/// Repeated measurements of one time, summarised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Median, in nanoseconds.
    pub median_ns: f64,
    /// Lower quartile, in nanoseconds.
    pub low_quartile_ns: f64,
    /// Upper quartile, in nanoseconds.
    pub high_quartile_ns: f64,
    /// Number of measurements.
    pub samples: usize,
}

impl Timing {
    /// Summary of measurements in nanoseconds; none without any.
    pub fn of(samples_ns: &[f64]) -> Option<Self> {
        let mut sorted = samples_ns.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median_ns: quantile(&sorted, 0.5)?,
            low_quartile_ns: quantile(&sorted, 0.25)?,
            high_quartile_ns: quantile(&sorted, 0.75)?,
            samples: sorted.len(),
        })
    }
}

/// Quantile of a sorted list, between neighbours linearly; none of an empty list.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64))
}

/// The measured time of one operation in one setting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Whether keys and plaintexts were in the caches.
    pub residency: Residency,
    /// What was measured.
    pub operation: Operation,
    /// Parameters and threads.
    pub setting: Setting,
    /// How long it took.
    pub time: Timing,
}

impl Point {
    /// Whether this point is kept out of fits, to test them: a fixed quarter of all configurations, the same for every
    /// thread count.
    pub fn is_held_out(&self) -> bool {
        self.operation.stable_hash(&self.setting, self.residency).is_multiple_of(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles() {
        let timing = Timing::of(&[4.0, 1.0, 3.0, 2.0, 100.0]).unwrap();
        assert_eq!(
            (timing.low_quartile_ns, timing.median_ns, timing.high_quartile_ns),
            (2.0, 3.0, 4.0)
        );
        assert_eq!(timing.samples, 5);
        assert_eq!(Timing::of(&[1.0, 2.0]).unwrap().median_ns, 1.5);
        assert_eq!(Timing::of(&[]), None);
    }
}
