//! The negacyclic number-theoretic transform: tables, and the choice of a kernel.
//!
//! The transform of `a(X)` modulo `X^N + 1` is its values at the odd powers of `psi`, a primitive
//! 2N-th root of unity: word `i` of the output is `a(psi^(2 brv(i) + 1))`, `brv` reversing `log2 N`
//! bits. `psi` is merged into the butterfly constants (Longa, Naehrig, ePrint 2016/504), so there is
//! no separate twist, and neither direction reorders words.

mod bounds;

#[cfg(target_arch = "x86_64")]
use std::sync::OnceLock;

use crate::buffer::AlignedBuf;
#[cfg(target_arch = "x86_64")]
use crate::kernels::fma;
use crate::kernels::{isa, kernels};
use crate::modulus::{Modulus, ShoupScalar};
use crate::params::primes::primitive_root_2n;
use crate::{Error, Result};

/// Smallest supported `log2 N`.
pub const MIN_LOG_N: u32 = 5;
/// Largest supported `log2 N`.
pub const MAX_LOG_N: u32 = 17;

/// Butterfly constants with their quotients, as parallel arrays of `N` words.
///
/// Word `h + i` serves block `i` of the stage that has `h` blocks; word 0 is not used.
#[derive(Clone, Debug)]
pub(crate) struct Twiddles {
    /// The constants, in `[0, q)`.
    pub(crate) values: AlignedBuf,
    /// `floor(value * 2^52 / q)` for each.
    pub(crate) quotients: AlignedBuf,
}

/// The constants of the transform of one size modulo one prime, shared by all instruction sets.
#[derive(Clone, Debug)]
pub struct NttTable {
    modulus: Modulus,
    log_n: u32,
    /// `psi^brv(k)`.
    forward: Twiddles,
    /// `psi^-brv(k)`.
    inverse: Twiddles,
    /// `1/N`, the constant of the sums of the last inverse stage.
    n_inverse: ShoupScalar,
    /// `psi^(-N/2) / N`, the constant of its differences.
    n_inverse_twiddle: ShoupScalar,
    /// See [`bounds::forward_offset`].
    forward_offset: Option<u64>,
    /// Constants as doubles for vectors of 4 and of 8 words, made when first used.
    #[cfg(target_arch = "x86_64")]
    doubles: [OnceLock<fma::Tables>; 2],
}

impl NttTable {
    /// Tables for `N = 2^log_n` and a prime `q = 1 mod 2N`.
    ///
    /// # Errors
    /// [`Error::Argument`] if `log_n` is outside 5..=17 or the modulus is not such a prime; [`Error::Isa`] when kernels are
    /// forced that cannot be had.
    pub fn new(modulus: Modulus, log_n: u32) -> Result<Self> {
        isa()?;
        if !(MIN_LOG_N..=MAX_LOG_N).contains(&log_n) {
            return Err(Error::argument("log2 of the ring degree", log_n, "5 to 17"));
        }
        let q = modulus.value();
        let psi = primitive_root_2n(q, log_n)?;
        let not_invertible = || Error::argument("NTT prime", q, "a prime");
        let psi_inverse = modulus.inv(psi).ok_or_else(not_invertible)?;
        let n_inverse = modulus.inv(1 << log_n).ok_or_else(not_invertible)?;
        let forward = Twiddles::powers(&modulus, psi, log_n);
        let inverse = Twiddles::powers(&modulus, psi_inverse, log_n);
        let n_inverse_twiddle = modulus.shoup(modulus.mul(n_inverse, inverse.values[1]));
        Ok(Self {
            modulus,
            log_n,
            forward,
            inverse,
            n_inverse: modulus.shoup(n_inverse),
            n_inverse_twiddle,
            forward_offset: bounds::forward_offset(q, log_n),
            #[cfg(target_arch = "x86_64")]
            doubles: Default::default(),
        })
    }

