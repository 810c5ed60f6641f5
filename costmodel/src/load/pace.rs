//! How fast the cores are just now.
//!
//! A core of a virtual machine is often one of two hardware threads that share the units of a real one, and the other may work
//! for somebody else. What keeps those units busy takes up to half as long again then, for seconds on end, and no counter
//! of the system tells:
//!
//! ```text
//! alone        add mul mul add mul mul        a transform in 4.2 us
//! in company   add     mul     mul     add    the same in 6 us: pace 1.4
//! ```
//!
//! So a transform that stays in the nearest caches is timed, on all threads of a pool at once, which takes a twentieth of a
//! millisecond. What it takes on undisturbed cores is known from all the times that this process has seen, and from those
//! that a calibration has. It does not tell how far others use shared caches and memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use engine::unit::{Unit, UnitBench};
use serde::{Deserialize, Serialize};

use crate::check::{Checked, MAX_NS, within};
use crate::point::quantile;

/// How many times as long as on undisturbed cores transforms take, at least, where work counts as disturbed. Undisturbed ones
/// keep within a fiftieth, and inferences take as many times as long as transforms, about.
pub const DISTURBED_PACE: f64 = 1.05;

/// Base-2 logarithm of the ring degree of the transform.
const LOG_N: u32 = 12;

/// Bits of its prime.
const PRIME_BITS: u32 = 46;

/// Transforms that are timed together: long beside the clock, short beside what interrupts.
const TRANSFORMS: usize = 4;

/// How often they are timed: the least time counts.
const TIMES: usize = 3;

/// Share of the times seen that are shorter than those of undisturbed cores: the shortest may be errors of the clock.
const SHORTER_SHARE: f64 = 0.02;

/// Times of one number of threads before any of them are taken for those of undisturbed cores.
const ENOUGH: usize = 20;

/// How long to wait before looking again.
const POLL: Duration = Duration::from_millis(3);

/// What is known of all cores at once, by the number of threads.
static KNOWN: Mutex<BTreeMap<usize, Known>> = Mutex::new(BTreeMap::new());

/// Transforms that no thread is using.
static BENCHES: Mutex<Vec<UnitBench>> = Mutex::new(Vec::new());

/// Time of a transform with all threads of a pool at work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Threads of the pool.
    pub threads: usize,
    /// Mean over them, in nanoseconds.
    pub transform_ns: f64,
}

/// Times with one number of threads, in nanoseconds.
#[derive(Debug, Default)]
struct Known {
    /// On undisturbed cores, as a calibration says.
    told_ns: Option<f64>,
    /// All that were measured, ascending.
    seen_ns: Vec<f64>,
}

impl Known {
    fn see(&mut self, ns: f64) {
        let place = self.seen_ns.partition_point(|seen| *seen < ns);
        self.seen_ns.insert(place, ns);
    }

    /// What a transform takes on undisturbed cores.
    fn undisturbed_ns(&self) -> Option<f64> {
        let enough = self.seen_ns.len() >= ENOUGH;
        let seen = quantile(&self.seen_ns, SHORTER_SHARE).filter(|_| enough);
        seen.into_iter().chain(self.told_ns).min_by(f64::total_cmp)
    }
}

impl Pace {
    /// Measures it in the current pool.
    pub fn now() -> Self {
        let each = rayon::broadcast(|_| {
            let free = BENCHES.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut bench = free.unwrap_or_else(transform);
            let ns = shortest_ns(&mut bench);
            BENCHES.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
            ns
        });
        let threads = each.len();
        let transform_ns = each.iter().sum::<f64>() / threads as f64;
        known(|all| all.entry(threads).or_default().see(transform_ns));
        Self { threads, transform_ns }
    }

    /// How many times as long it is as on undisturbed cores, as far as these are known by now; 1 at least.
    pub fn relative(&self) -> f64 {
        let undisturbed = known(|all| all.get(&self.threads).and_then(Known::undisturbed_ns));
        undisturbed.map_or(1.0, |ns| self.transform_ns / ns).max(1.0)
    }

    /// Whether that is [`DISTURBED_PACE`] or more.
    pub fn is_disturbed(&self) -> bool {
        self.relative() >= DISTURBED_PACE
    }

    /// Checks that it can be one.
    pub(crate) fn check(&self) -> Checked {
        within("threads", self.threads, 1..=usize::from(u16::MAX))?;
        within("transform_ns", self.transform_ns, f64::MIN_POSITIVE..=MAX_NS)
    }
}

