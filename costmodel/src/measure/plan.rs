//! What to measure.

use std::time::Duration;

use engine::kernels::sum_terms;
use engine::params::limits;
use engine::poly::Automorphism;

use super::needs;
use super::shapes::{self, LinearSpec};
use crate::check::MAX_SECONDS;
use crate::error::{Error, Result};
use crate::operation::{Client, Residency};
use crate::primitive::{KeyStorage, Setting};

/// Bits of primes whose transforms need no corrections. Within a class costs do not depend on the value.
const PRIME_BITS: u32 = 46;
/// Bits of primes whose transforms correct between stages, where those of any do.
const WIDE_PRIME_BITS: u32 = 50;

/// Of so many rotations after each other, each moves chunks of a limb in its own way: those of a row of a kernel do so.
const SHIFTS_OF_A_ROW: usize = 3;

/// Most passes over a plan's sets.
const MAX_PASSES: usize = 1000;

/// A parameter set to measure. It need not be secure: costs do not depend on that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPlan {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Highest level.
    pub depth: usize,
    /// Special primes.
    pub special: usize,
    /// Limbs per key-switching digit.
    pub alpha: usize,
    /// Levels to measure at.
    pub levels: Vec<usize>,
    /// Bits of every prime.
    pub prime_bits: u32,
}

/// Sets, cases and limits of a calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name, for the profile.
    pub name: String,
    /// Parameter sets.
    pub sets: Vec<SetPlan>,
    /// Time that the whole should take.
    pub budget: Duration,
    /// How often each set is visited; visits are spread over the whole time.
    pub passes: usize,
    /// Whether each operation is measured at one level of a set only, the levels in turn: the second one, the third, and after
    /// the last the first again.
    pub levels_in_turn: bool,
    /// Most rotation keys of a set.
    pub rotation_keys: usize,
    /// Memory of a set's keys, in bytes; fewer rotations are measured where they would need more.
    pub key_bytes: u64,
    /// Memory of a set's ciphertexts and plaintexts, in bytes; there are fewer plaintexts where they would need more.
    pub operand_bytes: u64,
    /// Memory of the results of one operation, in bytes; operations have fewer results where they would need more.
    pub result_bytes: u64,
}

impl SetPlan {
    fn new(log_n: u32, depth: usize, special: usize, alpha: usize, levels: &[usize]) -> Self {
        Self { log_n, depth, special, alpha, levels: levels.to_vec(), prime_bits: PRIME_BITS }
    }

    /// The same with wide primes.
    fn wide(self) -> Self {
        Self { prime_bits: WIDE_PRIME_BITS, ..self }
    }

    /// Whether transforms correct between stages.
    pub(super) fn is_wide(&self) -> bool {
        engine::ntt::corrects(f64::from(self.prime_bits).exp2(), self.log_n)
    }

    /// The slots by which rotations turn. As in convolutions, those of a row read other chunks of a limb at a time, and those of
    /// the next row the same again ([`Automorphism::slots_alike`]): with 16 slots, `16 17 18 32 33 34 48 49 50`.
    pub(super) fn shifts(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let alike = Automorphism::slots_alike(self.log_n);
        let row = SHIFTS_OF_A_ROW.min(alike);
        (0..count).map(move |k| (k / row + 1) * alike + k % row)
    }

    /// Bytes of one key for the highest level.
    pub(super) fn bytes_per_key(&self) -> u64 {
        let switch = self.setting(self.depth, 1).switch();
        self.keys().key_bytes(switch.digits(), switch.limbs + self.special, self.log_n)
    }

    /// Bits of every prime.
    pub(super) fn prime_bits(&self) -> u32 {
        self.prime_bits
    }

    /// The setting of a measurement.
    pub(super) fn setting(&self, level: usize, threads: usize) -> Setting {
        let Self { log_n, special, alpha, .. } = *self;
        let (wide, keys) = (self.is_wide(), self.keys());
        let sum_terms = sum_terms(f64::from(self.prime_bits).exp2());
        Setting { log_n, level, special, alpha, threads, wide, sum_terms, keys }
    }

    /// What its keys take in memory.
    pub(super) fn keys(&self) -> KeyStorage {
        KeyStorage::of_primes([f64::from(self.prime_bits).exp2()])
    }
}

