//! Arithmetic modulo one prime on integers held exactly in doubles, and sums of products.
//!
//! Residues are signed: any integer of the right class, its magnitude bounded as stated. No result is
//! ever rounded where the text says *exact*; the only rounded values are quotients, whose error shows
//! up as a slightly larger residue.

use super::lanes::{Lanes, MAGIC};
use crate::kernels::tables::doubles::centred;
use crate::modulus::{Modulus, ShoupScalar};

/// A constant factor: `value` with `|value| < q/2`, and `value / q` rounded to a double.
#[derive(Clone, Copy)]
pub(super) struct Factor<L> {
    pub(super) value: L,
    pub(super) ratio: L,
}

impl<L: Lanes> Factor<L> {
    #[inline(always)]
    pub(super) fn new(scalar: ShoupScalar, modulus: &Modulus) -> Self {
        let (value, ratio) = centred(scalar.value, modulus.value());
        Self { value: L::splat(value), ratio: L::splat(ratio) }
    }
}

/// A prime in all lanes.
#[derive(Clone, Copy)]
pub(super) struct Prime<L> {
    q: L,
    /// `1/q`, rounded.
    inverse: L,
    magic: L,
    /// q as a word.
    word: L,
}

impl<L: Lanes> Prime<L> {
    #[inline(always)]
    pub(super) fn new(modulus: &Modulus) -> Self {
        let q = modulus.value();
        Self {
            q: L::splat(q as f64),
            inverse: L::splat(1.0 / q as f64),
            magic: L::splat(MAGIC),
            word: L::splat_word(q),
        }
    }

    /// Zero, to begin with.
    #[inline(always)]
    pub(super) fn zero(&self) -> L {
        L::splat(0.0)
    }

    /// `y w` for `|y| <= 2^52`; the result is at most `q (1/2 + |y| / 2^55)`, so at most `5/8 q`.
    ///
    /// With `|w| < q/2`, the rounded ratio is off by at most 2^-55 and not above 1/2. The exact
    /// `y ratio` is then at most 2^51, and adding the magic number rounds it, once, to the integer `c`:
    /// `|c - y w / q| <= 1/2 + |y| / 2^55`. That bounds `y w - c q`, which is computed exactly: `h` is
    /// `y w < 2^101` rounded, hence an integer; `h - c q` is an integer below `5/8 q + 2^48`, and the
    /// error `y w - h` of a product is always a double.
    #[inline(always)]
    pub(super) fn mul(&self, y: L, w: Factor<L>) -> L {
        let h = y.mul(w.value);
        let c = y.mul_add(w.ratio, self.magic).sub(self.magic);
        let low = y.mul_sub(w.value, h);
        c.neg_mul_add(self.q, h).add(low)
    }

    /// `x y` for `|x y| <= q^2`; the result is below `q`, at most `q (1/2 + |x y| / (2^52 q))`.
    ///
    /// The rounded product and the rounded inverse make `h inverse` wrong by at most
    /// `(1 + 2^-54) 2^-52 |x y| / q`, below 1/4 + 2^-50 as `q < 2^50`; the rest is as in [`Self::mul`].
    #[inline(always)]
    pub(super) fn mul_general(&self, x: L, y: L) -> L {
        let h = x.mul(y);
        let c = h.mul_add(self.inverse, self.magic).sub(self.magic);
        let low = x.mul_sub(y, h);
        c.neg_mul_add(self.q, h).add(low)
    }

    /// `v` modulo q, at most `(q + 1)/2` in magnitude, for `|v| <= 2^53` and `|v| < 2^51 q`.
    ///
    /// The quotient is rounded once, but `1/q` is off by one part in 2^53: the result is at most
    /// `q/2 + |v| / 2^53 <= q/2 + 1`, and an integer while q is odd.
    #[inline(always)]
    pub(super) fn correct(&self, v: L) -> L {
        v.mul_add(self.inverse, self.magic).sub(self.magic).neg_mul_add(self.q, v)
    }

    /// `v` modulo q for integers `0 <= v <= 2^105` that are multiples of a power of two: an integer up to
    /// `q/2 + 1.1 |v| / 2^52` in magnitude, which must be below 2^53 to be exact.
    ///
    /// Rounding `1/q` and the product, the quotient is wrong by little more than `|v| / (2^52 q)`.
    #[inline(always)]
    pub(super) fn reduce_large(&self, v: L) -> L {
        v.mul(self.inverse).round().neg_mul_add(self.q, v)
    }

    /// Words in `[0, q)` from residues in `(-q, q)`.
    #[inline(always)]
    pub(super) fn lift(&self, v: L) -> L {
        v.into_signed().lift(self.word)
    }

    /// Words in `[0, q)` from residues as [`Self::correct`] takes them. As `q >= 3`, what that returns
    /// is less than q in magnitude.
    #[inline(always)]
    pub(super) fn finish(&self, v: L) -> L {
        self.lift(self.correct(v))
    }

    /// `a - q` for words `a < 2q`: in `[-q, q)`.
    #[inline(always)]
    pub(super) fn shifted(&self, words: L) -> L {
        words.with_exponent().sub(L::splat(super::lanes::TWO_52).add(self.q))
    }

    /// Words in `[0, q)` from two's complement words in `[-q, q)`.
    #[inline(always)]
    pub(super) fn lift_words(&self, words: L) -> L {
        words.lift(self.word)
    }

    /// `w - q` for words.
    #[inline(always)]
    pub(super) fn less_q(&self, words: L) -> L {
        words.sub_words(self.word)
    }
}
