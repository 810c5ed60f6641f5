//! How precise a network's results are, and how precise they are to be.

use serde::{Deserialize, Serialize};

/// Bits of no error at all, and, negative, of results that mean nothing: beyond all exponents of double precision, and a
/// number that every format can hold.
const MOST_BITS: f64 = 1100.0;

/// Bits in which results are right: `-log2` of the largest error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// Of any result, after the binary point.
    pub absolute_bits: f64,
    /// The same, each error divided by the largest result (in absolute value) of its image.
    pub relative_bits: f64,
}

impl Precision {
    /// Of results that are all exact.
    pub const EXACT: Self = Self { absolute_bits: MOST_BITS, relative_bits: MOST_BITS };

    /// Of one image: its results, and the exact ones. What is not a number, or too much or too little of it, is not precise
    /// at all.
    pub fn of(results: &[f64], exact: &[f64]) -> Self {
        let largest = exact.iter().fold(0.0f64, |m, v| v.abs().max(m));
        let mut error = 0.0f64;
        for (a, b) in results.iter().zip(exact) {
            let e = (a - b).abs();
            error = if e.is_nan() { f64::INFINITY } else { error.max(e) };
        }
        if results.len() != exact.len() {
            error = f64::INFINITY;
        }
        // Results that are all zero have no size: their error is taken as it is.
        let relative = if largest > 0.0 { error / largest } else { error };
        let bits = |error: f64| (-error.log2()).clamp(-MOST_BITS, MOST_BITS);
        Self { absolute_bits: bits(error), relative_bits: bits(relative) }
    }

    /// What a share `share`, 0 to 1, of several do not exceed, of either kind of bits for itself. None of none.
    pub fn quantile(all: &[Self], share: f64) -> Option<Self> {
        let sorted = |bits: fn(&Self) -> f64| {
            let mut sorted: Vec<f64> = all.iter().map(bits).collect();
            sorted.sort_by(f64::total_cmp);
            sorted.get((share * all.len().saturating_sub(1) as f64) as usize).copied()
        };
        Some(Self {
            absolute_bits: sorted(|p| p.absolute_bits)?,
            relative_bits: sorted(|p| p.relative_bits)?,
        })
    }

    /// The lower of both, each for itself.
    pub fn least(self, other: Self) -> Self {
        Self {
            absolute_bits: self.absolute_bits.min(other.absolute_bits),
            relative_bits: self.relative_bits.min(other.relative_bits),
        }
    }
}

/// How precise results are to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// Bits relative to the largest result of an image: classes hold whatever the size of the results.
    Relative(f64),
    /// Bits after the binary point.
    Absolute(f64),
}

impl Demand {
    /// The bits asked for.
    pub fn bits(&self) -> f64 {
        match self {
            Self::Relative(bits) | Self::Absolute(bits) => *bits,
        }
    }

    /// What of a precision is asked.
    pub fn found(&self, precision: &Precision) -> f64 {
        match self {
            Self::Relative(_) => precision.relative_bits,
            Self::Absolute(_) => precision.absolute_bits,
        }
    }

    /// Whether a precision is enough.
    pub fn is_met(&self, precision: &Precision) -> bool {
        self.found(precision) >= self.bits()
    }

    /// The same with so many bits more.
    pub fn plus(&self, bits: f64) -> Self {
        match self {
            Self::Relative(own) => Self::Relative(own + bits),
            Self::Absolute(own) => Self::Absolute(own + bits),
        }
    }

    /// What kind of bits, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Relative(_) => "relative to the largest",
            Self::Absolute(_) => "after the binary point",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_each_kind_of_bits() {
        let of = |absolute_bits, relative_bits| Precision { absolute_bits, relative_bits };
        let all = [of(3.0, 10.0), of(1.0, 30.0), of(2.0, 20.0), of(-5.0, 40.0), of(9.0, 0.0)];
        assert_eq!(Precision::quantile(&all, 0.5), Some(of(2.0, 20.0)));
        assert_eq!(Precision::quantile(&all, 0.25), Some(of(1.0, 10.0)));
        assert_eq!(Precision::quantile(&all[..4], 0.5), Some(of(1.0, 20.0)));
        assert_eq!(Precision::quantile(&all, 1.0), Some(of(9.0, 40.0)));
        assert_eq!(Precision::quantile(&[], 0.5), None);
    }

    #[test]
    fn bits_of_known_errors() {
        let p = Precision::of(&[1.0, 16.25], &[1.0, 16.0]);
        assert_eq!((p.absolute_bits, p.relative_bits), (2.0, 6.0));
        let large = Precision::of(&[1024.0 * 1.0, 1024.0 * 16.25], &[1024.0, 1024.0 * 16.0]);
        assert_eq!((large.absolute_bits, large.relative_bits), (-8.0, 6.0));
        assert_eq!(Precision::of(&[2.0], &[2.0]), Precision::EXACT);
        for bad in [&[f64::NAN, 1.0][..], &[1.0], &[f64::INFINITY, 1.0]] {
            let p = Precision::of(bad, &[1.0, 1.0]);
            assert_eq!((p.absolute_bits, p.relative_bits), (-MOST_BITS, -MOST_BITS));
            assert!(!Demand::Relative(-1e3).is_met(&p) && !Demand::Absolute(-1e3).is_met(&p));
        }
        assert!(Demand::Relative(6.0).is_met(&large) && !Demand::Absolute(6.0).is_met(&large));
    }
}
