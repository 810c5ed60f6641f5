//! Why there is no configuration within the limits.

use serde::{Deserialize, Serialize};

use crate::precision::Demand;

/// A limit, and what the configuration that comes nearest to it, of those that keep to all others, would need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "limit")]
pub enum Obstacle {
    /// Ciphertexts that the client sends.
    Inputs {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// The fewest.
        needed: usize,
        /// The most.
        allowed: usize,
    },
    /// The modulus that is secure.
    Security {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// Levels.
        levels: usize,
        /// Bits of the smallest modulus that is of use.
        needed_bits: u32,
        /// Bits that are secure.
        allowed_bits: u32,
    },
    /// Layouts: none holds the maps.
    Layouts {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
    },
    /// Room that the primes have for values.
    Room {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// What is too large, where.
        reason: String,
    },
    /// Precision of the results.
    Precision {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// Bits found.
        found: f64,
        /// Bits asked for.
        asked: Demand,
    },
    /// Memory.
    Memory {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
    },
}

impl Obstacle {
    /// How far away: only obstacles of one kind compare.
    fn distance(&self) -> f64 {
        match self {
            Self::Inputs { needed, allowed, .. } => *needed as f64 / (*allowed).max(1) as f64,
            Self::Security { needed_bits, allowed_bits, .. } => {
                f64::from(*needed_bits) / f64::from(*allowed_bits)
            }
            Self::Layouts { log_n } | Self::Room { log_n, .. } => -f64::from(*log_n),
            Self::Precision { found, asked, .. } => asked.bits() - found,
            Self::Memory { needed, allowed, .. } => *needed as f64 / (*allowed).max(1) as f64,
        }
    }

    /// Of each kind, the nearest.
    pub fn nearest(all: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut nearest: Vec<Self> = Vec::new();
        for obstacle in all {
            let kind = std::mem::discriminant(&obstacle);
            match nearest.iter_mut().find(|known| std::mem::discriminant(*known) == kind) {
                Some(known) if obstacle.distance() < known.distance() => *known = obstacle,
                Some(_) => {}
                None => nearest.push(obstacle),
            }
        }
        nearest
    }
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inputs { log_n, needed, allowed } => write!(
                f,
                "N = 2^{log_n} needs {needed} input ciphertexts, {allowed} allowed (--max-inputs)"
            ),
            Self::Security { log_n, levels, needed_bits, allowed_bits } => write!(
                f,
                "{levels} levels at N = 2^{log_n} need {needed_bits} bits of modulus, {allowed_bits} are secure \
                 (a larger --log-n, or fewer layers)"
            ),
            Self::Layouts { log_n } => write!(
                f,
                "no layout at N = 2^{log_n} holds every map in the ciphertexts allowed (a larger --log-n)"
            ),
            Self::Room { log_n, reason } => write!(f, "at N = 2^{log_n}, {reason}"),
            Self::Precision { log_n, found, asked } => write!(
                f,
                "N = 2^{log_n} gives {found:.1} bits {}, {:.1} asked (--min-precision, and a margin)",
                asked.kind(),
                asked.bits()
            ),
            Self::Memory { log_n, needed, allowed } => write!(
                f,
                "N = 2^{log_n} needs {:.2} GB of memory, {:.2} GB allowed (--memory-limit)",
                *needed as f64 / 1e9,
                *allowed as f64 / 1e9
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_each_kind_stays() {
        let inputs = |needed| Obstacle::Inputs { log_n: 13, needed, allowed: 8 };
        let bits = |found| Obstacle::Precision { log_n: 13, found, asked: Demand::Relative(11.0) };
        let nearest = Obstacle::nearest([inputs(20), bits(3.0), inputs(12), bits(9.3), bits(1.0)]);
        assert_eq!(nearest, [inputs(12), bits(9.3)]);
        let texts: Vec<String> = nearest.iter().map(ToString::to_string).collect();
        assert!(texts[0].contains("12 input ciphertexts, 8 allowed"), "{texts:?}");
        assert!(texts[1].contains("9.3 bits relative to the largest, 11.0 asked"), "{texts:?}");
    }
}
