//! Kernels timed alone: on words in the caches, on all threads at once. All together take a second, so that no journal has
//! them: a calibration that is resumed times them again.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use engine::unit::{Unit, UnitBench};
use rayon::ThreadPool;

use super::plan::{Plan, SetPlan};
use crate::error::{Error, Result};
use crate::operation::{Operation, Residency};
use crate::point::{Point, Timing};

/// Times of each kernel.
const ROUNDS: usize = 15;

/// How long a kernel runs for one time, in nanoseconds: long beside the clock, short beside what disturbs.
const BATCH_NS: f64 = 100_000.0;

/// The kernels whose time does not depend on the ring degree.
const CHUNK_UNITS: [Unit; 16] = [
    Unit::KeyProduct { digits: 1 },
    Unit::KeyProduct { digits: 3 },
    Unit::KeyProduct { digits: 8 },
    Unit::KeyProductHeld { digits: 3 },
    Unit::KeyProductHeld { digits: 8 },
    Unit::PairSum { terms: 2, outputs: 1 },
    Unit::PairSum { terms: 9, outputs: 1 },
    Unit::PairSum { terms: 9, outputs: 3 },
    Unit::PeriodicPairSum { terms: 9, outputs: 1 },
    Unit::PeriodicPairSum { terms: 9, outputs: 3 },
    // So many that reductions hardly count.
    Unit::PeriodicPairSum { terms: 32, outputs: 3 },
    Unit::Conversion { rows: 3 },
    Unit::Conversion { rows: 4 },
    Unit::Lift,
    Unit::Scale,
    Unit::Add,
];

/// Points of the kernels, with the ring degrees and primes of a plan's sets, for every pool.
///
/// # Errors
/// [`Error::Cancelled`]; engine errors.
pub(super) fn points(plan: &Plan, pools: &[ThreadPool], cancel: &AtomicBool) -> Result<Vec<Point>> {
    let mut points: Vec<Point> = Vec::new();
    for set in &plan.sets {
        let known = |p: &Point| (p.setting.log_n, p.setting.wide) == (set.log_n, set.is_wide());
        if points.iter().any(known) {
            continue;
        }
        let transforms = [Unit::ForwardNtt, Unit::InverseNtt];
        // Kernels of chunks once for each sort of primes.
        let chunks = !points.iter().any(|p| p.setting.wide == set.is_wide());
        for unit in transforms.into_iter().chain(CHUNK_UNITS.into_iter().filter(|_| chunks)) {
            for pool in pools {
                if cancel.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                points.extend(point(set, unit, pool)?);
            }
        }
    }
    Ok(points)
}

fn point(set: &SetPlan, unit: Unit, pool: &ThreadPool) -> Result<Option<Point>> {
    let threads = pool.current_num_threads();
    let setting = set.setting(0, threads);
    let each = pool.broadcast(|_| time(unit, set));
    let each = each.into_iter().collect::<Result<Vec<_>>>()?;
    // A phase of a program ends when its last thread does.
    let slowest = |round: usize| each.iter().map(|times| times[round]).fold(0.0, f64::max);
    let times: Vec<f64> = (0..ROUNDS).map(slowest).collect();
    let operation = Operation::Unit(unit);
    Ok(Timing::of(&times).map(|time| Point {
        residency: Residency::Warm,
        operation,
        setting,
        time,
    }))
}

/// Nanoseconds of one run, as many times as there are rounds.
fn time(unit: Unit, set: &SetPlan) -> Result<Vec<f64>> {
    let mut bench = UnitBench::new(unit, set.log_n, set.prime_bits())?;
    let mut batch = |runs: usize| {
        let start = Instant::now();
        black_box(&mut bench).run(runs);
        start.elapsed().as_nanos() as f64 / runs as f64
    };
    // The second run tells how long it takes without cold code and memory.
    batch(1);
    let runs = (BATCH_NS / batch(1).max(1.0)).clamp(1.0, BATCH_NS) as usize;
    Ok((0..ROUNDS).map(|_| batch(runs)).collect())
}
