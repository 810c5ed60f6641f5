//! What the transform kernels read.

#[cfg(target_arch = "x86_64")]
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::doubles::Doubles;
#[cfg(target_arch = "x86_64")]
use super::offset;
use super::twiddles::Twiddles;
use crate::modulus::primes::MAX_LOG_N;
use crate::modulus::{Modulus, ShoupScalar};

/// The constants of the transforms of N words modulo one prime, for all instruction sets.
#[derive(Clone, Debug)]
pub(crate) struct TransformTable {
    modulus: Modulus,
    /// N of them for each direction, as the unsafe kernels rely on.
    forward: Twiddles,
    inverse: Twiddles,
    /// `1/N`, the constant of the sums of the last inverse stage.
    n_inverse: ShoupScalar,
    /// The constant of its differences, `1/N` times that of the stage.
    n_inverse_twiddle: ShoupScalar,
    /// See [`offset::forward_offset`].
    #[cfg(target_arch = "x86_64")]
    forward_offset: Option<u64>,
    /// Constants as doubles for vectors of 4 and of 8 words, made when first used.
    #[cfg(target_arch = "x86_64")]
    doubles: [OnceLock<Doubles>; 2],
}

impl TransformTable {
    /// The table of transforms of as many words as there are constants for each direction; `n_inverse` is `1/N`.
    ///
    /// # Panics
    /// If N is not a power of two from 2 to `2^17`, or differs between the directions: sizes are checked by the caller.
    pub(crate) fn new(
        modulus: Modulus,
        forward: Twiddles,
        inverse: Twiddles,
        n_inverse: u64,
    ) -> Self {
        let n = forward.len();
        assert!(n.is_power_of_two() && (2..=1 << MAX_LOG_N).contains(&n), "transform of {n} words");
        assert!(inverse.len() == n, "{} constants to invert a transform of {n}", inverse.len());
        Self {
            modulus,
            n_inverse: modulus.shoup(n_inverse),
            n_inverse_twiddle: modulus.shoup(modulus.mul(n_inverse, inverse.get(1).value)),
            #[cfg(target_arch = "x86_64")]
            forward_offset: offset::forward_offset(modulus.value(), n.ilog2()),
            #[cfg(target_arch = "x86_64")]
            doubles: Default::default(),
            forward,
            inverse,
        }
    }

    /// The prime.
    pub(crate) const fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// Words of a transform, N.
    #[inline]
    pub(crate) fn n(&self) -> usize {
        self.forward.len()
    }

    /// `log2 N`.
    #[inline]
    pub(crate) fn log_n(&self) -> u32 {
        self.n().ilog2()
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
    #[cfg(target_arch = "x86_64")]
    pub(in crate::kernels) const fn forward_offset(&self) -> Option<u64> {
        self.forward_offset
    }

    /// Constants as doubles for vectors of 4 or 8 words; N is at least 8 times as many.
    #[cfg(target_arch = "x86_64")]
    pub(in crate::kernels) fn doubles(&self, words: usize) -> &Doubles {
        self.doubles[usize::from(words == 8)].get_or_init(|| {
            Doubles::new(self.modulus.value(), [&self.forward, &self.inverse], words)
        })
    }
}
