//! Scratch limbs that are read side by side.

use rayon::prelude::*;

use crate::buffer::AlignedBuf;

/// Words between the end of a row and the start of the next. Ring degrees are powers of two: without a gap, the same
/// word of all rows would compete for the same few lines of every cache.
const GAP: usize = 72;

/// Rows of N words each, of unspecified contents at first. Not for secrets, see [`AlignedBuf::scratch`].
pub(super) struct Rows {
    data: AlignedBuf,
    n: usize,
}

impl Rows {
    /// So many rows of `n` words.
    pub(super) fn new(count: usize, n: usize) -> Self {
        Self { data: AlignedBuf::scratch(count * (n + GAP)), n }
    }

    /// One row.
    pub(super) fn row(&self, i: usize) -> &[u64] {
        let start = i * (self.n + GAP);
        &self.data[start..start + self.n]
    }

    /// All rows in order.
    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [u64]> {
        let n = self.n;
        self.data.chunks_exact_mut(n + GAP).map(move |row| &mut row[..n])
    }

    /// All rows as a parallel iterator.
    pub(super) fn par_rows_mut(&mut self) -> impl IndexedParallelIterator<Item = &mut [u64]> {
        let n = self.n;
        self.data.par_chunks_exact_mut(n + GAP).map(move |row| &mut row[..n])
    }
}
