//! A short test of how fast the machine is just now.
//!
//! Machines are not always equally fast: clocks change, and neighbours on a shared host use its memory. The probe times
//! one piece of pure arithmetic and one of pure memory traffic. It runs at calibration and again before a
//! prediction is compared with a measurement; the ratios correct the prediction.

use std::hint::black_box;
use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::machine::Caches;
use crate::point::quantile;
use engine::modulus::Modulus;
use engine::modulus::primes::ntt_primes;
use engine::ntt::NttTable;

/// Ring degree of the arithmetic part: a limb and its constants fit the second-level cache.
const LOG_N: u32 = 12;
/// NTTs timed together.
const NTTS: usize = 16;
/// Repetitions of the arithmetic part.
const NTT_ROUNDS: usize = 15;
/// Repetitions of the memory part.
const STREAM_ROUNDS: usize = 5;

/// What the probe found for one thread count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Threads, all at work.
    pub threads: usize,
    /// Median time of one forward NTT of degree 4096 on every thread, in nanoseconds.
    pub ntt_median_ns: f64,
    /// Median time of reading the buffer once by all threads together, in nanoseconds.
    pub stream_median_ns: f64,
    /// Size of that buffer.
    pub stream_bytes: u64,
}

impl Probe {
    /// Runs the probe with `threads` threads; takes a few tens of milliseconds.
    ///
    /// # Errors
    /// [`Error::Threads`] when the threads cannot be started; engine errors.
    pub fn run(threads: usize, caches: &Caches) -> Result<Self> {
        let prime = ntt_primes(46, LOG_N, 1, &[])?[0];
        let table = NttTable::new(Modulus::new(prime)?, LOG_N)?;
        let pool = thread_pool(threads)?;
        let ntt = median(NTT_ROUNDS, || {
            pool.broadcast(|_| {
                let mut limb: Vec<u64> = (0..1 << LOG_N).collect();
                let start = Instant::now();
                for _ in 0..NTTS {
                    table.forward(black_box(&mut limb));
                }
                start.elapsed().as_nanos() as f64
            })
            .into_iter()
            .fold(0.0, f64::max)
        });
        let stream_bytes = stream_bytes(caches);
        let buffer = vec![1u64; (stream_bytes / 8) as usize];
        let stream = median(STREAM_ROUNDS, || {
            let start = Instant::now();
            pool.install(|| black_box(read_all(&buffer)));
            start.elapsed().as_nanos() as f64
        });
        Ok(Self {
            threads,
            ntt_median_ns: ntt / NTTS as f64,
            stream_median_ns: stream,
            stream_bytes,
        })
    }
}

/// Buffer of the memory part: 64 MiB, or twice the last-level cache where that is more, up to 256 MiB.
fn stream_bytes(caches: &Caches) -> u64 {
    caches.l3_bytes.saturating_mul(2).clamp(64 << 20, 256 << 20)
}

/// Reads a buffer in the current pool.
pub(crate) fn read_all(buffer: &[u64]) -> u64 {
    buffer
        .par_chunks(1 << 15)
        .map(|chunk| chunk.iter().fold(0, |sum: u64, &x| sum.wrapping_add(x)))
        .reduce(|| 0, u64::wrapping_add)
}

/// Starts a pool.
pub(crate) fn thread_pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::Threads { threads, reason: e.to_string() })
}

/// Median of repeated measurements, after one that does not count.
fn median(rounds: usize, mut measure: impl FnMut() -> f64) -> f64 {
    measure();
    let mut times: Vec<f64> = (0..rounds).map(|_| measure()).collect();
    times.sort_by(f64::total_cmp);
    quantile(&times, 0.5).unwrap_or(0.0)
}

/// How much slower the machine is than at calibration: 1.1 is ten per cent slower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Arithmetic.
    pub compute: f64,
    /// Memory traffic.
    pub bandwidth: f64,
}

impl Drift {
    /// None.
    pub const NONE: Self = Self { compute: 1.0, bandwidth: 1.0 };

    /// From the probe of a calibration to one made now with as many threads.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when the two are not comparable.
    pub fn between(calibration: &Probe, now: &Probe) -> Result<Self> {
        if calibration.threads != now.threads || calibration.stream_bytes != now.stream_bytes {
            return Err(Error::Inconsistent(format!(
                "a probe of {} threads and {} bytes cannot be compared with one of {} threads and {} bytes",
                calibration.threads, calibration.stream_bytes, now.threads, now.stream_bytes
            )));
        }
        let drift = Self {
            compute: now.ntt_median_ns / calibration.ntt_median_ns,
            bandwidth: now.stream_median_ns / calibration.stream_median_ns,
        };
        let sane = |x: f64| x.is_finite() && x > 0.0;
        if sane(drift.compute) && sane(drift.bandwidth) {
            Ok(drift)
        } else {
            Err(Error::Inconsistent("a probe without a positive time".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_runs() {
        let probe = Probe::run(2, &Caches::default()).unwrap();
        assert!(probe.ntt_median_ns > 100.0, "{probe:?}");
        assert!(probe.stream_median_ns > 100_000.0, "{probe:?}");
        assert_eq!(probe.stream_bytes, 64 << 20);
    }

    #[test]
    fn drift_is_a_ratio() {
        let then =
            Probe { threads: 2, ntt_median_ns: 10.0, stream_median_ns: 100.0, stream_bytes: 64 };
        let now = Probe { ntt_median_ns: 11.0, stream_median_ns: 150.0, ..then };
        let drift = Drift::between(&then, &now).unwrap();
        assert!((drift.compute - 1.1).abs() < 1e-12 && (drift.bandwidth - 1.5).abs() < 1e-12);
        assert!(Drift::between(&then, &Probe { threads: 1, ..now }).is_err());
        assert!(Drift::between(&Probe { ntt_median_ns: 0.0, ..then }, &now).is_err());
    }
}
