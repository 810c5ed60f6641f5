//! The negacyclic number-theoretic transform.
//!
//! The transform of `a(X)` modulo `X^N + 1` is its values at the odd powers of `psi`, a primitive
//! 2N-th root of unity: word `i` of the output is `a(psi^(2 brv(i) + 1))`, `brv` reversing `log2 N`
//! bits. `psi` is merged into the butterfly constants (Longa, Naehrig, ePrint 2016/504), so there is
//! no separate twist, and neither direction reorders words.

use crate::buffer::AlignedBuf;
use crate::kernels::{TransformTable, Twiddles, isa, kernels};
use crate::modulus::primes::primitive_root_2n;
use crate::modulus::{MAX_BITS, Modulus};
use crate::{Error, Result};

pub use crate::modulus::primes::MAX_LOG_N;

/// Smallest supported `log2 N`.
pub const MIN_LOG_N: u32 = 5;

/// Whether transforms of `2^log_n` words modulo a prime of this size, in either direction, correct words between stages that
/// those modulo smaller primes do not, with the kernels in use; a power of two stands for a prime just below.
pub fn corrects(prime: f64, log_n: u32) -> bool {
    // The conversion saturates.
    (kernels().corrects)((prime as u64).clamp(3, 1 << MAX_BITS), log_n.min(MAX_LOG_N))
}

/// Bytes of the constants of a transform of so many words; each prime has its own, and either direction. What kernels read is
/// in proportion to it.
pub const fn constant_bytes(words: usize) -> u64 {
    Twiddles::bytes_of(words)
}

/// What a table is made from, checked: the roots of unity. Small, where a table has two constants a word.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    modulus: Modulus,
    log_n: u32,
    psi: u64,
    psi_inverse: u64,
    n_inverse: u64,
}

impl Roots {
    /// As [`NttTable::new`].
    pub fn new(modulus: Modulus, log_n: u32) -> Result<Self> {
        isa()?;
        if !(MIN_LOG_N..=MAX_LOG_N).contains(&log_n) {
            return Err(Error::argument(
                "log2 of the ring degree",
                log_n,
                format!("{MIN_LOG_N} to {MAX_LOG_N}"),
            ));
        }
        let q = modulus.value();
        let psi = primitive_root_2n(q, log_n)?;
        let not_invertible = || Error::argument("NTT prime", q, "a prime");
        let psi_inverse = modulus.inv(psi).ok_or_else(not_invertible)?;
        let n_inverse = modulus.inv(1 << log_n).ok_or_else(not_invertible)?;
        Ok(Self { modulus, log_n, psi, psi_inverse, n_inverse })
    }

    /// The prime.
    pub const fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// The table.
    pub fn table(&self) -> NttTable {
        let Self { ref modulus, log_n, psi, psi_inverse, n_inverse } = *self;
        let [forward, inverse] = [psi, psi_inverse].map(|root| powers(modulus, root, log_n));
        NttTable { table: TransformTable::new(*modulus, forward, inverse, n_inverse) }
    }
}

/// The transform of one size modulo one prime.
#[derive(Clone, Debug)]
pub struct NttTable {
    /// Constants are `psi^brv(k)` forward, `psi^-brv(k)` inverse.
    table: TransformTable,
}

impl NttTable {
    /// Tables for `N = 2^log_n` and a prime `q = 1 mod 2N`.
    ///
    /// # Errors
    /// [`Error::Argument`] if `log_n` is outside 5..=17 or the modulus is not such a prime; [`Error::Isa`] when kernels are
    /// forced that cannot be had.
    pub fn new(modulus: Modulus, log_n: u32) -> Result<Self> {
        Ok(Roots::new(modulus, log_n)?.table())
    }

    /// The table of degree `2^log_m`, at least 32 and at most N, whose root is the power of this one's by `N / 2^log_m`: its
    /// transform of a polynomial `a(Y)` has the words of that of `a(X^(N / 2^log_m))`, each once.
    pub(crate) fn subring(&self, log_m: u32) -> Self {
        let (modulus, table) = (*self.modulus(), &self.table);
        // brv(k) over log2 N bits is that over log_m bits times N / 2^log_m.
        let first = |twiddles: &Twiddles| twiddles.first(1 << log_m);
        let [forward, inverse] = [table.forward_twiddles(), table.inverse_twiddles()].map(first);
        let n_inverse = table.last_inverse_stage().0.value;
        let m_inverse = modulus.mul(n_inverse, 1 << (self.log_n() - log_m));
        Self { table: TransformTable::new(modulus, forward, inverse, m_inverse) }
    }

    /// The prime.
    pub const fn modulus(&self) -> &Modulus {
        self.table.modulus()
    }

    /// The ring degree N.
    pub fn n(&self) -> usize {
        self.table.n()
    }

    /// `log2 N`.
    pub fn log_n(&self) -> u32 {
        self.table.log_n()
    }

    /// Transforms `a` in place: coefficients in `[0, 2q)` in natural order become values in `[0, q)`
    /// in bit-reversed order.
    ///
    /// # Panics
    /// If `a` does not have N words.
    pub fn forward(&self, a: &mut [u64]) {
        (kernels().ntt_forward)(&self.table, a);
    }

    /// The inverse of [`Self::forward`]: values in `[0, 2q)` in bit-reversed order become
    /// coefficients in `[0, q)` in natural order.
    ///
    /// # Panics
    /// If `a` does not have N words.
    pub fn inverse(&self, a: &mut [u64]) {
        (kernels().ntt_inverse)(&self.table, a);
    }
}

/// Constants `root^brv(k)`.
fn powers(modulus: &Modulus, root: u64, log_n: u32) -> Twiddles {
    let n = 1_usize << log_n;
    let mut values = AlignedBuf::zeroed(n);
    let step = modulus.shoup(root);
    let mut power = 1;
    for i in 0..n {
        values[i.reverse_bits() >> (usize::BITS - log_n)] = power;
        power = modulus.mul_shoup(power, step);
    }
    Twiddles::new(modulus, values)
}

#[cfg(test)]
mod tests;
