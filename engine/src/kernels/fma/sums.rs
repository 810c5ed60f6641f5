//! Sums of products, exact until they are reduced.
//!
//! A sum is `high + low`. `high` starts at `2^(52 + k)`, so that adding a product to it by FMA rounds
//! the product to a multiple of `2^k`; what was added is then known exactly, and a second FMA gives
//! the rest of the product, at most `2^(k-1)` in magnitude, to be added to `low`.

use super::arith::Prime;
use super::lanes::{Lanes, TWO_52};
use crate::kernels::contract::SumTerms;
use crate::modulus::Modulus;

/// A sum in every lane.
#[derive(Clone, Copy)]
pub(super) struct Sum<L> {
    high: L,
    low: L,
}

impl<L: Lanes> Sum<L> {
    /// Adds `x y`, at most `largest` (see [`Sums::new`]) and not negative.
    #[inline(always)]
    pub(super) fn add(&mut self, x: L, y: L) {
        let high = x.mul_add(y, self.high);
        let rest = x.mul_sub(y, high.sub(self.high));
        self.low = self.low.add(rest);
        self.high = high;
    }
}

/// How sums modulo one prime begin and end.
#[derive(Clone, Copy)]
pub(super) struct Sums<L> {
    pub(super) prime: Prime<L>,
    start: L,
    /// Terms that a sum can hold.
    pub(super) terms: usize,
}

/// `k`, and the largest power of two up to 4096 as the number of terms, for which sums are exact:
/// products of integers are at most `largest`, itself at most `2^52 q`.
///
/// With `largest * terms <= 2^(52 + k)`, `high` stays in `[2^(52 + k), 2^(53 + k)]`, where doubles are
/// multiples of `2^k`. Both differences in [`Sum::add`] are exact then: the first is a multiple of
/// `2^k` up to `2^(52 + k)`, the second an integer up to `2^(k-1)`; and `low` is exact while it is
/// within 2^53.
///
/// At the end, the quotient of `high - 2^(52 + k)` by q is wrong by at most 1/2, and little more than
/// twice one part in 2^53 of at most `2^(52 + k) / q`: the remainder, an integer, is below
/// `q/2 + 1.1 * 2^k`. With `low`, which starts with a residue of up to `3/4 q`, it must stay within 2^53,
/// and within `2^51 q` to be corrected: `5/4 q + 1.1 * 2^k + terms 2^(k-1) <= 2^51 min(q, 4)`.
fn capacity(largest: u128, q: u64) -> (u32, usize) {
    let bits = u128::BITS - (largest - 1).leading_zeros();
    let shift = |log_terms: u32| (bits + log_terms).saturating_sub(52);
    let fits = |log_terms: u32| {
        let (q, unit) = (u128::from(q), 1_u128 << shift(log_terms));
        q + q / 4 + unit * 9 / 8 + (unit << log_terms) / 2 + 2 <= q.min(4) << 51
    };
    // One term always fits: k is at most 50 then.
    let log_terms = (1..=12).rev().find(|&log_terms| fits(log_terms)).unwrap_or(0);
    (shift(log_terms), 1 << log_terms)
}

/// The largest product of residues below q.
pub(super) fn of_residues(q: u64) -> u128 {
    u128::from(q).pow(2)
}

/// The largest product of a digit below 2q and a word of a key below q.
pub(super) fn of_digits(q: u64) -> u128 {
    2 * u128::from(q).pow(2)
}

/// The largest product of a basis conversion, of a word below 2^52 and a constant below q.
pub(super) fn of_conversions(q: u64) -> u128 {
    u128::from(q) << 52
}

/// What sums modulo q hold.
pub(super) fn held(q: u64) -> SumTerms {
    let terms = |largest: u128| capacity(largest, q).1;
    SumTerms {
        pairs: terms(of_residues(q)),
        keys: terms(of_digits(q)),
        conversions: terms(of_conversions(q)),
        ..SumTerms::ANY
    }
}

impl<L: Lanes> Sums<L> {
    /// For products of up to `largest <= 2^52 q`.
    #[inline(always)]
    pub(super) fn new(modulus: &Modulus, largest: u128) -> Self {
        let (k, terms) = capacity(largest, modulus.value());
        let start = L::splat(TWO_52 * (1_u64 << k) as f64);
        Self { prime: Prime::new(modulus), start, terms }
    }

    /// A sum that begins with a residue of at most `3/4 q`: what another ended with, or a product.
    #[inline(always)]
    fn begin(&self, residue: L) -> Sum<L> {
        Sum { high: self.start, low: residue }
    }

    /// Sums that begin so. A loop, as closures are not compiled for the features of their caller.
    #[inline(always)]
    pub(super) fn begin_all<const U: usize>(&self, residues: [L; U]) -> [Sum<L>; U] {
        let mut sums = [self.begin(self.prime.zero()); U];
        for (sum, residue) in sums.iter_mut().zip(residues) {
            *sum = self.begin(residue);
        }
        sums
    }

    /// The sums modulo q.
    #[inline(always)]
    pub(super) fn end_all<const U: usize>(&self, sums: [Sum<L>; U]) -> [L; U] {
        let mut residues = [self.prime.zero(); U];
        for (residue, sum) in residues.iter_mut().zip(sums) {
            *residue = self.end(sum);
        }
        residues
    }

    /// The sum modulo q, at most `(q + 1)/2` in magnitude.
    #[inline(always)]
    fn end(&self, sum: Sum<L>) -> L {
        self.prime.correct(self.prime.reduce_large(sum.high.sub(self.start)).add(sum.low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_hold_what_they_say() {
        for q in [3, 786_433, (1 << 46) + 1, (1 << 47) - 1, (1 << 50) - 1_u64] {
            for largest in [of_residues(q), of_digits(q), of_conversions(q)] {
                let (k, terms) = capacity(largest, q);
                assert!(terms >= 2);
                assert!(largest * terms as u128 <= 1 << (52 + k));
                let low = 1.25 * q as f64
                    + 1.1 * f64::from(k).exp2()
                    + terms as f64 * (f64::from(k) - 1.0).exp2();
                assert!(low <= 53_f64.exp2(), "{q} {k} {terms}");
            }
        }
        // Key products of common sizes need one sum only.
        assert!(capacity(2 * ((1 << 46) + (1_u128 << 30)).pow(2), (1 << 46) + (1 << 30)).1 >= 32);
    }
}
