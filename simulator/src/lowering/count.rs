//! Counting the instructions of a fused linear stage without making them.

use std::collections::BTreeMap;

use costmodel::{LinearShape, Primitive};

use super::diagonals::Diagonals;
use super::found::KeyMap;
use super::schedule::Cut;
use super::signature::Signature;
use crate::config::Schedule;
use crate::program::shape_words;

/// Distinct rotations of ciphertexts. Each is a number: the ciphertext, then 16 bits of rotation.
#[derive(Default)]
struct Rotated {
    seen: KeyMap<u64, ()>,
    turned: usize,
    unturned: usize,
    /// For each ciphertext how many it stands for, and whether any rotation of it is not zero.
    ciphertexts: BTreeMap<usize, (usize, bool)>,
}

impl Rotated {
    /// Adds a rotation of a ciphertext that stands for `copies`.
    fn add(&mut self, rotated: u64, copies: impl Fn(usize) -> usize) {
        if self.seen.insert(rotated, ()).is_some() {
            return;
        }
        let (ciphertext, turned) = ((rotated >> 16) as usize, rotated & 0xffff != 0);
        let copies = copies(ciphertext);
        *(if turned { &mut self.turned } else { &mut self.unturned }) += copies;
        self.ciphertexts.entry(ciphertext).or_insert((copies, false)).1 |= turned;
    }

    /// How many ciphertexts there are: all, or those with a rotation that is not zero.
    fn ciphertexts(&self, turned: bool) -> usize {
        self.ciphertexts.values().filter(|(_, any)| *any || !turned).map(|(copies, _)| copies).sum()
    }
}

/// Shapes of the one or two linear instructions that a fused stage consists of before any fold and bias: the
/// products, and the rotations of partial sums if there are any. The last one rescales unless a fold follows. They
/// equal what lowering makes.
pub(crate) fn count(
    diagonals: &Diagonals,
    schedule: &Schedule,
    folds: bool,
) -> (Primitive, Option<Primitive>) {
    let cut = Cut::new(diagonals, schedule);
    // Parts of one product make one plaintext.
    let mut products: KeyMap<u64, Signature> = KeyMap::default();
    for (d, contents) in &diagonals.diagonals {
        let (giant, shift) = cut.apply(d);
        let key = [d.output, giant, d.input, shift].iter().fold(0u64, |k, v| k << 16 | *v as u64);
        let first = (contents.first + giant) & (diagonals.plaintext_period - 1);
        products.entry(key).or_default().add_moved(contents.signature, first);
    }
    let [outs, ins] = &diagonals.copies;
    let (mut sources, mut sums) = (Rotated::default(), Rotated::default());
    let mut plaintexts: KeyMap<Signature, usize> = KeyMap::default();
    let mut terms = 0;
    for (key, signature) in products {
        let (sum, source) = (key >> 32, key & 0xffff_ffff);
        sums.add(sum, |output| outs[output]);
        sources.add(source, |input| ins[input]);
        // Those of other ciphertexts that are alike have other weights.
        let copies = outs[(sum >> 16) as usize] * ins[(source >> 16) as usize];
        plaintexts.insert(signature, copies);
        terms += copies;
    }
    // An output that no weight reaches is a product with zero of the first input, of it alone whatever it stands for.
    let unreached = (0..diagonals.outputs).filter(|k| !sums.ciphertexts.contains_key(k));
    let idle: usize = unreached.map(|output| outs[output]).sum();
    if idle > 0 {
        sums.unturned += idle;
        sources.add(0, |_| 1);
        plaintexts.insert(Signature::default(), 1);
        terms += idle;
    }
    let (turned, unturned) = (sums.turned, sums.unturned);
    let sums = turned + unturned;
    let first = LinearShape {
        sources: sources.ciphertexts(false),
        decomposed: sources.ciphertexts(true),
        rotations: sources.turned,
        unrotated: sources.unturned,
        terms,
        plaintexts: plaintexts.values().sum(),
        plaintext_words: shape_words(diagonals.plaintext_period, diagonals.slots),
        outputs: sums,
        rescale: !folds,
    };
    if diagonals.summed(sums, turned) {
        return (Primitive::Linear(first), None);
    }
    let first = LinearShape { rescale: false, ..first };
    let second = Some(Primitive::Linear(LinearShape {
        sources: sums,
        decomposed: turned,
        rotations: turned,
        unrotated: unturned,
        terms: sums,
        plaintexts: 0,
        plaintext_words: 0,
        outputs: diagonals.outputs,
        rescale: !folds,
    }));
    (Primitive::Linear(first), second)
}

#[cfg(test)]
mod tests;
