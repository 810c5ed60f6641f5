//! The diagonals met so far while the weights of a linear stage are gone through.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::alike::Alike;
use super::diagonals::{Contents, Diagonal};
use super::signature::Signature;

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

/// Largest number of possible diagonals that a table is made for.
const LARGEST_TABLE: usize = 1 << 24;

/// The diagonals found so far, and their numbers. Where rows and columns have no part in a rotation, as in fully
/// connected layers, whose channel pairs hardly ever share a route, a table answers at once.
pub(super) struct Found {
    pub(super) diagonals: Vec<(Diagonal, Contents)>,
    /// Numbers plus one; zero where there is none yet, so that a page that is never met costs nothing.
    table: Vec<u32>,
    map: KeyMap<Diagonal, u32>,
    /// How many there are when each stands for those of all ciphertexts that are alike.
    pub(super) total: usize,
    inputs: usize,
    period: usize,
}

impl Found {
    pub(super) fn new(lump: bool, outputs: usize, inputs: usize, period: usize) -> Self {
        let size = if lump { outputs * inputs * period } else { 0 };
        let table = if size <= LARGEST_TABLE { vec![0; size] } else { Vec::new() };
        let map = KeyMap::default();
        Self { diagonals: Vec::new(), table, map, total: 0, inputs, period }
    }

    /// Whether a table answers.
    pub(super) fn has_table(&self) -> bool {
        !self.table.is_empty()
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
        let number = if self.table.is_empty() {
            *self.map.entry(key).or_insert(next)
        } else {
            let at = (key.output * self.inputs + key.input) * self.period + key.block;
            let entry = &mut self.table[at];
            if *entry == 0 {
                *entry = next + 1;
            }
            *entry - 1
        };
        if number == next {
            let mut signature = Signature::default();
            if part > 0 {
                signature.add(part, usize::MAX, f64::NAN);
            }
            self.diagonals.push((key, Contents { first, signature, ..Contents::default() }));
            self.total += copies;
        }
        number
    }

    /// Adds those of all ciphertexts that are alike. The weights of each pair of ciphertexts are others, so that no two
    /// pairs share a plaintext.
    pub(super) fn spread(
        &mut self,
        (ins, in_phases): (&Alike, usize),
        (outs, out_phases): (&Alike, usize),
    ) {
        let mut all = Vec::with_capacity(self.total);
        for (key, contents) in self.diagonals.drain(..) {
            for to in outs.of(key.output / out_phases) {
                for from in ins.of(key.input / in_phases) {
                    let output = to * out_phases + key.output % out_phases;
                    let input = from * in_phases + key.input % in_phases;
                    let mut signature = Signature::default();
                    signature.add_moved(contents.signature, to * self.inputs + from);
                    let contents = Contents { signature, ..contents.clone() };
                    all.push((Diagonal { output, input, ..key }, contents));
                }
            }
        }
        self.diagonals = all;
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
