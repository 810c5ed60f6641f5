//! Hybrid key-switching keys.
//!
//! A key that switches from `f` to `t` holds, for each digit d, `(e_d + P g_d f - a_d t, a_d)` modulo QP, where
//! `g_d` is 1 modulo the primes of the digit and 0 modulo the other ones (Han and Ki, ePrint 2019/688). `P g_d` is then
//! P on the digit's limbs and 0 elsewhere whatever the level, so a key made for a level serves every lower one.

use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

use super::form::{Form, Place};
use crate::buffer::{AlignedBuf, SecretScratch};
use crate::kernels::{KeyWords, MaskStream, RoundKeys, kernels, pack, unpack};
use crate::modulus::Modulus;
use crate::params::Parameters;
use crate::poly::{CHUNK_WORDS, RnsPoly};
use crate::sampling::{self, MaskPlace, Masks, Seed, Small};

/// A key-switching key for values up to some level.
pub struct SwitchingKey {
    level: usize,
    digits: usize,
    n: usize,
    limbs: Vec<Place>,
    /// `[limb][chunk][digit][component][512]`, or where they are packed 384 stored words for 512, and where masks are made anew
    /// for every product only the first component: an inner product reads the chunks one after the other, of each the digits
    /// that the value has.
    data: AlignedBuf,
    /// What the uniform halves, the masks, expand from.
    seed: Seed,
    /// The numbers that their streams have, `[limb][chunk][digit]`; see [`Masks`].
    numbers: Vec<u64>,
    /// What kernels make masks from, where they do.
    round_keys: Option<RoundKeys>,
}

impl SwitchingKey {
    /// Memory for keys of these levels, in one block.
    pub(crate) fn room(
        params: &Parameters,
        levels: impl Iterator<Item = usize>,
    ) -> Vec<AlignedBuf> {
        let words = |level| end(&places(params, level));
        AlignedBuf::side_by_side(&levels.map(words).collect::<Vec<_>>())
    }

    /// Switches from `from` to `to`, both in NTT form over every limb of the parameters. `data` is what [`Self::room`] has for a
    /// key of this level.
    pub(crate) fn generate(
        params: &Parameters,
        from: &RnsPoly,
        to: &RnsPoly,
        level: usize,
        data: AlignedBuf,
        rng: &mut ChaCha20Rng,
    ) -> Self {
        let seed = sampling::fresh_seed(rng);
        let ranges = params.digits(level);
        let errors: Vec<Small> =
            ranges.iter().map(|_| sampling::gaussian(rng, params.n())).collect();
        let n = params.n();
        Self::build(params, level, seed, data, |limb, a, d| {
            let Limb { position, index, modulus, .. } = *limb;
            let factor = params.rns().special().product(index);
            // `b` is an error and a multiple of the secret before it is masked.
            let mut b = SecretScratch::new(n);
            errors[d].transform(&mut b, params.table(index));
            if ranges[d].contains(&position) {
                (kernels().mul_scalar_add)(&mut b, from.limb(index), factor, modulus);
            }
            (kernels().mul_sub)(&mut b, a, to.limb(index), None, modulus);
            limb.write(d, 0, &b);
        })
    }

    /// A key with its masks and zero in the other halves.
    pub(crate) fn with_masks(params: &Parameters, level: usize, seed: Seed) -> Self {
        let data = AlignedBuf::zeroed(end(&places(params, level)));
        Self::build(params, level, seed, data, |_, _, _| {})
    }

