//! Hybrid key-switching keys.
//!
//! A key that switches from `f` to `t` holds, for each digit d, `(e_d + P g_d f - a_d t, a_d)` modulo QP, where
//! `g_d` is 1 modulo the primes of the digit and 0 modulo the other ones (Han and Ki, ePrint 2019/688). `P g_d` is then
//! P on the digit's limbs and 0 elsewhere whatever the level, so a key made for a level serves every lower one.

use std::ops::Range;

use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

use crate::buffer::{AlignedBuf, SecretScratch};
use crate::kernels::{KEY_WORDS, KeyWords, PACKED_BITS, kernels, pack, stored_words, unpack};
use crate::params::Parameters;
use crate::poly::RnsPoly;
use crate::sampling::{self, Seed, Small};

/// A key-switching key for values up to some level.
pub struct SwitchingKey {
    level: usize,
    digits: usize,
    n: usize,
    limbs: Vec<Place>,
    /// `[limb][N / 32][digit][component][32]`, or where they are packed 24 stored words for 32: an inner product reads it
    /// from front to end. With whole limbs one after the other it would read some twenty streams whose distance is a power
    /// of two, that is, from the same few sets of every cache.
    data: AlignedBuf,
    /// What the uniform halves expand from.
    seed: Seed,
}

impl SwitchingKey {
    /// Switches from `from` to `to`, both in NTT form over every limb of the parameters.
    pub(crate) fn generate(
        params: &Parameters,
        from: &RnsPoly,
        to: &RnsPoly,
        level: usize,
        rng: &mut ChaCha20Rng,
    ) -> Self {
        let seed = sampling::fresh_seed(rng);
        let ranges = params.digits(level);
        let errors: Vec<Small> =
            ranges.iter().map(|_| sampling::gaussian(rng, params.n())).collect();
        let mut key = Self::empty(params, level, seed);
        let (n, digits) = (key.n, key.digits);
        key.limbs_mut().into_par_iter().enumerate().for_each(|(position, mut limb)| {
            let index = params.limb_index(level, position);
            let modulus = params.modulus(index);
            let factor = params.rns().special().product(index);
            // `b` is an error and a multiple of the secret before it is masked.
            let (mut a, mut b) = (AlignedBuf::scratch(n), SecretScratch::new(n));
            for (d, (range, error)) in ranges.iter().zip(&errors).enumerate() {
                sampling::uniform(&mut a, &seed, mask_stream(d, index), modulus);
                error.transform(&mut b, params.table(index));
                if range.contains(&position) {
                    (kernels().mul_scalar_add)(&mut b, from.limb(index), factor, modulus);
                }
                (kernels().mul_sub)(&mut b, &a, to.limb(index), None, modulus);
                limb.write(digits, d, 0, &b);
                limb.write(digits, d, 1, &a);
            }
        });
        key
    }

    /// A key with its uniform halves expanded and zero in the others.
    pub(crate) fn with_masks(params: &Parameters, level: usize, seed: Seed) -> Self {
        let mut key = Self::empty(params, level, seed);
        let (n, digits) = (key.n, key.digits);
        key.limbs_mut().into_par_iter().enumerate().for_each(|(position, mut limb)| {
            let index = params.limb_index(level, position);
            let mut words = AlignedBuf::scratch(n);
            for d in 0..digits {
                sampling::uniform(&mut words, &seed, mask_stream(d, index), params.modulus(index));
                limb.write(digits, d, 1, &words);
            }
        });
        key
    }

    /// A key of zeros.
    fn empty(params: &Parameters, level: usize, seed: Seed) -> Self {
        let (n, digits) = (params.n(), params.digits(level).len());
        let mut end = 0;
        let place = |position| {
            let bits = params.modulus(params.limb_index(level, position)).bits();
            let packed = word_bits(bits) < u64::BITS;
            let start = end;
            end += limb_words(n, digits, packed);
            Place { words: start..end, packed }
        };
        let limbs = (0..level + 1 + params.special_count()).map(place).collect();
        Self { level, digits, n, limbs, data: AlignedBuf::zeroed(end), seed }
    }

    fn limbs_mut(&mut self) -> Vec<Limb<'_>> {
        let mut left = &mut self.data[..];
        let next = |place: &Place| {
            let (words, others) = std::mem::take(&mut left).split_at_mut(place.words.len());
            left = others;
            Limb { words, packed: place.packed }
        };
        self.limbs.iter().map(next).collect()
    }

    /// The highest level of a value this key can switch.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Number of digits.
    pub fn digits(&self) -> usize {
        self.digits
    }

    /// What the uniform halves expand from.
    pub(crate) fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.data.len() * size_of::<u64>()
    }

    /// Words `range` of every digit and component for the limb at `position` of a value at `level`, as
    /// [`KeyWords`] reads them. The range is of whole groups of [`KEY_WORDS`].
    pub(crate) fn words(&self, level: usize, position: usize, range: Range<usize>) -> KeyWords<'_> {
        let row = if position <= level { position } else { position - level + self.level };
        let Place { words, packed } = &self.limbs[row];
        let packed = *packed;
        let start = words.start + limb_words(range.start, self.digits, packed);
        let words = &self.data[start..start + limb_words(range.len(), self.digits, packed)];
        KeyWords { words, digits: self.digits, packed }
    }

    /// Copies the `b` half of a digit out; limbs are counted as stored, `b` has N words.
    pub(crate) fn body(&self, limb: usize, digit: usize, b: &mut [u64]) {
        let Place { words, packed } = self.limbs[limb].clone();
        let stored = stored_words(packed);
        let groups = self.data[words].chunks_exact(2 * self.digits * stored);
        for (b, group) in b.chunks_exact_mut(KEY_WORDS).zip(groups) {
            let group = &group[2 * digit * stored..][..stored];
            match packed {
                true => unpack(group, b),
                false => b.copy_from_slice(group),
            }
        }
    }

    /// Sets what [`Self::body`] reads.
    pub(crate) fn set_body(&mut self, limb: usize, digit: usize, b: &[u64]) {
        let digits = self.digits;
        self.limbs_mut()[limb].write(digits, digit, 0, b);
    }
}

/// Bits that each word of a key takes in memory, for a limb whose prime has `prime_bits`: 48 or 64.
pub fn word_bits(prime_bits: u32) -> u32 {
    if prime_bits <= PACKED_BITS { PACKED_BITS } else { u64::BITS }
}

/// Stored words of `words` of every digit and component of a limb.
fn limb_words(words: usize, digits: usize, packed: bool) -> usize {
    2 * digits * (words / KEY_WORDS) * stored_words(packed)
}

/// Where a limb of a key is in its data.
#[derive(Clone)]
struct Place {
    words: Range<usize>,
    /// Whether its words are packed, see [`crate::kernels::pack`].
    packed: bool,
}

/// A limb of a key.
struct Limb<'a> {
    words: &'a mut [u64],
    packed: bool,
}

impl Limb<'_> {
    /// Writes one component of one digit.
    fn write(&mut self, digits: usize, digit: usize, component: usize, words: &[u64]) {
        let stored = stored_words(self.packed);
        let groups = self.words.chunks_exact_mut(2 * digits * stored);
        for (group, words) in groups.zip(words.chunks_exact(KEY_WORDS)) {
            let group = &mut group[(2 * digit + component) * stored..][..stored];
            match self.packed {
                true => pack(words, group),
                false => group.copy_from_slice(words),
            }
        }
    }
}

/// The stream that the uniform half of a digit expands from, for limb number `index` of the parameters.
fn mask_stream(digit: usize, index: usize) -> u64 {
    (digit << 8 | index) as u64
}
