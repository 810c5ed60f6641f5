//! Kernels timed alone: on words in the caches, on all threads at once. A few times of each are taken before every visit to a set,
//! and after the last: a machine that is slow for a second then makes few of a kernel's times longer, and they are of the same
//! minutes as all others. No journal has them: a calibration that is resumed times them in what is left.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::unit::{Unit, UnitBench};
use rayon::ThreadPool;

use super::plan::{Plan, SetPlan};
use crate::error::{Error, Result};
use crate::load::{Timed, Watch, counted_ns, pace};
use crate::operation::{Operation, Residency};
use crate::point::{Point, Timing};
use crate::primitive::Setting;

/// Times of each kernel in a round.
const TIMES: usize = 5;

/// Times before these that do not count.
const WARM_UP: usize = 2;

/// How long a kernel runs for one time, in nanoseconds: long beside the clock, short beside what disturbs.
const BATCH_NS: f64 = 100_000.0;

/// How much of a plan's time all of them together may wait for undisturbed cores, each time: a second and a half of a minute.
const WAITING_SHARE: f64 = 0.025;

/// How long they may wait at most.
const MOST_WAITING: Duration = Duration::from_secs(2);

/// The kernels that are timed for every ring degree.
const RING_UNITS: [Unit; 3] = [Unit::ForwardNtt, Unit::InverseNtt, Unit::Fourier];

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

/// All kernels of a plan, and their times so far.
pub(super) struct Alone<'a> {
    kernels: Vec<Kernel<'a>>,
    /// How long they may wait together.
    waiting: Duration,
}

/// A kernel on the threads of a pool.
struct Kernel<'a> {
    unit: Unit,
    setting: Setting,
    pool: &'a ThreadPool,
    /// Operands of each thread.
    benches: Vec<Mutex<UnitBench>>,
    /// One run on the slowest thread.
    times: Vec<Timed>,
}

impl<'a> Alone<'a> {
    /// The kernels, with the ring degrees and primes of a plan's sets, for every pool.
    ///
    /// # Errors
    /// Engine errors.
    pub fn of_plan(plan: &Plan, pools: &'a [ThreadPool]) -> Result<Self> {
        let mut units: Vec<(&SetPlan, Unit)> = Vec::new();
        for set in &plan.sets {
            let of = |set: &SetPlan| (set.log_n, set.is_wide());
            if units.iter().any(|(other, _)| of(other) == of(set)) {
                continue;
            }
            // Kernels of chunks once for each sort of primes.
            let chunks = !units.iter().any(|(other, _)| other.is_wide() == set.is_wide());
            let chunks = CHUNK_UNITS.into_iter().filter(|_| chunks);
            units.extend(RING_UNITS.into_iter().chain(chunks).map(|unit| (set, unit)));
        }
        // One pool after the other: threads that have just had work look for more, and are in the way of those of another pool.
        let each = |pool| units.iter().map(move |(set, unit)| Kernel::new(*unit, set, pool));
        let kernels = pools.iter().flat_map(each).collect::<Result<_>>()?;
        let waiting = plan.budget.mul_f64(WAITING_SHARE).min(MOST_WAITING);
        Ok(Self { kernels, waiting })
    }

    /// Times each a few times more, when cores are undisturbed as far as patience goes.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn time(&mut self, cancel: &AtomicBool) -> Result<()> {
        let mut waiting = self.waiting;
        for kernel in &mut self.kernels {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let pool = kernel.pool;
            pool.install(|| {
                pace::wait(&mut waiting, cancel);
                kernel.time();
            });
        }
        Ok(())
    }

    /// Points of the kernels.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        self.kernels.iter().filter_map(|kernel| {
            Timing::of(&counted_ns(&kernel.times)).map(|time| Point {
                residency: Residency::Warm,
                operation: Operation::Unit(kernel.unit),
                setting: kernel.setting,
                time,
            })
        })
    }
}

impl<'a> Kernel<'a> {
    fn new(unit: Unit, set: &SetPlan, pool: &'a ThreadPool) -> Result<Self> {
        let threads = pool.current_num_threads();
        let bench = || Ok(Mutex::new(UnitBench::new(unit, set.log_n, set.prime_bits())?));
        let benches = (0..threads).map(|_| bench()).collect::<Result<_>>()?;
        Ok(Self { unit, setting: set.setting(0, threads), pool, benches, times: Vec::new() })
    }

    /// In its own pool, which is the current one.
    fn time(&mut self) {
        let watch = Watch::start(self.benches.len());
        let each = rayon::broadcast(|thread| {
            let mut bench =
                self.benches[thread.index()].lock().unwrap_or_else(PoisonError::into_inner);
            times(&mut bench)
        });
        // A phase of a program ends when its last thread does.
        let slowest = |k: usize| each.iter().map(|times| times[k]).fold(0.0, f64::max);
        let load = watch.stop();
        self.times.extend((0..TIMES).map(slowest).map(|ns| Timed { ns, load }));
    }
}

/// Nanoseconds of one run, several times, when it has run for a while.
fn times(bench: &mut UnitBench) -> [f64; TIMES] {
    let mut batch = |runs: usize| {
        let start = Instant::now();
        black_box(&mut *bench).run(runs);
        start.elapsed().as_nanos() as f64 / runs as f64
    };
    // The second run tells how long it takes without cold code and memory.
    batch(1);
    let runs = (BATCH_NS / batch(1).max(1.0)).clamp(1.0, BATCH_NS) as usize;
    for _ in 0..WARM_UP {
        batch(runs);
    }
    [(); TIMES].map(|()| batch(runs))
}
