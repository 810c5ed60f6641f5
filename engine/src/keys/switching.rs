//! Hybrid key-switching keys.
//!
//! A key that switches from `f` to `t` holds, for each digit d, `(e_d + P g_d f - a_d t, a_d)` modulo QP, where
//! `g_d` is 1 modulo the primes of the digit and 0 modulo the other ones (Han and Ki, ePrint 2019/688). `P g_d` is then
//! P on the digit's limbs and 0 elsewhere whatever the level, so a key made for a level serves every lower one.

use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

use crate::buffer::AlignedBuf;
use crate::kernels::kernels;
use crate::params::Parameters;
use crate::poly::RnsPoly;
use crate::sampling::{self, Seed, Small};

/// A key-switching key for values up to some level.
pub struct SwitchingKey {
    level: usize,
    digits: usize,
    n: usize,
    /// `[limb][digit][component][N]`, in the order in which an inner product reads it.
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
        let n = params.n();
        key.data.par_chunks_exact_mut(2 * n).enumerate().for_each(|(i, pair)| {
            let (position, d) = (i / ranges.len(), i % ranges.len());
            let index = params.limb_index(level, position);
            let modulus = params.modulus(index);
            let (b, a) = pair.split_at_mut(n);
            sampling::uniform(a, &seed, mask_stream(d, index), modulus);
            errors[d].transform(b, params.table(index));
            if ranges[d].contains(&position) {
                let factor = params.rns().special().product(index);
                (kernels().mul_scalar_add)(b, from.limb(index), factor, modulus);
            }
            (kernels().mul_sub)(b, a, to.limb(index), None, modulus);
        });
        key
    }

    /// A key with its uniform halves expanded and zero in the others.
    pub(crate) fn with_masks(params: &Parameters, level: usize, seed: Seed) -> Self {
        let mut key = Self::empty(params, level, seed);
        let (n, digits) = (key.n, key.digits);
        key.data.par_chunks_exact_mut(2 * n).enumerate().for_each(|(i, pair)| {
            let index = params.limb_index(level, i / digits);
            let stream = mask_stream(i % digits, index);
            sampling::uniform(&mut pair[n..], &seed, stream, params.modulus(index));
        });
        key
    }

    /// A key of zeros.
    fn empty(params: &Parameters, level: usize, seed: Seed) -> Self {
        let (n, digits) = (params.n(), params.digits(level).len());
        let limbs = level + 1 + params.special_count();
        Self { level, digits, n, data: AlignedBuf::zeroed(limbs * digits * 2 * n), seed }
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

    /// Component `component` of digit `digit` for the limb at `position` of a value at `level`.
    pub(crate) fn limb(
        &self,
        level: usize,
        position: usize,
        digit: usize,
        component: usize,
    ) -> &[u64] {
        let row = if position <= level { position } else { position - level + self.level };
        let start = ((row * self.digits + digit) * 2 + component) * self.n;
        &self.data[start..start + self.n]
    }

    /// The `b` halves in storage order, for the writer and the reader of key files.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &[u64]> {
        self.data.chunks_exact(2 * self.n).map(|pair| &pair[..self.n])
    }

    /// Mutable [`Self::bodies`].
    pub(crate) fn bodies_mut(&mut self) -> impl Iterator<Item = &mut [u64]> {
        let n = self.n;
        self.data.chunks_exact_mut(2 * n).map(move |pair| &mut pair[..n])
    }
}

/// The stream that the uniform half of a digit expands from, for limb number `index` of the parameters.
fn mask_stream(digit: usize, index: usize) -> u64 {
    (digit << 8 | index) as u64
}