impl Plan {
    /// The ring degrees that networks use, a few levels and digit sizes each: for two thread counts a minute and a half.
    ///
    /// Half of the cases are enough for some 25 unit costs, as errors of the model outweigh those of measurements. Median errors
    /// on the points kept out, of fits to shares of a plan's cases that were measured on two machines, with one thread and two:
    ///
    /// | cases | Intel Xeon, L3 of 260 MB | AMD EPYC, L3 of 32 MB |
    /// | --- | --- | --- |
    /// | all | 5.3, 6.3 % | 8.5, 9.5 % |
    /// | levels in turn: 47 % | 4.9, 6.2 % | 8.4, 9.4 % |
    /// | a quarter, at random | 5.5, 6.7 % | 9.1, 9.8 % |
    /// | a tenth, at random | 5.7, 8.4 % | 10.5, 12.1 % |
    pub fn quick() -> Self {
        let sets = vec![
            SetPlan::new(13, 5, 1, 1, &[5, 2]),
            SetPlan::new(13, 5, 3, 3, &[5, 3]),
            SetPlan::new(14, 8, 1, 1, &[8, 4, 1]),
            SetPlan::new(14, 8, 3, 3, &[7, 4]),
            SetPlan::new(14, 4, 2, 2, &[4, 2]).wide(),
            SetPlan::new(15, 8, 2, 2, &[8, 5, 2]),
            SetPlan::new(16, 11, 4, 4, &[11, 7, 3]).wide(),
        ];
        Self {
            name: "quick".into(),
            sets,
            budget: Duration::from_secs(70),
            passes: 2,
            levels_in_turn: true,
            rotation_keys: 47,
            key_bytes: 1 << 29,
            operand_bytes: 1 << 30,
            result_bytes: 256 << 20,
        }
    }

    /// Ring degrees 2^12 to 2^16 over more levels and digit sizes: some fifteen minutes.
    pub fn full() -> Self {
        let sets = vec![
            SetPlan::new(12, 2, 1, 1, &[2, 1]),
            SetPlan::new(12, 3, 2, 2, &[3, 1]),
            SetPlan::new(13, 5, 1, 1, &[5, 3, 1]),
            SetPlan::new(13, 5, 2, 2, &[5, 2]),
            SetPlan::new(13, 5, 3, 3, &[5, 4]),
            SetPlan::new(14, 8, 1, 1, &[8, 5, 2]),
            SetPlan::new(14, 8, 2, 2, &[7, 3]),
            SetPlan::new(14, 8, 3, 3, &[8, 5, 1]),
            SetPlan::new(13, 4, 2, 2, &[4, 2]).wide(),
            SetPlan::new(14, 6, 2, 2, &[6, 4, 2]).wide(),
            SetPlan::new(15, 15, 1, 1, &[10, 4]),
            SetPlan::new(15, 15, 3, 3, &[15, 8, 2]),
            SetPlan::new(15, 15, 4, 4, &[14, 6]),
            SetPlan::new(16, 23, 4, 4, &[20, 8]),
            SetPlan::new(16, 23, 6, 6, &[23, 12, 3]),
        ];
        Self {
            name: "full".into(),
            sets,
            budget: Duration::from_secs(870),
            passes: 3,
            levels_in_turn: false,
            rotation_keys: 47,
            key_bytes: 1536 << 20,
            operand_bytes: 1 << 30,
            result_bytes: 256 << 20,
        }
    }

    /// Small rings and a budget of a second or two: for tests, not for predictions.
    pub fn tiny() -> Self {
        Self {
            name: "tiny".into(),
            sets: vec![SetPlan::new(11, 2, 1, 1, &[2, 1]), SetPlan::new(12, 2, 2, 2, &[2])],
            budget: Duration::from_secs(2),
            passes: 1,
            levels_in_turn: false,
            rotation_keys: 8,
            key_bytes: 64 << 20,
            operand_bytes: 64 << 20,
            result_bytes: 32 << 20,
        }
    }

    /// Checks a plan: a year and 1000 passes at most, and sets that the engine accepts.
    ///
    /// # Errors
    /// [`Error::Plan`], [`Error::Engine`].
    pub(super) fn check(&self) -> Result<()> {
        let fail = |reason: String| Err(Error::Plan(reason));
        if self.sets.is_empty() || self.passes == 0 {
            return fail(format!(
                "{} sets and {} passes, expected at least one each",
                self.sets.len(),
                self.passes
            ));
        }
        if self.passes > MAX_PASSES || self.budget.as_secs_f64() > MAX_SECONDS {
            return fail(format!(
                "{} passes in {:?}, expected at most {MAX_PASSES} in {MAX_SECONDS} seconds",
                self.passes, self.budget
            ));
        }
        for set in &self.sets {
            limits::check_log_n(set.log_n)?;
            limits::check_counts(set.depth, set.special)?;
            limits::check_digit_limbs(set.alpha, set.depth)?;
            if set.levels.is_empty() || set.levels.iter().any(|&l| l == 0 || l > set.depth) {
                return fail(format!(
                    "levels {:?}, expected some of 1 to {}",
                    set.levels, set.depth
                ));
            }
        }
        Ok(())
    }

    /// Rotation keys of a set, within the limits; at least one.
    pub(super) fn keys_of(&self, set: &SetPlan) -> usize {
        let affordable = (self.key_bytes / set.bytes_per_key().max(1)) as usize;
        self.rotation_keys.min(affordable.saturating_sub(2)).max(1)
    }

