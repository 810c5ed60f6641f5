//! Prime moduli of at most 50 bits, with the constants of fast reduction.
//!
//! All precomputed quotients use the radix 2^52: that is what 52-bit multiply-add instructions give
//! for free, and the other instruction sets lose nothing by sharing the tables.

pub mod primes;

use crate::{Error, Result};

/// Bits of the radix of all precomputed quotients.
pub const RADIX_BITS: u32 = 52;
/// Moduli are below 2 to this power.
pub const MAX_BITS: u32 = 50;

/// A constant multiplicand `value < q` with `quotient = floor(value * 2^52 / q)`, after Shoup.
///
/// For any `x < 2^52`, `t = floor(x * quotient / 2^52)` makes `x * value - t * q` lie in `[0, 2q)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShoupScalar {
    /// The multiplicand, in `[0, q)`.
    pub value: u64,
    /// `floor(value * 2^52 / q)`.
    pub quotient: u64,
}

/// An odd prime modulus `q < 2^50`.
///
/// Primality is the caller's promise here ([`crate::ntt::NttTable::new`] checks it); only [`Self::inv`]
/// depends on it, and answers `None` where no inverse exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modulus {
    value: u64,
    bits: u32,
    /// `floor(2^128 / q)`: Barrett's constant for any 128-bit dividend.
    reciprocal: u128,
    /// `floor(2^(51 + bits) / q)`, below 2^52: Barrett's constant for one product in vector code.
    product_quotient: u64,
    /// 1 as a Shoup scalar: reduces a 52-bit word.
    one: ShoupScalar,
    /// `2^52 mod q`: folds the high half of a 104-bit sum.
    radix: ShoupScalar,
    /// `2^100 mod q`: folds what lies above bit 48 of the high half.
    overflow: u64,
    /// `-1/q` modulo 2^52: Montgomery's constant.
    negative_inverse: u64,
}

impl Modulus {
    /// The modulus `q`, an odd prime below 2^50.
    ///
    /// # Errors
    /// [`Error::Argument`] if `q` is even, below 3 or not below 2^50.
    pub fn new(q: u64) -> Result<Self> {
        if q < 3 || q.is_multiple_of(2) || q >> MAX_BITS != 0 {
            return Err(Error::argument("modulus", q, "an odd prime below 2^50"));
        }
        let bits = u64::BITS - q.leading_zeros();
        let mut modulus = Self {
            value: q,
            bits,
            reciprocal: u128::MAX / u128::from(q),
            // q > 2^(bits-1) as q is odd and above 1, so the quotient is below 2^52.
            product_quotient: ((1_u128 << (RADIX_BITS - 1 + bits)) / u128::from(q)) as u64,
            one: ShoupScalar::default(),
            radix: ShoupScalar::default(),
            overflow: 0,
            negative_inverse: 0,
        };
        modulus.one = modulus.shoup(1);
        modulus.radix = modulus.shoup(modulus.reduce_u128(1 << RADIX_BITS));
        modulus.overflow = modulus.reduce_u128(1 << 100);
        // Newton's iteration doubles the low bits that are right; q is its own inverse modulo 8.
        let inverse = (0..5).fold(q, |x, _| x.wrapping_mul(2_u64.wrapping_sub(q.wrapping_mul(x))));
        let mask = (1 << RADIX_BITS) - 1;
        modulus.negative_inverse = inverse.wrapping_neg() & mask;
        Ok(modulus)
    }

    /// The prime itself.
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// Bits of the prime: `2^(bits-1) < q < 2^bits`.
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// `floor(2^(51 + bits) / q)`, for the reduction of one product in vector code.
    pub(crate) const fn product_quotient(&self) -> u64 {
        self.product_quotient
    }

    /// 1 with `floor(2^52 / q)`.
    pub(crate) const fn one(&self) -> ShoupScalar {
        self.one
    }

    /// `2^52 mod q`.
    pub(crate) const fn radix(&self) -> ShoupScalar {
        self.radix
    }

    /// `2^100 mod q`.
    pub(crate) const fn overflow(&self) -> u64 {
        self.overflow
    }

    /// `-1/q` modulo 2^52.
    pub(crate) const fn negative_inverse(&self) -> u64 {
        self.negative_inverse
    }

