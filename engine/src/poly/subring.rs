//! Polynomials in a power of X.
//!
//! A polynomial in `X^r`, `r = N/M`, is an element of the ring of degree `M`. Word `i` of its transform is its value at
//! `psi^(2 brv(i) + 1)`, of which only the power by `r` matters: the exponent modulo `2M`, that is `brv(i)` modulo `M`, that
//! is all bits of `i` but the lowest `log2 r`. So its words are constant over runs of `r`, and one word of each run is kept.
//! Those are the words of the transform of degree `M` with the root `psi^r`.

use super::rns_poly::{RnsPoly, repeat};
use crate::buffer::AlignedBuf;
use crate::ntt::MIN_LOG_N;
use crate::params::Parameters;

/// A polynomial in `X^(N/M)` at some level, in NTT form, as the `M` words a limb that differ. `N/M` is at least
/// [`Self::MIN_RUN`].
#[derive(Clone, Debug)]
pub struct SubringPoly {
    /// The polynomial of degree `M`.
    values: RnsPoly,
    run: usize,
}

impl SubringPoly {
    /// Fewest adjacent words that are equal: a vector.
    pub const MIN_RUN: usize = 8;

    /// Words a limb of a plaintext in the ring of degree `n` whose slots repeat after `period` of them, both powers of two: the
    /// degree of the least subring that holds it and has a transform; none if runs were shorter than [`Self::MIN_RUN`].
    pub fn degree_of(n: usize, period: usize) -> Option<usize> {
        let degree = (2 * period).max(1 << MIN_LOG_N);
        (degree.saturating_mul(Self::MIN_RUN) <= n).then_some(degree)
    }

    /// A polynomial of unspecified words, to be overwritten, of the subring of degree `degree`.
    pub(crate) fn scratch(
        params: &Parameters,
        degree: usize,
        level: usize,
        extended: bool,
    ) -> Self {
        let run = params.n() / degree;
        debug_assert!(run >= Self::MIN_RUN && run * degree == params.n());
        Self { values: RnsPoly::scratch_of_degree(params, degree, level, extended), run }
    }

    /// The polynomial of the subring's degree.
    pub(crate) fn values_mut(&mut self) -> &mut RnsPoly {
        &mut self.values
    }

    /// Ring degree N.
    pub fn n(&self) -> usize {
        self.run * self.values.n()
    }

    /// Adjacent words of the transform of degree N that are equal.
    pub fn run(&self) -> usize {
        self.run
    }

    /// Level.
    pub fn level(&self) -> usize {
        self.values.level()
    }

    /// Whether the special limbs are present.
    pub fn is_extended(&self) -> bool {
        self.values.is_extended()
    }

    /// One word of each run of the limb at `position` (see [`Parameters::limb_index`]).
    pub fn limb(&self, position: usize) -> &[u64] {
        self.values.limb(position)
    }

    /// All limbs as a parallel iterator.
    pub(crate) fn par_limbs_mut(&mut self) -> rayon::slice::ChunksExactMut<'_, u64> {
        self.values.par_limbs_mut()
    }

    /// All words of a limb.
    pub(crate) fn expanded_limb(&self, position: usize) -> AlignedBuf {
        let mut words = AlignedBuf::scratch(self.n());
        repeat(&mut words, self.limb(position), self.run);
        words
    }

    /// The same polynomial with all words.
    pub fn expanded(&self) -> RnsPoly {
        self.values.repeated(self.run)
    }

    /// The same polynomial with all words at a lower level: its first `level + 1` limbs, without special ones.
    pub fn truncated(&self, level: usize) -> RnsPoly {
        self.values.truncated(level).repeated(self.run)
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.values.bytes()
    }
}
