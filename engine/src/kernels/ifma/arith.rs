//! Arithmetic on vectors of eight words modulo one prime.

use std::arch::x86_64::*;

use crate::kernels::shape::require_blocks;
use crate::modulus::{Modulus, ShoupScalar};

/// Eight 64-bit words.
pub(super) type V = __m512i;

/// The low 52 bits of a word.
const MASK: u64 = (1 << 52) - 1;

/// Loads eight words.
///
/// # Safety
/// `from` must be readable for eight words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) unsafe fn load(from: *const u64) -> V {
    // SAFETY: promised by the caller; no alignment is needed.
    unsafe { _mm512_loadu_si512(from.cast()) }
}

/// Stores eight words.
///
/// # Safety
/// `to` must be writable for eight words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) unsafe fn store(to: *mut u64, words: V) {
    // SAFETY: promised by the caller; no alignment is needed.
    unsafe { _mm512_storeu_si512(to.cast(), words) }
}

/// Loads a block of eight words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn load_block(words: &[u64; 8]) -> V {
    // SAFETY: the array has eight words.
    unsafe { load(words.as_ptr()) }
}

/// Stores a block of eight words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn store_block(to: &mut [u64; 8], words: V) {
    // SAFETY: the array has eight words.
    unsafe { store(to.as_mut_ptr(), words) }
}

/// For eight lanes, where six bytes of each are, one lane's after the other's from byte `first` on: of eight bytes, the last two
/// are to be masked.
pub(super) const fn six_bytes(first: u8) -> [u8; 64] {
    let mut bytes = [0; 64];
    let mut k = 0;
    while k < 64 {
        bytes[k] = first + (k / 8 * 6 + k % 8 % 6) as u8;
        k += 1;
    }
    bytes
}

/// The words as blocks of eight. Panics if some are left over.
#[inline]
pub(super) fn blocks(words: &[u64]) -> &[[u64; 8]] {
    require_blocks(words.len());
    words.as_chunks().0
}

/// The words as blocks of eight. Panics if some are left over.
#[inline]
pub(super) fn blocks_mut(words: &mut [u64]) -> &mut [[u64; 8]] {
    require_blocks(words.len());
    words.as_chunks_mut().0
}

/// One word in all lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn splat(word: u64) -> V {
    _mm512_set1_epi64(word.cast_signed())
}

/// A constant factor in all lanes, with its quotient.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    pub(super) value: V,
    pub(super) quotient: V,
}

impl Factor {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn new(scalar: ShoupScalar) -> Self {
        Self { value: splat(scalar.value), quotient: splat(scalar.quotient) }
    }
}

/// A prime in all lanes.
#[derive(Clone, Copy)]
pub(super) struct Prime {
    pub(super) q: V,
    pub(super) two_q: V,
    /// `2^52 - q`: multiplying by it subtracts a multiple of q, modulo 2^52.
    pub(super) minus_q: V,
    pub(super) mask: V,
}

impl Prime {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn new(modulus: &Modulus) -> Self {
        let q = modulus.value();
        Self { q: splat(q), two_q: splat(2 * q), minus_q: splat((1 << 52) - q), mask: splat(MASK) }
    }

    /// `[0, 2q) -> [0, q)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn correct(&self, x: V) -> V {
        // If x is less, the difference wraps to a huge word.
        _mm512_min_epu64(_mm512_sub_epi64(x, self.q), x)
    }

    /// `[0, 4q) -> [0, 2q)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn correct_twice(&self, x: V) -> V {
        _mm512_min_epu64(_mm512_sub_epi64(x, self.two_q), x)
    }

    /// The factors that have these quotients; none is 0.
    ///
    /// The quotient of `0 < w < q` is `(w * 2^52 - r) / q` with `0 < r < q`, as q divides neither w nor 2^52. So
    /// `quotient * q / 2^52 = w - r / 2^52` is below `w` by less than 1.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn factor(&self, quotient: V) -> Factor {
        Factor { value: _mm512_madd52hi_epu64(splat(1), quotient, self.q), quotient }
    }

    /// `start + x * w` modulo q, right modulo 2^52 only; what is added to `start` is in `[0, 2q)`.
    /// `x` is taken modulo 2^52.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn add_product(&self, start: V, x: V, w: Factor) -> V {
        let t = _mm512_madd52hi_epu64(_mm512_setzero_si512(), x, w.quotient);
        let sum = _mm512_madd52lo_epu64(start, x, w.value);
        _mm512_madd52lo_epu64(sum, t, self.minus_q)
    }

    /// `x * w` in `[0, 2q)`, `x` taken modulo 2^52.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn mul_lazy(&self, x: V, w: Factor) -> V {
        _mm512_and_si512(self.add_product(_mm512_setzero_si512(), x, w), self.mask)
    }

    /// `x * w` in `[0, q)`, `x` taken modulo 2^52.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn mul(&self, x: V, w: Factor) -> V {
        self.correct(self.mul_lazy(x, w))
    }

    /// `x mod q` in `[0, 2q)`, right modulo 2^52 only; `x` is taken modulo 2^52, and
    /// `one_quotient = floor(2^52 / q)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn reduce_unmasked(&self, x: V, one_quotient: V) -> V {
        let t = _mm512_madd52hi_epu64(_mm512_setzero_si512(), x, one_quotient);
        _mm512_madd52lo_epu64(x, t, self.minus_q)
    }

    /// `x mod q` in `[0, q)`, `x` taken modulo 2^52.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn reduce(&self, x: V, one_quotient: V) -> V {
        self.correct(_mm512_and_si512(self.reduce_unmasked(x, one_quotient), self.mask))
    }
}

