//! The diagonals met so far while the weights of a linear stage are gone through.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::diagonals::{Contents, Diagonal};
use super::signature::Signature;
use crate::program::Entry;

/// Multiplicative hashing of small integer keys.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_usize(usize::from(*b)));
    }

    fn write_usize(&mut self, v: usize) {
        self.0 = (self.0.rotate_left(5) ^ v as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
        self.0 ^= self.0 >> 29;
    }

    fn write_isize(&mut self, v: isize) {
        self.write_usize(v as usize);
    }

    fn write_u64(&mut self, v: u64) {
        self.write_usize(v as usize);
    }

    fn write_u32(&mut self, v: u32) {
        self.write_usize(v as usize);
    }
}

/// A hash map for small integer keys; never iterated in hash order.
pub(super) type KeyMap<K, V> = HashMap<K, V, BuildHasherDefault<KeyHasher>>;

/// The diagonals found so far, and their numbers.
#[derive(Default)]
pub(super) struct Found {
    pub(super) diagonals: Vec<(Diagonal, Contents)>,
    /// The entries of each that has any, if they are kept.
    pub(super) entries: Vec<Vec<Entry>>,
    /// What those without any have in common.
    no_entries: Arc<Vec<Entry>>,
    numbers: KeyMap<(u64, u64), u32>,
    /// In place of `numbers`, where all diagonals are of one output and turn blocks only: those of each input by block.
    by_block: Vec<u32>,
    period: usize,
    /// How many there are when each stands for those of all ciphertexts that are alike.
    pub(super) total: usize,
}

/// No diagonal.
const NONE: u32 = u32::MAX;

impl Found {
    /// None yet, and all will be of one output and turn blocks only, of at most `period` slots.
    pub(super) fn of_one_output(inputs: usize, period: usize) -> Self {
        Self { by_block: vec![NONE; inputs * period], period, ..Self::default() }
    }

    /// The number of a diagonal; a new one has its first entry at `first`, stands for `copies` and belongs to part number
    /// `part` of its stage. Parts share no plaintext: their sources may have different scales.
    pub(super) fn number(
        &mut self,
        key: Diagonal,
        first: usize,
        copies: usize,
        part: usize,
    ) -> u32 {
        let next = self.diagonals.len() as u32;
        let number = match self.by_block.get_mut(key.input * self.period + key.block) {
            Some(known) => {
                *known = if *known == NONE { next } else { *known };
                *known
            }
            None => *self.numbers.entry(key.words()).or_insert(next),
        };
        if number == next {
            let mut signature = Signature::default();
            if part > 0 {
                signature.add(part, usize::MAX, f64::NAN);
            }
            let entries = Arc::clone(&self.no_entries);
            self.diagonals.push((key, Contents { first, signature, count: 0, entries }));
            self.total += copies;
        }
        number
    }

    /// Keeps an entry of a diagonal.
    pub(super) fn keep(&mut self, diagonal: u32, entry: Entry) {
        let diagonal = diagonal as usize;
        if self.entries.len() <= diagonal {
            self.entries.resize_with(diagonal + 1, Vec::new);
        }
        self.entries[diagonal].push(entry);
    }
}

/// The kernel positions at which no pair of a number has had a weight yet.
pub(super) struct Unseen {
    area: usize,
    left: Vec<usize>,
    seen: Vec<bool>,
}

impl Unseen {
    pub(super) fn new(area: usize) -> Self {
        Self { area, left: Vec::new(), seen: Vec::new() }
    }

    /// All positions of the next number.
    pub(super) fn add(&mut self) {
        self.left.push(self.area);
        self.seen.resize(self.seen.len() + self.area, false);
    }

    /// Whether there are any of a number.
    pub(super) fn any(&self, pair: usize) -> bool {
        self.left[pair] > 0
    }

    /// Whether this is one; it is none any more.
    pub(super) fn take(&mut self, pair: usize, at: usize) -> bool {
        let new = !std::mem::replace(&mut self.seen[pair * self.area + at], true);
        self.left[pair] -= usize::from(new);
        new
    }
}
