//! What a primitive must do at the least: transforms, products, and bytes to move.
//!
//! Counted for the textbook algorithm with the given decomposition, never for what this engine happens to do.
//! Products: those of key products, conversions between bases of several primes, and pointwise factors; each of two
//! words below 2^52, accumulated, reductions not counted. Words: operands, keys and plaintexts once each, and
//! results once; nothing for intermediate values, tables of the transform, or permutations.

use std::ops::{Add, Mul};

use engine::keys::KeyForm;
use engine::params::Parameters;

/// Amounts of work. Fractions arise where a primitive is reported for each of several parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Transforms of one limb.
    pub ntts: f64,
    /// Products of two words.
    pub products: f64,
    /// Words of 8 bytes read or written.
    pub words: f64,
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            ntts: self.ntts + other.ntts,
            products: self.products + other.products,
            words: self.words + other.words,
        }
    }
}

impl Mul<f64> for Work {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self {
            ntts: self.ntts * factor,
            products: self.products * factor,
            words: self.words * factor,
        }
    }
}

/// The numbers that work depends on.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Ring degree.
    pub n: f64,
    /// Data limbs of the operands.
    pub limbs: usize,
    /// Special limbs.
    pub special: usize,
    /// Limbs of a digit.
    pub digit_limbs: usize,
    /// Words of 8 bytes that both components of a word of a key take in memory, the mean of all limbs. That one of them
    /// may have to be made from its seed is not in the bound.
    pub key_pair: f64,
}

/// See [`Shape::key_pair`].
fn key_pair(params: &Parameters, level: usize) -> f64 {
    let limbs = level + 1 + params.special_count();
    let bits = |position| {
        KeyForm::of_prime(params.modulus(params.limb_index(level, position)).value() as f64)
            .pair_bits()
    };
    (0..limbs).map(bits).sum::<u32>() as f64 / (64 * limbs) as f64
}

impl Shape {
    /// The shape of operands at `level`.
    pub fn new(params: &Parameters, level: usize) -> Self {
        Self {
            n: params.n() as f64,
            limbs: level + 1,
            special: params.special_count(),
            digit_limbs: params.digit_limbs(),
            key_pair: key_pair(params, level),
        }
    }

    /// Transforms alone.
    pub fn ntts(&self, count: usize) -> Work {
        Work { ntts: count as f64, ..Work::default() }
    }

    /// `count` limbs multiplied by something.
    pub fn products(&self, count: usize) -> Work {
        Work { products: count as f64 * self.n, ..Work::default() }
    }

    /// `count` limbs read or written.
    pub fn traffic(&self, count: usize) -> Work {
        Work { words: count as f64 * self.n, ..Work::default() }
    }

    /// `count` ciphertexts read or written.
    pub fn ciphertexts(&self, count: usize) -> Work {
        self.traffic(2 * self.limbs * count)
    }

    /// `count` plaintexts without special limbs read or written.
    pub fn plaintexts(&self, count: usize) -> Work {
        self.traffic(self.limbs * count)
    }

    /// Decomposition of one polynomial: the inverse transform of its limbs, and each digit brought to all other limbs.
    pub fn decompose(&self) -> Work {
        let all = self.limbs + self.special;
        let mut work = self.ntts(self.limbs);
        for start in (0..self.limbs).step_by(self.digit_limbs) {
            let length = self.digit_limbs.min(self.limbs - start);
            work = work + self.ntts(all - length) + self.conversion(length, all - length);
        }
        work
    }

    /// The key's words at this level, read once.
    pub fn key(&self) -> Work {
        self.traffic(self.key_limbs()) * self.key_pair
    }

    /// Products of the digits of one polynomial with a key that is in the caches.
    pub fn key_product(&self) -> Work {
        self.products(2 * self.key_limbs())
    }

    fn key_limbs(&self) -> usize {
        self.limbs.div_ceil(self.digit_limbs) * (self.limbs + self.special)
    }

    /// Division of both polynomials of a result by the special primes, and by the last prime if it is rescaled.
    pub fn mod_down(&self, rescale: bool) -> Work {
        let last = usize::from(rescale);
        self.divide(self.special + last, self.limbs - last)
    }

    /// Division of both polynomials of a result by the last prime.
    pub fn rescale(&self) -> Work {
        self.divide(1, self.limbs - 1)
    }

    fn divide(&self, removed: usize, kept: usize) -> Work {
        (self.ntts(removed + kept) + self.conversion(removed, kept) + self.products(kept)) * 2.0
    }

    /// From `sources` limbs to `targets` limbs. One limb needs no product: it is only reduced.
    fn conversion(&self, sources: usize, targets: usize) -> Work {
        if sources > 1 { self.products(sources * targets) } else { Work::default() }
    }
}
