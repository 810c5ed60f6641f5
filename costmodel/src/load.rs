//! Whether work had the processor for itself while it was timed.
//!
//! On Linux, the scheduler counts for every thread how long it ran, and how long it was ready to run and had to wait for a
//! core ([schedstat]); and a virtual machine is told how long its host kept a processor from it (steal). How fast the cores
//! are, [`pace`] measures before and after; nothing tells how much others use caches and memory.
//!
//! [schedstat]: https://docs.kernel.org/scheduler/sched-stats.html

pub mod pace;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use pace::Pace;

/// Share of the wanted processor time from which work that had to go without it counts as disturbed. Threads that are woken
/// wait some microseconds for an idle core, too, which comes to less than half of this with the shortest inferences; and a
/// twentieth is the error that predictions should keep within.
pub const DISTURBED_SHARE: f64 = 0.02;

/// How much more than the least disturbed one a time may be disturbed and still count, where none is undisturbed.
const ALIKE_SHARE: f64 = 0.03;

/// How often to look at the cores in work that takes longer: that takes a five-hundredth of it, on two threads.
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// A tick of the system's counters of processor time: Linux tells all programs hundredths of a second, whatever it counts.
const TICK: Duration = Duration::from_millis(10);

/// What the system has counted up to a moment.
#[derive(Debug, Clone, PartialEq)]
struct Reading {
    at: Instant,
    /// Of every thread of this process by its number: nanoseconds that it ran, and that it waited for a core.
    threads: BTreeMap<u64, (u64, u64)>,
    /// Ticks that the host kept processors from this machine.
    stolen: u64,
}

impl Reading {
    /// Reads the counters below a root directory; none where the system has none of them.
    fn take(root: &Path) -> Option<Self> {
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(root.join("proc/self/task")).ok()?.flatten() {
            let Some(number) = task.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A thread may have ended meanwhile.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let mut fields = text.split_whitespace().map(|field| field.parse().ok());
            threads.insert(number, (fields.next()??, fields.next()??));
        }
        let stat = fs::read_to_string(root.join("proc/stat")).ok()?;
        // cpu, user, nice, system, idle, iowait, irq, softirq, steal.
        let total = stat.lines().find(|line| line.starts_with("cpu "))?;
        let stolen = total.split_whitespace().nth(8)?.parse().ok()?;
        (!threads.is_empty()).then(|| Self { at: Instant::now(), threads, stolen })
    }
}

/// Watches a piece of work.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    wanted: usize,
    cores: usize,
    /// Sum of the paces so far, and how many.
    paces: (Pace, usize),
    looked: Instant,
    start: Option<Reading>,
}

impl Watch {
    /// Starts to watch work of `threads` threads of the current pool.
    pub fn start(threads: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::below(Path::new("/"), threads, cores)
    }

    fn below(root: &Path, wanted: usize, cores: usize) -> Self {
        let paces = (Pace::now(), 1);
        Self {
            root: root.to_owned(),
            wanted: wanted.max(1),
            cores,
            paces,
            looked: Instant::now(),
            start: Reading::take(root),
        }
    }

    /// Between parts of the work: looks at its cores if that was not done for a while.
    pub fn look(&mut self) {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.see();
        }
    }

    fn see(&mut self) {
        let (sum, count) = &mut self.paces;
        sum.transform_ns += Pace::now().transform_ns;
        *count += 1;
        self.looked = Instant::now();
    }

    /// What the work had of the processor since.
    pub fn stop(mut self) -> Load {
        let end = Reading::take(&self.root);
        self.see();
        let (sum, count) = self.paces;
        let waits = self.start.zip(end);
        Load {
            wanted: self.wanted,
            waits: waits.map(|(start, end)| Waits::between(&start, &end, self.wanted, self.cores)),
            pace: Pace { transform_ns: sum.transform_ns / count as f64, ..sum },
        }
    }
}

/// What a piece of work had of the processor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Threads that computed.
    pub wanted: usize,
    /// What they waited for; none where the system does not tell.
    pub waits: Option<Waits>,
    /// How fast cores were, before, after and now and then meanwhile, on average.
    pub pace: Pace,
}

/// What work had and had to wait for, in cores on average over its time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Waits {
    /// Cores that this process used.
    pub cores_had: f64,
    /// Cores that its threads waited for. With more threads than cores they wait for each other, and this is zero.
    pub waited: f64,
    /// Cores that the host of a virtual machine kept from it, at least; for whom they would have been is not known.
    pub stolen: f64,
}

