//! Memory that a program needs, predicted from its shape.

use std::collections::BTreeSet;

use super::{Op, Program};
use crate::chain::Chain;

/// Predicted bytes by purpose. A limb is one word per coefficient: `8 N` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    /// Rotation, relinearisation and conjugation keys: `2 * digits * (level + 1 + special)` limbs each.
    pub keys_bytes: u64,
    /// Encoded plaintexts: `level + 1` limbs, and `special` more for extended ones.
    pub plaintexts_bytes: u64,
    /// The most that live ciphertexts occupy at any instruction: `2 * (level + 1)` limbs each.
    pub ciphertexts_bytes: u64,
    /// Scratch of the largest instruction, see [`Program::scratch_limbs`].
    pub scratch_bytes: u64,
    /// The encrypted inputs, as sent: part of `ciphertexts_bytes`.
    pub upload_bytes: u64,
}

impl Memory {
    /// Everything together.
    pub fn total_bytes(&self) -> u64 {
        self.keys_bytes + self.plaintexts_bytes + self.ciphertexts_bytes + self.scratch_bytes
    }
}

impl Program {
    /// Predicts memory under a chain.
    pub fn memory(&self, chain: &Chain) -> Memory {
        let limb = chain.limb_bytes() as u64;
        let key = |level: usize| (2 * chain.digits(level) * (level + 1 + chain.special)) as u64;
        let keys: u64 = self.rotation_keys().values().map(|l| key(*l)).sum::<u64>()
            + self.relinearisation_level().map_or(0, key)
            + self.conjugation_level().map_or(0, key);
        let plaintexts: u64 = self
            .plaintexts
            .iter()
            .map(|p| (p.level + 1 + if p.extended { chain.special } else { 0 }) as u64)
            .sum();
        let upload: u64 = (0..self.inputs).map(|v| self.value_limbs(v)).sum();
        let scratch = (0..self.instructions.len()).map(|k| self.scratch_limbs(k, chain)).max();
        Memory {
            keys_bytes: keys * limb,
            plaintexts_bytes: plaintexts * limb,
            ciphertexts_bytes: self.peak_live_limbs() * limb,
            scratch_bytes: scratch.unwrap_or(0) * limb,
            upload_bytes: upload * limb,
        }
    }

    fn value_limbs(&self, value: usize) -> u64 {
        2 * (self.values[value].level as u64 + 1)
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

    /// Limbs of live ciphertexts at the worst instruction, its sources and destinations both counted.
    fn peak_live_limbs(&self) -> u64 {
        let last = self.last_uses();
        let mut dying: Vec<Vec<usize>> = vec![Vec::new(); self.instructions.len() + 1];
        for (v, at) in last.iter().enumerate() {
            if let Some(at) = at {
                dying[*at].push(v);
            }
        }
        let mut live: u64 = (0..self.inputs).map(|v| self.value_limbs(v)).sum();
        let mut peak = live;
        for (k, instruction) in self.instructions.iter().enumerate() {
            let defined: u64 = instruction.dsts.iter().map(|v| self.value_limbs(*v)).sum();
            live += defined;
            peak = peak.max(live);
            live -= dying[k].iter().map(|v| self.value_limbs(*v)).sum::<u64>();
            let unread = instruction.dsts.iter().filter(|v| last[**v].is_none());
            live -= unread.map(|v| self.value_limbs(*v)).sum::<u64>();
        }
        peak
    }

    /// Scratch limbs of an instruction, on two threads: more make more limbs at a time. With `l` the limbs of an operand,
    /// `d` digits and `r` limbs that a division removes,
    /// - a decomposition holds `l` prepared limbs and `d` quotients, and each thread has `d` digits for a pair of limbs,
    ///   and others for a limb that is left over;
    /// - a division holds the removed limbs and their quotient, and each thread has three limbs that are to be divided.
    ///
    /// Rotations, linear sums with rotations, squares and products divide two components of every result; linear sums
    /// decompose every source that is rotated; squares and products have the three parts of the product, `3 l`, besides.
    /// Anything else needs one ciphertext, `2 l`.
    pub fn scratch_limbs(&self, instruction: usize, chain: &Chain) -> u64 {
        let instruction = &self.instructions[instruction];
        let (_, level) = self.primitive(instruction);
        let l = level + 1;
        let switch = |sources: usize| sources * (l + 7 * chain.digits(level));
        let division = |removed: usize| 2 * instruction.dsts.len() * (removed + 1 + 6);
        let special = |rescale: &bool| chain.special + usize::from(*rescale);
        let limbs = match &instruction.op {
            Op::RotateHoisted { .. } | Op::Conjugate { .. } => switch(1) + division(chain.special),
            Op::Linear { terms, rescale, .. } => {
                let rotated: BTreeSet<u32> =
                    terms.iter().filter(|t| t.shift != 0).map(|t| t.src).collect();
                match (rotated.len(), rescale) {
                    (0, false) => 0,
                    (0, true) => division(1),
                    (sources, rescale) => switch(sources) + division(special(rescale)),
                }
            }
            Op::SumSquares { rescale, .. } | Op::Multiply { rescale, .. } => {
                3 * l + switch(1) + division(special(rescale))
            }
            _ => 2 * l,
        };
        limbs as u64
    }
}