    /// `a + b mod q` for `a, b` in `[0, q)`.
    #[inline]
    pub const fn add(&self, a: u64, b: u64) -> u64 {
        correct(a + b, self.value)
    }

    /// `a - b mod q` for `a, b` in `[0, q)`.
    #[inline]
    pub const fn sub(&self, a: u64, b: u64) -> u64 {
        correct(a + self.value - b, self.value)
    }

    /// `-a mod q` for `a` in `[0, q)`.
    #[inline]
    pub const fn neg(&self, a: u64) -> u64 {
        correct(self.value - a, self.value)
    }

    /// `a * b mod q` for any words.
    #[inline]
    pub const fn mul(&self, a: u64, b: u64) -> u64 {
        self.reduce_u128(a as u128 * b as u128)
    }

    /// `base^exponent mod q` for any word `base`.
    pub const fn pow(&self, base: u64, mut exponent: u64) -> u64 {
        let mut square = self.reduce_u128(base as u128);
        let mut power = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = self.mul(power, square);
            }
            square = self.mul(square, square);
            exponent >>= 1;
        }
        power
    }

    /// The inverse of `a` modulo q by Euclid's algorithm, `None` if there is none.
    pub fn inv(&self, a: u64) -> Option<u64> {
        let (mut r0, mut r1) = (i128::from(self.value), i128::from(self.reduce_u128(a.into())));
        let (mut t0, mut t1) = (0_i128, 1_i128);
        while r1 != 0 {
            let quotient = r0 / r1;
            (r0, r1) = (r1, r0 - quotient * r1);
            (t0, t1) = (t1, t0 - quotient * t1);
        }
        (r0 == 1).then(|| self.reduce_i128(t0))
    }

    /// `x mod q`.
    #[inline]
    pub const fn reduce_u128(&self, x: u128) -> u64 {
        self.div_rem(x).1
    }

    /// `x mod q` in `[0, q)` for a signed `x`.
    #[inline]
    pub const fn reduce_i64(&self, x: i64) -> u64 {
        self.reduce_i128(x as i128)
    }

    /// `x mod q` in `[0, q)` for a signed `x`.
    #[inline]
    pub const fn reduce_i128(&self, x: i128) -> u64 {
        let residue = self.reduce_u128(x.unsigned_abs());
        if x < 0 { self.neg(residue) } else { residue }
    }

    /// `w` in `[0, q)` prepared as a constant multiplicand.
    pub const fn shoup(&self, w: u64) -> ShoupScalar {
        ShoupScalar { value: w, quotient: self.div_rem((w as u128) << RADIX_BITS).0 }
    }

    /// `x * w mod q`, in `[0, 2q)`, for `x < 2^52`.
    #[inline]
    pub const fn mul_shoup_lazy(&self, x: u64, w: ShoupScalar) -> u64 {
        let t = ((x as u128 * w.quotient as u128) >> RADIX_BITS) as u64;
        // Below 2q < 2^51, so computing modulo 2^64 is exact.
        x.wrapping_mul(w.value).wrapping_sub(t.wrapping_mul(self.value))
    }

    /// `x * w mod q`, in `[0, q)`, for `x < 2^52`.
    #[inline]
    pub const fn mul_shoup(&self, x: u64, w: ShoupScalar) -> u64 {
        correct(self.mul_shoup_lazy(x, w), self.value)
    }

    /// The low word of `floor(x / q)`, and `x mod q`.
    ///
    /// The reciprocal errs by less than 1 in 2^128 units, so the estimate `t` of the quotient is
    /// exact or one too small, and one correction suffices for any `x`.
    #[inline]
    const fn div_rem(&self, x: u128) -> (u64, u64) {
        const LOW: u128 = u64::MAX as u128;
        let (xh, xl) = (x >> 64, x & LOW);
        let (mh, ml) = (self.reciprocal >> 64, self.reciprocal & LOW);
        let (a, b) = (xl * mh, xh * ml);
        let carry = (((xl * ml) >> 64) + (a & LOW) + (b & LOW)) >> 64;
        let t = (xh * mh).wrapping_add((a >> 64) + (b >> 64) + carry) as u64;
        let r = (x as u64).wrapping_sub(t.wrapping_mul(self.value));
        if r >= self.value { (t.wrapping_add(1), r - self.value) } else { (t, r) }
    }
}

