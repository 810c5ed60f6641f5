//! Counting the instructions of a fused linear stage without making them.

use costmodel::{LinearShape, Primitive};

use super::diagonals::Diagonals;
use super::found::KeyMap;
use super::schedule::Cut;
use super::signature::Signature;
use crate::config::Schedule;
use crate::program::shape_words;

/// Distinct rotations of ciphertexts.
#[derive(Default)]
struct Rotated {
    period: usize,
    /// A bit for every rotation of the first ciphertext, then of the next.
    seen: Vec<u64>,
    turned: usize,
    unturned: usize,
    /// How many each ciphertext stands for, if it is there, and whether any rotation of it is not zero.
    ciphertexts: Vec<(usize, bool)>,
}

impl Rotated {
    /// None, of so many ciphertexts and rotations below `period`; keeps its memory.
    fn clear(&mut self, ciphertexts: usize, period: usize) {
        self.period = period;
        self.seen.clear();
        self.seen.resize((ciphertexts * period).div_ceil(64), 0);
        (self.turned, self.unturned) = (0, 0);
        self.ciphertexts.clear();
        self.ciphertexts.resize(ciphertexts, (0, false));
    }

    /// Adds a rotation of a ciphertext that stands for `copies`.
    fn add(&mut self, ciphertext: usize, rotation: usize, copies: usize) {
        let number = ciphertext * self.period + rotation;
        let (word, bit) = (&mut self.seen[number / 64], 1 << (number % 64));
        if *word & bit != 0 {
            return;
        }
        *word |= bit;
        let turned = rotation != 0;
        *(if turned { &mut self.turned } else { &mut self.unturned }) += copies;
        let (stands_for, any) = &mut self.ciphertexts[ciphertext];
        (*stands_for, *any) = (copies.max(*stands_for), *any || turned);
    }

    /// How many ciphertexts there are: all, or those with a rotation that is not zero.
    fn ciphertexts(&self, turned: bool) -> usize {
        self.ciphertexts.iter().filter(|(_, any)| *any || !turned).map(|(copies, _)| copies).sum()
    }
}

/// Shapes of the one or two linear instructions that a fused stage consists of before any fold and bias: the products, and
/// the rotations of partial sums if there are any. The last one rescales unless a fold follows.
pub(crate) type Shapes = (Primitive, Option<Primitive>);

/// Counts the instructions of diagonals under one schedule after the other.
pub(crate) struct Counter<'a> {
    diagonals: &'a Diagonals,
    /// Images of a ciphertext.
    images: usize,
    /// Largest power of two dividing every block rotation.
    unit: usize,
    /// No schedule has fewer products, nor fewer plaintexts.
    least: (usize, usize),
    /// Whether there are more diagonals than these.
    some: bool,
    sources: Rotated,
    sums: Rotated,
    products: KeyMap<u64, Signature>,
    plaintexts: KeyMap<Signature, usize>,
}

impl<'a> Counter<'a> {
    /// Of diagonals between the slots that an image has, in ciphertexts of so many images.
    pub(crate) fn new(diagonals: &'a Diagonals, images: usize) -> Self {
        let mut counter = Self {
            diagonals,
            images,
            unit: diagonals.unit(),
            least: (0, 0),
            some: false,
            sources: Rotated::default(),
            sums: Rotated::default(),
            products: KeyMap::default(),
            plaintexts: KeyMap::default(),
        };
        counter.least = counter.least();
        counter
    }

    /// Of some of the diagonals: [`Self::at_least`] tells shapes that cost no more than those of all.
    pub(crate) fn of_some(diagonals: &'a Diagonals, images: usize) -> Self {
        let mut counter = Self { some: true, ..Self::new(diagonals, images) };
        // What differs in some of the channels may be the same, moved, in all of them; not so the products.
        counter.least.1 = counter.least.1.min(1);
        counter
    }

    /// Diagonals of one input and output whose rotations are the same altogether may become one product, and those of the
    /// same contents, moved, one plaintext.
    fn least(&mut self) -> (usize, usize) {
        let mut all = 0;
        for (d, contents) in &self.diagonals.diagonals {
            let copies = self.copies(d.output, d.input);
            all += copies;
            let turned = d.block as isize + d.row + d.col;
            let turned = turned as usize & (self.diagonals.input_periods[d.input] - 1);
            self.products.insert(key([0, d.output, d.input, turned]), Signature::default());
            let known = self.plaintexts.entry(contents.signature).or_insert(copies);
            *known = copies.min(*known);
        }
        let pair = |key: &u64| ((key >> 32 & 0xffff) as usize, (key >> 16 & 0xffff) as usize);
        let products = self.products.keys().map(pair).map(|(o, i)| self.copies(o, i)).sum();
        match products == all {
            true => (products, self.plaintexts.values().sum()),
            false => (products, usize::from(products > 0)),
        }
    }

