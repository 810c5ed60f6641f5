//! Keys and operands that measurements with one parameter set need, and the memory that these take.

use std::collections::BTreeMap;

use engine::keys::KeySpec;
use engine::params::{Parameters, ParametersLiteral};

use super::instruction::Instruction;
use super::plan::{Plan, SetPlan};
use super::sequence::Sequence;
use crate::error::{Error, Result};
use crate::primitive::{KeyStorage, Primitive};

/// Ciphertexts kept at each level of a calibration: as many as the widest case has sources.
const SOURCES: usize = 25;
/// Fewest and most plaintexts kept at each level of a calibration.
const PLAINTEXTS: [usize; 2] = [24, 512];

/// Operands at one level.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Supply {
    pub ciphertexts: usize,
    /// Plaintexts with limbs for the special primes, by the words of a limb that they keep.
    pub plaintexts: BTreeMap<usize, usize>,
}

/// Keys and operands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Needs {
    /// Levels of the keys of rotations, by the slots that they rotate by.
    pub rotations: BTreeMap<usize, usize>,
    /// Level of the keys of products and of conjugation.
    pub top: usize,
    /// By level.
    pub levels: BTreeMap<usize, Supply>,
    /// Bytes of results, scratch and plaintexts made for it of the largest operation; of a calibration they are not counted.
    work_bytes: u64,
}

impl SetPlan {
    /// The parameters of a set.
    pub(super) fn parameters(&self) -> Result<Parameters> {
        let special = (self.special, self.prime_bits);
        let mut literal = ParametersLiteral::uniform(
            self.log_n,
            self.prime_bits,
            self.prime_bits,
            self.depth,
            special,
            self.alpha,
        )?;
        literal.allow_insecure = true;
        Ok(Parameters::new(&literal)?)
    }
}

impl Needs {
    /// Those of a set of a calibration.
    pub fn of_set(plan: &Plan, set: &SetPlan) -> Self {
        let n = 1usize << set.log_n;
        let supply = |level: usize| Supply {
            ciphertexts: SOURCES,
            plaintexts: [(n, plaintexts(plan, set, level))].into(),
        };
        Self {
            rotations: set.shifts(plan.keys_of(set)).map(|shift| (shift, set.depth)).collect(),
            top: set.depth,
            levels: set.levels.iter().map(|&level| (level, supply(level))).collect(),
            work_bytes: 0,
        }
    }

    /// These and those of a sequence.
    ///
    /// # Errors
    /// [`Error::Plan`] for a level or a number of rotations that these parameters do not have; engine errors.
    pub fn with(&self, sequence: &Sequence, params: &Parameters) -> Result<Self> {
        let mut all = self.clone();
        // Plaintexts that are kept, by level and words.
        let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for instruction in sequence.instructions() {
            let (level, most) = (instruction.level(), params.max_level());
            let shifts = instruction.shifts();
            let largest = shifts.last().copied().unwrap_or(0);
            if level > most || largest >= params.slots() {
                return Err(Error::Plan(format!(
                    "an instruction at level {level} with a rotation by {largest}, expected levels up to {most} and rotations by \
                     less than {}",
                    params.slots()
                )));
            }
            all.top = all.top.max(level);
            for shift in shifts {
                let key = all.rotations.entry(shift).or_insert(level);
                *key = level.max(*key);
            }
            let supply = all.levels.entry(level).or_default();
            let sources = instruction.primitive().sources();
            supply.ciphertexts = supply.ciphertexts.max(sources);
            for (words, count) in instruction.kept() {
                *counts.entry((level, words)).or_insert(0) += count;
            }
            all.work_bytes = all.work_bytes.max(work_bytes(instruction, params)?);
        }
        for ((level, words), count) in counts {
            let kept = all.levels.entry(level).or_default().plaintexts.entry(words).or_insert(0);
            *kept = count.max(*kept);
        }
        Ok(all)
    }

    /// The keys to generate.
    pub fn keys(&self) -> KeySpec {
        KeySpec {
            relinearisation: Some(self.top),
            conjugation: Some(self.top),
            rotations: self.rotations.iter().map(|(&shift, &level)| (shift, level)).collect(),
        }
    }

    /// Bytes of keys, operands, results and scratch.
    pub fn bytes(&self, params: &Parameters) -> u64 {
        let limb = 8 * params.n();
        let keys = self.rotations.values().copied().chain([self.top, self.top]);
        let keys: u64 = keys.map(|level| key_bytes(params, level)).sum();
        let operands = self.levels.iter().map(|(level, supply)| {
            let extended = level + 1 + params.special_count();
            // One more is what plaintexts are added to.
            let ciphertexts = (supply.ciphertexts + 1).saturating_mul(2 * (level + 1) * limb);
            let plaintexts = supply.plaintexts.iter();
            let plaintexts =
                plaintexts.map(|(words, count)| count.saturating_mul(8 * words * extended));
            plaintexts.fold(ciphertexts, usize::saturating_add) as u64
        });
        let operands = operands.fold(0, u64::saturating_add);
        keys.saturating_add(operands).saturating_add(self.work_bytes)
    }
}

/// Plaintexts that there are at a level of a calibration: its share of the memory for operands has room for them.
pub(super) fn plaintexts(plan: &Plan, set: &SetPlan, level: usize) -> usize {
    let share = plan.operand_bytes / set.levels.len().max(1) as u64;
    let limb = 8 << set.log_n;
    let each = (level + 1 + set.special) as u64 * limb;
    let taken = (SOURCES * 2 * (level + 1)) as u64 * limb;
    let [least, most] = PLAINTEXTS;
    (share.saturating_sub(taken) / each).clamp(least as u64, most as u64) as usize
}

/// Bytes of a key for a level.
pub(super) fn key_bytes(params: &Parameters, level: usize) -> u64 {
    let limbs = level + 1 + params.special_count();
    let size = |prime: &u64| *prime as f64;
    let (q, p) = (params.q(), params.p());
    let storage = KeyStorage::of_primes(q[..=level].iter().chain(&p).map(size));
    storage.key_bytes(params.digits(level).len(), limbs, params.log_n())
}

/// Bytes of results, scratch and plaintexts made for an instruction, about.
fn work_bytes(instruction: &Instruction, params: &Parameters) -> Result<u64> {
    let level = instruction.level();
    let extended = level + 1 + params.special_count();
    let limb = 8 * params.n();
    let (results, scratch) = match (instruction.plan(params)?, instruction.primitive()) {
        (Some(plan), _) => (plan.shape().outputs, plan.scratch_bytes(params, level)),
        (None, Primitive::RotateHoisted { rotations }) => (rotations, 0),
        _ => (1, 0),
    };
    // Sums of batches are in the extended basis; a product of ciphertexts has three parts and a decomposition.
    let each = 2 * extended * limb;
    let sums = if instruction.in_batches() { 2 * results } else { results };
    let made = instruction.made().into_iter().fold(0usize, |sum, (words, count)| {
        sum.saturating_add(count.saturating_mul(8 * words * extended))
    });
    let sums = sums.saturating_add(4).saturating_mul(each);
    Ok([scratch, made].into_iter().fold(sums, usize::saturating_add) as u64)
}