/// `x` or `x - bound`, whichever is in `[0, bound)`, for `x < 2 * bound`; without a branch.
#[inline]
pub(crate) const fn correct(x: u64, bound: u64) -> u64 {
    let less = x.wrapping_sub(bound);
    if x < bound { x } else { less }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRIMES: [u64; 6] =
        [3, 97, 1_032_193, 70_368_743_587_841, 70_368_744_570_881, (1 << 50) - 27];

    fn modulus() -> impl Strategy<Value = Modulus> {
        prop_oneof![
            prop::sample::select(&PRIMES[..]).prop_map(|q| Modulus::new(q).unwrap()),
            (1_u64..1 << 49).prop_map(|x| Modulus::new(2 * x + 1).unwrap()),
        ]
    }

    #[test]
    fn refuses_what_it_cannot_handle() {
        for q in [0, 1, 2, 4, 1 << 50, (1 << 50) + 1, u64::MAX] {
            assert!(Modulus::new(q).is_err());
        }
        assert_eq!(Modulus::new((1 << 50) - 27).unwrap().bits(), 50);
        assert_eq!(Modulus::new(9).unwrap().inv(3), None);
    }

    #[test]
    fn reduction_at_the_edges() {
        for q in PRIMES {
            let m = Modulus::new(q).unwrap();
            for base in [
                0,
                u128::from(q),
                u128::from(q) << 64,
                u128::from(q - 1).pow(2),
                1 << 104,
                u128::MAX,
            ] {
                for x in [base.wrapping_sub(1), base, base.wrapping_add(1)] {
                    assert_eq!(u128::from(m.reduce_u128(x)), x % u128::from(q));
                }
            }
            assert_eq!(m.reduce_i64(i64::MIN), (i128::from(i64::MIN)).rem_euclid(q.into()) as u64);
            assert_eq!(m.neg(0), 0);
        }
    }

    proptest! {
        #[test]
        fn ring_operations(m in modulus(), a: u64, b: u64) {
            let q = u128::from(m.value());
            prop_assert_eq!(u128::from(m.mul(a, b)), u128::from(a) * u128::from(b) % q);
            let (a, b) = (a % m.value(), b % m.value());
            let (wide_a, wide_b) = (u128::from(a), u128::from(b));
            prop_assert_eq!(u128::from(m.add(a, b)), (wide_a + wide_b) % q);
            prop_assert_eq!(u128::from(m.sub(a, b)), (wide_a + q - wide_b) % q);
            prop_assert_eq!(m.add(a, m.neg(a)), 0);
            prop_assert!(m.neg(a) < m.value());
        }

        #[test]
        fn wide_reduction(m in modulus(), high: u64, low: u64, x: i64) {
            let wide = u128::from(high) << 64 | u128::from(low);
            prop_assert_eq!(u128::from(m.reduce_u128(wide)), wide % u128::from(m.value()));
            let q = i128::from(m.value());
            prop_assert_eq!(i128::from(m.reduce_i64(x)), i128::from(x).rem_euclid(q));
            prop_assert_eq!(i128::from(m.reduce_i128(wide as i128)), (wide as i128).rem_euclid(q));
        }

        #[test]
        fn shoup_products(m in modulus(), w: u64, x in 0_u64..1 << 52) {
            let scalar = m.shoup(w % m.value());
            prop_assert_eq!(u128::from(scalar.quotient), (u128::from(scalar.value) << 52) / u128::from(m.value()));
            prop_assert!(m.mul_shoup_lazy(x, scalar) < 2 * m.value());
            prop_assert_eq!(m.mul_shoup(x, scalar), m.mul(x, scalar.value));
        }

        #[test]
        fn inverses_and_powers(q in prop::sample::select(&PRIMES[..]), a: u64) {
            let m = Modulus::new(q).unwrap();
            match m.inv(a) {
                Some(inverse) => {
                    prop_assert!(inverse < q);
                    prop_assert_eq!(m.mul(a, inverse), 1);
                    prop_assert_eq!(m.pow(a, q - 2), inverse);
                }
                None => prop_assert_eq!(a % q, 0),
            }
            prop_assert_eq!(m.pow(a, 3), m.mul(m.mul(a, a), a));
        }
    }
}
