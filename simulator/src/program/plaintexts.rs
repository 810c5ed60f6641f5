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
        let limbs = self.level + 1 + if self.extended { chain.special() } else { 0 };
        let words = subring_words(self.period, chain.slots);
        let limb_bytes = words.map_or(chain.limb_bytes(), |words| words * size_of::<u64>());
        (limbs * limb_bytes) as u64
    }
}

/// Plaintexts that are encoded at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaintextBatch {
    /// How many, at most: as many as fit whichever they are, one at least.
    pub count: usize,
    /// The most that so many take; zero where all plaintexts are kept encoded.
    pub bytes: u64,
}

impl Program {
    /// The largest batch of an instruction's plaintexts: all of them, or on demand as many as fit into one.
    pub fn plaintext_batch(
        &self,
        facts: &Facts,
        chain: &Chain,
        form: PlaintextForm,
    ) -> PlaintextBatch {
        let PlaintextForm::OnDemand { batch_bytes } = form else {
            return PlaintextBatch { count: facts.plaintexts.len(), bytes: 0 };
        };
        let mut batch = PlaintextBatch { count: 0, bytes: 0 };
        for size in self.sizes(facts, chain) {
            if batch.count > 0 && batch.bytes + size > batch_bytes {
                break;
            }
            batch = PlaintextBatch { count: batch.count + 1, bytes: batch.bytes + size };
        }
        batch
    }

    /// Bytes of the `count` largest of an instruction's plaintexts.
    pub(super) fn largest_bytes(&self, facts: &Facts, chain: &Chain, count: usize) -> u64 {
        self.sizes(facts, chain).into_iter().take(count).sum()
    }

    /// Bytes of an instruction's plaintexts, encoded, the largest first: those whose slots repeat take less than others.
    fn sizes(&self, facts: &Facts, chain: &Chain) -> Vec<u64> {
        let own = facts.plaintexts.iter().filter_map(|p| self.plaintexts.get(*p));
        let mut sizes: Vec<u64> = own.map(|p| p.encoded_bytes(chain)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes
    }

    /// Bytes of plaintexts that are there all the time: of all encodings; or, on demand, of what makes all slot values.
    pub(super) fn kept_plaintexts_bytes(&self, chain: &Chain, form: PlaintextForm) -> u64 {
        let bytes = |p: &PlaintextSpec| match form {
            PlaintextForm::Stored => p.encoded_bytes(chain),
            PlaintextForm::OnDemand { .. } => p.values_bytes,
        };
        self.plaintexts.iter().map(bytes).sum()
    }
}
