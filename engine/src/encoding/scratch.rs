//! Working memory of a transform.

use crate::buffer::SecretScratch;

/// Doubles left between the arrays, so that their parts at distances that are powers of two do not compete for
/// the same places of the first-level cache.
const GAP: usize = 192;

/// Slots, real and imaginary parts apart, and coefficients, aligned to cache lines. Recycled memory: a fresh block of
/// this size is a page fault every 4 KiB. Cleared when dropped, for it held a message.
pub(super) struct Scratch {
    data: SecretScratch,
    slots: usize,
}

/// The arrays of a [`Scratch`].
pub(super) struct Arrays<'a> {
    pub(super) re: &'a mut [f64],
    pub(super) im: &'a mut [f64],
    pub(super) coefficients: &'a mut [f64],
}

impl Scratch {
    /// All slots zero, coefficients unspecified.
    pub(super) fn new(slots: usize) -> Self {
        let mut scratch = Self { data: SecretScratch::new(4 * slots + 2 * GAP), slots };
        let Arrays { re, im, .. } = scratch.arrays();
        re.fill(0.0);
        im.fill(0.0);
        scratch
    }

    pub(super) fn arrays(&mut self) -> Arrays<'_> {
        let (re, rest) = self.data.doubles_mut().split_at_mut(self.slots);
        let (im, rest) = rest[GAP..].split_at_mut(self.slots);
        Arrays { re, im, coefficients: &mut rest[GAP..][..2 * self.slots] }
    }
}
