//! What this machine can do at most: multiplications and memory traffic of one thread, and of two.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use engine::Result;
use engine::modulus::Modulus;
use engine::modulus::primes::ntt_primes;
use engine::ntt::NttTable;
use serde::Serialize;

use crate::record::least;
use crate::registers;
use crate::work::Work;

/// Words of the buffers that bandwidths are measured over.
const L2_WORDS: usize = 1 << 16;
const L3_WORDS: usize = 1 << 20;
/// Half a GiB: beyond any last-level cache.
const MEMORY_WORDS: usize = 1 << 26;

/// Measured limits.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// Butterflies a second, of the best of registers and small transforms.
    pub butterflies: f64,
    /// Products a second, each accumulated in full.
    pub products: f64,
    /// Bytes a second read from the second-level cache.
    pub l2_bandwidth: f64,
    /// Bytes a second read from the last-level cache.
    pub l3_bandwidth: f64,
    /// Bytes a second read from memory.
    pub memory_bandwidth: f64,
    /// Bytes a second that two threads together read from memory.
    pub two_thread_bandwidth: f64,
    /// Products a second of two threads together.
    pub two_thread_products: f64,
    /// Bytes of the second-level cache.
    pub l2_bytes: f64,
    /// Bytes of the last-level cache.
    pub l3_bytes: f64,
}

/// A lower bound of a time, and what sets it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bound {
    /// Seconds.
    pub seconds: f64,
    /// `multiplier`, `L2`, `L3` or `memory`.
    pub by: &'static str,
}

impl Probe {
    /// Measures; takes about a second.
    pub fn measure() -> Result<Self> {
        let register = registers::butterflies_per_second().unwrap_or(0.0);
        let memory: Vec<u64> = (0..MEMORY_WORDS as u64).collect();
        Ok(Self {
            butterflies: register.max(small_transforms()?),
            products: registers::products_per_second(),
            l2_bandwidth: bandwidth(&memory[..L2_WORDS], 2000),
            l3_bandwidth: bandwidth(&memory[..L3_WORDS], 100),
            memory_bandwidth: bandwidth(&memory, 6),
            two_thread_bandwidth: two_threads(&memory),
            two_thread_products: together(registers::products_per_second),
            l2_bytes: cache_bytes(2, 1 << 20),
            l3_bytes: cache_bytes(3, 32 << 20),
        })
    }

    /// The better of two measurements: what another program takes is no limit of the machine.
    pub fn best(self, other: Self) -> Self {
        Self {
            butterflies: self.butterflies.max(other.butterflies),
            products: self.products.max(other.products),
            l2_bandwidth: self.l2_bandwidth.max(other.l2_bandwidth),
            l3_bandwidth: self.l3_bandwidth.max(other.l3_bandwidth),
            memory_bandwidth: self.memory_bandwidth.max(other.memory_bandwidth),
            two_thread_bandwidth: self.two_thread_bandwidth.max(other.two_thread_bandwidth),
            two_thread_products: self.two_thread_products.max(other.two_thread_products),
            ..self
        }
    }

    /// Bandwidth of memory of two threads over that of one.
    pub fn bandwidth_scaling(&self) -> f64 {
        self.two_thread_bandwidth / self.memory_bandwidth
    }

    /// The larger of what the multipliers and what the memory need for `work` at ring degree `n`.
    ///
    /// One run touches `results` times the bytes of the work. Runs follow each other, so a cache may at best serve as many
    /// of these bytes as it holds; the rest comes from the next level.
    pub fn bound(&self, work: &Work, n: f64, results: usize) -> Bound {
        let butterflies = work.ntts * n / 2.0 * n.log2();
        let multiplier = butterflies / self.butterflies + work.products / self.products;
        let bytes = work.words * size_of::<u64>() as f64;
        let touched = bytes * results as f64;
        let missing = |cache: f64| (1.0 - cache / touched).max(0.0);
        let (from_memory, beyond_l2) = (missing(self.l3_bytes), missing(self.l2_bytes));
        let seconds_a_byte = from_memory / self.memory_bandwidth
            + (beyond_l2 - from_memory) / self.l3_bandwidth
            + (1.0 - beyond_l2) / self.l2_bandwidth;
        let transfer = bytes * seconds_a_byte;
        let by = if multiplier >= transfer {
            "multiplier"
        } else if from_memory > 0.0 {
            "memory"
        } else if beyond_l2 > 0.0 {
            "L3"
        } else {
            "L2"
        };
        Bound { seconds: multiplier.max(transfer), by }
    }
}

/// Least time of one forward transform of a limb, in seconds, with the limb in the caches.
pub fn transform_seconds(table: &NttTable) -> f64 {
    let mut limb: Vec<u64> = (0..table.n() as u64).collect();
    least(200, || table.forward(black_box(&mut limb)))
}

/// Butterflies a second of the best transform that stays in the first-level cache.
fn small_transforms() -> Result<f64> {
    let mut best = 0.0_f64;
    for log_n in 8..=10 {
        let modulus = Modulus::new(ntt_primes(46, log_n, 1, &[])?[0])?;
        let table = NttTable::new(modulus, log_n)?;
        let mut limb: Vec<u64> = (0..table.n() as u64).collect();
        let seconds = least(200, || {
            for _ in 0..10 {
                table.forward(black_box(&mut limb));
            }
        });
        best = best.max((10 * table.n() / 2 * log_n as usize) as f64 / seconds);
    }
    Ok(best)
}

/// Bytes a second of the fastest of `passes` passes over `words`.
fn bandwidth(words: &[u64], passes: usize) -> f64 {
    let seconds = least(passes, || {
        black_box(registers::fold(black_box(words)));
    });
    size_of_val(words) as f64 / seconds
}

/// Bytes a second of two threads that read one half each.
fn two_threads(words: &[u64]) -> f64 {
    let (low, high) = words.split_at(words.len() / 2);
    let halves = [low, high];
    let barrier = Barrier::new(2);
    let read = |half: &[u64]| {
        let mut times = [0.0; 6];
        for time in &mut times {
            barrier.wait();
            let start = Instant::now();
            black_box(registers::fold(black_box(half)));
            *time = start.elapsed().as_secs_f64();
        }
        times
    };
    let [a, b] = pair(|i| read(halves[i]));
    // In each pass the slower thread counts.
    let seconds = a.iter().zip(&b).map(|(a, b)| a.max(*b)).fold(f64::INFINITY, f64::min);
    size_of_val(words) as f64 / seconds
}

/// The sum of a rate that two threads measure at the same time.
fn together(rate: fn() -> f64) -> f64 {
    let barrier = Barrier::new(2);
    let [a, b] = pair(|_| {
        barrier.wait();
        rate()
    });
    a + b
}

/// The results of two threads.
fn pair<T: Send + Default>(run: impl Fn(usize) -> T + Sync) -> [T; 2] {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        [run(0), other.join().unwrap_or_default()]
    })
}

/// Size of the cache of a level as the operating system tells it.
fn cache_bytes(level: u32, default: usize) -> f64 {
    let path = format!("/sys/devices/system/cpu/cpu0/cache/index{level}/size");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let kibibytes = text.trim().strip_suffix('K').and_then(|digits| digits.parse::<usize>().ok());
    kibibytes.map_or(default, |k| k << 10) as f64
}
