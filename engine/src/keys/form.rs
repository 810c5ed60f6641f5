//! How the words of a limb of a key are stored.

use std::ops::Range;

use crate::kernels::{KEY_WORDS, PACKED_BITS, kernels, stored_bits, stored_words};
use crate::modulus::Modulus;
use crate::sampling::size_drawn_by_chunk;

/// How the words of a limb of a key are stored, on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Whether words are packed, see [`crate::kernels::pack`].
    pub packed: bool,
    /// Components stored: two, or one where masks are made anew for every product.
    pub components: usize,
}

impl Form {
    /// The form of a limb modulo this prime.
    pub fn of(modulus: &Modulus) -> Self {
        let KeyForm { word_bits, components } = KeyForm::of_prime(modulus.value() as f64);
        Self { packed: word_bits == PACKED_BITS, components: components as usize }
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

/// What a key takes in memory and to read on this machine, for a limb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyForm {
    /// Bits stored of each word of one component: [`Self::PACKED_BITS`] or 64.
    pub word_bits: u32,
    /// Components stored: two, or one where the other, uniform, is made from its seed for every product.
    pub components: u32,
}

impl KeyForm {
    /// Bits stored of a packed word: where these suffice.
    pub const PACKED_BITS: u32 = PACKED_BITS;

    /// Of a prime of this size; a power of two stands for one just below, as parameters choose them where there are enough.
    pub fn of_prime(size: f64) -> Self {
        let expanded = kernels().expansion.is_some() && size_drawn_by_chunk(size);
        let components = if expanded { 1 } else { 2 };
        Self { word_bits: stored_bits(size.log2().ceil() as u32), components }
    }

    /// Bits stored of both components of a word.
    pub fn pair_bits(self) -> u32 {
        self.word_bits * self.components
    }
}
