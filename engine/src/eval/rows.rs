//! Scratch limbs that are read side by side.

use std::ops::Range;

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

    /// Rows that `compute` fills: for each of some adjacent limbs, a row of each of `polys` polynomials.
    pub(super) fn by_limb(
        polys: usize,
        positions: Range<usize>,
        n: usize,
        compute: impl FnOnce(Range<usize>, Vec<Vec<&mut [u64]>>),
    ) -> Self {
        let mut rows = Self::new(polys * positions.len(), n);
        let mut values = rows.rows_mut();
        let lists = positions.clone().map(|_| values.by_ref().take(polys).collect()).collect();
        drop(values);
        compute(positions, lists);
        rows
    }

    /// Bytes that so many rows take.
    pub(super) fn bytes(count: usize, n: usize) -> usize {
        size_of::<u64>() * count * (n + GAP)
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

/// Limbs from position `first` on in groups of `size`, the last perhaps smaller, each with its positions.
pub(super) fn groups<T>(first: usize, limbs: Vec<T>, size: usize) -> Vec<(Range<usize>, Vec<T>)> {
    let end = first + limbs.len();
    let mut limbs = limbs.into_iter();
    (first..end)
        .step_by(size)
        .map(|start| {
            let positions = start..(start + size).min(end);
            (positions.clone(), limbs.by_ref().take(positions.len()).collect())
        })
        .collect()
}

/// For each limb in order, that limb of every polynomial.
pub(super) fn by_limb<'a, L: Iterator<Item = &'a mut [u64]>>(
    polys: impl Iterator<Item = L>,
) -> Vec<Vec<&'a mut [u64]>> {
    let mut lists: Vec<Vec<&mut [u64]>> = Vec::new();
    for poly in polys {
        for (i, limb) in poly.enumerate() {
            if i == lists.len() {
                lists.push(Vec::new());
            }
            lists[i].push(limb);
        }
    }
    lists
}
