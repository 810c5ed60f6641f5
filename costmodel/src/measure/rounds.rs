//! Rounds of measurements: all cases of a set in turn, in another order each round, again and again.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use engine::buffer::AlignedBuf;
use rayon::ThreadPool;

use super::bench::{Bench, Windows};
use super::plan::{Case, Kind, Plan, SetPlan};
use crate::error::{Error, Result};
use crate::load::{self, Patience, Timed, pace};
use crate::operation::Operation;

/// Most rounds.
pub(super) const MAX_ROUNDS: usize = 20;

/// A short case is measured this often a round: with the others, and again after them.
const SHORT_REPEATS: usize = 3;

/// How often a disturbed measurement is made again in a round, at most.
pub(super) const MOST_REPEATS: usize = 2;

/// A round makes one measurement again for so many cases, at most.
const CASES_PER_REPEAT: usize = 4;

/// How much of its time a visit may wait for undisturbed cores.
const WAITING_SHARE: f64 = 0.25;

/// What counts as short, in nanoseconds.
const SHORT_NS: f64 = 2e6;

/// So many cases, those with the most results, are executed before any is measured.
const FIRST_CASES: usize = 3;

/// Times, by thread count and case.
pub(super) type Samples = Vec<Vec<Vec<Timed>>>;

/// Measurements of the cases of a set, which are made in turn.
pub(super) struct Rounds<'a> {
    pools: &'a [ThreadPool],
    bench: &'a Bench,
    cases: Vec<Case>,
    /// Of each case: what it is, as the engine executes it.
    operations: Vec<Operation>,
    /// Of each case: whether it was short when it was measured last.
    short: Vec<bool>,
    windows: Windows,
    /// State of the generator that orders the rounds.
    state: u64,
}

impl<'a> Rounds<'a> {
    /// Makes the cases of a set ready, and executes those with the most results with the most threads: the first to need memory
    /// takes it from the system.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; engine errors.
    pub fn of_set(
        plan: &Plan,
        set: &SetPlan,
        bench: &'a Bench,
        pools: &'a [ThreadPool],
        pass: usize,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let cases = plan.cases(set);
        let widest = pools.iter().max_by_key(|pool| pool.current_num_threads());
        let mut windows = Windows::default();
        let mut by_results: Vec<&Case> = cases.iter().collect();
        by_results.sort_by_key(|case| Reverse(result_limbs(case)));
        for case in by_results.into_iter().take(FIRST_CASES) {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let prepared = bench.prepare(case, &mut windows)?;
            widest.map_or(Ok(0.0), |pool| pool.install(|| bench.time_next(&prepared)))?;
        }
        let prepare = |case| Ok(bench.prepare(case, &mut windows)?.operation);
        let operations = cases.iter().map(prepare).collect::<Result<_>>()?;
        let short = vec![false; cases.len()];
        Ok(Self { pools, bench, cases, operations, short, windows, state: pass as u64 + 1 })
    }

    /// What the cases are, as the engine executes them.
    pub fn operations(&self) -> Vec<Operation> {
        self.operations.clone()
    }

    /// Measures until the deadline, when cores are undisturbed as far as a quarter of the time goes, and again what other
    /// work disturbs all the same; each case at least once.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; engine errors.
    pub fn run(
        &mut self,
        deadline: Instant,
        cancel: &AtomicBool,
        tell: &mut dyn FnMut(),
    ) -> Result<Samples> {
        let mut found = vec![vec![Vec::new(); self.cases.len()]; self.pools.len()];
        let left = deadline.saturating_duration_since(Instant::now());
        let mut waiting = left.mul_f64(WAITING_SHARE);
        for round in 0..MAX_ROUNDS {
            let times = |pool: usize| (0..SHORT_REPEATS).map(move |time| (pool, time > 0));
            for (pool, again) in (0..self.pools.len()).flat_map(times) {
                let mut repeats_left = self.cases.len() / CASES_PER_REPEAT;
                // A program that runs finds its memory in one block.
                AlignedBuf::gather_pool();
                for case in self.order(again) {
                    if cancel.load(Ordering::Relaxed) {
                        return Err(Error::Cancelled);
                    }
                    if round > 0 && Instant::now() >= deadline {
                        return Ok(found);
                    }
                    // A short case comes again in any case.
                    let most = if self.short[case] { 0 } else { MOST_REPEATS.min(repeats_left) };
                    let mut patience = Patience { repeats: most, waiting };
                    let timed = self.pools[pool]
                        .install(|| load::repeat(&mut patience, cancel, || self.measure(case)))?;
                    (repeats_left, waiting) =
                        (repeats_left - (most - patience.repeats), patience.waiting);
                    self.short[case] = timed.ns < SHORT_NS;
                    found[pool][case].push(timed);
                    tell();
                }
            }
        }
        Ok(found)
    }

