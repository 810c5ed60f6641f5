//! Checks of slice lengths, which the unsafe kernels rely on.
//!
//! A wrong length is a mistake of the engine itself, never of its user, hence a panic and no error.

use super::{BlockPermutation, KeyProduct};

/// Panics unless the slice has the expected length.
#[inline]
pub(super) fn require_len(found: usize, expected: usize) {
    assert!(found == expected, "kernel slice of {found} words, expected {expected}");
}

/// Panics unless the length is a whole number of 8-word blocks.
#[inline]
pub(super) fn require_blocks(len: usize) {
    assert!(len.is_multiple_of(8), "kernel slice of {len} words, expected a multiple of 8");
}

/// Panics unless there are `count` slices, all of `len` words.
#[inline]
pub(super) fn require_slices(slices: &[&[u64]], count: usize, len: usize) {
    assert!(slices.len() == count, "kernel list of {} slices, expected {count}", slices.len());
    for slice in slices {
        require_len(slice.len(), len);
    }
}

/// Panics unless the permutation is over chunks of `len` words. Destinations are checked in use.
#[inline]
pub(super) fn require_permutation(permutation: &BlockPermutation<'_>, len: usize) {
    require_blocks(len);
    require_len(permutation.target.len() * 8, len);
}

/// Panics unless all parts of the key product are over chunks of `len` words.
#[inline]
pub(super) fn require_key_product(product: &KeyProduct<'_>, len0: usize, len1: usize) {
    require_blocks(len0);
    require_len(len1, len0);
    let count = product.digits.len();
    assert!(count <= 64, "key product of {count} digits, expected at most 64");
    require_slices(product.digits, count, len0);
    require_slices(product.key0, count, len0);
    require_slices(product.key1, count, len0);
    if let Some((words, _)) = product.add0 {
        require_len(words.len(), len0);
    }
    if let Some(permutation) = &product.permutation {
        require_permutation(permutation, len0);
    }
}
