//! What a person writes to ask for parameters.

use serde::{Deserialize, Serialize};

use super::limits;
use crate::Result;

/// Unchecked description of a parameter set; [`super::Parameters::new`] checks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParametersLiteral {
    /// Base-2 logarithm of the ring degree N, 11 to 17.
    pub log_n: u32,
    /// The primes.
    pub chain: Chain,
    /// Base-2 logarithm of the nominal scale.
    pub log_scale: f64,
    /// Limbs per key-switching digit; dnum is then `ceil(limbs / digit_limbs)`.
    pub digit_limbs: usize,
    /// Accept parameters below 128-bit security. Every report then says so. Only the calling program can, never what it
    /// reads: a written literal has no such field, and one that names it is refused.
    #[serde(skip)]
    pub allow_insecure: bool,
}

/// The primes of a parameter set, by size or explicitly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chain {
    /// Primes searched for, nearest to the powers of two asked for.
    Bits {
        /// Bits of q_0, which holds the result.
        first: u32,
        /// Bits of each of q_1 to q_L, in this order.
        scale: Vec<u32>,
        /// Bits of each special prime.
        special: Vec<u32>,
    },
    /// Explicit primes, each 1 modulo 2N and below 2^50.
    Explicit {
        /// q_0 to q_L.
        q: Vec<u64>,
        /// Special primes.
        p: Vec<u64>,
    },
}

impl ParametersLiteral {
    /// The usual shape: one first prime, `depth` scale primes of one size near the scale, `special`
    /// primes of one size.
    ///
    /// # Errors
    /// [`crate::Error::Parameters`] for more primes than [`limits`] allows: no list is made of them.
    pub fn uniform(
        log_n: u32,
        first: u32,
        scale: u32,
        depth: usize,
        special: (usize, u32),
        digit_limbs: usize,
    ) -> Result<Self> {
        limits::check_counts(depth, special.0)?;
        Ok(Self {
            log_n,
            chain: Chain::Bits {
                first,
                scale: vec![scale; depth],
                special: vec![special.1; special.0],
            },
            log_scale: f64::from(scale),
            digit_limbs,
            allow_insecure: false,
        })
    }
}
