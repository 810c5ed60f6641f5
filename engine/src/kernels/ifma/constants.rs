//! How the transforms read their constants and rearrange words between vectors.

use std::arch::x86_64::*;
use std::hint::black_box;

use super::arith::{Factor, Prime, V, load, splat};
use crate::kernels::tables::twiddles::Twiddles;

/// Butterfly constants, read without checks.
///
/// Where a constant serves one vector or less, transforms of large rings take longer to read constants than to multiply
/// by them. Of those only the quotients are read, half the bytes, and the values are made from them.
pub(super) struct Constants<'a> {
    twiddles: &'a Twiddles,
    prime: Prime,
}

impl<'a> Constants<'a> {
    /// Constants modulo this prime.
    #[inline]
    pub(super) fn new(twiddles: &'a Twiddles, prime: Prime) -> Self {
        Self { twiddles, prime }
    }

    /// Constant `k` in all lanes.
    ///
    /// # Safety
    /// `k` must be below N.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) unsafe fn one(&self, k: usize) -> Factor {
        // SAFETY: promised by the caller; both arrays have N words.
        unsafe {
            Factor {
                value: splat(*self.twiddles.values().as_ptr().add(k)),
                quotient: splat(*self.twiddles.quotients().as_ptr().add(k)),
            }
        }
    }

    /// Constants `k` and `k + 1`, `k` even; lane `t` gets `k + lanes[t]`.
    ///
    /// # Safety
    /// `k / 8 * 8 + 7` must be below N.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) unsafe fn two(&self, k: usize, lanes: [i64; 8]) -> Factor {
        // SAFETY: promised by the caller; the array has N words.
        let quotients = unsafe { load(self.twiddles.quotients().as_ptr().add(k / 8 * 8)) };
        self.prime.factor(permuted(quotients, lanes.map(|lane| lane + (k % 8) as i64)))
    }

    /// Constants `k` to `k + 3`; lane `t` gets `k + lanes[t]`.
    ///
    /// # Safety
    /// `k + 3` must be below N.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) unsafe fn four(&self, k: usize, lanes: [i64; 8]) -> Factor {
        // SAFETY: promised by the caller; the array has N words.
        let quotients =
            unsafe { _mm256_loadu_si256(self.twiddles.quotients().as_ptr().add(k).cast()) };
        self.prime.factor(permuted(_mm512_castsi256_si512(quotients), lanes))
    }

    /// Constants `k` to `k + 7`.
    ///
    /// # Safety
    /// `k + 7` must be below N.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) unsafe fn eight(&self, k: usize) -> Factor {
        // SAFETY: promised by the caller; the array has N words.
        self.prime.factor(unsafe { load(self.twiddles.quotients().as_ptr().add(k)) })
    }
}

/// Lane `t` gets what was in lane `lanes[t]`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
fn permuted(words: V, lanes: [i64; 8]) -> V {
    let [a, b, c, d, e, f, g, h] = lanes;
    _mm512_permutexvar_epi64(_mm512_setr_epi64(a, b, c, d, e, f, g, h), words)
}

/// Rearrangements of the words of two vectors.
///
/// Each could be a pair of two-source permutations, but those compete with the multipliers: on Zen 4,
/// four of them beside four multiply-adds take 6.9 cycles, four one-source permutations 5.3, four
/// unpackings or blends 4.0. The indices and the mask are variables, as the compiler would combine
/// constant ones into two-source permutations.
pub(super) struct Lanes {
    interleave: V,
    separate: V,
    odd_quarters: __mmask8,
}

impl Lanes {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn new() -> Self {
        Self {
            interleave: black_box(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7)),
            separate: black_box(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7)),
            odd_quarters: black_box(0xCC),
        }
    }

    /// `x0 y0 x1 y1 x2 y2 x3 y3` and `x4 y4 x5 y5 x6 y6 x7 y7`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn interleave(&self, x: V, y: V) -> (V, V) {
        // 0 4 1 5 2 6 3 7 of each.
        let x = _mm512_permutexvar_epi64(self.interleave, x);
        let y = _mm512_permutexvar_epi64(self.interleave, y);
        (_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y))
    }

    /// `a0 a2 a4 a6 b0 b2 b4 b6` and `a1 a3 a5 a7 b1 b3 b5 b7`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn separate(&self, a: V, b: V) -> (V, V) {
        // a0 b0 a2 b2 a4 b4 a6 b6, and the odd ones.
        let (even, odd) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        (
            _mm512_permutexvar_epi64(self.separate, even),
            _mm512_permutexvar_epi64(self.separate, odd),
        )
    }

    /// `x0 x1 y0 y1 x4 x5 y4 y5` and `x2 x3 y2 y3 x6 x7 y6 y7`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn mix_quarters(&self, x: V, y: V) -> (V, V) {
        // Exchanges words 0 1 with 2 3, and 4 5 with 6 7.
        let (x_swapped, y_swapped) =
            (_mm512_shuffle_i64x2::<0xB1>(x, x), _mm512_shuffle_i64x2::<0xB1>(y, y));
        (
            _mm512_mask_blend_epi64(self.odd_quarters, x, y_swapped),
            _mm512_mask_blend_epi64(self.odd_quarters, x_swapped, y),
        )
    }
}
