//! Memory that a program needs, predicted from its shape.

use super::{Instruction, PlaintextForm, Program, ValueId};
use crate::chain::Chain;

/// Predicted bytes by purpose. A limb is one word per coefficient: `8 N` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    /// Rotation, relinearisation and conjugation keys, see [`Chain::keys_bytes`].
    pub keys_bytes: u64,
    /// Encoded plaintexts: `level + 1` limbs, and `special` more for extended ones. On demand, the slot values of all, and
    /// what is encoded at the moment that takes the most.
    pub plaintexts_bytes: u64,
    /// Live ciphertexts at that moment, sources and results included: `2 * (level + 1)` limbs each.
    pub ciphertexts_bytes: u64,
    /// Scratch of that moment.
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

/// What is there at one moment of an instruction, in bytes.
struct Moment {
    ciphertexts: u64,
    scratch: u64,
    /// Of the batch of plaintexts encoded on demand.
    batch: u64,
}

impl Moment {
    fn bytes(&self) -> u64 {
        self.ciphertexts + self.scratch + self.batch
    }
}

impl Program {
    /// Predicts memory under a chain, with plaintexts in a form: the most that one inference after another takes.
    ///
    /// Ciphertexts, scratch and what is encoded on demand come from one pool, which is as large as the moment that takes the most
    /// of it needs (a session reserves that much), and keeps what was given back to it:
    ///
    /// ```text
    /// encoding | live | batch          | idle
    /// sums     | live | batch          | scratch   |   <- this much
    /// after    | live      | idle
    /// ```
    pub fn memory(&self, chain: &Chain, form: PlaintextForm) -> Memory {
        let most = self.most(chain, form);
        Memory {
            keys_bytes: chain.keys_bytes(&self.keys()),
            plaintexts_bytes: most.batch + self.kept_plaintexts_bytes(chain, form),
            ciphertexts_bytes: most.ciphertexts,
            scratch_bytes: most.scratch,
            upload_bytes: self.upload_bytes(chain),
        }
    }

    /// Bytes of the engine's pool that one inference takes at most.
    pub(crate) fn pool_bytes(&self, chain: &Chain, form: PlaintextForm) -> u64 {
        self.most(chain, form).bytes()
    }

    /// The moment that takes the most.
    fn most(&self, chain: &Chain, form: PlaintextForm) -> Moment {
        let live = self.live(|v| self.value_bytes(v, chain));
        let moments = self.instructions.iter().zip(live);
        let moments = moments.flat_map(|(i, live)| self.moments(i, live, chain, form));
        let first = Moment { ciphertexts: self.upload_bytes(chain), scratch: 0, batch: 0 };
        moments.fold(first, |a, b| if b.bytes() > a.bytes() { b } else { a })
    }

    fn upload_bytes(&self, chain: &Chain) -> u64 {
        (0..self.inputs).map(|v| self.value_bytes(v, chain)).sum()
    }

    fn value_bytes(&self, value: ValueId, chain: &Chain) -> u64 {
        (2 * (self.values[value].level + 1) * chain.limb_bytes()) as u64
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

    /// What is there at each moment of an instruction, on two threads: more make more limbs at a time. `live` are the bytes of
    /// its sources, its results and what else is live.
    ///
    /// The limbs that a division removes are made before those that it keeps, one or two at a time
    /// ([`engine::eval::SwitchShape::group_limbs`]): of either, two threads have three such groups under way, as one that waits
    /// begins with another. With `l` the limbs of an operand, `d` digits and `w` limbs under way,
    /// - a decomposition holds `l` prepared limbs, quotients of the digits that have several limbs, and `w d` digits;
    /// - a division holds the removed limbs, their quotient where they are several, and `w` limbs that are to be divided.
    ///
    /// Key switches and rescales divide two components of every result; products of ciphertexts have their three parts,
    /// `3 l`, besides. Linear sums whose plaintexts come in several batches are kept until the last one, and then divided:
    ///
    /// ```text
    /// first batch  | sums | digits           | a whole batch
    /// others       | sums | digits | w limbs | a whole batch; of the last, what is left
    /// at the end   | sums | results | divisions | the last batch
    /// ```
    fn moments(
        &self,
        instruction: &Instruction,
        live: u64,
        chain: &Chain,
        form: PlaintextForm,
    ) -> Vec<Moment> {
        let facts = self.facts(instruction);
        let results = instruction.dsts.len();
        let switch = chain.switch(facts.operand.level);
        let l = switch.limbs;
        let parts = if facts.ciphertext_products > 0 { 3 * l } else { 0 };
        let special = if facts.decomposed > 0 { chain.special() } else { 0 };
        let removed = special + usize::from(facts.rescale);
        let kept = l - usize::from(facts.rescale);
        let under_way = (3 * switch.group_limbs(facts.decomposed, results)).min(kept.max(removed));
        let each = l + switch.digits_of_several() + under_way * switch.digits();
        let digits = facts.decomposed * each;
        let divisions = match removed {
            0 => 0,
            _ => 2 * results * (removed + usize::from(removed > 1) + under_way),
        };
        let moment = |ciphertexts: u64, limbs: usize, batch: u64| {
            let scratch = (limbs * chain.limb_bytes()) as u64;
            Moment { ciphertexts, scratch, batch }
        };
        let made = instruction.dsts.iter().map(|v| self.value_bytes(*v, chain));
        let before = live - made.sum::<u64>();
        let batch = self.plaintext_batch(&facts, chain, form);
        let count = facts.plaintexts.len();
        if batch.count == count {
            vec![moment(live, parts + digits + divisions, batch.bytes)]
        } else {
            let whole = (count - 1) / batch.count;
            let last = self.largest_bytes(&facts, chain, count - whole * batch.count);
            let further = if whole > 1 { batch.bytes } else { last };
            let sums = 2 * results * (l + special);
            vec![
                moment(before, sums + digits, batch.bytes),
                moment(before, sums + digits + 2 * results * under_way, further),
                moment(live, sums + divisions, last),
            ]
        }
    }
}
