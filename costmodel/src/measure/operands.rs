//! Operands of measurements at one level.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::eval::Evaluator;

use super::needs::Supply;
use super::random::{random_plaintexts, random_poly};
use crate::error::Result;

/// Most memory of encoded weights kept at a level, in bytes.
const KEPT_BYTES: usize = 192 << 20;

/// Operands at one level, with random contents.
pub(super) struct Operands {
    pub ciphertexts: Vec<Ciphertext>,
    /// With limbs for the special primes, by the words of a limb that they keep.
    plaintexts: BTreeMap<usize, Vec<Plaintext>>,
    /// What plaintexts are added to in place.
    accumulator: Mutex<Ciphertext>,
    /// Encoded weights.
    kept: Mutex<Vec<Plaintext>>,
}

impl Operands {
    /// The accumulator; its contents do not matter.
    pub fn accumulator(&self) -> MutexGuard<'_, Ciphertext> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an encoded weight. All go when they take too much memory.
    pub fn keep(&self, encoded: Plaintext) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if (kept.len() + 1) * encoded.bytes() > KEPT_BYTES {
            kept.clear();
        }
        kept.push(encoded);
    }

    /// The plaintexts of so many words a limb.
    pub fn of_words(&self, words: usize) -> &[Plaintext] {
        self.plaintexts.get(&words).map_or(&[], Vec::as_slice)
    }

    /// A plaintext for each of these numbers of words a limb, after the first `taken` of each number; fewer if there are not so
    /// many.
    pub fn factors(&self, words: &[usize], taken: &BTreeMap<usize, usize>) -> Vec<&Plaintext> {
        let mut taken = taken.clone();
        let next = |words: &usize| {
            let count = taken.entry(*words).or_insert(0);
            *count += 1;
            self.of_words(*words).get(*count - 1)
        };
        words.iter().filter_map(next).collect()
    }

    /// Operands at `level`.
    pub fn random(
        evaluator: &Evaluator,
        encoder: &Encoder,
        level: usize,
        supply: &Supply,
    ) -> Result<Self> {
        let params = evaluator.params();
        let scale = params.scale();
        let poly = |seed: usize| random_poly(params, level, seed as u64);
        let random = |i| Ciphertext { c0: poly(2 * i), c1: poly(2 * i + 1), scale };
        // Sums, because a program's ciphertexts are results of operations too, which recycle their memory.
        let zero = Ciphertext::zero(params, level, scale);
        let ciphertexts = (0..supply.ciphertexts)
            .map(|i| Ok(evaluator.add(&random(i), &zero)?))
            .collect::<Result<_>>()?;
        let plaintexts = supply
            .plaintexts
            .iter()
            .map(|(&words, &count)| Ok((words, random_plaintexts(encoder, level, words, count)?)));
        let plaintexts = plaintexts.collect::<Result<_>>()?;
        let accumulator = Mutex::new(evaluator.add(&random(0), &zero)?);
        Ok(Self { ciphertexts, plaintexts, accumulator, kept: Mutex::default() })
    }
}
