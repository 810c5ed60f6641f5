//! Butterfly constants, in the order in which transforms read them.

use crate::buffer::AlignedBuf;
use crate::modulus::{Modulus, ShoupScalar};

/// Butterfly constants of one direction with their quotients, as parallel arrays of `N` words.
///
/// Word `h + i` serves block `i` of the stage that has `h` blocks; word 0 is not used. All are powers of a root of unity,
/// so that none is 0.
#[derive(Clone, Debug)]
pub(crate) struct Twiddles {
    values: AlignedBuf,
    quotients: AlignedBuf,
}

impl Twiddles {
    /// Constants of these values, in `[0, q)`.
    pub(crate) fn new(modulus: &Modulus, values: AlignedBuf) -> Self {
        let mut quotients = AlignedBuf::zeroed(values.len());
        for (quotient, &value) in quotients.iter_mut().zip(values.iter()) {
            *quotient = modulus.shoup(value).quotient;
        }
        Self { values, quotients }
    }

    /// The first `count` of them, those of a transform of so many words.
    pub(crate) fn first(&self, count: usize) -> Self {
        let first = |words: &AlignedBuf| AlignedBuf::from_slice(&words[..count]);
        Self { values: first(&self.values), quotients: first(&self.quotients) }
    }

    /// Number of constants, N.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Bytes of them, for whatever instruction set: two words for each of a transform's own. Kernels with doubles read as many that
    /// are derived from them; those with 52-bit multiply-adds read nine sixteenths, as they make most values from the quotients.
    pub(crate) fn bytes(&self) -> u64 {
        Self::bytes_of(self.len())
    }

    /// The same of a transform of so many words.
    pub(crate) const fn bytes_of(words: usize) -> u64 {
        2 * (words * size_of::<u64>()) as u64
    }

    /// The constants, in `[0, q)`.
    #[inline]
    pub(crate) fn values(&self) -> &[u64] {
        &self.values
    }

    /// `floor(value * 2^52 / q)` for each: as many.
    #[inline]
    pub(crate) fn quotients(&self) -> &[u64] {
        &self.quotients
    }

    /// Constant `k` with its quotient.
    #[inline]
    pub(crate) fn get(&self, k: usize) -> ShoupScalar {
        ShoupScalar { value: self.values()[k], quotient: self.quotients()[k] }
    }
}
