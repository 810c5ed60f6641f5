//! Rounds of measurements within one visit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rayon::ThreadPool;

use super::bench::{Bench, Prepared};
use super::plan::{Kind, Plan, SetPlan};
use crate::error::{Error, Result};
use crate::operation::Operation;

/// Most rounds of one visit.
const MAX_ROUNDS: usize = 20;

/// A short case is measured this often a round.
const SHORT_REPEATS: usize = 3;

/// What counts as short, in nanoseconds.
const SHORT_NS: f64 = 2e6;

/// Times in nanoseconds, by thread count and case.
pub(super) type Samples = Vec<Vec<Vec<f64>>>;

/// The rounds of one visit.
pub(super) struct Rounds<'a> {
    bench: &'a Bench,
    pools: &'a [ThreadPool],
    prepared: Vec<Prepared>,
    /// State of the generator that orders the rounds.
    state: u64,
}

impl<'a> Rounds<'a> {
    /// Makes every case of a set ready.
    ///
    /// # Errors
    /// Engine errors.
    pub fn new(
        plan: &Plan,
        set: &SetPlan,
        bench: &'a Bench,
        pools: &'a [ThreadPool],
        pass: usize,
    ) -> Result<Self> {
        let prepared =
            plan.cases(set).iter().map(|case| bench.prepare(case)).collect::<Result<_>>()?;
        Ok(Self { bench, pools, prepared, state: pass as u64 + 1 })
    }

    /// What the cases are, as the engine executes them.
    pub fn operations(&self) -> Vec<Operation> {
        self.prepared.iter().map(|p| p.operation).collect()
    }

    /// Measures until the deadline; each case at least once.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; engine errors.
    pub fn run(
        &mut self,
        deadline: Instant,
        cancel: &AtomicBool,
        tell: &mut dyn FnMut(),
    ) -> Result<Samples> {
        let mut samples: Samples = vec![vec![Vec::new(); self.prepared.len()]; self.pools.len()];
        for round in 0..MAX_ROUNDS {
            for pool in 0..self.pools.len() {
                for case in self.order() {
                    if cancel.load(Ordering::Relaxed) {
                        return Err(Error::Cancelled);
                    }
                    if round > 0 && Instant::now() >= deadline {
                        return Ok(samples);
                    }
                    self.measure(pool, case, round, &mut samples[pool][case])?;
                    tell();
                }
            }
        }
        Ok(samples)
    }

    fn measure(&self, pool: usize, case: usize, round: usize, list: &mut Vec<f64>) -> Result<()> {
        let once = || self.pools[pool].install(|| self.bench.time(&self.prepared[case]));
        let first = once()?;
        // The very first execution of a short case meets cold code and fresh memory, and does not count.
        if round > 0 || first >= SHORT_NS {
            list.push(first);
        }
        if first < SHORT_NS {
            for _ in 1..SHORT_REPEATS {
                list.push(once()?);
            }
        }
        Ok(())
    }

    /// The cases in a fresh order (Fisher and Yates).
    fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.prepared.len()).collect();
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

/// About how long a round of a set takes, compared with other sets.
pub(super) fn weight(plan: &Plan, set: &SetPlan) -> f64 {
    let n = f64::from(set.log_n).exp2();
    let key = set.bytes_per_key() as f64;
    // Rough unit costs in nanoseconds: a byte of memory, a word through an NTT, a measurement's own overhead.
    let (byte, word, overhead) = (0.15, 30.0, 8e6);
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