/// Tells of undisturbed cores, from a calibration of this machine with these kernels.
pub fn tell(undisturbed: &[Pace]) {
    known(|all| {
        for pace in undisturbed {
            all.entry(pace.threads).or_default().told_ns = Some(pace.transform_ns);
        }
    });
}

/// What is known of undisturbed cores, by ascending numbers of threads.
pub fn undisturbed() -> Vec<Pace> {
    let pace = |(&threads, known): (&usize, &Known)| {
        Some(Pace { threads, transform_ns: known.undisturbed_ns()? })
    };
    known(|all| all.iter().filter_map(pace).collect())
}

/// Waits until the cores of the current pool are undisturbed, as far as `patience` goes, which is less by that then, and `stop`
/// is not set.
pub fn wait(patience: &mut Duration, stop: &AtomicBool) {
    while !patience.is_zero() && !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        if !Pace::now().is_disturbed() {
            return;
        }
        sleep(POLL.min(*patience));
        *patience = patience.saturating_sub(start.elapsed());
    }
}

fn known<T>(ask: impl FnOnce(&mut BTreeMap<usize, Known>) -> T) -> T {
    ask(&mut KNOWN.lock().unwrap_or_else(PoisonError::into_inner))
}

fn transform() -> UnitBench {
    let bench = UnitBench::new(Unit::ForwardNtt, LOG_N, PRIME_BITS);
    let Ok(bench) = bench else {
        unreachable!("rings of 2^{LOG_N} have primes of {PRIME_BITS} bits")
    };
    bench
}

/// Nanoseconds of a transform, once it has been done.
fn shortest_ns(bench: &mut UnitBench) -> f64 {
    bench.run(1);
    let times = (0..TIMES).map(|_| {
        let start = Instant::now();
        bench.run(TRANSFORMS);
        start.elapsed().as_nanos() as f64 / TRANSFORMS as f64
    });
    times.fold(f64::INFINITY, f64::min).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs in a pool of its own; tests with other numbers of threads do not meet.
    fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn a_few_times_say_nothing_and_the_shortest_of_many_are_left_out() {
        let mut known = Known::default();
        (1..ENOUGH).for_each(|k| known.see(100.0 + k as f64));
        assert_eq!(known.undisturbed_ns(), None);
        known.see(100.0);
        let seen = known.undisturbed_ns().unwrap();
        assert!((100.0..101.0).contains(&seen), "{seen}");
        // One of a hundred is an error.
        let mut known = Known::default();
        (0..100).for_each(|k| known.see(if k == 50 { 1.0 } else { 100.0 }));
        assert_eq!(known.undisturbed_ns(), Some(100.0));
        // A calibration knows of less disturbed ones, or of more.
        for (told, expected) in [(90.0, 90.0), (110.0, 100.0)] {
            known.told_ns = Some(told);
            assert_eq!(known.undisturbed_ns(), Some(expected));
        }
    }

    #[test]
    fn paces_are_measured_beside_what_is_known() {
        let pace = with_threads(3, Pace::now);
        assert!(pace.threads == 3 && pace.check().is_ok(), "{pace:?}");
        assert_eq!(pace.relative(), 1.0, "nothing is known");
        tell(&[Pace { transform_ns: pace.transform_ns / 2.0, ..pace }]);
        assert!((pace.relative() - 2.0).abs() < 1e-9 && pace.is_disturbed());
        assert!(undisturbed().contains(&Pace { transform_ns: pace.transform_ns / 2.0, ..pace }));
        let once = Pace { transform_ns: pace.transform_ns / 2.0, ..pace };
        assert!(once.relative() == 1.0 && !once.is_disturbed());
    }

    #[test]
    fn patience_ends() {
        let never = AtomicBool::new(false);
        with_threads(4, || {
            let all = Duration::from_millis(40);
            let (start, mut patience) = (Instant::now(), all);
            // Nothing known, nothing to wait for.
            wait(&mut patience, &never);
            assert_eq!(patience, all);
            // No core is as fast.
            tell(&[Pace { threads: 4, transform_ns: 1e-3 }]);
            wait(&mut patience, &AtomicBool::new(true));
            assert_eq!(patience, all);
            wait(&mut patience, &never);
            assert!(patience.is_zero() && start.elapsed() >= all);
            // And no core as slow.
            tell(&[Pace { threads: 4, transform_ns: 1e12 }]);
            patience = all;
            wait(&mut patience, &never);
            assert_eq!(patience, all);
        });
    }
}
