//! Vectors of four doubles or words.

use std::arch::x86_64::*;

use super::lanes::{Lanes, MAGIC, TWO_52};
use crate::kernels::packed::packed_load;

/// Four words.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256d);

// SAFETY (for every block below): the trait's contract gives the features; loads and stores are of
// arrays of the right size, or as their callers promise.

// SAFETY: uses AVX, AVX2 and FMA alone.
unsafe impl Lanes for Avx2 {
    const WORDS: usize = 4;
    const OUTPUTS: usize = 2;

    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_loadu_pd(from.cast()) })
    }

    #[inline(always)]
    unsafe fn load_packed(group: *const u64, vector: usize) -> Self {
        let (at, behind) = packed_load(vector, 24, 32);
        // Two words, 12 bytes, into each half; then six bytes and two zeros into each lane.
        const HALVES: [i32; 8] = [0, 1, 2, 0, 3, 4, 5, 0];
        const PARTS: [i8; 16] = [0, 1, 2, 3, 4, 5, -1, -1, 6, 7, 8, 9, 10, 11, -1, -1];
        // SAFETY: see above; the 32 bytes from `at` on are within the group.
        unsafe {
            let loaded = _mm256_loadu_si256(group.byte_add(at).cast());
            let halves = _mm256_loadu_si256(HALVES.as_ptr().cast());
            let halves = _mm256_add_epi32(halves, _mm256_set1_epi32(behind as i32 / 4));
            let parts = _mm256_broadcastsi128_si256(_mm_loadu_si128(PARTS.as_ptr().cast()));
            let halves = _mm256_permutevar8x32_epi32(loaded, halves);
            Self(_mm256_castsi256_pd(_mm256_shuffle_epi8(halves, parts)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        // SAFETY: see above.
        unsafe { _mm256_storeu_pd(to.cast(), self.0) }
    }

    #[inline(always)]
    fn splat(value: f64) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_set1_pd(value) })
    }

    #[inline(always)]
    fn splat_word(word: u64) -> Self {
        Self::splat(f64::from_bits(word))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_add_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_sub_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_mul_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_fmadd_pd(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_fmsub_pd(self.0, factor.0, subtrahend.0) })
    }

    #[inline(always)]
    fn neg_mul_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_fnmadd_pd(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: see above.
        Self(unsafe { _mm256_round_pd::<NEAREST>(self.0) })
    }

    #[inline(always)]
    fn floor(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_floor_pd(self.0) })
    }

    #[inline(always)]
    fn with_exponent(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_or_pd(self.0, _mm256_set1_pd(TWO_52)) })
    }

    #[inline(always)]
    fn into_doubles(self) -> Self {
        self.with_exponent().sub(Self::splat(TWO_52))
    }

    #[inline(always)]
    fn into_words(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_xor_pd(self.add(Self::splat(TWO_52)).0, _mm256_set1_pd(TWO_52)) })
    }

    #[inline(always)]
    fn into_signed(self) -> Self {
        self.add(Self::splat(MAGIC)).sub_words(Self::splat(MAGIC))
    }

    #[inline(always)]
    fn add_words(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let sum = _mm256_add_epi64(_mm256_castpd_si256(self.0), _mm256_castpd_si256(other.0));
            Self(_mm256_castsi256_pd(sum))
        }
    }

    #[inline(always)]
    fn sub_words(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let (x, y) = (_mm256_castpd_si256(self.0), _mm256_castpd_si256(other.0));
            Self(_mm256_castsi256_pd(_mm256_sub_epi64(x, y)))
        }
    }

    #[inline(always)]
    fn lift(self, q: Self) -> Self {
        // The sign of a double is the sign of a word.
        // SAFETY: see above.
        Self(unsafe { _mm256_blendv_pd(self.0, self.add_words(q).0, self.0) })
    }

    #[inline(always)]
    fn transpose([a, b, c, d, e, f, g, h]: [Self; 8]) -> [Self; 8] {
        let [a, b, c, d] = four_by_four([a, b, c, d]);
        let [e, f, g, h] = four_by_four([e, f, g, h]);
        [a, b, c, d, e, f, g, h]
    }

    #[inline(always)]
    fn permute_block(to: &mut [u64; 8], from: &[u64; 8], lanes: &[u64; 8]) {
        // SAFETY: see above.
        unsafe {
            let low = _mm256_castpd_si256(Self::load(from.as_ptr()).0);
            let high = _mm256_castpd_si256(Self::load(from.as_ptr().add(4)).0);
            for half in [0, 4] {
                let lanes = _mm256_castpd_si256(Self::load(lanes.as_ptr().add(half)).0);
                // Word i is the pair of 32-bit words 2i, 2i + 1; its bit 2 says which half it is in.
                let pairs = _mm256_or_si256(
                    _mm256_or_si256(_mm256_slli_epi64::<1>(lanes), _mm256_slli_epi64::<33>(lanes)),
                    _mm256_set1_epi64x(1 << 32),
                );
                let words = _mm256_blendv_pd(
                    _mm256_castsi256_pd(_mm256_permutevar8x32_epi32(low, pairs)),
                    _mm256_castsi256_pd(_mm256_permutevar8x32_epi32(high, pairs)),
                    _mm256_castsi256_pd(_mm256_slli_epi64::<61>(lanes)),
                );
                Self(words).store(to.as_mut_ptr().add(half));
            }
        }
    }
}

/// Rows to columns.
#[inline(always)]
fn four_by_four([a, b, c, d]: [Avx2; 4]) -> [Avx2; 4] {
    // SAFETY: see above.
    unsafe {
        let (ac, bd) =
            (_mm256_permute2f128_pd::<0x20>(a.0, c.0), _mm256_permute2f128_pd::<0x20>(b.0, d.0));
        let (ca, db) =
            (_mm256_permute2f128_pd::<0x31>(a.0, c.0), _mm256_permute2f128_pd::<0x31>(b.0, d.0));
        [
            Avx2(_mm256_unpacklo_pd(ac, bd)),
            Avx2(_mm256_unpackhi_pd(ac, bd)),
            Avx2(_mm256_unpacklo_pd(ca, db)),
            Avx2(_mm256_unpackhi_pd(ca, db)),
        ]
    }
}
