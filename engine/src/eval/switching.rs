//! Key switching at one limb, chunk by chunk: inner products of digits with keys.

use std::ops::Range;

use crate::buffer::AlignedBuf;
use crate::kernels::{BlockPermutation, KeyProduct, kernels};
use crate::keys::SwitchingKey;
use crate::modulus::{Modulus, ShoupScalar};
use crate::params::Parameters;
use crate::poly::{CHUNK_WORDS, RnsPoly};

/// A limb of a value in the extended basis, as inner products need it.
pub(super) struct SwitchLimb<'a> {
    /// Level of the value that is switched.
    level: usize,
    /// Position of the limb, see [`Parameters::limb_index`].
    pub(super) position: usize,
    pub(super) modulus: &'a Modulus,
    /// P modulo the limb's prime: what a value has to be multiplied by to be added to an inner product.
    pub(super) special: ShoupScalar,
}

/// A chunk of an inner product.
pub(super) struct Switch<'a> {
    /// The whole limb of each digit.
    pub(super) digits: &'a [&'a [u64]],
    pub(super) key: &'a SwitchingKey,
    /// Number of the chunk that is read.
    pub(super) chunk: usize,
    /// The key and the chunk that are read next.
    pub(super) next: Option<(&'a SwitchingKey, usize)>,
    /// What the first component of the product is added to, times P.
    pub(super) c0: &'a RnsPoly,
    /// What the outputs are permuted by.
    pub(super) permutation: Option<BlockPermutation<'a>>,
}

/// The words of a chunk.
pub(super) fn words_of(chunk: usize) -> Range<usize> {
    chunk * CHUNK_WORDS..(chunk + 1) * CHUNK_WORDS
}

impl<'a> SwitchLimb<'a> {
    /// The limb at `position` of values at `level`.
    pub(super) fn new(params: &'a Parameters, level: usize, position: usize) -> Self {
        let index = params.limb_index(level, position);
        let special = params.rns().special().product(index);
        Self { level, position, modulus: params.modulus(index), special }
    }

    /// Whether the prime is a special one. P is zero modulo those, and values that are not extended have no such limb.
    pub(super) fn is_special(&self) -> bool {
        self.position > self.level
    }

    /// `P (c0, 0) + <digits, key>`, permuted: one chunk of either component. `masks` belongs to this limb, and is kept by the
    /// caller, as `chunks` is, which only saves allocations.
    pub(super) fn product<'d>(
        &self,
        switch: &Switch<'d>,
        chunks: &mut Vec<&'d [u64]>,
        masks: &mut MaskBuffer<'d>,
        [out0, out1]: [&mut [u64]; 2],
    ) {
        let range = words_of(switch.chunk);
        chunks.clear();
        chunks.extend(switch.digits.iter().map(|digit| &digit[range.clone()]));
        let key_words =
            |key: &'d SwitchingKey, chunk: usize| key.words(self.level, self.position, chunk);
        let mut product = KeyProduct {
            digits: chunks,
            key: key_words(switch.key, switch.chunk),
            masks: None,
            next_key: switch.next.map(|(key, chunk)| key_words(key, chunk)),
            add0: (!self.is_special())
                .then(|| (&switch.c0.limb(self.position)[range], self.special)),
            permutation: switch.permutation,
        };
        let stream = switch.key.masks(self.level, self.position, switch.chunk, chunks.len());
        let (Some(stream), Some(expansion)) = (stream, &kernels().expansion) else {
            return (kernels().key_product)(out0, out1, &product, self.modulus);
        };
        if masks.has(switch.key, switch.chunk) {
            product.masks = Some(&masks.words);
            (kernels().key_product)(out0, out1, &product, self.modulus);
        } else {
            let words = masks.room(switch.key, switch.chunk, chunks.len());
            (expansion.key_product)(out0, out1, &product, &stream, words, self.modulus);
        }
    }
}

/// The masks of a chunk of a key, made from its seed: once for all sources that are rotated by it.
pub(super) struct MaskBuffer<'k> {
    words: AlignedBuf,
    /// The key and the chunk that it holds.
    held: Option<(&'k SwitchingKey, usize)>,
}

impl<'k> MaskBuffer<'k> {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { words: AlignedBuf::zeroed(0), held: None }
    }

    /// Bytes that it takes for so many digits.
    pub(super) fn bytes(digits: usize) -> usize {
        digits * CHUNK_WORDS * size_of::<u64>()
    }

    /// Whether it holds the masks of this chunk.
    fn has(&self, key: &SwitchingKey, chunk: usize) -> bool {
        self.held.is_some_and(|(k, c)| std::ptr::eq(k, key) && c == chunk)
    }

    /// Room for the masks of a chunk, for so many digits, which it is said to hold from now on.
    fn room(&mut self, key: &'k SwitchingKey, chunk: usize, digits: usize) -> &mut [u64] {
        let length = digits * CHUNK_WORDS;
        if self.words.len() != length {
            self.words = AlignedBuf::scratch(length);
        }
        self.held = Some((key, chunk));
        &mut self.words
    }
}
