//! Whether a machine is as fast as when it was calibrated.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::ThreadPool;

use super::bench::{Bench, Windows};
use super::needs::Needs;
use super::plan::{Case, Kind, Plan, SetPlan};
use crate::error::{Error, Result};
use crate::point::{Point, quantile};

/// What took longer then, in nanoseconds, is left out: all of them would take seconds.
const LONGEST_NS: f64 = 50e6;

/// Some measurements of a calibration, to be made again beside other work.
///
/// They are the sums over rotations of one of its parameter sets, the middle one of the plan, but for the longest: from one key
/// and one plaintext to as many as caches do not hold, so that cores, caches and memory all have their part. (A kernel alone
/// says less: of transforms beside such sums, on a machine that is shared, times had a correlation of 0.7 with one thread
/// and 0.5 with two, and sums drifted up to twice as far.)
pub struct Drift {
    /// What keys and operands were predicted to take.
    bytes: u64,
    set: SetPlan,
    bench: Bench,
    cases: Vec<Case>,
    windows: Windows,
    points: Vec<Point>,
}

impl Drift {
    /// Generates keys and operands for what the calibration of that plan found. None where `memory_bytes` have no room for them,
    /// or the points are none of this plan.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn prepare(
        plan: &Plan,
        points: &[Point],
        pool: &ThreadPool,
        memory_bytes: u64,
    ) -> Result<Option<Self>> {
        let Some(set) = plan.sets.get(plan.sets.len() / 2) else { return Ok(None) };
        let (params, needs) = (set.parameters()?, Needs::of_set(plan, set));
        let is_of_set = |p: &&Point| set.setting(p.setting.level, p.setting.threads) == p.setting;
        let points: Vec<Point> = points.iter().filter(is_of_set).copied().collect();
        let bytes = needs.bytes(&params);
        if bytes > memory_bytes || points.is_empty() {
            return Ok(None);
        }
        let is_sum = |case: &Case| matches!(case.kind, Kind::Linear(_));
        let cases = plan.cases(set).into_iter().filter(is_sum).collect();
        let bench = pool.install(|| Bench::new(&params, &needs))?;
        let set = set.clone();
        let mut drift = Self { bytes, set, bench, cases, windows: Windows::default(), points };
        // The first time meets cold code and takes memory from the system.
        drift.measure(pool, &AtomicBool::new(false))?;
        Ok(Some(drift))
    }

    /// Bytes of keys and operands.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Measures each once: how many times as long it takes as then with as many threads, the median over all. None where the
    /// calibration did not measure with so many threads.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; those of the engine.
    pub fn measure(&mut self, pool: &ThreadPool, cancel: &AtomicBool) -> Result<Option<f64>> {
        let threads = pool.current_num_threads();
        let mut ratios = Vec::new();
        for case in &self.cases {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let setting = self.set.setting(case.level, threads);
            let prepared = self.bench.prepare(case, &mut self.windows)?;
            let then = self.points.iter().find(|p| {
                (p.operation, p.setting, p.residency)
                    == (prepared.operation, setting, case.residency)
                    && p.time.median_ns <= LONGEST_NS
            });
            let Some(then) = then else { continue };
            let (now_ns, _) = self.bench.time(&prepared, pool)?;
            ratios.push(now_ns / then.time.median_ns);
        }
        ratios.sort_by(f64::total_cmp);
        Ok(quantile(&ratios, 0.5))
    }
}
