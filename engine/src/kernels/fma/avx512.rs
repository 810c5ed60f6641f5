//! Vectors of eight doubles or words.

use std::arch::x86_64::*;

use super::lanes::{Lanes, TWO_52};
use crate::kernels::packed::packed_load;

/// Eight words.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512d);

// SAFETY (for every block below): the trait's contract gives the features; loads and stores are of
// arrays of the right size, or as their callers promise.

// SAFETY: uses AVX-512F, BW, DQ and VL alone.
unsafe impl Lanes for Avx512 {
    const WORDS: usize = 8;
    const OUTPUTS: usize = 3;

    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_loadu_pd(from.cast()) })
    }

    #[inline(always)]
    unsafe fn load_packed(group: *const u64, vector: usize) -> Self {
        let (at, behind) = packed_load(vector, 48, 64);
        // Lane `i` is made of the three 16-bit parts from `3 i` on, and of a zero.
        const PARTS: [u16; 32] = {
            let mut parts = [0; 32];
            let mut k = 0;
            while k < 32 {
                parts[k] = (k / 4 * 3 + k % 4) as u16;
                k += 1;
            }
            parts
        };
        // SAFETY: see above; the 64 bytes from `at` on are within the group.
        unsafe {
            let loaded = _mm512_loadu_si512(group.byte_add(at).cast());
            let parts = _mm512_loadu_si512(PARTS.as_ptr().cast());
            let parts = _mm512_add_epi16(parts, _mm512_set1_epi16(behind as i16 / 2));
            Self(_mm512_castsi512_pd(_mm512_maskz_permutexvar_epi16(0x7777_7777, parts, loaded)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_pd(to.cast(), self.0) }
    }

    #[inline(always)]
    fn splat(value: f64) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_pd(value) })
    }

    #[inline(always)]
    fn splat_word(word: u64) -> Self {
        Self::splat(f64::from_bits(word))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_add_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_sub_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_mul_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_fmadd_pd(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_fmsub_pd(self.0, factor.0, subtrahend.0) })
    }

    #[inline(always)]
    fn neg_mul_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_fnmadd_pd(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: see above.
        Self(unsafe { _mm512_roundscale_pd::<NEAREST>(self.0) })
    }

    #[inline(always)]
    fn floor(self) -> Self {
        const DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
        // SAFETY: see above.
        Self(unsafe { _mm512_roundscale_pd::<DOWN>(self.0) })
    }

    #[inline(always)]
    fn with_exponent(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_or_pd(self.0, _mm512_set1_pd(TWO_52)) })
    }

    #[inline(always)]
    fn into_doubles(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_cvtepi64_pd(_mm512_castpd_si512(self.0)) })
    }

    #[inline(always)]
    fn into_words(self) -> Self {
        self.into_signed()
    }

    #[inline(always)]
    fn into_signed(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_castsi512_pd(_mm512_cvtpd_epi64(self.0)) })
    }

    #[inline(always)]
    fn add_words(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let sum = _mm512_add_epi64(_mm512_castpd_si512(self.0), _mm512_castpd_si512(other.0));
            Self(_mm512_castsi512_pd(sum))
        }
    }

    #[inline(always)]
    fn sub_words(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let (x, y) = (_mm512_castpd_si512(self.0), _mm512_castpd_si512(other.0));
            Self(_mm512_castsi512_pd(_mm512_sub_epi64(x, y)))
        }
    }

    #[inline(always)]
    fn lift(self, q: Self) -> Self {
        // As an unsigned word, a negative one is huge.
        // SAFETY: see above.
        unsafe {
            let lifted = _mm512_castpd_si512(self.add_words(q).0);
            Self(_mm512_castsi512_pd(_mm512_min_epu64(_mm512_castpd_si512(self.0), lifted)))
        }
    }

    #[inline(always)]
    fn transpose(rows: [Self; 8]) -> [Self; 8] {
        let [a, b, c, d, e, f, g, h] = rows.map(|row| row.0);
        // SAFETY: see above.
        unsafe {
            // Pairs of rows: even columns, then odd ones, one column per 128 bits.
            let [c0, c2, c4, c6] = quarters([
                _mm512_unpacklo_pd(a, b),
                _mm512_unpacklo_pd(c, d),
                _mm512_unpacklo_pd(e, f),
                _mm512_unpacklo_pd(g, h),
            ]);
            let [c1, c3, c5, c7] = quarters([
                _mm512_unpackhi_pd(a, b),
                _mm512_unpackhi_pd(c, d),
                _mm512_unpackhi_pd(e, f),
                _mm512_unpackhi_pd(g, h),
            ]);
            [Self(c0), Self(c1), Self(c2), Self(c3), Self(c4), Self(c5), Self(c6), Self(c7)]
        }
    }

    #[inline(always)]
    fn permute_block(to: &mut [u64; 8], from: &[u64; 8], lanes: &[u64; 8]) {
        // SAFETY: see above.
        unsafe {
            let lanes = _mm512_castpd_si512(Self::load(lanes.as_ptr()).0);
            Self(_mm512_permutexvar_pd(lanes, Self::load(from.as_ptr()).0)).store(to.as_mut_ptr());
        }
    }
}

/// Transposes four by four quarters of 128 bits.
///
/// # Safety
/// Needs AVX-512F.
#[inline(always)]
unsafe fn quarters([a, b, c, d]: [__m512d; 4]) -> [__m512d; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let (low_ab, high_ab) =
            (_mm512_shuffle_f64x2::<0x44>(a, b), _mm512_shuffle_f64x2::<0xEE>(a, b));
        let (low_cd, high_cd) =
            (_mm512_shuffle_f64x2::<0x44>(c, d), _mm512_shuffle_f64x2::<0xEE>(c, d));
        [
            _mm512_shuffle_f64x2::<0x88>(low_ab, low_cd),
            _mm512_shuffle_f64x2::<0xDD>(low_ab, low_cd),
            _mm512_shuffle_f64x2::<0x88>(high_ab, high_cd),
            _mm512_shuffle_f64x2::<0xDD>(high_ab, high_cd),
        ]
    }
}