    /// The table of degree `2^log_m`, at least 32 and at most N, whose root is the power of this one's by `N / 2^log_m`: its
    /// transform of a polynomial `a(Y)` has the words of that of `a(X^(N / 2^log_m))`, each once.
    pub(crate) fn subring(&self, log_m: u32) -> Self {
        let modulus = self.modulus;
        // brv(k) over log2 N bits is that over log_m bits times N / 2^log_m.
        let inverse = self.inverse.first(1 << log_m);
        let m_inverse = modulus.mul(self.n_inverse.value, 1 << (self.log_n - log_m));
        Self {
            modulus,
            log_n: log_m,
            forward: self.forward.first(1 << log_m),
            n_inverse: modulus.shoup(m_inverse),
            n_inverse_twiddle: modulus.shoup(modulus.mul(m_inverse, inverse.values[1])),
            inverse,
            forward_offset: bounds::forward_offset(modulus.value(), log_m),
            #[cfg(target_arch = "x86_64")]
            doubles: Default::default(),
        }
    }

    /// The prime.
    pub const fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// The ring degree N.
    pub const fn n(&self) -> usize {
        1 << self.log_n
    }

    /// `log2 N`.
    pub const fn log_n(&self) -> u32 {
        self.log_n
    }

    /// Transforms `a` in place: coefficients in `[0, 2q)` in natural order become values in `[0, q)`
    /// in bit-reversed order.
    ///
    /// # Panics
    /// If `a` does not have N words.
    pub fn forward(&self, a: &mut [u64]) {
        (kernels().ntt_forward)(self, a);
    }

    /// The inverse of [`Self::forward`]: values in `[0, 2q)` in bit-reversed order become
    /// coefficients in `[0, q)` in natural order.
    ///
    /// # Panics
    /// If `a` does not have N words.
    pub fn inverse(&self, a: &mut [u64]) {
        (kernels().ntt_inverse)(self, a);
    }

    /// Constants of the forward transform.
    pub(crate) const fn forward_twiddles(&self) -> &Twiddles {
        &self.forward
    }

    /// Constants of the inverse transform.
    pub(crate) const fn inverse_twiddles(&self) -> &Twiddles {
        &self.inverse
    }

    /// The two constants of the last inverse stage, for its sums and its differences.
    pub(crate) const fn last_inverse_stage(&self) -> (ShoupScalar, ShoupScalar) {
        (self.n_inverse, self.n_inverse_twiddle)
    }

    /// The multiple of q that lets a forward transform run without corrections between stages, if
    /// the prime is small enough for one.
    pub(crate) const fn forward_offset(&self) -> Option<u64> {
        self.forward_offset
    }

    /// Constants as doubles for vectors of 4 or 8 words.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn doubles(&self, words: usize) -> &fma::Tables {
        self.doubles[usize::from(words == 8)].get_or_init(|| fma::Tables::new(self, words))
    }
}

impl Twiddles {
    /// `root^brv(k)` at word `k`.
    fn powers(modulus: &Modulus, root: u64, log_n: u32) -> Self {
        let n = 1_usize << log_n;
        let mut values = AlignedBuf::zeroed(n);
        let mut quotients = AlignedBuf::zeroed(n);
        let step = modulus.shoup(root);
        let mut power = 1;
        for i in 0..n {
            let k = i.reverse_bits() >> (usize::BITS - log_n);
            values[k] = power;
            quotients[k] = modulus.shoup(power).quotient;
            power = modulus.mul_shoup(power, step);
        }
        Self { values, quotients }
    }

    /// The first `count` words.
    fn first(&self, count: usize) -> Self {
        let first = |words: &AlignedBuf| AlignedBuf::from_slice(&words[..count]);
        Self { values: first(&self.values), quotients: first(&self.quotients) }
    }

    /// Constant `k` with its quotient.
    #[inline]
    pub(crate) fn get(&self, k: usize) -> ShoupScalar {
        ShoupScalar { value: self.values[k], quotient: self.quotients[k] }
    }
}

#[cfg(test)]
mod tests;
