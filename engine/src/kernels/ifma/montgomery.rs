//! Basis conversion with Montgomery's reduction. Ranges are those of [`crate::kernels::Kernels`].
//!
//! Of a conversion from a few primes, half the multiplications would be those of a Barrett reduction. Montgomery's
//! takes two, and no correction, as the sums are small: the constants carry the factor 2^52 that it divides by.

use std::arch::x86_64::*;

use super::arith::{Sum, V, load, splat, store};
use crate::kernels::shape::{require_slices, require_targets};
use crate::modulus::Modulus;

/// What the reduction needs of one prime.
#[derive(Clone, Copy)]
struct Reducer {
    q: V,
    /// `-1/q` modulo 2^52.
    inverse: V,
}

impl Reducer {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn new(modulus: &Modulus) -> Self {
        Self { q: splat(modulus.value()), inverse: splat(modulus.negative_inverse()) }
    }

    /// `2^-52 s` modulo q for a sum of products `s < 2^52 q`, in `[0, 2q)`.
    ///
    /// With `l` the low 52 bits of s and `m = -l / q mod 2^52`, `s + m q` is a multiple of 2^52, below `2^52 * 2q`.
    /// Its quotient is the high half of s, plus that of `m q`, plus the carry of the low halves, which is 1 unless
    /// `l = 0`: as `ceil(low / 2^52)`, where `low < 2^58` has not been carried over yet.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn reduce(&self, Sum { low, high }: Sum, round_up: V) -> V {
        let m = _mm512_madd52lo_epu64(_mm512_setzero_si512(), low, self.inverse);
        let carry = _mm512_srli_epi64::<52>(_mm512_add_epi64(low, round_up));
        _mm512_madd52hi_epu64(_mm512_add_epi64(high, carry), m, self.q)
    }
}

/// See [`crate::kernels::Kernels::dot_convert`].
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn dot_convert(
    outs: &mut [&mut [u64]],
    xs: &[&[u64]],
    consts: &[&[u64]],
    moduli: &[&Modulus],
) {
    require_targets(outs, consts, moduli);
    let len = outs[0].len();
    require_slices(xs, consts[0].len(), len);
    assert!(xs.len() <= 64, "dot product of {} slices, expected at most 64", xs.len());
    // SAFETY: all slices have `len` words, a multiple of 8.
    unsafe {
        match (outs, consts, moduli) {
            ([out], [consts], [modulus]) => {
                run::<1, 4>([out.as_mut_ptr()], len, xs, [consts], [Reducer::new(modulus)]);
            }
            ([out0, out1], [consts0, consts1], [modulus0, modulus1]) => run::<2, 2>(
                [out0.as_mut_ptr(), out1.as_mut_ptr()],
                len,
                xs,
                [consts0, consts1],
                [Reducer::new(modulus0), Reducer::new(modulus1)],
            ),
            _ => {}
        }
    }
}

/// `T` targets, `U` vectors at a time.
///
/// # Safety
/// All slices and outputs must have `len` words, a multiple of 8.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
unsafe fn run<const T: usize, const U: usize>(
    outs: [*mut u64; T],
    len: usize,
    xs: &[&[u64]],
    consts: [&[u64]; T],
    reducers: [Reducer; T],
) {
    let round_up = splat((1 << 52) - 1);
    for start in (0..len).step_by(8 * U) {
        // The last vector again where fewer are left. Loops, as closures in a function compiled for more features than
        // the crate may become calls.
        let mut at = [len - 8; U];
        for (u, at) in at.iter_mut().enumerate() {
            *at = (start + 8 * u).min(len - 8);
        }
        let mut sums = [[Sum::zero(); U]; T];
        for (i, words) in xs.iter().enumerate() {
            let mut x = [round_up; U];
            for (x, &at) in x.iter_mut().zip(&at) {
                // SAFETY: promised by the caller.
                *x = unsafe { load(words.as_ptr().add(at)) };
            }
            for (sums, consts) in sums.iter_mut().zip(&consts) {
                let c = splat(consts[i]);
                for (sum, &x) in sums.iter_mut().zip(&x) {
                    sum.add(x, c);
                }
            }
        }
        for ((sums, out), reducer) in sums.iter().zip(outs).zip(&reducers) {
            for (&sum, &at) in sums.iter().zip(&at) {
                // SAFETY: promised by the caller.
                unsafe { store(out.add(at), reducer.reduce(sum, round_up)) };
            }
        }
    }
}
