//! Running candidates on really encrypted images, in turn on each image, and measuring them.

mod prepare;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rayon::prelude::*;

use crate::cancel;
use crate::candidate::Paper;
use crate::images::Pictures;
use crate::progress::Progress;

pub use prepare::{Prepared, Setup};

/// What one candidate did with one image.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Packing, encoding and encrypting the image.
    pub encrypt_ms: f64,
    /// The encrypted inference, without encoding.
    pub latency_ms: f64,
    /// Encoding plaintexts within it: zero where they are stored.
    pub encode_ms: f64,
    /// Decrypting and decoding the result.
    pub decrypt_ms: f64,
    /// Time of each of the program's layers.
    pub layers_ms: Vec<f64>,
    /// The network's result.
    pub logits: Vec<f64>,
}

/// One candidate's part of a run.
pub struct Outcome {
    /// The candidate and its prediction.
    pub paper: Paper,
    /// What preparing it took.
    pub setup: Setup,
    /// One per image that was finished.
    pub samples: Vec<Sample>,
    /// Results of the same network on the same images, unencrypted.
    pub plain: Vec<Vec<f64>>,
}

/// Runs every candidate on every image with `threads` threads. If `interleaved`, all on the first image, then all on the
/// second, and so on, so that a change of the machine's speed meets all alike; else one candidate after the other, so that
/// one at a time is in memory. Stops between images when cancelled; what was finished is returned.
///
/// # Errors
/// Those of preparing and running a candidate; values that exceed their bounds, before anything is encrypted.
pub fn run(
    papers: Vec<Paper>,
    images: &Pictures,
    threads: usize,
    interleaved: bool,
) -> Result<Vec<Outcome>> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .with_context(|| format!("starting {threads} threads"))?;
    pool.install(|| {
        papers.iter().try_for_each(|paper| check_bounds(paper, images))?;
        let groups: Vec<Vec<Paper>> = match interleaved {
            true => vec![papers],
            false => papers.into_iter().map(|paper| vec![paper]).collect(),
        };
        let mut outcomes = Vec::new();
        for group in groups {
            let mut running = Vec::new();
            for paper in group {
                cancel::check()?;
                running.push(prepare::prepare(paper, images)?);
            }
            execute(&mut running, images)?;
            outcomes.extend(
                running
                    .into_iter()
                    .map(|(prepared, samples, plain)| prepared.finish(samples, plain)),
            );
            if cancel::requested() {
                break;
            }
        }
        Ok(outcomes)
    })
}

/// Checks, before anything is encrypted, that the network's values keep to their bounds on every image.
fn check_bounds(paper: &Paper, images: &Pictures) -> Result<()> {
    let model = &paper.candidate.model;
    let what = || format!("configuration {} of {}", paper.candidate.name, model.network.name);
    (0..images.len()).into_par_iter().try_for_each(|k| {
        let Some(image) = images.image(k).filter(|_| !cancel::requested()) else { return Ok(()) };
        let normalised = model.network.normalise(&image)?;
        model.forward_checked(&normalised, &format!("image {}", k + 1)).with_context(what)?;
        Ok(())
    })
}

type Running = (Prepared, Vec<Sample>, Vec<Vec<f64>>);

fn execute(running: &mut [Running], images: &Pictures) -> Result<()> {
    let progress = Progress::new(&format!("encrypted inference of {} images", images.len()));
    let steps = (images.len() * running.len()) as f64;
    let mut done = 0.0;
    for k in 0..images.len() {
        let Some(image) = images.image(k) else { break };
        for (prepared, samples, plain) in running.iter_mut() {
            // An image counts when all candidates have finished it.
            if cancel::requested() {
                break;
            }
            let model = &prepared.paper().candidate.model;
            let normalised = model.network.normalise(&image)?;
            plain.push(model.forward(&normalised)?);
            samples.push(prepared.infer(&normalised)?);
            done += 1.0;
            progress.set(done / steps, &format!("image {} of {}", k + 1, images.len()));
        }
        if cancel::requested() {
            running.iter_mut().for_each(|(_, samples, plain)| {
                samples.truncate(k);
                plain.truncate(k);
            });
            break;
        }
    }
    progress.finish();
    Ok(())
}

/// Milliseconds of a duration.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Result of a computation and the milliseconds it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, ms(start.elapsed()))
}
