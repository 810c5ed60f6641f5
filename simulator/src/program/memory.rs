//! Memory that a program needs, predicted from its shape.

use super::{Facts, PlaintextForm, Program};
use crate::chain::Chain;

/// Predicted bytes by purpose. A limb is one word per coefficient: `8 N` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    /// Rotation, relinearisation and conjugation keys, see [`Chain::keys_bytes`].
    pub keys_bytes: u64,
    /// Encoded plaintexts: `level + 1` limbs, and `special` more for extended ones. On demand, the slot values of all, and
    /// the most that are encoded at a time.
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

    /// Everything together with `at_once` inferences at a time, of plaintexts in the form that this is the memory of: each has
    /// ciphertexts, scratch and a batch of plaintexts of its own.
    pub fn at_once_bytes(&self, form: PlaintextForm, at_once: usize) -> u64 {
        let plaintexts = match form {
            PlaintextForm::Stored => 0,
            PlaintextForm::OnDemand { batch_bytes } => batch_bytes.min(self.plaintexts_bytes),
        };
        let each = self.ciphertexts_bytes + self.scratch_bytes + plaintexts;
        let others = (at_once as u64).saturating_sub(1);
        self.total_bytes().saturating_add(others.saturating_mul(each))
    }
}

impl Program {
    /// Predicts memory under a chain, with plaintexts in a form.
    pub fn memory(&self, chain: &Chain, form: PlaintextForm) -> Memory {
        let limb = chain.limb_bytes() as u64;
        let upload: u64 = (0..self.inputs).map(|v| self.value_limbs(v)).sum();
        let scratch = self
            .instructions
            .iter()
            .map(|i| self.scratch_limbs(&self.facts(i), i.dsts.len(), chain, form));
        Memory {
            keys_bytes: chain.keys_bytes(&self.keys()),
            plaintexts_bytes: self.plaintexts_bytes(chain, form),
            ciphertexts_bytes: self.peak_live_limbs() * limb,
            scratch_bytes: scratch.max().unwrap_or(0) * limb,
            upload_bytes: upload * limb,
        }
    }

    fn value_limbs(&self, value: usize) -> u64 {
        2 * (self.values[value].level as u64 + 1)
    }

    /// Limbs of live ciphertexts at the worst instruction, its sources and destinations both counted.
    fn peak_live_limbs(&self) -> u64 {
        self.peak_live(|v| self.value_limbs(v))
    }

    /// How many values are live at the worst instruction.
    pub(crate) fn peak_live_values(&self) -> usize {
        self.peak_live(|_| 1) as usize
    }

    /// The most that live values take together, by what each takes.
    fn peak_live(&self, size: impl Fn(usize) -> u64) -> u64 {
        let mut live: u64 = (0..self.inputs).map(&size).sum();
        let mut peak = live;
        for (instruction, dying) in self.instructions.iter().zip(self.dying()) {
            live += instruction.dsts.iter().map(|v| size(*v)).sum::<u64>();
            peak = peak.max(live);
            live -= dying.iter().map(|v| size(*v)).sum::<u64>();
        }
        peak
    }

    /// Scratch limbs of an instruction, on two threads: more make more limbs at a time. With `l` the limbs of an operand,
    /// `d` digits and `r` limbs that a division removes,
    /// - a decomposition holds `l` prepared limbs and `d` quotients, and each thread has `d` digits for a pair of limbs,
    ///   and others for a limb that is left over; digits of single limbs have no quotients and are made for one limb at a
    ///   time, but a thread that waits begins with others: three are under way;
    /// - a division holds the removed limbs and their quotient, and each thread has three limbs that are to be divided.
    ///
    /// Key switches and rescales divide two components of every result; products of ciphertexts have their three parts,
    /// `3 l`, besides; linear sums whose plaintexts come in batches are kept until the last one, and each thread has their
    /// limbs of another batch.
    fn scratch_limbs(
        &self,
        facts: &Facts,
        results: usize,
        chain: &Chain,
        form: PlaintextForm,
    ) -> u64 {
        let l = facts.operand.level + 1;
        let parts = if facts.ciphertext_products > 0 { 3 * l } else { 0 };
        let rows = if chain.alpha > 1 { 1 + 2 * (2 + 1) } else { 2 * 3 };
        let switches = facts.decomposed * (l + rows * chain.digits(facts.operand.level));
        let special = if facts.decomposed > 0 { chain.special } else { 0 };
        let removed = special + usize::from(facts.rescale);
        let divisions = if removed > 0 { 2 * results * (removed + 1 + 6) } else { 0 };
        let batched = self.plaintext_batch(facts, chain, form) < facts.plaintexts.len();
        let sums = if batched { 2 * results * (l + special + 4) } else { 0 };
        (parts + switches + divisions + sums) as u64
    }
}
