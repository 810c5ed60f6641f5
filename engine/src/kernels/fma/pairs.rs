//! Sums of products of ciphertexts with plaintexts, for several outputs at once. Ranges are those of
//! [`crate::kernels::Kernels`].
//!
//! `K` outputs times `U` vectors are summed at once, so that a loaded pair of words serves `K` outputs; as many as there are
//! registers for.

use super::dot::doubles;
use super::lanes::Lanes;
use super::sums::{Sums, of_residues};
use crate::kernels::contract::PairProducts;
use crate::kernels::shape::require_pairs;
use crate::modulus::Modulus;

/// See [`crate::kernels::Kernels::dot_pairs`].
#[inline(always)]
pub(super) fn dot_pairs<L: Lanes>(
    outs: &mut [[&mut [u64]; 2]],
    products: &PairProducts<'_>,
    modulus: &Modulus,
) {
    require_pairs(outs, products);
    if products.run == 1 {
        all::<L, true>(outs, products, modulus);
    } else {
        all::<L, false>(outs, products, modulus);
    }
}

/// All outputs, as many at a time as there are registers for. `EACH` says that every word has a factor of its own.
#[inline(always)]
fn all<L: Lanes, const EACH: bool>(
    outs: &mut [[&mut [u64]; 2]],
    products: &PairProducts<'_>,
    modulus: &Modulus,
) {
    let sums = PairSums {
        products,
        log_run: products.run.trailing_zeros(),
        outputs: outs.len(),
        sums: Sums::<L>::new(modulus, of_residues(modulus.value())),
    };
    for (i, outs) in outs.chunks_mut(L::OUTPUTS).enumerate() {
        let first = i * L::OUTPUTS;
        match outs {
            [a] => sums.run::<EACH, 1, 2>(first, [a]),
            [a, b] => sums.run::<EACH, 2, 1>(first, [a, b]),
            [a, b, c] => sums.run::<EACH, 3, 1>(first, [a, b, c]),
            _ => unreachable!("chunks of at most three"),
        }
    }
}

/// The products of [`dot_pairs`], with checked lengths.
struct PairSums<'a, L> {
    products: &'a PairProducts<'a>,
    log_run: u32,
    /// Outputs that there are factors for.
    outputs: usize,
    sums: Sums<L>,
}

/// An output.
type Pair<'a, 'b> = &'a mut [&'b mut [u64]; 2];

impl<L: Lanes> PairSums<'_, L> {
    /// All words of `K` outputs from number `first` on, `U` vectors at a time.
    #[inline(always)]
    fn run<const EACH: bool, const K: usize, const U: usize>(
        &self,
        first: usize,
        mut outs: [Pair<'_, '_>; K],
    ) {
        let len = outs[0][0].len();
        let mut start = 0;
        while start + U * L::WORDS <= len {
            // SAFETY: all slices have `len` words, and start + U * WORDS <= len.
            unsafe { self.block::<EACH, K, U>(first, &mut outs, start) };
            start += U * L::WORDS;
        }
        while start < len {
            // SAFETY: as above; `len` is a multiple of 8.
            unsafe { self.block::<EACH, K, 1>(first, &mut outs, start) };
            start += L::WORDS;
        }
    }

    /// `U` vectors of `K` outputs from `start`.
    ///
    /// Where every word has its factor, those come from memory. While this block is summed, those of the next one are
    /// asked for, slice by slice; the order of slices is beyond what hardware foresees.
    ///
    /// # Safety
    /// All slices must have `U` vectors at `start`.
    #[inline(always)]
    unsafe fn block<const EACH: bool, const K: usize, const U: usize>(
        &self,
        first: usize,
        outs: &mut [Pair<'_, '_>; K],
        start: usize,
    ) {
        let PairProducts { x0, x1, factors, add, .. } = *self.products;
        let sums = &self.sums;
        let mut words = [[[sums.prime.zero(); U]; 2]; K];
        if add {
            for (words, out) in words.iter_mut().zip(outs.iter()) {
                for (words, out) in words.iter_mut().zip(out.iter()) {
                    for (u, word) in words.iter_mut().enumerate() {
                        // At most (q + 1)/2 in magnitude, as a sum begins.
                        // SAFETY: promised by the caller.
                        *word = sums.prime.correct(unsafe { doubles(out, start, u) });
                    }
                }
            }
        }
        let terms = x0.chunks(sums.terms).zip(x1.chunks(sums.terms));
        for ((x0, x1), factors) in terms.zip(factors.chunks(self.outputs * sums.terms)) {
            let mut sum = [[sums.begin_all(words[0][0]); 2]; K];
            for (sum, &words) in sum.iter_mut().zip(&words) {
                *sum = [sums.begin_all(words[0]), sums.begin_all(words[1])];
            }
            let factors = factors.chunks_exact(self.outputs);
            for ((x0, x1), factors) in x0.iter().zip(x1).zip(factors) {
                for u in 0..U {
                    // SAFETY: promised by the caller.
                    let (x0, x1) = unsafe { (doubles::<L>(x0, start, u), doubles(x1, start, u)) };
                    for (sum, factor) in sum.iter_mut().zip(&factors[first..first + K]) {
                        let p = if EACH {
                            L::prefetch(factor.as_ptr().wrapping_add(start + (u + U) * L::WORDS));
                            // SAFETY: promised by the caller.
                            unsafe { doubles(factor, start, u) }
                        } else {
                            let run = (start + u * L::WORDS) >> self.log_run;
                            // SAFETY: the factor has a word for every run of the slices.
                            L::splat(unsafe { *factor.get_unchecked(run) } as f64)
                        };
                        sum[0][u].add(x0, p);
                        sum[1][u].add(x1, p);
                    }
                }
            }
            for (words, sum) in words.iter_mut().zip(sum) {
                *words = [sums.end_all(sum[0]), sums.end_all(sum[1])];
            }
        }
        for (words, out) in words.into_iter().zip(outs) {
            for (words, out) in words.into_iter().zip(out.iter_mut()) {
                for (u, word) in words.into_iter().enumerate() {
                    let to = out.as_mut_ptr().wrapping_add(start + u * L::WORDS);
                    // SAFETY: promised by the caller.
                    unsafe { sums.prime.lift(word).store(to) };
                }
            }
        }
    }
}