impl Waits {
    fn between(start: &Reading, end: &Reading, wanted: usize, cores: usize) -> Self {
        let wall = end.at.saturating_duration_since(start.at).as_secs_f64().max(1e-9);
        let (mut ran, mut waited) = (0, 0);
        for (thread, now) in &end.threads {
            let then = start.threads.get(thread).copied().unwrap_or_default();
            ran += now.0.saturating_sub(then.0);
            waited += now.1.saturating_sub(then.1);
        }
        // Most of the first tick may have been before.
        let ticks = end.stolen.saturating_sub(start.stolen).saturating_sub(1);
        let share = |nanoseconds: u64| nanoseconds as f64 * 1e-9 / wall;
        Self {
            cores_had: share(ran),
            waited: if wanted > cores { 0.0 } else { share(waited) },
            stolen: ticks as f64 * TICK.as_secs_f64() / wall,
        }
    }
}

impl Load {
    /// Share of the wanted processor time that threads waited for a core.
    fn waited_share(&self) -> f64 {
        self.waits.map_or(0.0, |waits| (waits.waited + waits.stolen) / self.wanted.max(1) as f64)
    }

    /// Share of the wanted processor time that the work had to go without: waited for, or gone to what shared its cores.
    pub fn lost_share(&self) -> f64 {
        self.waited_share() + (1.0 - 1.0 / self.pace.relative())
    }

    /// Whether threads waited for [`DISTURBED_SHARE`] of the time or more, or cores were slow ([`Pace::is_disturbed`]), so that a
    /// time tells as much of others as of the work.
    pub fn is_disturbed(&self) -> bool {
        self.waited_share() >= DISTURBED_SHARE || self.pace.is_disturbed()
    }
}

/// A time, and how far others had a part in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// Nanoseconds.
    pub ns: f64,
    /// What the work had of the processor.
    pub load: Load,
}

/// What was measured of work with a load.
pub trait Loaded {
    /// What the work had of the processor.
    fn load(&self) -> &Load;
}

impl Loaded for Timed {
    fn load(&self) -> &Load {
        &self.load
    }
}

/// Those that count of all measurements of the same work: the undisturbed ones, or about the least disturbed where none is.
pub fn counted<T: Loaded>(all: &[T]) -> Vec<&T> {
    let undisturbed = all.iter().filter(|one| !one.load().is_disturbed());
    let undisturbed: Vec<&T> = undisturbed.collect();
    if !undisturbed.is_empty() {
        return undisturbed;
    }
    let lost = |one: &T| one.load().lost_share();
    let least = all.iter().map(lost).fold(f64::INFINITY, f64::min);
    all.iter().filter(|one| lost(one) <= least + ALIKE_SHARE).collect()
}

/// How many times as long cores took for the same as undisturbed ones ([`Pace::relative`]), on average over some measurements,
/// of which there is one at least.
pub fn mean_pace<T: Loaded>(some: &[&T]) -> f64 {
    some.iter().map(|one| one.load().pace.relative()).sum::<f64>() / some.len() as f64
}

/// The times that count ([`counted`]), in nanoseconds.
pub fn counted_ns(all: &[Timed]) -> Vec<f64> {
    counted(all).into_iter().map(|timed| timed.ns).collect()
}

/// What may be spent on having work undisturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Patience {
    /// How often some may be done again.
    pub repeats: usize,
    /// How long to wait for undisturbed cores.
    pub waiting: Duration,
}

/// Does a piece of work in the current pool, when cores are undisturbed, and again if it was disturbed all the same, as far as
/// `patience` goes and `stop` is not set. The least disturbed time is what counts.
///
/// # Errors
/// Those of the work.
pub fn repeat<T: Loaded, E>(
    patience: &mut Patience,
    stop: &AtomicBool,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    pace::wait(&mut patience.waiting, stop);
    let mut best = attempt()?;
    while best.load().is_disturbed() && patience.repeats > 0 && !stop.load(Ordering::Relaxed) {
        patience.repeats -= 1;
        pace::wait(&mut patience.waiting, stop);
        let next = attempt()?;
        if next.load().lost_share() < best.load().lost_share() {
            best = next;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests;
