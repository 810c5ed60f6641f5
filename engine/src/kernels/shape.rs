//! What all instruction sets share: checks of slice lengths, which the unsafe kernels rely on, and constants.
//!
//! A wrong length is a mistake of the engine itself, never of its user, hence a panic and no error. Products of
//! lengths are checked, so that none wraps.

use super::contract::{
    BlockPermutation, KEY_WORDS, KeyProduct, KeyWords, MAX_OUTPUTS, PairProducts,
};
use crate::modulus::Modulus;

/// How [`super::contract::Kernels::lift`] lifts words modulo an odd `p`: those above `half` get `shift` added, modulo 2^64.
///
/// `shift = m - p`, `m` the least multiple of q that is at least `(p - 1) / 2`. What was above `half` is then in
/// `[m - half, m)`, so all words are in `[0, half + q)`, below 2^52 for p and q below 2^51; and below q if `p < 2q`.
pub(super) struct Lift {
    pub(super) half: u64,
    pub(super) shift: u64,
}

impl Lift {
    pub(super) fn new(p: u64, modulus: &Modulus) -> Self {
        let (half, q) = (p / 2, modulus.value());
        Self { half, shift: half.div_ceil(q).wrapping_mul(q).wrapping_sub(p) }
    }

    /// Whether the lifted words are below q as they are: `half <= q`, so that m is q.
    pub(super) fn is_reduced(&self, modulus: &Modulus) -> bool {
        self.half < modulus.value()
    }
}

/// Panics unless the slice has the expected length.
#[inline]
pub(super) fn require_len(found: usize, expected: usize) {
    assert!(found == expected, "kernel slice of {found} words, expected {expected}");
}

/// Panics unless the slice has as many words as the factors multiply to, which may be more than can be counted.
#[inline]
fn require_product(found: usize, factors: &[usize]) {
    let expected = factors.iter().try_fold(1_usize, |product, &f| product.checked_mul(f));
    assert!(
        expected == Some(found),
        "kernel slice of {found} words, expected {factors:?} together"
    );
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

/// Panics unless all outputs have the same whole number of blocks, and all lists as many slices of that length.
#[inline]
pub(super) fn require_sums<const K: usize, const L: usize>(
    outs: [usize; K],
    lists: [&[&[u64]]; L],
) {
    require_blocks(outs[0]);
    outs.into_iter().for_each(|len| require_len(len, outs[0]));
    for slices in lists {
        require_slices(slices, lists[0].len(), outs[0]);
    }
}

/// Panics unless there are one to [`MAX_OUTPUTS`] outputs, all components a whole number of blocks of one length, and for
/// each as many factors as terms, with words for all runs.
#[inline]
pub(super) fn require_pairs(outs: &[[&mut [u64]; 2]], products: &PairProducts<'_>) {
    let PairProducts { x0, x1, factors, run, .. } = products;
    assert!((1..=MAX_OUTPUTS).contains(&outs.len()), "sums for {} outputs", outs.len());
    let len = outs[0][0].len();
    require_blocks(len);
    outs.iter().flatten().for_each(|out| require_len(out.len(), len));
    require_slices(x0, x1.len(), len);
    require_slices(x1, x0.len(), len);
    assert!(
        *run == 1 || *run >= 8 && run.is_power_of_two(),
        "runs of {run} words, expected 1 or a power of two from 8 on"
    );
    let count = outs.len().checked_mul(x0.len());
    assert!(count == Some(factors.len()), "{} factors, expected {count:?}", factors.len());
    require_slices(factors, factors.len(), len.div_ceil(*run));
}

/// Panics unless there are one or two outputs of equal length, with as many lists of constants, equally long too, and
/// moduli.
#[inline]
pub(super) fn require_targets(outs: &[&mut [u64]], consts: &[&[u64]], moduli: &[&Modulus]) {
    let count = outs.len();
    assert!((1..=2).contains(&count), "conversion to {count} targets, expected 1 or 2");
    assert!(consts.len() == count && moduli.len() == count, "conversion lacks constants");
    require_len(outs[count - 1].len(), outs[0].len());
    require_len(consts[count - 1].len(), consts[0].len());
    require_blocks(outs[0].len());
}

/// Panics unless the permutation is over chunks of `len` words. Destinations are checked in use.
#[inline]
pub(super) fn require_permutation(permutation: &BlockPermutation<'_>, len: usize) {
    require_blocks(len);
    require_product(len, &[permutation.target.len(), 8]);
}

/// Panics unless so many words are groups of [`KEY_WORDS`], in a multiple of `multiple`.
#[inline]
pub(super) fn require_groups(len: usize, multiple: usize) {
    let whole = len.is_multiple_of(KEY_WORDS) && (len / KEY_WORDS).is_multiple_of(multiple);
    assert!(whole, "{len} words of masks, not groups in a multiple of {multiple}");
}

/// Panics unless all parts of the key product are over chunks of `len` words.
#[inline]
pub(super) fn require_key_product(product: &KeyProduct<'_>, len0: usize, len1: usize) {
    assert!(len0.is_multiple_of(KEY_WORDS), "key product of {len0} words, not whole groups");
    require_len(len1, len0);
    let count = product.digits.len();
    assert!(count <= 64, "key product of {count} digits, expected at most 64");
    require_slices(product.digits, count, len0);
    let KeyWords { words, digits, components, .. } = product.key;
    assert!(digits >= count, "key of {digits} digits for a product of {count}");
    let stored = if product.masks.is_some() { 1 } else { 2 };
    assert!(components == stored, "key with {components} components stored, expected {stored}");
    require_product(words.len(), &[components, digits, len0 / KEY_WORDS, product.key.stored()]);
    if let Some(masks) = product.masks {
        require_product(masks.len(), &[count, len0]);
    }
    if let Some((words, _)) = product.add0 {
        require_len(words.len(), len0);
    }
    if let Some(permutation) = &product.permutation {
        require_permutation(permutation, len0);
    }
}
