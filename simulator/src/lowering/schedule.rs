//! Diagonals under a [`Schedule`]: its products and partial sums.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diagonals::{Diagonal, Diagonals};
use super::found::KeyMap;
use super::signature::Signature;
use crate::config::{BlockSplit, Schedule};
use crate::program::Drawing;

/// One product: `plaintext * Rot(source, shift)` added into a partial sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanTerm {
    /// Index into [`LinearPlan::partials`].
    pub partial: usize,
    /// Input ciphertext.
    pub source: usize,
    /// Left rotation, below the input period.
    pub shift: usize,
    /// Index into [`LinearPlan::plaintexts`].
    pub plaintext: usize,
}

/// A partial sum, to be rotated by `giant` and added into its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partial {
    /// Output ciphertext.
    pub output: usize,
    /// Left rotation.
    pub giant: usize,
}

/// Diagonals under a schedule: terms in the order of partial sum, source, shift.
#[derive(Debug, Clone)]
pub struct LinearPlan {
    /// Partial sums, ascending by output, then giant.
    pub partials: Vec<Partial>,
    /// Products.
    pub terms: Vec<PlanTerm>,
    /// Distinct plaintexts: the diagonals each is made of, and the giant it is moved by.
    pub plaintexts: Vec<(Vec<usize>, usize)>,
}

impl LinearPlan {
    /// Applies a schedule.
    pub fn new(diagonals: &Diagonals, schedule: &Schedule) -> Self {
        let cut = Cut::new(diagonals, diagonals.unit(), schedule);
        let mut keys: BTreeMap<(Partial, usize, usize), Vec<usize>> = BTreeMap::new();
        for (k, (d, _)) in diagonals.diagonals.iter().enumerate() {
            let (giant, shift) = cut.apply(d);
            let partial = Partial { output: d.output, giant };
            keys.entry((partial, d.input, shift)).or_default().push(k);
        }
        // An output that no weight reaches is still a value: a product with zero.
        for output in 0..diagonals.outputs {
            let first = (Partial { output, giant: 0 }, 0, 0);
            let after = (Partial { output: output + 1, giant: 0 }, 0, 0);
            if keys.range(first..after).next().is_none() {
                keys.insert(first, Vec::new());
            }
        }
        let mut plan = Self { partials: Vec::new(), terms: Vec::new(), plaintexts: Vec::new() };
        let mut ids: KeyMap<Signature, usize> = KeyMap::default();
        for ((partial, source, shift), parts) in keys {
            if plan.partials.last() != Some(&partial) {
                plan.partials.push(partial);
            }
            let mut signature = Signature::default();
            for &k in &parts {
                let contents = &diagonals.diagonals[k].1;
                let first = (contents.first + partial.giant) & (diagonals.plaintext_period - 1);
                signature.add_moved(contents.signature, first);
            }
            let plaintext = *ids.entry(signature).or_insert_with(|| {
                plan.plaintexts.push((parts, partial.giant));
                plan.plaintexts.len() - 1
            });
            plan.terms.push(PlanTerm {
                partial: plan.partials.len() - 1,
                source,
                shift,
                plaintext,
            });
        }
        plan
    }

    /// An input ciphertext that a plaintext multiplies; all others are of the same source.
    pub(crate) fn source(&self, diagonals: &Diagonals, plaintext: usize) -> usize {
        self.plaintexts[plaintext].0.first().map_or(0, |k| diagonals.diagonals[*k].0.input)
    }

    /// Distinct non-zero giant rotations plus distinct non-zero (source, shift) pairs, and products.
    pub fn rotations_and_products(&self) -> (usize, usize) {
        let giants = self.partials.iter().filter(|p| p.giant != 0).count();
        let babies: std::collections::BTreeSet<_> =
            self.terms.iter().filter(|t| t.shift != 0).map(|t| (t.source, t.shift)).collect();
        (giants + babies.len(), self.terms.len())
    }
}

/// How a schedule cuts the rotation of a diagonal in two.
pub(crate) struct Cut<'a> {
    diagonals: &'a Diagonals,
    schedule: Schedule,
    unit: usize,
}

impl<'a> Cut<'a> {
    /// The cut of `diagonals`, whose [`Diagonals::unit`] is `unit`.
    pub(crate) fn new(diagonals: &'a Diagonals, unit: usize, schedule: &Schedule) -> Self {
        Self { diagonals, schedule: *schedule, unit }
    }

    /// The rotation of the partial sum and that of the input.
    pub(crate) fn apply(&self, d: &Diagonal) -> (usize, usize) {
        let block = match self.schedule.block {
            BlockSplit::None => 0,
            BlockSplit::All => d.block,
            BlockSplit::Baby(baby) => {
                // A step beyond all blocks, however far, leaves everything to the inputs.
                let step = self.unit.saturating_mul(baby.max(1));
                d.block / step * step
            }
        };
        let row = if self.schedule.row { d.row } else { 0 };
        let col = if self.schedule.col { d.col } else { 0 };
        let total = d.block as isize + d.row + d.col;
        let giant = block as isize + row + col;
        // Periods are powers of two, so that masking is the residue.
        let shift = (total - giant) as usize & (self.diagonals.input_periods[d.input] - 1);
        (giant as usize & (self.diagonals.period - 1), shift)
    }
}

/// What the slot values of a plaintext are drawn from: the entries of diagonals, which must have them, moved by a giant
/// rotation.
pub(crate) fn drawing(diagonals: &Diagonals, parts: &[usize], giant: usize) -> Drawing {
    let entries = parts.iter().map(|k| Arc::clone(&diagonals.diagonals[*k].1.entries));
    Drawing { entries: entries.collect(), sets: Arc::clone(&diagonals.sets), giant }
}

/// Bytes of the entries of some diagonals, whether they are there or not.
pub(crate) fn drawing_bytes(diagonals: &Diagonals, parts: &[usize]) -> u64 {
    Drawing::bytes_of(parts.iter().map(|k| diagonals.diagonals[*k].1.count).sum())
}
