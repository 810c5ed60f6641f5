//! The other sums: basis conversion, sums of squares, tensor products. Ranges are those of
//! [`crate::kernels::Kernels`].

use std::arch::x86_64::*;

use super::arith::{
    MAX_TERMS, Sum, SumReducer, blocks, blocks_mut, is_wide, load, load_block, splat, store,
    store_block,
};
use crate::kernels::shape::{require_blocks, require_len, require_slices, require_sums};
use crate::modulus::Modulus;

/// `out = sum_i xs[i] * consts[i]`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn dot_const(out: &mut [u64], xs: &[&[u64]], consts: &[u64], modulus: &Modulus) {
    require_blocks(out.len());
    require_slices(xs, consts.len(), out.len());
    assert!(xs.len() <= 64, "dot product of {} slices, expected at most 64", xs.len());
    let wide = is_wide(xs.len(), 52 + modulus.bits());
    let reducer = SumReducer::new(modulus);
    let mut start = 0;
    while start < out.len() {
        // SAFETY: all slices have `out.len()` words, a multiple of 8; each call stays below that.
        start += unsafe {
            match (start + 32 <= out.len(), wide) {
                (true, true) => dot_const_block::<true, 4>(out, xs, consts, start, &reducer),
                (true, false) => dot_const_block::<false, 4>(out, xs, consts, start, &reducer),
                (false, true) => dot_const_block::<true, 1>(out, xs, consts, start, &reducer),
                (false, false) => dot_const_block::<false, 1>(out, xs, consts, start, &reducer),
            }
        };
    }
}

/// `8 * U` words from `start`; returns their number.
///
/// # Safety
/// All slices must have `start + 8 * U` words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
unsafe fn dot_const_block<const WIDE: bool, const U: usize>(
    out: &mut [u64],
    xs: &[&[u64]],
    consts: &[u64],
    start: usize,
    reducer: &SumReducer,
) -> usize {
    let mut sums = [Sum::zero(); U];
    for (x, &c) in xs.iter().zip(consts) {
        let c = splat(c);
        for (u, sum) in sums.iter_mut().enumerate() {
            // SAFETY: promised by the caller.
            sum.add(unsafe { load(x.as_ptr().add(start + 8 * u)) }, c);
        }
    }
    for (u, sum) in sums.into_iter().enumerate() {
        // SAFETY: promised by the caller.
        unsafe { store(out.as_mut_ptr().add(start + 8 * u), reducer.reduce::<WIDE>(sum)) };
    }
    8 * U
}

/// `out = floor(1/2 + sum_i xs[i] * inverses[i])`, summed from 1/2 up in the order of `i`, product
/// and sum rounded separately, so that all instruction sets agree.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn quotient(out: &mut [u64], xs: &[&[u64]], inverses: &[f64]) {
    require_slices(xs, inverses.len(), out.len());
    for (b, out) in blocks_mut(out).iter_mut().enumerate() {
        let mut sum = _mm512_set1_pd(0.5);
        for (x, &inverse) in xs.iter().zip(inverses) {
            let x = _mm512_cvtepu64_pd(load_block(&blocks(x)[b]));
            sum = _mm512_add_pd(sum, _mm512_mul_pd(x, _mm512_set1_pd(inverse)));
        }
        // The sum is not negative, so truncation is the floor.
        store_block(out, _mm512_cvttpd_epu64(sum));
    }
}