/// A sum of products in every lane: `high * 2^52 + low`.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub(super) low: V,
    pub(super) high: V,
}

impl Sum {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn zero() -> Self {
        Self { low: _mm512_setzero_si512(), high: _mm512_setzero_si512() }
    }

    /// Adds `x * y`, both below 2^52.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn add(&mut self, x: V, y: V) {
        self.low = _mm512_madd52lo_epu64(self.low, x, y);
        self.high = _mm512_madd52hi_epu64(self.high, x, y);
    }
}

/// Reduction of sums of products.
#[derive(Clone, Copy)]
pub(super) struct SumReducer {
    prime: Prime,
    one_quotient: V,
    radix: Factor,
    overflow: V,
}

impl SumReducer {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn new(modulus: &Modulus) -> Self {
        Self {
            prime: Prime::new(modulus),
            one_quotient: splat(modulus.one().quotient),
            radix: Factor::new(modulus.radix()),
            overflow: splat(modulus.overflow()),
        }
    }

    /// The sum modulo q in `[0, q)`.
    ///
    /// Without `WIDE` the whole sum must be below 2^104. With `WIDE`, any `low < 2^63` and any `high`
    /// below 2^63 will do: what lies above bit 48 of `high`, below 2^15, times `2^100 mod q` goes back
    /// into both halves first, and leaves `high` below `2^48 + 2^14`.
    ///
    /// With `high < 2^52` then, `t = hi(high * radix') + hi(low * 1')` falls short of
    /// `(high * radix + low) / q` by less than 4: each product by one for its rounded quotient and
    /// one for its own rounding. So the result before correction is in `[0, 4q)`, below 2^52, and
    /// computing modulo 2^52 is exact.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    pub(super) fn reduce<const WIDE: bool>(&self, sum: Sum) -> V {
        let Sum { mut low, mut high } = sum;
        if WIDE {
            let top = _mm512_srli_epi64::<48>(high);
            high = _mm512_and_si512(high, splat((1 << 48) - 1));
            low = _mm512_madd52lo_epu64(low, top, self.overflow);
            high = _mm512_madd52hi_epu64(high, top, self.overflow);
        }
        high = _mm512_add_epi64(high, _mm512_srli_epi64::<52>(low));
        let t = _mm512_madd52hi_epu64(_mm512_setzero_si512(), high, self.radix.quotient);
        let t = _mm512_madd52hi_epu64(t, low, self.one_quotient);
        let r = _mm512_madd52lo_epu64(low, high, self.radix.value);
        let r = _mm512_madd52lo_epu64(r, t, self.prime.minus_q);
        let r = _mm512_and_si512(r, self.prime.mask);
        self.prime.correct(self.prime.correct_twice(r))
    }
}

/// Whether sums of `terms` products, each below `2^product_bits`, may reach 2^104.
pub(super) fn is_wide(terms: usize, product_bits: u32) -> bool {
    product_bits + usize::BITS - terms.leading_zeros() > 104
}

/// Products that a [`Sum`] can hold beside one word: low halves are below 2^52 each, their sum below 2^63.
pub(super) const MAX_TERMS: usize = 2046;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::run_or_skip;
    use crate::modulus::MAX_BITS;
    use crate::modulus::primes::ntt_primes;

    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn factors(modulus: &Modulus, quotients: &[u64; 8]) -> [u64; 8] {
        let mut values = [0; 8];
        store_block(&mut values, Prime::new(modulus).factor(load_block(quotients)).value);
        values
    }

    #[test]
    fn quotients_tell_their_factors() {
        run_or_skip("quotients_tell_their_factors", "avx512ifma", |_| {
            let near = [20, 40, 46, MAX_BITS].map(|bits| ntt_primes(bits, 8, 4, &[]).unwrap());
            let primes = near.into_iter().flatten().filter(|&q| q < 1 << MAX_BITS);
            for q in primes.chain([3, 5, 7, (1 << MAX_BITS) - 27]) {
                let modulus = Modulus::new(q).unwrap();
                let values = [1, 2, q / 3, q / 2, q / 2 + 1, q - 2, q - 1, 0x1234_5678_9abc % q]
                    .map(|value: u64| value.max(1));
                let quotients = values.map(|value| modulus.shoup(value).quotient);
                // SAFETY: these kernels are there.
                assert_eq!(unsafe { factors(&modulus, &quotients) }, values, "{q}");
            }
        });
    }
}
