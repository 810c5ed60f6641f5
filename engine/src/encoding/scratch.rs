//! Working memory of a transform.

/// Doubles of a cache line.
const LINE: usize = 8;
/// Doubles left between the arrays, so that their parts at distances that are powers of two do not compete for
/// the same places of the first-level cache.
const GAP: usize = 192;

/// Slots, real and imaginary parts apart, and coefficients, aligned to cache lines.
#[derive(Debug)]
pub(super) struct Scratch {
    data: Vec<f64>,
    start: usize,
    slots: usize,
}

/// The arrays of a [`Scratch`].
pub(super) struct Arrays<'a> {
    pub(super) re: &'a mut [f64],
    pub(super) im: &'a mut [f64],
    pub(super) coefficients: &'a mut [f64],
}

impl Scratch {
    /// All zero.
    pub(super) fn new(slots: usize) -> Self {
        let data = vec![0.0; 4 * slots + 2 * GAP + LINE];
        // Without an answer the arrays are merely not aligned.
        let start = Some(data.as_ptr().align_offset(64)).filter(|&s| s < LINE).unwrap_or(0);
        Self { data, start, slots }
    }

    pub(super) fn arrays(&mut self) -> Arrays<'_> {
        let (re, rest) = self.data[self.start..].split_at_mut(self.slots);
        let (im, rest) = rest[GAP..].split_at_mut(self.slots);
        Arrays { re, im, coefficients: &mut rest[GAP..][..2 * self.slots] }
    }
}
