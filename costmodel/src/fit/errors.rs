//! How far predictions are from measurements.

use serde::{Deserialize, Serialize};

use crate::point::quantile;

/// Absolute relative errors, `|predicted / measured - 1|`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ErrorSummary {
    /// Number of points.
    pub points: usize,
    /// Median error; 0.1 is ten per cent.
    pub median_relative: f64,
    /// Ninth decile.
    pub p90_relative: f64,
    /// Largest error.
    pub max_relative: f64,
}

impl ErrorSummary {
    /// Summary of pairs (predicted, measured).
    pub fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut errors: Vec<f64> = pairs.map(|(p, m)| (p / m - 1.0).abs()).collect();
        errors.sort_by(f64::total_cmp);
        let at = |share| quantile(&errors, share).unwrap_or(0.0);
        Self {
            points: errors.len(),
            median_relative: at(0.5),
            p90_relative: at(0.9),
            max_relative: at(1.0),
        }
    }
}

/// Spread of `ln(measured / predicted)` around zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Number of points.
    pub points: usize,
    /// Root mean square of the logarithm; about the relative standard deviation.
    pub relative_deviation: f64,
}

impl Spread {
    /// Spread of pairs (predicted, measured); pairs with a zero are passed over. Outliers count three deviations at
    /// most, the deviation being estimated from the median first.
    pub fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        let logs: Vec<f64> =
            pairs.filter(|&(p, m)| p > 0.0 && m > 0.0).map(|(p, m)| (m / p).ln()).collect();
        let mut sizes: Vec<f64> = logs.iter().map(|l| l.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let limit = 3.0 * (1.4826 * quantile(&sizes, 0.5).unwrap_or(0.0)).max(0.01);
        let squares: f64 = sizes.iter().map(|s| s.min(limit).powi(2)).sum();
        let relative_deviation = (squares / sizes.len().max(1) as f64).sqrt();
        Self { points: sizes.len(), relative_deviation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary() {
        let pairs = [(1.1, 1.0), (0.8, 1.0), (3.0, 3.0)];
        let errors = ErrorSummary::of(pairs.into_iter());
        assert_eq!(errors.points, 3);
        assert!((errors.median_relative - 0.1).abs() < 1e-12);
        assert!((errors.max_relative - 0.2).abs() < 1e-12);
        assert_eq!(ErrorSummary::of(std::iter::empty()), ErrorSummary::default());
    }

    #[test]
    fn spread_is_not_ruled_by_one_outlier() {
        let steady = (0..50).map(|i| (1.0, if i % 2 == 0 { 1.05 } else { 1.0 / 1.05 }));
        let spread = Spread::of(steady.chain([(1.0, 50.0)]));
        assert!(spread.relative_deviation < 0.06, "{spread:?}");
        assert!(spread.relative_deviation > 0.045, "{spread:?}");
    }
}