/// `out0 = sum a_k^2`, `out1 = sum 2 a_k b_k`, `out2 = sum b_k^2`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn square_sum(
    out0: &mut [u64],
    out1: &mut [u64],
    out2: &mut [u64],
    a: &[&[u64]],
    b: &[&[u64]],
    modulus: &Modulus,
) {
    require_sums([out0.len(), out1.len(), out2.len()], [a, b]);
    let wide = is_wide(b.len().min(MAX_TERMS) + 1, 2 * modulus.bits() + 1);
    let reducer = SumReducer::new(modulus);
    let len = out0.len();
    let mut out = [out0, out1, out2];
    let mut start = 0;
    while start < len {
        // SAFETY: all slices have `len` words, a multiple of 8; each call stays below that.
        start += unsafe {
            match (start + 16 <= len, wide) {
                (true, true) => square_sum_block::<true, 2>(&mut out, a, b, start, &reducer),
                (true, false) => square_sum_block::<false, 2>(&mut out, a, b, start, &reducer),
                (false, true) => square_sum_block::<true, 1>(&mut out, a, b, start, &reducer),
                (false, false) => square_sum_block::<false, 1>(&mut out, a, b, start, &reducer),
            }
        };
    }
}

/// `8 * U` words of each output from `start`; returns their number. The middle sum is doubled by
/// doubling a factor, below 2^51 then.
///
/// # Safety
/// All slices must have `start + 8 * U` words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
unsafe fn square_sum_block<const WIDE: bool, const U: usize>(
    out: &mut [&mut [u64]; 3],
    a: &[&[u64]],
    b: &[&[u64]],
    start: usize,
    reducer: &SumReducer,
) -> usize {
    let mut words = [[_mm512_setzero_si512(); 3]; U];
    for (a, b) in a.chunks(MAX_TERMS).zip(b.chunks(MAX_TERMS)) {
        // The words so far take the place of one more product.
        let mut sums = [[Sum::zero(); 3]; U];
        for (sums, words) in sums.iter_mut().zip(&words) {
            (sums[0].low, sums[1].low, sums[2].low) = (words[0], words[1], words[2]);
        }
        for (a, b) in a.iter().zip(b) {
            for (u, [sum0, sum1, sum2]) in sums.iter_mut().enumerate() {
                let at = start + 8 * u;
                // SAFETY: promised by the caller.
                let (a, b) = unsafe { (load(a.as_ptr().add(at)), load(b.as_ptr().add(at))) };
                sum0.add(a, a);
                sum1.add(_mm512_add_epi64(a, a), b);
                sum2.add(b, b);
            }
        }
        for (words, &[sum0, sum1, sum2]) in words.iter_mut().zip(&sums) {
            *words = [
                reducer.reduce::<WIDE>(sum0),
                reducer.reduce::<WIDE>(sum1),
                reducer.reduce::<WIDE>(sum2),
            ];
        }
    }
    for (u, words) in words.into_iter().enumerate() {
        for (out, word) in out.iter_mut().zip(words) {
            // SAFETY: promised by the caller.
            unsafe { store(out.as_mut_ptr().add(start + 8 * u), word) };
        }
    }
    8 * U
}

/// The tensor product of two pairs. The middle word is below 2^101, so nothing is wide.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn tensor(out: [&mut [u64]; 3], pairs: [&[u64]; 4], modulus: &Modulus) {
    let [out0, out1, out2] = out;
    let [a0, a1, b0, b1] = pairs;
    let len = out0.len();
    require_blocks(len);
    for found in [out1.len(), out2.len(), a0.len(), a1.len(), b0.len(), b1.len()] {
        require_len(found, len);
    }
    let reducer = SumReducer::new(modulus);
    for at in (0..len).step_by(8) {
        // SAFETY: all slices have `len` words, a multiple of 8.
        let [a0, a1, b0, b1] = pairs.map(|words| unsafe { load(words.as_ptr().add(at)) });
        let mut sums = [Sum::zero(); 3];
        sums[0].add(a0, b0);
        sums[1].add(a0, b1);
        sums[1].add(a1, b0);
        sums[2].add(a1, b1);
        // SAFETY: as above.
        unsafe {
            store(out0.as_mut_ptr().add(at), reducer.reduce::<false>(sums[0]));
            store(out1.as_mut_ptr().add(at), reducer.reduce::<false>(sums[1]));
            store(out2.as_mut_ptr().add(at), reducer.reduce::<false>(sums[2]));
        }
    }
}
