//! Timing under criterion: it decides what runs and how often, and every single time is kept for the table.

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};

/// Least and median time, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Least.
    pub least: f64,
    /// Median.
    pub median: f64,
}

impl Times {
    /// Of at least one time.
    pub fn new(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self { least: seconds[0], median: seconds[seconds.len() / 2] }
    }
}

/// A piece of code to time.
pub type Run<'a> = Box<dyn FnMut() + 'a>;

/// Times the pieces of code in turn, and tells the times of each; nothing if criterion's filter leaves the benchmark out,
/// and then they are not made either. Criterion's own line shows the last piece.
pub fn in_turn<'a>(
    criterion: &mut Criterion,
    primitive: &str,
    set: &str,
    make: impl FnOnce() -> Vec<Run<'a>>,
) -> Vec<Times> {
    let mut make = Some(make);
    let mut pieces: Vec<(Run<'a>, Vec<f64>)> = Vec::new();
    let mut group = criterion.benchmark_group(primitive);
    // A slow primitive runs once for each sample, not up to as many times as there are samples.
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function(set, |bencher| {
        if let Some(make) = make.take() {
            pieces = make().into_iter().map(|run| (run, Vec::new())).collect();
        }
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let mut last = Duration::ZERO;
                for (run, seconds) in &mut pieces {
                    let start = Instant::now();
                    run();
                    last = start.elapsed();
                    seconds.push(last.as_secs_f64());
                }
                total += last;
            }
            total
        });
    });
    group.finish();
    pieces.into_iter().map(|(_, seconds)| Times::new(seconds)).collect()
}

/// Seconds of the fastest of `count` runs.
pub fn least(count: usize, mut run: impl FnMut()) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..count {
        let start = Instant::now();
        run();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}
