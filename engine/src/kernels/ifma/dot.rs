//! The two hot dot products: key switching and ciphertext-plaintext products. Ranges are those of
//! [`crate::kernels::Kernels`].
//!
//! Four vectors per output are summed at once: 16 running words in registers, and enough independent
//! multiply-adds to hide their latency.

use std::arch::x86_64::*;

use super::arith::{
    Factor, MAX_TERMS, Sum, SumReducer, V, blocks_mut, is_wide, load, store, store_block,
};
use super::pointwise::store_permuted;
use crate::kernels::shape::{require_key_product, require_sums};
use crate::kernels::{KEY_WORDS, KeyProduct, KeyWords};
use crate::modulus::Modulus;

/// See [`crate::kernels::Kernels::key_product`].
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn key_product(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    modulus: &Modulus,
) {
    require_key_product(product, out0.len(), out1.len());
    // A digit below 2q times a key word below q; add0 is one more term, and smaller.
    if is_wide(product.digits.len() + 1, 2 * modulus.bits() + 1) {
        key_product_as::<true>(out0, out1, product, modulus);
    } else {
        key_product_as::<false>(out0, out1, product, modulus);
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
fn key_product_as<const WIDE: bool>(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    modulus: &Modulus,
) {
    let reducer = SumReducer::new(modulus);
    let len = out0.len();
    let (out0, out1) = (blocks_mut(out0), blocks_mut(out1));
    for start in (0..len).step_by(KEY_WORDS) {
        // SAFETY: all slices have the lengths that `key_product` checked, start + KEY_WORDS <= len.
        let words = unsafe { key_words::<WIDE>(product, start, &reducer) };
        put(out0, out1, product, start / 8, &words);
    }
}

/// Where the words of a key for the group at `start` are, if there are any: of a key to be asked for, nobody checks that.
fn at_group(key: KeyWords<'_>, start: usize) -> *const u64 {
    key.words.as_ptr().wrapping_add(key.digits.wrapping_mul(2 * start))
}

/// Vectors of a group of [`KEY_WORDS`].
const VECTORS: usize = KEY_WORDS / 8;

/// The reduced words of both outputs at `start`, before the permutation.
///
/// # Safety
/// All slices of the product must have `start + KEY_WORDS` words, and the key those of that group.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
unsafe fn key_words<const WIDE: bool>(
    product: &KeyProduct<'_>,
    start: usize,
    reducer: &SumReducer,
) -> [[V; 2]; VECTORS] {
    let mut sums = [[Sum::zero(); 2]; VECTORS];
    if let Some((words, scalar)) = product.add0 {
        let factor = Factor::new(scalar);
        for (u, [sum, _]) in sums.iter_mut().enumerate() {
            // SAFETY: promised by the caller.
            sum.add(unsafe { load(words.as_ptr().add(start + 8 * u)) }, factor.value);
        }
    }
    let mut key = at_group(product.key, start);
    // Without a next key, what is used anyway is asked for: that costs little.
    let mut next = product.next_key.map_or(key, |next| at_group(next, start));
    for digit in product.digits {
        for (u, [sum0, sum1]) in sums.iter_mut().enumerate() {
            _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(8 * u).cast());
            _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(KEY_WORDS + 8 * u).cast());
            // SAFETY: promised by the caller.
            let (digit, key0, key1) = unsafe {
                (
                    load(digit.as_ptr().add(start + 8 * u)),
                    load(key.add(8 * u)),
                    load(key.add(KEY_WORDS + 8 * u)),
                )
            };
            sum0.add(digit, key0);
            sum1.add(digit, key1);
        }
        key = key.wrapping_add(2 * KEY_WORDS);
        next = next.wrapping_add(2 * KEY_WORDS);
    }
    let mut words = [[_mm512_setzero_si512(); 2]; VECTORS];
    for (pair, &[sum0, sum1]) in words.iter_mut().zip(&sums) {
        *pair = [reducer.reduce::<WIDE>(sum0), reducer.reduce::<WIDE>(sum1)];
    }
    words
}