    /// Measures what has no undisturbed time so far, `(pool, case)` each, until it has one or the deadline comes.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; engine errors.
    pub fn mend(
        &mut self,
        mut lacking: Vec<(usize, usize)>,
        deadline: Instant,
        cancel: &AtomicBool,
        tell: &mut dyn FnMut(),
    ) -> Result<Samples> {
        let mut found = vec![vec![Vec::new(); self.cases.len()]; self.pools.len()];
        while !lacking.is_empty() {
            let mut left = Vec::new();
            for (pool, case) in lacking {
                if cancel.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                let mut waiting = deadline.saturating_duration_since(Instant::now());
                if waiting.is_zero() {
                    return Ok(found);
                }
                let timed = self.pools[pool].install(|| {
                    pace::wait(&mut waiting, cancel);
                    self.measure(case)
                })?;
                found[pool][case].push(timed);
                if timed.load.is_disturbed() {
                    left.push((pool, case));
                }
                tell();
            }
            lacking = left;
        }
        Ok(found)
    }

    /// Time of a case in the current pool.
    fn measure(&mut self, case: usize) -> Result<Timed> {
        let prepared = self.bench.prepare(&self.cases[case], &mut self.windows)?;
        self.bench.time(&prepared)
    }

    /// The cases, or the short ones, in a fresh order (Fisher and Yates).
    fn order(&mut self, short: bool) -> Vec<usize> {
        let mut order: Vec<usize> =
            (0..self.cases.len()).filter(|case| !short || self.short[*case]).collect();
        for i in (1..order.len()).rev() {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            order.swap(i, (self.state >> 33) as usize % (i + 1));
        }
        order
    }
}

/// Limbs of what a case computes, about.
fn result_limbs(case: &Case) -> usize {
    let results = match case.kind {
        Kind::RotateHoisted(rotations) => rotations,
        Kind::Linear(spec) => spec.outputs,
        _ => 1,
    };
    results * (case.level + 1)
}

/// About how long a round of a set takes, compared with other sets.
pub(super) fn weight(plan: &Plan, set: &SetPlan) -> f64 {
    let n = f64::from(set.log_n).exp2();
    let key = set.bytes_per_key() as f64;
    // Rough unit costs in nanoseconds: a byte of memory, a word through an NTT, the short measurements of a case.
    let (byte, word, overhead) = (0.15, 30.0, 2e6);
    let cases: f64 = plan
        .cases(set)
        .iter()
        .map(|case| {
            let limbs = (case.level + 1 + set.special) as f64;
            let share = (limbs / (set.depth + 1 + set.special) as f64).powi(2);
            let (rotations, terms) = match case.kind {
                Kind::RotateHoisted(rotations) => (rotations, 0),
                Kind::Linear(spec) => (spec.sources * spec.shifts, spec.outputs * spec.terms),
                _ => (1, 1),
            };
            overhead
                + rotations as f64 * key * share * byte
                + (terms as f64 * 8.0 * byte + 2.0 * word) * limbs * n
        })
        .sum();
    let generation = plan.keys_of(set) as f64 * key / 8.0 * word;
    cases + generation
}