    /// A key of the masks of a seed; `body` is told the mask of each digit of a limb, to write what belongs to it.
    fn build(
        params: &Parameters,
        level: usize,
        seed: Seed,
        data: AlignedBuf,
        body: impl Fn(&mut Limb<'_>, &[u64], usize) + Sync,
    ) -> Self {
        let mut key = Self::empty(params, level, seed, data);
        let (n, digits, masks) = (key.n, key.digits, Masks::new(&seed));
        key.limbs_mut(params).into_par_iter().for_each(|mut limb| {
            let mut a = AlignedBuf::scratch(n);
            for d in 0..digits {
                if sampling::drawn_by_chunk(limb.modulus) {
                    let chunks = a.as_chunks_mut::<CHUNK_WORDS>().0.iter_mut().enumerate();
                    for (chunk, a) in chunks {
                        let place = MaskPlace { digit: d, limb: limb.index, chunk };
                        let number = masks.draw(a, place, limb.modulus);
                        limb.numbers[chunk * digits + d] = number;
                    }
                } else {
                    sampling::uniform(&mut a, &seed, mask_stream(d, limb.index), limb.modulus);
                }
                body(&mut limb, &a, d);
                if limb.form.components == 2 {
                    limb.write(d, 1, &a);
                }
            }
        });
        key
    }

    /// A key of what is in `data`.
    fn empty(params: &Parameters, level: usize, seed: Seed, data: AlignedBuf) -> Self {
        let (n, digits) = (params.n(), params.digits(level).len());
        let limbs = places(params, level);
        assert_eq!(data.len(), end(&limbs), "words of a key");
        let numbers = vec![0; limbs.len() * n / CHUNK_WORDS * digits];
        let expansion = kernels().expansion.as_ref();
        let round_keys = expansion.map(|e| (e.round_keys)(&sampling::cipher_key(&seed)));
        Self { level, digits, n, limbs, data, seed, numbers, round_keys }
    }

    /// The limbs, to be written.
    fn limbs_mut<'a>(&'a mut self, params: &'a Parameters) -> Vec<Limb<'a>> {
        let (level, digits, numbers) =
            (self.level, self.digits, self.n / CHUNK_WORDS * self.digits);
        let mut left = &mut self.data[..];
        let limbs = self.limbs.iter().zip(self.numbers.chunks_exact_mut(numbers)).enumerate();
        limbs
            .map(|(position, (place, numbers))| {
                let (words, others) = std::mem::take(&mut left).split_at_mut(place.words.len());
                left = others;
                let index = params.limb_index(level, position);
                let modulus = params.modulus(index);
                Limb { position, index, modulus, words, numbers, digits, form: place.form }
            })
            .collect()
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
        (self.data.len() + self.numbers.len()) * size_of::<u64>()
    }

    /// The row of the limb at `position` of a value at `level`.
    fn row(&self, level: usize, position: usize) -> usize {
        if position <= level { position } else { position - level + self.level }
    }

    /// Words of a chunk, of every digit and the components that are stored, for the limb at `position` of a value at `level`.
    pub(crate) fn words(&self, level: usize, position: usize, chunk: usize) -> KeyWords<'_> {
        let Place { words, form } = &self.limbs[self.row(level, position)];
        let length = form.words(CHUNK_WORDS, self.digits);
        let words = &self.data[words.start + chunk * length..][..length];
        let Form { packed, components } = *form;
        KeyWords { words, digits: self.digits, components, packed }
    }

    /// What the masks of a chunk are made from, for the first `digits` digits, if they are not among its words.
    pub(crate) fn masks(
        &self,
        level: usize,
        position: usize,
        chunk: usize,
        digits: usize,
    ) -> Option<MaskStream<'_>> {
        let row = self.row(level, position);
        let round_keys =
            self.round_keys.as_ref().filter(|_| self.limbs[row].form.components == 1)?;
        let first = (row * (self.n / CHUNK_WORDS) + chunk) * self.digits;
        Some(MaskStream { round_keys, numbers: &self.numbers[first..][..digits] })
    }

    /// Copies the `b` half of a digit out; limbs are counted as stored, `b` has N words.
    pub(crate) fn body(&self, limb: usize, digit: usize, b: &mut [u64]) {
        let Place { words, form } = self.limbs[limb].clone();
        let length = form.words(CHUNK_WORDS, self.digits);
        let stored = length / (form.components * self.digits);
        let chunks = self.data[words].chunks_exact(length);
        for (b, chunk) in b.chunks_exact_mut(CHUNK_WORDS).zip(chunks) {
            let chunk = &chunk[form.components * digit * stored..][..stored];
            match form.packed {
                true => unpack(chunk, b),
                false => b.copy_from_slice(chunk),
            }
        }
    }

    /// Sets what [`Self::body`] reads.
    pub(crate) fn set_body(&mut self, params: &Parameters, limb: usize, digit: usize, b: &[u64]) {
        self.limbs_mut(params)[limb].write(digit, 0, b);
    }
}

/// Where the limbs of a key for values up to `level` are.
fn places(params: &Parameters, level: usize) -> Vec<Place> {
    let (n, digits) = (params.n(), params.digits(level).len());
    let mut end = 0;
    let place = |position| {
        let form = Form::of(params.modulus(params.limb_index(level, position)));
        let start = end;
        end += form.words(n, digits);
        Place { words: start..end, form }
    };
    (0..level + 1 + params.special_count()).map(place).collect()
}

/// Words of all limbs of a key.
fn end(limbs: &[Place]) -> usize {
    limbs.last().map_or(0, |place| place.words.end)
}

/// A limb of a key, to be written.
struct Limb<'a> {
    /// Position in a value at the key's level.
    position: usize,
    /// Number among the limbs of the parameters.
    index: usize,
    modulus: &'a Modulus,
    words: &'a mut [u64],
    /// `[chunk][digit]`.
    numbers: &'a mut [u64],
    digits: usize,
    form: Form,
}

impl Limb<'_> {
    /// Writes one component of one digit.
    fn write(&mut self, digit: usize, component: usize, words: &[u64]) {
        let Form { packed, components } = self.form;
        let length = self.form.words(CHUNK_WORDS, self.digits);
        let stored = length / (components * self.digits);
        let chunks = self.words.chunks_exact_mut(length);
        for (chunk, words) in chunks.zip(words.chunks_exact(CHUNK_WORDS)) {
            let chunk = &mut chunk[(components * digit + component) * stored..][..stored];
            match packed {
                true => pack(words, chunk),
                false => chunk.copy_from_slice(words),
            }
        }
    }
}

/// The stream that the uniform half of a digit expands from, for limb number `index` of the parameters.
fn mask_stream(digit: usize, index: usize) -> u64 {
    (digit << 8 | index) as u64
}
