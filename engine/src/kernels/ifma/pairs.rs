//! Sums of products of ciphertexts with plaintexts, for several outputs at once. Ranges are those of
//! [`crate::kernels::Kernels`].
//!
//! `K` outputs times `U` vectors are summed at once, so that a loaded pair of words serves `K` outputs: up to 24 running
//! words in registers, and enough independent multiply-adds to hide their latency.
//!
//! Where every word has a factor of its own, those are most of what is read: a stream for each term and output, from memory. `U` is as
//! small as latency allows then, as all streams' words of a block are to be in the first level together, and they are asked for
//! [`AHEAD`], into the second. With 108 or 144 streams that took 8 to 11 % less time than the next block's into the first (Intel Emerald
//! Rapids, sums of 384 to 1152 products with 36 or 48 sources).

use std::arch::x86_64::*;

use super::arith::{MAX_TERMS, Sum, SumReducer, is_wide, load, splat, store};
use crate::kernels::contract::{MAX_OUTPUTS, PairProducts};
use crate::kernels::shape::require_pairs;
use crate::modulus::Modulus;

/// Words by which factors are asked for before they are needed: at the end of a chunk those that the next one begins with, which stay
/// in the second level until then.
const AHEAD: usize = 32;

/// See [`crate::kernels::Kernels::dot_pairs`].
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn dot_pairs(
    outs: &mut [[&mut [u64]; 2]],
    products: &PairProducts<'_>,
    modulus: &Modulus,
) {
    require_pairs(outs, products);
    let sums = PairSums {
        products,
        log_run: products.run.trailing_zeros(),
        reducer: SumReducer::new(modulus),
        len: outs[0][0].len(),
    };
    // What an output holds, or the words so far, take the place of one more product.
    let wide = is_wide(products.x0.len().min(MAX_TERMS) + 1, 2 * modulus.bits());
    match (wide, products.run == 1) {
        (false, false) => sums.all::<false, false>(outs),
        (false, true) => sums.all::<false, true>(outs),
        (true, false) => sums.all::<true, false>(outs),
        (true, true) => sums.all::<true, true>(outs),
    }
}

/// The products of [`dot_pairs`], with checked lengths. `WIDE` is as for [`SumReducer::reduce`]; `EACH` says that every word
/// has a factor of its own.
struct PairSums<'a> {
    products: &'a PairProducts<'a>,
    log_run: u32,
    reducer: SumReducer,
    /// Words of every slice of the terms and outputs, a multiple of 8.
    len: usize,
}

/// Where the components of an output are.
type Pointers = [*mut u64; 2];

impl PairSums<'_> {
    /// All outputs.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn all<const WIDE: bool, const EACH: bool>(&self, outs: &mut [[&mut [u64]; 2]]) {
        let mut pointers = [[std::ptr::null_mut(); 2]; MAX_OUTPUTS];
        for (pointers, [out0, out1]) in pointers.iter_mut().zip(&mut *outs) {
            *pointers = [out0.as_mut_ptr(), out1.as_mut_ptr()];
        }
        let [a, b, c] = pointers;
        // SAFETY: the pointers that are used are to `len` words of one output component each, borrowed exclusively, and
        // there are as many as the factors are for.
        unsafe {
            match (outs.len(), EACH) {
                (1, true) => self.outputs::<WIDE, EACH, 1, 2>([a]),
                (1, false) => self.outputs::<WIDE, EACH, 1, 4>([a]),
                (2, _) => self.outputs::<WIDE, EACH, 2, 2>([a, b]),
                (_, true) => self.outputs::<WIDE, EACH, 3, 1>([a, b, c]),
                (_, false) => self.outputs::<WIDE, EACH, 3, 2>([a, b, c]),
            }
        }
    }

    /// All words of `K` outputs, `8 * U` at a time.
    ///
    /// # Safety
    /// The factors must be for `K` outputs, and the pointers writable for `len` words.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn outputs<const WIDE: bool, const EACH: bool, const K: usize, const U: usize>(
        &self,
        outs: [Pointers; K],
    ) {
        let mut start = 0;
        while start + 8 * U <= self.len {
            // SAFETY: promised by the caller; start + 8 * U <= len.
            unsafe { self.block::<WIDE, EACH, K, U>(outs, start) };
            start += 8 * U;
        }
        while start < self.len {
            // SAFETY: as above; `len` is a multiple of 8.
            unsafe { self.block::<WIDE, EACH, K, 1>(outs, start) };
            start += 8;
        }
    }

    /// `8 * U` words of `K` outputs from `start`.
    ///
    /// While this block is summed, factors of a later one are asked for, slice by slice: the order of slices is beyond what hardware
    /// foresees.
    ///
    /// # Safety
    /// As for [`Self::outputs`], and `start + 8 * U <= len`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn block<const WIDE: bool, const EACH: bool, const K: usize, const U: usize>(
        &self,
        outs: [Pointers; K],
        start: usize,
    ) {
        let PairProducts { x0, x1, factors, add, .. } = *self.products;
        let mut words = [[[_mm512_setzero_si512(); 2]; U]; K];
        if add {
            for (words, out) in words.iter_mut().zip(&outs) {
                for (u, words) in words.iter_mut().enumerate() {
                    for (word, out) in words.iter_mut().zip(out) {
                        // SAFETY: promised by the caller.
                        *word = unsafe { load(out.add(start + 8 * u)) };
                    }
                }
            }
        }
        let terms = x0.chunks(MAX_TERMS).zip(x1.chunks(MAX_TERMS));
        for ((x0, x1), factors) in terms.zip(factors.chunks(K * MAX_TERMS)) {
            let mut sums = [[[Sum::zero(); 2]; U]; K];
            for (sums, words) in sums.iter_mut().zip(&words) {
                for (sums, words) in sums.iter_mut().zip(words) {
                    (sums[0].low, sums[1].low) = (words[0], words[1]);
                }
            }
            for ((x0, x1), factors) in x0.iter().zip(x1).zip(factors.as_chunks::<K>().0) {
                for u in 0..U {
                    let at = start + 8 * u;
                    // SAFETY: promised by the caller.
                    let (x0, x1) =
                        unsafe { (load(x0.as_ptr().add(at)), load(x1.as_ptr().add(at))) };
                    for (sums, factor) in sums.iter_mut().zip(factors) {
                        let p = if EACH {
                            let later = factor.as_ptr().wrapping_add(at + AHEAD);
                            _mm_prefetch::<_MM_HINT_T1>(later.cast());
                            // SAFETY: promised by the caller.
                            unsafe { load(factor.as_ptr().add(at)) }
                        } else {
                            // SAFETY: at < len, and the factor has a word for every run of that.
                            splat(unsafe { *factor.as_ptr().add(at >> self.log_run) })
                        };
                        sums[u][0].add(x0, p);
                        sums[u][1].add(x1, p);
                    }
                }
            }
            for (words, sums) in words.iter_mut().zip(&sums) {
                for (words, &[sum0, sum1]) in words.iter_mut().zip(sums) {
                    *words = [self.reducer.reduce::<WIDE>(sum0), self.reducer.reduce::<WIDE>(sum1)];
                }
            }
        }
        for (words, out) in words.iter().zip(outs) {
            for (u, words) in words.iter().enumerate() {
                for (&word, out) in words.iter().zip(out) {
                    // SAFETY: promised by the caller.
                    unsafe { store(out.add(start + 8 * u), word) };
                }
            }
        }
    }
}
