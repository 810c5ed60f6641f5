//! In which form a program's plaintexts are kept, and what memory they take.

use engine::poly::SubringPoly;
use serde::{Deserialize, Serialize};

use super::{Facts, PlaintextSpec, Program};
use crate::chain::Chain;

/// Bytes of encoded plaintexts at a time, the fewest.
const BATCH_BYTES: u64 = 256 << 20;

/// In which form plaintexts are kept between uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaintextForm {
    /// Encoded once: the fastest inference.
    Stored,
    /// As what makes their slot values, encoded whenever an instruction needs them and dropped after it: many times less
    /// memory.
    OnDemand {
        /// The most bytes of encoded plaintexts at a time (one plaintext at least). An instruction with more adds up its
        /// result batch by batch.
        batch_bytes: u64,
    },
}

impl PlaintextForm {
    /// On demand, in the smallest batches: what takes the least memory.
    pub const ON_DEMAND: Self = Self::OnDemand { batch_bytes: BATCH_BYTES };

    /// All forms, the fastest first. Whatever an instruction has more than a batch of costs it the digits of its sources and a
    /// pass over its sums once more: half as much time again where there are many batches.
    pub const ALL: [Self; 7] = {
        let mut all = [Self::Stored; 7];
        let mut k = 1;
        while k < all.len() {
            all[k] = Self::OnDemand { batch_bytes: BATCH_BYTES << (all.len() - 1 - k) };
            k += 1;
        }
        all
    };

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::OnDemand { .. } => "on-demand",
        }
    }
}

/// Words of a limb of a plaintext whose slots repeat after `period`; none if it is kept in full.
fn subring_words(period: usize, slots: usize) -> Option<usize> {
    SubringPoly::degree_of(2 * slots, period)
}

/// The same as [`costmodel::LinearShape`] has it: zero if it is kept in full.
pub(crate) fn shape_words(period: usize, slots: usize) -> usize {
    subring_words(period, slots).unwrap_or(0)
}

impl PlaintextSpec {
    /// Degree of the ring that it is encoded in, given the slots of a ciphertext: that of ciphertexts, or of a subring.
    pub fn degree(&self, slots: usize) -> usize {
        subring_words(self.period, slots).unwrap_or(2 * slots)
    }

    /// Whether it is encoded as a subring plaintext, given the slots of a ciphertext.
    pub fn is_subring(&self, slots: usize) -> bool {
        subring_words(self.period, slots).is_some()
    }

    /// Bytes of the encoding: `level + 1` limbs, and `special` more for an extended one, each of fewer words than the ring
    /// has if slots repeat often enough.
    pub fn encoded_bytes(&self, chain: &Chain) -> u64 {
        let limbs = self.level + 1 + if self.extended { chain.special } else { 0 };
        let words = subring_words(self.period, chain.slots);
        let limb_bytes = words.map_or(chain.limb_bytes(), |words| words * size_of::<u64>());
        (limbs * limb_bytes) as u64
    }
}

impl Program {
    /// How many of an instruction's plaintexts are encoded at a time: as many as fit into a batch whichever they are.
    pub fn plaintext_batch(&self, facts: &Facts, chain: &Chain, form: PlaintextForm) -> usize {
        let PlaintextForm::OnDemand { batch_bytes } = form else { return facts.plaintexts.len() };
        self.largest_batch(facts, chain, batch_bytes).0
    }

    /// How many of an instruction's plaintexts fit into so many bytes, whichever they are (one at least), and the most that so
    /// many take: the largest first, as those whose slots repeat take less than others.
    fn largest_batch(&self, facts: &Facts, chain: &Chain, batch_bytes: u64) -> (usize, u64) {
        let own = facts.plaintexts.iter().filter_map(|p| self.plaintexts.get(*p));
        let mut sizes: Vec<u64> = own.map(|p| p.encoded_bytes(chain)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let (mut count, mut bytes) = (0, 0u64);
        for size in sizes {
            if count > 0 && bytes + size > batch_bytes {
                break;
            }
            (count, bytes) = (count + 1, bytes + size);
        }
        (count, bytes)
    }

    /// Bytes of plaintexts: of all encodings; or, on demand, of what makes all slot values and the largest batch of encodings.
    pub(super) fn plaintexts_bytes(&self, chain: &Chain, form: PlaintextForm) -> u64 {
        let PlaintextForm::OnDemand { batch_bytes } = form else {
            return self.plaintexts.iter().map(|p| p.encoded_bytes(chain)).sum();
        };
        let batch = |i| self.largest_batch(&self.facts(i), chain, batch_bytes).1;
        let largest = self.instructions.iter().map(batch).max().unwrap_or(0);
        self.plaintexts.iter().map(|p| p.values_bytes).sum::<u64>() + largest
    }
}