    /// How many pairs of an output and an input this one stands for.
    fn copies(&self, output: usize, input: usize) -> usize {
        let [outs, ins] = &self.diagonals.copies;
        outs[output] * ins[input]
    }

    /// Forgets all rotations.
    fn clear(&mut self) {
        let Diagonals { period, outputs, input_periods, .. } = self.diagonals;
        self.sums.clear(*outputs, *period);
        self.sources.clear(input_periods.len(), *period);
    }

    /// Adds the rotations of one product: output and giant, input and shift.
    fn add(&mut self, [output, giant, input, shift]: [usize; 4]) {
        let [outs, ins] = &self.diagonals.copies;
        self.sums.add(output, giant, outs[output]);
        self.sources.add(input, shift, ins[input]);
    }

    /// Shapes that cost no more than those of [`Self::count`], for a pricer that asks no less for more, and hardly less
    /// where diagonals differ; found much sooner.
    pub(crate) fn at_least(&mut self, schedule: &Schedule, folds: bool) -> Shapes {
        self.clear();
        let diagonals = self.diagonals;
        let cut = Cut::new(diagonals, self.unit, schedule);
        for (d, _) in &diagonals.diagonals {
            let (giant, shift) = cut.apply(d);
            self.add([d.output, giant, d.input, shift]);
        }
        self.shapes(self.least, folds)
    }

    /// The shapes: they equal what lowering makes.
    pub(crate) fn count(&mut self, schedule: &Schedule, folds: bool) -> Shapes {
        self.clear();
        let diagonals = self.diagonals;
        let cut = Cut::new(diagonals, self.unit, schedule);
        // Parts of one product make one plaintext.
        self.products.clear();
        for (d, contents) in &diagonals.diagonals {
            let (giant, shift) = cut.apply(d);
            self.add([d.output, giant, d.input, shift]);
            let first = (contents.first + giant) & (diagonals.plaintext_period - 1);
            let product = self.products.entry(key([d.output, giant, d.input, shift]));
            product.or_default().add_moved(contents.signature, first);
        }
        self.plaintexts.clear();
        let mut terms = 0;
        for (key, signature) in &self.products {
            // Those of other ciphertexts that are alike have other weights.
            let copies = self.copies((key >> 48) as usize, (key >> 16 & 0xffff) as usize);
            let known = self.plaintexts.entry(*signature).or_default();
            *known = copies.max(*known);
            terms += copies;
        }
        let plaintexts = self.plaintexts.values().sum();
        self.shapes((terms, plaintexts), folds)
    }

    /// The shapes of so many terms and plaintexts with the rotations that were added.
    fn shapes(&mut self, (mut terms, mut plaintexts): (usize, usize), folds: bool) -> Shapes {
        let diagonals = self.diagonals;
        let outs = &diagonals.copies[0];
        // An output that no weight reaches is a product with zero of the first input, of it alone whatever it stands for.
        let reached = self.sums.ciphertexts.iter().map(|(copies, _)| *copies > 0);
        let idle: usize = reached.zip(outs).filter(|(reached, _)| !reached).map(|(_, o)| o).sum();
        if idle > 0 {
            self.sums.unturned += idle;
            terms += idle;
        }
        // Of some, others may reach it.
        if idle > 0 && !self.some {
            self.sources.add(0, 0, 1);
            plaintexts += 1;
        }
        let (turned, unturned) = (self.sums.turned, self.sums.unturned);
        let sums = turned + unturned;
        let first = LinearShape {
            sources: self.sources.ciphertexts(false),
            decomposed: self.sources.ciphertexts(true),
            rotations: self.sources.turned,
            unrotated: self.sources.unturned,
            terms,
            plaintexts,
            plaintext_words: shape_words(
                self.images * diagonals.plaintext_period,
                self.images * diagonals.slots,
            ),
            outputs: sums,
            rescale: !folds,
            detail: None,
        };
        if Diagonals::summed(diagonals.outputs, sums, turned) {
            // Of some, there may be more sums, which the second one rescales.
            let rescale = first.rescale && !self.some;
            return (Primitive::Linear(LinearShape { rescale, ..first }), None);
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
            detail: None,
        }));
        (Primitive::Linear(first), second)
    }
}

/// Four numbers below 2^16 as one.
fn key(parts: [usize; 4]) -> u64 {
    parts.iter().fold(0, |key, part| key << 16 | *part as u64)
}

#[cfg(test)]
mod tests;