    /// Everything to measure with a set, always in the same order.
    pub(super) fn cases(&self, set: &SetPlan) -> Vec<Case> {
        let keys = self.keys_of(set);
        let most = |level: usize| {
            let each = (2 * (level + 1 + set.special)) as u64 * (8 << set.log_n);
            let results = (self.result_bytes / each).max(1) as usize;
            Most { keys, results, plaintexts: needs::plaintexts(self, set, level) }
        };
        let count = set.levels.len();
        let at = |(number, &level): (usize, &usize)| {
            let cases = cases_at(level, &most(level)).into_iter().enumerate();
            let has_turn = move |k: usize| !self.levels_in_turn || (k + 1) % count == number;
            cases.filter(move |(k, _)| has_turn(*k)).map(|(_, case)| case)
        };
        set.levels.iter().enumerate().flat_map(at).collect()
    }
}

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Case {
    pub kind: Kind,
    pub level: usize,
    pub residency: Residency,
}

/// Which operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    RotateHoisted(usize),
    Linear(LinearSpec),
    SumSquares { terms: usize, rescale: bool },
    Multiply { rescale: bool },
    Add,
    AddPlain,
    Rescale,
    DropLevel { to: usize },
    Conjugate,
    Client(Client),
}

/// What cases at one level may have at most.
struct Most {
    /// Rotation keys.
    keys: usize,
    /// Results of one operation.
    results: usize,
    /// Plaintexts.
    plaintexts: usize,
}

/// The cases at one level.
fn cases_at(level: usize, most: &Most) -> Vec<Case> {
    let Most { keys, results, plaintexts } = *most;
    let limited = |spec: LinearSpec| {
        let spec = spec.limited(keys).with_plaintexts(plaintexts);
        LinearSpec { outputs: spec.outputs.min(results), ..spec }
    };
    let mut cases: Vec<Case> = Vec::new();
    let mut push = |kind: Kind, residency: Residency| {
        let case = Case { kind, level, residency };
        if !cases.contains(&case) {
            cases.push(case);
        }
    };
    for spec in shapes::catalogue() {
        push(Kind::Linear(limited(spec)), Residency::Cold);
    }
    for rotations in [1, 4, 12] {
        push(Kind::RotateHoisted(rotations.min(keys).min(results)), Residency::Cold);
    }
    let products = [(1, true), (1, false), (4, true)];
    for (terms, rescale) in products {
        push(Kind::SumSquares { terms, rescale }, Residency::Warm);
    }
    push(Kind::Multiply { rescale: true }, Residency::Warm);
    let others = [
        Kind::Add,
        Kind::AddPlain,
        Kind::Rescale,
        Kind::DropLevel { to: level - 1 },
        Kind::Conjugate,
    ];
    others.into_iter().for_each(|kind| push(kind, Residency::Cold));
    // The client's steps come one after the other.
    let client = [
        Client::Encode { extended: false },
        Client::Encode { extended: true },
        Client::Encrypt,
        Client::Decrypt,
        Client::Decode,
    ];
    client.into_iter().for_each(|step| push(Kind::Client(step), Residency::Warm));
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_sound() {
        for plan in [Plan::quick(), Plan::full(), Plan::tiny()] {
            plan.check().unwrap();
            for set in &plan.sets {
                let cases = plan.cases(set);
                let levels = if plan.levels_in_turn { 1 } else { set.levels.len() };
                assert!(cases.len() > 30 * levels, "{}", cases.len());
                assert_eq!(cases, plan.cases(set));
                assert!(plan.keys_of(set) as u64 * set.bytes_per_key() <= plan.key_bytes);
                let shifts: Vec<usize> = set.shifts(plan.keys_of(set)).collect();
                assert!(shifts[0] > 0 && shifts.is_sorted_by(|a, b| a < b), "{shifts:?}");
                assert!(shifts.iter().all(|shift| *shift < 1 << (set.log_n - 1)), "{shifts:?}");
            }
        }
    }

    #[test]
    fn levels_take_turns() {
        let quick = Plan::quick();
        let all = Plan { levels_in_turn: false, ..quick.clone() };
        for set in &quick.sets {
            let (some, every) = (quick.cases(set), all.cases(set));
            assert!(some.iter().all(|case| every.contains(case)));
            let levels = set.levels.len();
            for &level in &set.levels {
                let count = |cases: &[Case]| cases.iter().filter(|c| c.level == level).count();
                assert!((levels * count(&some)).abs_diff(count(&every)) < levels, "{set:?}");
            }
        }
    }

    #[test]
    fn bad_plans_are_refused() {
        let mut plan = Plan::tiny();
        plan.sets[0].levels = vec![9];
        assert!(matches!(plan.check(), Err(Error::Plan(_))));
        plan.sets.clear();
        assert!(plan.check().is_err());
    }

    #[test]
    fn size_of_a_key() {
        // 6 limbs in 3 digits, two special primes: 3 * 8 limbs of 2^13 words, of 6 bytes or of 8, and of both components
        // unless one is made from its seed.
        let set = SetPlan::new(13, 5, 2, 2, &[1]);
        let components = if set.keys().masks_made { 1 } else { 2 };
        assert_eq!(set.bytes_per_key(), (components * 24 * 6) << 13);
        assert_eq!(set.wide().bytes_per_key(), (components * 24 * 8) << 13);
    }
}
