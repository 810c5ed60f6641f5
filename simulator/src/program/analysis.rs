//! What a program executes and needs: primitives, counts per layer, keys, and how long values live.

use std::collections::BTreeSet;

use costmodel::Primitive;
use engine::keys::KeySpec;

use super::{Program, ValueId};

/// Operations of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerCounts {
    /// Key switches for rotations: distinct (source, non-zero shift) pairs.
    pub rotations: usize,
    /// Products of a plaintext and a ciphertext.
    pub products: usize,
    /// Distinct plaintexts, of products and additions.
    pub plaintexts: usize,
    /// Ciphertext products, squares included.
    pub ciphertext_products: usize,
    /// Relinearisations.
    pub relinearisations: usize,
    /// Rescales, merged ones included, per ciphertext.
    pub rescales: usize,
    /// Instructions.
    pub instructions: usize,
    /// Level on entry (of the layer's first instruction); zero for a layer without instructions.
    pub level: usize,
}

impl Program {
    /// Every instruction's layer, shape and level (of the operands), in order: as it is priced and measured.
    pub fn primitives(&self) -> impl Iterator<Item = (usize, Primitive, usize)> + '_ {
        self.instructions.iter().map(|i| {
            let facts = self.facts(i);
            (i.layer, facts.primitive, facts.operand.level)
        })
    }

    /// The keys needed, each up to the highest level at which it is used.
    pub fn keys(&self) -> KeySpec {
        let mut spec = KeySpec::default();
        for instruction in &self.instructions {
            let facts = self.facts(instruction);
            let level = facts.operand.level;
            for (_, shift) in facts.rotations {
                let highest = spec.rotations.entry(shift as usize).or_insert(level);
                *highest = level.max(*highest);
            }
            if facts.relinearises {
                spec.relinearisation = spec.relinearisation.max(Some(level));
            }
            if facts.conjugates {
                spec.conjugation = spec.conjugation.max(Some(level));
            }
        }
        spec
    }

    /// For every value, the last instruction that reads it (the number of instructions for outputs, none if never read).
    pub fn last_uses(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.values.len()];
        for (k, instruction) in self.instructions.iter().enumerate() {
            for v in instruction.op.operands() {
                last[v] = Some(k);
            }
        }
        for &v in &self.outputs {
            last[v] = Some(self.instructions.len());
        }
        last
    }

    /// For every instruction, the values not needed after it: those it is the last to read, and its results that
    /// nothing reads.
    pub fn dying(&self) -> Vec<Vec<ValueId>> {
        let last = self.last_uses();
        let mut dying = vec![Vec::new(); self.instructions.len()];
        for (v, at) in last.iter().enumerate() {
            if let Some(values) = at.and_then(|k| dying.get_mut(k)) {
                values.push(v);
            }
        }
        for (values, instruction) in dying.iter_mut().zip(&self.instructions) {
            values.extend(instruction.dsts.iter().filter(|v| last[**v].is_none()));
        }
        dying
    }

    /// Operations of each layer, in the order of [`Program::layers`].
    pub fn counts(&self) -> Vec<LayerCounts> {
        let mut counts = vec![LayerCounts::default(); self.layers.len()];
        let mut plaintexts = vec![BTreeSet::new(); self.layers.len()];
        for instruction in &self.instructions {
            let c = &mut counts[instruction.layer];
            let facts = self.facts(instruction);
            if c.instructions == 0 {
                c.level = facts.operand.level;
            }
            c.instructions += 1;
            c.rotations += facts.rotations.len();
            c.products += facts.products;
            c.ciphertext_products += facts.ciphertext_products;
            c.relinearisations += usize::from(facts.relinearises);
            c.rescales += if facts.rescale { instruction.dsts.len() } else { 0 };
            plaintexts[instruction.layer].extend(facts.plaintexts);
        }
        for (c, p) in counts.iter_mut().zip(plaintexts) {
            c.plaintexts = p.len();
        }
        counts
    }
}
