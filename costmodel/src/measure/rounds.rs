//! Rounds of measurements: all of them in turn, again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rayon::ThreadPool;

use super::bench::{Bench, Prepared};
use super::plan::{Kind, Plan, SetPlan};
use crate::error::{Error, Result};
use crate::load::{self, Watch};
use crate::operation::Operation;

/// Most rounds.
pub(super) const MAX_ROUNDS: usize = 20;

/// A short case is measured this often a round.
const SHORT_REPEATS: usize = 3;

/// How often a disturbed measurement is made again in a round, at most.
pub(super) const MOST_REPEATS: usize = 2;

/// What counts as short, in nanoseconds.
const SHORT_NS: f64 = 2e6;

/// Times in nanoseconds, by thread count and case.
pub(super) type Samples = Vec<Vec<Vec<f64>>>;

/// Measurements that are made in turn.
pub(super) struct Rounds<'a> {
    pools: &'a [ThreadPool],
    cases: Vec<(&'a Bench, Prepared)>,
    /// State of the generator that orders the rounds.
    state: u64,
}

/// Times of a case.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub times: Vec<f64>,
    /// Whether other work disturbed them.
    disturbed: bool,
}

impl Found {
    /// Adds times of a round. Disturbed ones count while there are no others.
    pub fn add(&mut self, times: Vec<f64>, disturbed: bool) {
        if self.times.is_empty() || (self.disturbed && !disturbed) {
            *self = Self { times, disturbed };
        } else if disturbed == self.disturbed {
            self.times.extend(times);
        }
    }
}

fn samples(found: Vec<Vec<Found>>) -> Samples {
    found.into_iter().map(|cases| cases.into_iter().map(|found| found.times).collect()).collect()
}

impl<'a> Rounds<'a> {
    /// Makes every case of a set ready.
    ///
    /// # Errors
    /// Engine errors.
    pub fn of_set(
        plan: &Plan,
        set: &SetPlan,
        bench: &'a Bench,
        pools: &'a [ThreadPool],
        pass: usize,
    ) -> Result<Self> {
        let cases = plan.cases(set);
        let cases = cases.iter().map(|case| Ok((bench, bench.prepare(case)?)));
        let cases = cases.collect::<Result<_>>()?;
        Ok(Self { pools, cases, state: pass as u64 + 1 })
    }

    /// What the cases are, as the engine executes them.
    pub fn operations(&self) -> Vec<Operation> {
        self.cases.iter().map(|(_, prepared)| prepared.operation).collect()
    }

    /// Measures until the deadline, and again what other work disturbs; each case at least once.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; engine errors.
    pub fn run(
        &mut self,
        deadline: Instant,
        cancel: &AtomicBool,
        tell: &mut dyn FnMut(),
    ) -> Result<Samples> {
        let mut found = vec![vec![Found::default(); self.cases.len()]; self.pools.len()];
        for round in 0..MAX_ROUNDS {
            for pool in 0..self.pools.len() {
                for case in self.order() {
                    if cancel.load(Ordering::Relaxed) {
                        return Err(Error::Cancelled);
                    }
                    if round > 0 && Instant::now() >= deadline {
                        return Ok(samples(found));
                    }
                    let mut repeats = MOST_REPEATS;
                    let attempt = || self.watched(pool, case, round);
                    let (times, load) = load::repeat(&mut repeats, cancel, attempt)?;
                    let disturbed = load.is_some_and(|load| load.is_disturbed());
                    found[pool][case].add(times, disturbed);
                    tell();
                }
            }
        }
        Ok(samples(found))
    }

    /// Times of a case in a round, and what they had of the processor.
    fn watched(
        &self,
        pool: usize,
        case: usize,
        round: usize,
    ) -> Result<(Vec<f64>, Option<load::Load>)> {
        let threads = self.pools[pool].current_num_threads();
        let watch = Watch::start(threads);
        let times = self.measure(pool, case, round)?;
        Ok((times, watch.stop()))
    }

    fn measure(&self, pool: usize, case: usize, round: usize) -> Result<Vec<f64>> {
        let (bench, prepared) = &self.cases[case];
        let once = || self.pools[pool].install(|| bench.time(prepared));
        let first = once()?;
        let mut times = Vec::new();
        // The very first execution of a short case meets cold code and fresh memory, and does not count.
        if round > 0 || first >= SHORT_NS {
            times.push(first);
        }
        if first < SHORT_NS {
            for _ in 1..SHORT_REPEATS {
                times.push(once()?);
            }
        }
        Ok(times)
    }

    /// The cases in a fresh order (Fisher and Yates).
    fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.cases.len()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disturbed_times_count_only_where_there_are_no_others() {
        let of = |rounds: &[(f64, bool)]| {
            let mut found = Found::default();
            rounds.iter().for_each(|(time, disturbed)| found.add(vec![*time], *disturbed));
            found.times
        };
        assert_eq!(of(&[(9.0, true), (8.0, true)]), [9.0, 8.0]);
        assert_eq!(of(&[(9.0, true), (1.0, false), (8.0, true), (2.0, false)]), [1.0, 2.0]);
        assert_eq!(of(&[(1.0, false), (9.0, true)]), [1.0]);
    }
}
