//! Whether work had the processor for itself while it was timed.
//!
//! On Linux, the scheduler counts for every thread how long it ran, and how long it was ready to run and had to wait for a
//! core ([schedstat]); and a virtual machine is told how long its host kept a processor from it (steal). Other systems do
//! not tell, nor does Linux how much others used caches and memory.
//!
//! [schedstat]: https://docs.kernel.org/scheduler/sched-stats.html

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Share of the wanted processor time from which work that had to go without it counts as disturbed. Threads that are woken
/// wait some microseconds for an idle core, too, which comes to less than half of this with the shortest inferences; and a
/// twentieth is the error that predictions should keep within.
pub const DISTURBED_SHARE: f64 = 0.02;

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
    start: Option<Reading>,
}

impl Watch {
    /// Starts to watch work of `threads` threads.
    pub fn start(threads: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::below(Path::new("/"), threads, cores)
    }

    fn below(root: &Path, wanted: usize, cores: usize) -> Self {
        let wanted = wanted.max(1);
        Self { root: root.to_owned(), wanted, cores, start: Reading::take(root) }
    }

    /// What the work had of the processor since; none where the system does not tell.
    pub fn stop(self) -> Option<Load> {
        let end = Reading::take(&self.root)?;
        Some(Load::between(&self.start?, &end, self.wanted, self.cores))
    }
}

/// What a piece of work had of the processor, in cores on average over its time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Threads that computed.
    pub wanted: usize,
    /// Cores that this process used.
    pub cores_had: f64,
    /// Cores that its threads waited for. With more threads than cores they wait for each other, and this is zero.
    pub waited: f64,
    /// Cores that the host of a virtual machine kept from it, at least; for whom they would have been is not known.
    pub stolen: f64,
}

impl Load {
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
            wanted,
            cores_had: share(ran),
            waited: if wanted > cores { 0.0 } else { share(waited) },
            stolen: ticks as f64 * TICK.as_secs_f64() / wall,
        }
    }

    /// Share of the wanted processor time that the work had to go without.
    pub fn lost_share(&self) -> f64 {
        (self.waited + self.stolen) / self.wanted.max(1) as f64
    }

    /// Whether that is [`DISTURBED_SHARE`] or more, so that a time tells as much of others as of the work.
    pub fn is_disturbed(&self) -> bool {
        self.lost_share() >= DISTURBED_SHARE
    }
}

/// Does a piece of work, and again while it was disturbed, `budget` is left and `stop` is not set. The least disturbed time
/// is what counts.
///
/// # Errors
/// Those of the work.
pub fn repeat<T, E>(
    budget: &mut usize,
    stop: &AtomicBool,
    mut attempt: impl FnMut() -> Result<(T, Option<Load>), E>,
) -> Result<(T, Option<Load>), E> {
    let lost = |load: &Option<Load>| load.map_or(0.0, |load| load.lost_share());
    let mut best = attempt()?;
    while best.1.is_some_and(|load| load.is_disturbed())
        && *budget > 0
        && !stop.load(Ordering::Relaxed)
    {
        *budget -= 1;
        let next = attempt()?;
        if lost(&next.1) < lost(&best.1) {
            best = next;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests;
