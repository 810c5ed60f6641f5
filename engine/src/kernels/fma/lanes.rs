//! Vectors of doubles per instruction set: all that the kernels need of a processor.
//!
//! A vector holds doubles or 64-bit words; which, only its use says.

use std::arch::x86_64::*;

/// `2^52`: a double of that exponent has its integer part in the low 52 bits.
pub(super) const TWO_52: f64 = (1_u64 << 52) as f64;
/// `1.5 * 2^52`: adding it to a double below 2^51 in magnitude rounds that to an integer, held as a
/// signed number in the low bits.
pub(super) const MAGIC: f64 = (3_u64 << 51) as f64;

/// A vector of doubles or words.
///
/// # Safety
/// Values may only be made and used where the processor has the instance's features, within a
/// function compiled for them.
pub(super) unsafe trait Lanes: Copy {
    /// Words of a vector: 4 or 8.
    const WORDS: usize;
    /// Loads bits as they are.
    ///
    /// # Safety
    /// `from` must be readable for a vector.
    unsafe fn load(from: *const u64) -> Self;
    /// Stores bits as they are.
    ///
    /// # Safety
    /// `to` must be writable for a vector.
    unsafe fn store(self, to: *mut u64);
    fn splat(value: f64) -> Self;
    fn splat_word(word: u64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self * factor + summand`, rounded once.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// `self * factor - subtrahend`, rounded once.
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self;
    /// `summand - self * factor`, rounded once.
    fn neg_mul_add(self, factor: Self, summand: Self) -> Self;
    /// To the nearest integer, for any magnitude.
    fn round(self) -> Self;
    fn floor(self) -> Self;
    /// Words below 2^52 to the doubles `2^52 + word`.
    fn with_exponent(self) -> Self;
    /// Words below 2^52 to doubles.
    fn into_doubles(self) -> Self;
    /// Integers in `[0, 2^52)` to words.
    fn into_words(self) -> Self;
    /// Integers below 2^51 in magnitude to two's complement words.
    fn into_signed(self) -> Self;
    fn add_words(self, other: Self) -> Self;
    fn sub_words(self, other: Self) -> Self;
    /// Words `w` in `[-q, q)` to `w` or `w + q`, whichever is not negative.
    fn lift(self, q: Self) -> Self;
    /// Eight vectors as `8 / WORDS` square matrices, each transposed.
    fn transpose(rows: [Self; 8]) -> [Self; 8];
    /// Asks for the cache line of an address, valid or not.
    #[inline(always)]
    fn prefetch(address: *const u64) {
        // SAFETY: has no effect on memory, and every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    /// `to[t] = from[lanes[t]]`.
    fn permute_block(to: &mut [u64; 8], from: &[u64; 8], lanes: &[u64; 8]);
}

/// Four words.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256d);

/// Eight words.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512d);

// SAFETY (for every block below): the trait's contract gives the features; loads and stores are of
// arrays of the right size, or as their callers promise.

// SAFETY: uses AVX, AVX2 and FMA alone.
unsafe impl Lanes for Avx2 {
    const WORDS: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_loadu_pd(from.cast()) })
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

// SAFETY: uses AVX-512F and AVX-512DQ alone.
unsafe impl Lanes for Avx512 {
    const WORDS: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_loadu_pd(from.cast()) })
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
