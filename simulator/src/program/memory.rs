//! Memory that a program needs, predicted from its shape.

use super::{Facts, Instruction, PlaintextForm, Program};
use crate::chain::Chain;

/// Predicted bytes by purpose. A limb is one word per coefficient: `8 N` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    /// Rotation, relinearisation and conjugation keys, see [`Chain::keys_bytes`].
    pub keys_bytes: u64,
    /// Encoded plaintexts: `level + 1` limbs, and `special` more for extended ones. On demand, the slot values of all, and
    /// the most that are encoded at a time.
    pub plaintexts_bytes: u64,
    /// Live ciphertexts, sources and results included, at the instruction that takes the most with its scratch:
    /// `2 * (level + 1)` limbs each.
    pub ciphertexts_bytes: u64,
    /// Scratch of that instruction, see [`Program::scratch_limbs`].
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
        let scratch =
            |i: &Instruction| self.scratch_limbs(&self.facts(i), i.dsts.len(), chain, form);
        let live = self.live(|v| self.value_limbs(v));
        let needed = live.zip(self.instructions.iter().map(scratch));
        let (ciphertexts, scratch) =
            needed.max_by_key(|(live, scratch)| live + scratch).unwrap_or((upload, 0));
        Memory {
            keys_bytes: chain.keys_bytes(&self.keys()),
            plaintexts_bytes: self.plaintexts_bytes(chain, form),
            ciphertexts_bytes: ciphertexts * limb,
            scratch_bytes: scratch * limb,
            upload_bytes: upload * limb,
        }
    }

    fn value_limbs(&self, value: usize) -> u64 {
        2 * (self.values[value].level as u64 + 1)
    }

    /// How many values are live at the worst instruction.
    pub(crate) fn peak_live_values(&self) -> usize {
        self.live(|_| 1).max().unwrap_or(self.inputs as u64) as usize
    }

    /// What live values take together at each instruction, its sources and destinations both counted, by what each takes.
    fn live(&self, size: impl Fn(usize) -> u64) -> impl Iterator<Item = u64> {
        let mut live: u64 = (0..self.inputs).map(&size).sum();
        self.instructions.iter().zip(self.dying()).map(move |(instruction, dying)| {
            live += instruction.dsts.iter().map(|v| size(*v)).sum::<u64>();
            let at = live;
            live -= dying.iter().map(|v| size(*v)).sum::<u64>();
            at
        })
    }

    /// Scratch limbs of an instruction, on two threads: more make more limbs at a time. The limbs that a division removes are
    /// made before those that it keeps, one or two at a time ([`engine::eval::SwitchShape::group_limbs`]): of either, two
    /// threads have three such groups under way, as one that waits begins with another. With `l` the limbs of an operand, `d`
    /// digits and `w` limbs under way,
    /// - a decomposition holds `l` prepared limbs, quotients of the digits that have several limbs, and `w d` digits;
    /// - a division holds the removed limbs, their quotient where they are several, and `w` limbs that are to be divided.
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
        let switch = chain.switch(facts.operand.level);
        let l = switch.limbs;
        let parts = if facts.ciphertext_products > 0 { 3 * l } else { 0 };
        let special = if facts.decomposed > 0 { chain.special } else { 0 };
        let removed = special + usize::from(facts.rescale);
        let kept = l - usize::from(facts.rescale);
        let under_way = (3 * switch.group_limbs(facts.decomposed, results)).min(kept.max(removed));
        let each = l + switch.digits_of_several() + under_way * switch.digits();
        let switches = facts.decomposed * each;
        let divisions = match removed {
            0 => 0,
            _ => 2 * results * (removed + usize::from(removed > 1) + under_way),
        };
        let batched = self.plaintext_batch(facts, chain, form) < facts.plaintexts.len();
        let sums = if batched { 2 * results * (l + special + 4) } else { 0 };
        (parts + switches + divisions + sums) as u64
    }
}
