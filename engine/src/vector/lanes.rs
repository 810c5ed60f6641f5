//! Eight doubles at a time, per instruction set: all that the transform needs of a processor.

use std::array::from_fn;

/// Doubles of a vector.
pub(crate) const LANES: usize = 8;

/// Eight doubles. Operations round as IEEE 754 says, so every instance gives the same results.
///
/// # Safety
/// Values may only be made and used where the processor has the instance's features, within a function
/// compiled for them.
pub(crate) unsafe trait Lanes: Copy {
    fn splat(value: f64) -> Self;
    fn load(from: &[f64; LANES]) -> Self;
    fn store(self, to: &mut [f64; LANES]);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Rows to columns.
    fn transpose(rows: [Self; LANES]) -> [Self; LANES];
}

/// For every processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f64; LANES]);

// SAFETY: needs no features.
unsafe impl Lanes for Portable {
    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(from: &[f64; LANES]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] * other.0[i]))
    }

    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        from_fn(|column| Self(from_fn(|row| rows[row].0[column])))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{LANES, Lanes};
    use std::arch::x86_64::*;

    /// AVX-512F.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512d);

    /// AVX2: two halves.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2([__m256d; 2]);

    // SAFETY (for every block below): the trait's contract gives the features, and loads and stores go through
    // arrays of the right size.

    // SAFETY: uses AVX-512F alone.
    unsafe impl Lanes for Avx512 {
        #[inline(always)]
        fn splat(value: f64) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_set1_pd(value) })
        }

        #[inline(always)]
        fn load(from: &[f64; LANES]) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_loadu_pd(from.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, to: &mut [f64; LANES]) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_pd(to.as_mut_ptr(), self.0) }
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
        fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
            let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
            // SAFETY: see above.
            unsafe {
                // Pairs of rows: even columns, then odd ones, one column per 128 bits.
                let [c0, c2, c4, c6] = quarters([
                    _mm512_unpacklo_pd(r0.0, r1.0),
                    _mm512_unpacklo_pd(r2.0, r3.0),
                    _mm512_unpacklo_pd(r4.0, r5.0),
                    _mm512_unpacklo_pd(r6.0, r7.0),
                ]);
                let [c1, c3, c5, c7] = quarters([
                    _mm512_unpackhi_pd(r0.0, r1.0),
                    _mm512_unpackhi_pd(r2.0, r3.0),
                    _mm512_unpackhi_pd(r4.0, r5.0),
                    _mm512_unpackhi_pd(r6.0, r7.0),
                ]);
                [Self(c0), Self(c1), Self(c2), Self(c3), Self(c4), Self(c5), Self(c6), Self(c7)]
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

    // SAFETY: uses AVX2 alone.
    unsafe impl Lanes for Avx2 {
        #[inline(always)]
        fn splat(value: f64) -> Self {
            // SAFETY: see above.
            Self([unsafe { _mm256_set1_pd(value) }; 2])
        }

        #[inline(always)]
        fn load(from: &[f64; LANES]) -> Self {
            // SAFETY: see above.
            unsafe { Self([_mm256_loadu_pd(from.as_ptr()), _mm256_loadu_pd(from[4..].as_ptr())]) }
        }

        #[inline(always)]
        fn store(self, to: &mut [f64; LANES]) {
            // SAFETY: see above.
            unsafe {
                _mm256_storeu_pd(to.as_mut_ptr(), self.0[0]);
                _mm256_storeu_pd(to[4..].as_mut_ptr(), self.0[1]);
            }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            // SAFETY: see above.
            unsafe { Self([_mm256_add_pd(a, c), _mm256_add_pd(b, d)]) }
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            // SAFETY: see above.
            unsafe { Self([_mm256_sub_pd(a, c), _mm256_sub_pd(b, d)]) }
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            // SAFETY: see above.
            unsafe { Self([_mm256_mul_pd(a, c), _mm256_mul_pd(b, d)]) }
        }

        #[inline(always)]
        fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
            let mut columns = rows;
            for half in 0..2 {
                for part in 0..2 {
                    let r = 4 * part;
                    let (r0, r1) = (rows[r].0[half], rows[r + 1].0[half]);
                    let (r2, r3) = (rows[r + 2].0[half], rows[r + 3].0[half]);
                    // SAFETY: see above.
                    unsafe {
                        let (even_low, odd_low) =
                            (_mm256_unpacklo_pd(r0, r1), _mm256_unpackhi_pd(r0, r1));
                        let (even_high, odd_high) =
                            (_mm256_unpacklo_pd(r2, r3), _mm256_unpackhi_pd(r2, r3));
                        let c = 4 * half;
                        columns[c].0[part] = _mm256_permute2f128_pd::<0x20>(even_low, even_high);
                        columns[c + 1].0[part] = _mm256_permute2f128_pd::<0x20>(odd_low, odd_high);
                        columns[c + 2].0[part] =
                            _mm256_permute2f128_pd::<0x31>(even_low, even_high);
                        columns[c + 3].0[part] = _mm256_permute2f128_pd::<0x31>(odd_low, odd_high);
                    }
                }
            }
            columns
        }
    }
}
