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
    use super::{LANES, Lanes, from_fn};
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
            let r = rows.map(|row| row.0);
            // SAFETY: see above.
            unsafe {
                // Pairs of rows: even columns, then odd ones, one column per 128 bits.
                let even: [_; 4] = from_fn(|i| _mm512_unpacklo_pd(r[2 * i], r[2 * i + 1]));
                let odd: [_; 4] = from_fn(|i| _mm512_unpackhi_pd(r[2 * i], r[2 * i + 1]));
                let [c0, c2, c4, c6] = quarters(even);
                let [c1, c3, c5, c7] = quarters(odd);
                [c0, c1, c2, c3, c4, c5, c6, c7].map(Self)
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
            Self(from_fn(|_| unsafe { _mm256_set1_pd(value) }))
        }

        #[inline(always)]
        fn load(from: &[f64; LANES]) -> Self {
            // SAFETY: see above.
            Self(from_fn(|i| unsafe { _mm256_loadu_pd(from[4 * i..].as_ptr()) }))
        }

        #[inline(always)]
        fn store(self, to: &mut [f64; LANES]) {
            // SAFETY: see above.
            (0..2).for_each(|i| unsafe { _mm256_storeu_pd(to[4 * i..].as_mut_ptr(), self.0[i]) });
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(from_fn(|i| unsafe { _mm256_add_pd(self.0[i], other.0[i]) }))
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(from_fn(|i| unsafe { _mm256_sub_pd(self.0[i], other.0[i]) }))
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(from_fn(|i| unsafe { _mm256_mul_pd(self.0[i], other.0[i]) }))
        }

        #[inline(always)]
        fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
            // SAFETY: see above.
            let block = |row: usize, half: usize| unsafe {
                let r: [__m256d; 4] = from_fn(|i| rows[row + i].0[half]);
                let (even_low, odd_low) =
                    (_mm256_unpacklo_pd(r[0], r[1]), _mm256_unpackhi_pd(r[0], r[1]));
                let (even_high, odd_high) =
                    (_mm256_unpacklo_pd(r[2], r[3]), _mm256_unpackhi_pd(r[2], r[3]));
                [
                    _mm256_permute2f128_pd::<0x20>(even_low, even_high),
                    _mm256_permute2f128_pd::<0x20>(odd_low, odd_high),
                    _mm256_permute2f128_pd::<0x31>(even_low, even_high),
                    _mm256_permute2f128_pd::<0x31>(odd_low, odd_high),
                ]
            };
            let blocks = [[block(0, 0), block(0, 1)], [block(4, 0), block(4, 1)]];
            from_fn(|column| Self(from_fn(|half| blocks[half][column / 4][column % 4])))
        }
    }
}
