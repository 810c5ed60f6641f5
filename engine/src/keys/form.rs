//! How the words of a limb of a key are stored.

use std::ops::Range;

use crate::kernels::{KEY_WORDS, PACKED_BITS, kernels, stored_bits, stored_words};
use crate::modulus::Modulus;
use crate::sampling::drawn_by_chunk;

/// How the words of a limb of a key are stored, on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    /// Whether words are packed, see [`crate::kernels::pack`].
    pub packed: bool,
    /// Components stored: two, or one where masks are made anew for every product.
    pub components: usize,
}

impl Form {
    /// The form of a limb modulo this prime.
    pub fn of(modulus: &Modulus) -> Self {
        let expanded = kernels().expansion.is_some() && drawn_by_chunk(modulus);
        Self {
            packed: stored_bits(modulus.bits()) == PACKED_BITS,
            components: if expanded { 1 } else { 2 },
        }
    }

    /// Stored words of `words` words of every digit.
    pub fn words(self, words: usize, digits: usize) -> usize {
        self.components * digits * (words / KEY_WORDS) * stored_words(self.packed)
    }
}

/// Where a limb of a key is in its data.
#[derive(Clone)]
pub(super) struct Place {
    pub words: Range<usize>,
    pub form: Form,
}

/// What a key takes in memory and to read on this machine, for a limb whose prime is just below `2^prime_bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyForm {
    /// Bits stored of each word of one component: 48 or 64.
    pub word_bits: u32,
    /// Components stored: two, or one where the other, uniform, is made from its seed for every product.
    pub components: u32,
}

impl KeyForm {
    /// Of primes as parameters choose them, of so many bits.
    pub fn of_bits(prime_bits: u32) -> Self {
        let components = if kernels().expansion.is_some() { 1 } else { 2 };
        Self { word_bits: stored_bits(prime_bits), components }
    }

    /// Bits stored of both components of a word.
    pub fn pair_bits(self) -> u32 {
        self.word_bits * self.components
    }
}
