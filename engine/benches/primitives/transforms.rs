//! The transform of one limb beside that of the crate `tfhe-ntt`.

use std::hint::black_box;

use criterion::Criterion;
use engine::Result;
use engine::modulus::Modulus;
use engine::modulus::primes::ntt_primes;
use engine::ntt::NttTable;
use serde::Serialize;
use tfhe_ntt::prime64::Plan;

use crate::record::{Run, in_turn};

/// Transforms of one timed run, so that all but the first find their tables in the caches.
const TIMES: usize = 16;

/// Transforms of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `forward` or `inverse`.
    pub direction: &'static str,
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Bits of the prime.
    pub bits: u32,
    /// Least microseconds of one transform.
    pub min_us: f64,
    /// Median microseconds.
    pub median_us: f64,
    /// Least microseconds of one transform by `tfhe-ntt`.
    pub peer_min_us: f64,
    /// Median microseconds of `tfhe-ntt`.
    pub peer_median_us: f64,
}

/// Times all sizes.
pub fn bench(criterion: &mut Criterion) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for log_n in 13..=16 {
        for bits in [46, 50] {
            // The nearest primes lie on both sides of 2^bits.
            let primes = ntt_primes(bits, log_n, 12, &[])?;
            let Some(&prime) = primes.iter().find(|&&q| q >> bits == 0) else { continue };
            let Some(plan) = Plan::try_new(1 << log_n, prime) else { continue };
            let table = NttTable::new(Modulus::new(prime)?, log_n)?;
            let set = format!("2^{log_n} {bits}-bit");
            for direction in ["forward", "inverse"] {
                let name = format!("{TIMES} {direction} transforms");
                let forward = direction == "forward";
                let times = in_turn(criterion, &name, &set, || runs(&plan, &table, forward));
                if let &[peer, ours] = times.as_slice() {
                    let each = |seconds: f64| seconds * 1e6 / TIMES as f64;
                    rows.push(Row {
                        direction,
                        log_n,
                        bits,
                        min_us: each(ours.least),
                        median_us: each(ours.median),
                        peer_min_us: each(peer.least),
                        peer_median_us: each(peer.median),
                    });
                }
            }
        }
    }
    Ok(rows)
}

/// Theirs and ours.
fn runs<'a>(plan: &'a Plan, table: &'a NttTable, forward: bool) -> Vec<Run<'a>> {
    let theirs = if forward { Plan::fwd } else { Plan::inv };
    let ours = if forward { NttTable::forward } else { NttTable::inverse };
    vec![
        repeated(table.n(), move |limb| theirs(plan, limb)),
        repeated(table.n(), move |limb| ours(table, limb)),
    ]
}

/// Transforms a buffer of its own again and again; outputs are valid inputs.
fn repeated<'a>(n: usize, transform: impl Fn(&mut [u64]) + 'a) -> Run<'a> {
    let mut limb: Vec<u64> = (0..n as u64).collect();
    Box::new(move || (0..TIMES).for_each(|_| transform(black_box(&mut limb))))
}