/// Stores blocks of both outputs, permuted if so asked.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
fn put(
    out0: &mut [[u64; 8]],
    out1: &mut [[u64; 8]],
    product: &KeyProduct<'_>,
    first: usize,
    words: &[[V; 2]; VECTORS],
) {
    for (u, &[word0, word1]) in words.iter().enumerate() {
        match &product.permutation {
            None => {
                store_block(&mut out0[first + u], word0);
                store_block(&mut out1[first + u], word1);
            }
            Some(permutation) => {
                let target = permutation.target[first + u];
                store_permuted(out0, word0, target, permutation.tables);
                store_permuted(out1, word1, target, permutation.tables);
            }
        }
    }
}

/// See [`crate::kernels::Kernels::dot_pair`].
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn dot_pair(
    out0: &mut [u64],
    out1: &mut [u64],
    x0: &[&[u64]],
    x1: &[&[u64]],
    p: &[&[u64]],
    modulus: &Modulus,
) {
    require_sums([out0.len(), out1.len()], [x0, x1, p]);
    let terms = Terms { x0, x1, p, reducer: SumReducer::new(modulus) };
    if is_wide(p.len().min(MAX_TERMS) + 1, 2 * modulus.bits()) {
        terms.run::<true>(out0, out1);
    } else {
        terms.run::<false>(out0, out1);
    }
}

/// The terms of [`dot_pair`], with checked lengths.
struct Terms<'a> {
    x0: &'a [&'a [u64]],
    x1: &'a [&'a [u64]],
    p: &'a [&'a [u64]],
    reducer: SumReducer,
}

impl Terms<'_> {
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn run<const WIDE: bool>(&self, out0: &mut [u64], out1: &mut [u64]) {
        let len = out0.len();
        let mut start = 0;
        while start + 32 <= len {
            // SAFETY: all slices have `len` words, and start + 32 <= len.
            unsafe { self.block::<WIDE, 4>(out0, out1, start) };
            start += 32;
        }
        while start < len {
            // SAFETY: as above; `len` is a multiple of 8.
            unsafe { self.block::<WIDE, 1>(out0, out1, start) };
            start += 8;
        }
    }

    /// `8 * U` words of both outputs from `start`.
    ///
    /// The words of `p` come from memory. While this block is summed, those of the next one are
    /// asked for, slice by slice; the order of slices is beyond what hardware foresees.
    ///
    /// # Safety
    /// All slices must have `start + 8 * U` words.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn block<const WIDE: bool, const U: usize>(
        &self,
        out0: &mut [u64],
        out1: &mut [u64],
        start: usize,
    ) {
        let mut words = [[_mm512_setzero_si512(); 2]; U];
        let chunks =
            self.x0.chunks(MAX_TERMS).zip(self.x1.chunks(MAX_TERMS)).zip(self.p.chunks(MAX_TERMS));
        for ((x0, x1), p) in chunks {
            // The words so far take the place of one more product.
            let mut sums = [[Sum::zero(); 2]; U];
            for ([sum0, sum1], &[word0, word1]) in sums.iter_mut().zip(&words) {
                (sum0.low, sum1.low) = (word0, word1);
            }
            for ((x0, x1), p) in x0.iter().zip(x1).zip(p) {
                for (u, [sum0, sum1]) in sums.iter_mut().enumerate() {
                    let at = start + 8 * u;
                    _mm_prefetch::<_MM_HINT_T0>(p.as_ptr().wrapping_add(at + 8 * U).cast());
                    // SAFETY: promised by the caller.
                    let (x0, x1, p) = unsafe {
                        (
                            load(x0.as_ptr().add(at)),
                            load(x1.as_ptr().add(at)),
                            load(p.as_ptr().add(at)),
                        )
                    };
                    sum0.add(x0, p);
                    sum1.add(x1, p);
                }
            }
            for ([word0, word1], &[sum0, sum1]) in words.iter_mut().zip(&sums) {
                *word0 = self.reducer.reduce::<WIDE>(sum0);
                *word1 = self.reducer.reduce::<WIDE>(sum1);
            }
        }
        for (u, &[word0, word1]) in words.iter().enumerate() {
            let at = start + 8 * u;
            // SAFETY: promised by the caller.
            unsafe {
                store(out0.as_mut_ptr().add(at), word0);
                store(out1.as_mut_ptr().add(at), word1);
            }
        }
    }
}
