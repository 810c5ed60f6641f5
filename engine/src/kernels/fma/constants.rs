//! How the transforms read their constants.

use super::arith::Factor;
use super::lanes::Lanes;
use crate::kernels::tables::doubles::DoubleTwiddles;

/// Butterfly constants for vectors of `WORDS` words, read without checks.
pub(super) struct Constants<'a>(pub(super) &'a DoubleTwiddles);

impl Constants<'_> {
    /// Constant `node` in all lanes.
    ///
    /// # Safety
    /// `node` must be below `N / WORDS`.
    #[inline(always)]
    pub(super) unsafe fn column<L: Lanes>(&self, node: usize) -> Factor<L> {
        // SAFETY: promised by the caller; there are N / WORDS pairs.
        unsafe {
            let at = self.0.columns().as_ptr().add(2 * node);
            Factor { value: L::splat_word(*at), ratio: L::splat_word(*at.add(1)) }
        }
    }

    /// Constant `index` of a set of `WORDS` groups.
    ///
    /// # Safety
    /// `set` must be below `N / WORDS^2` and `index` below `WORDS - 1`.
    #[inline(always)]
    pub(super) unsafe fn leaf<L: Lanes>(&self, set: usize, index: usize) -> Factor<L> {
        // SAFETY: promised by the caller; there are N / WORDS^2 sets of WORDS - 1 pairs of vectors.
        unsafe {
            let at = self.0.leaves().as_ptr().add(2 * L::WORDS * (set * (L::WORDS - 1) + index));
            Factor { value: L::load(at), ratio: L::load(at.add(L::WORDS)) }
        }
    }
}
