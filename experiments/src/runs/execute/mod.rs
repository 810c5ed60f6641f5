//! Running candidates on really encrypted images, in turn on each image, and measuring them.

mod batch;
mod checked;
mod prepare;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use costmodel::load::{Load, Loaded, Patience};
use rayon::prelude::*;

use crate::design::candidate::{Candidate, Estimate};
use crate::inputs::images::Pictures;
use crate::process::cancel;
use crate::process::progress::Progress;

pub use batch::Batch;
pub(crate) use checked::Checked;
pub(crate) use prepare::prepare;
pub use prepare::{Prepared, Sent, Setup};

/// What one candidate did with one image. Times are of the inference, which all images of a ciphertext share.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Packing, encoding and encrypting.
    pub encrypt_ms: f64,
    /// The encrypted inference, without encoding.
    pub latency_ms: f64,
    /// Encoding plaintexts within it: zero where they are stored.
    pub encode_ms: f64,
    /// Decrypting and decoding the result.
    pub decrypt_ms: f64,
    /// Time of each of the program's layers.
    pub layers_ms: Vec<f64>,
    /// Time of all instructions of a kind, by its name.
    pub kinds_ms: BTreeMap<&'static str, f64>,
    /// What the inference had of the processor.
    pub load: Load,
    /// How often it was run again because other work had disturbed it. All else here is of the least disturbed time.
    pub repeats: usize,
    /// The network's result.
    pub logits: Vec<f64>,
}

impl Loaded for Sample {
    fn load(&self) -> &Load {
        &self.load
    }
}

/// How long to wait for undisturbed cores, at most, for each second that inferences are predicted to take.
const WAITING_SHARE: f64 = 5.0;

/// How long to wait in any case, at most.
const MOST_WAITING: Duration = Duration::from_secs(20);

/// What may be spent on having so many inferences undisturbed, which are predicted to take so long each.
pub(crate) fn patience(runs: usize, predicted_ms: f64) -> Patience {
    let seconds = WAITING_SHARE * runs as f64 * predicted_ms / 1e3;
    let waiting = Duration::try_from_secs_f64(seconds).unwrap_or(MOST_WAITING).min(MOST_WAITING);
    Patience { repeats: runs, waiting }
}

/// One candidate's part of a run.
pub struct Outcome {
    /// The candidate and its prediction.
    pub estimate: Estimate,
    /// What preparing it took.
    pub setup: Setup,
    /// One per image that was finished.
    pub samples: Vec<Sample>,
    /// Results of the same network on the same images, unencrypted.
    pub plain: Vec<Vec<f64>>,
    /// Many images on all threads at once, if its estimate asks for it and it was not stopped before.
    pub batch: Option<Batch>,
}

/// Runs every candidate on every image with `threads` threads. If `interleaved`, all on the first image, then all on the
/// second, and so on, so that a change of the machine's speed meets all alike; else one candidate after the other, so that
/// one at a time is in memory. Then those run a batch whose estimates ask for one. Candidates wait for undisturbed cores, some
/// seconds in all, and an image that other work disturbed is run again, by each candidate at most as many times in all as there
/// are images. Stops between images when cancelled; what was finished is returned.
///
/// # Errors
/// Those of preparing and running a candidate; values that exceed their bounds, before anything is encrypted.
pub fn run(
    estimates: Vec<Estimate>,
    images: &Pictures,
    threads: usize,
    interleaved: bool,
) -> Result<Vec<Outcome>> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .with_context(|| format!("starting {threads} threads"))?;
    pool.install(|| {
        let plain = estimates
            .iter()
            .map(|p| plain_results(&p.candidate, images))
            .collect::<Result<Vec<_>>>()?;
        let all: Vec<_> = estimates.into_iter().zip(plain).collect();
        let groups: Vec<Vec<_>> = match interleaved {
            true => vec![all],
            false => all.into_iter().map(|one| vec![one]).collect(),
        };
        let mut outcomes = Vec::new();
        for group in groups {
            let mut running = Vec::new();
            for (estimate, plain) in group {
                cancel::check()?;
                running.push(prepare(estimate, plain, images)?);
            }
            execute(&mut running, images)?;
            for (prepared, samples, plain) in running {
                let batch = prepared.batch(images, &plain)?;
                outcomes.push(prepared.finish(samples, plain, batch));
            }
            if cancel::requested() {
                break;
            }
        }
        Ok(outcomes)
    })
}

/// The unencrypted network's results on every image, and a check, before anything is encrypted, that its values keep to
/// their bounds.
pub(crate) fn plain_results(candidate: &Candidate, images: &Pictures) -> Result<Vec<Vec<f64>>> {
    let model = &candidate.model;
    let what = || format!("configuration {} of {}", candidate.name, model.network.name);
    let all = (0..images.len()).into_par_iter().map(|k| {
        // Asked first: to make many images only to pass over them takes long.
        cancel::check()?;
        let Some(image) = images.image(k) else { return Ok(None) };
        let normalised = model.network.normalise(&image)?;
        let name = format!("image {}", k + 1);
        Ok(Some(model.forward_checked(&normalised, &name).with_context(what)?))
    });
    Ok(all.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

type Running = (Prepared, Vec<Sample>, Vec<Vec<f64>>);

fn execute(running: &mut [Running], images: &Pictures) -> Result<()> {
    let progress = Progress::new(&format!("encrypted inference of {} images", images.len()));
    let steps = (images.len() * running.len()) as f64;
    let mut done = 0.0;
    let of = |one: &Running| patience(images.len(), one.0.estimate().latency.median_ms);
    let mut patience: Vec<Patience> = running.iter().map(of).collect();
    // As many as that have most of them in a ciphertext.
    let together = running.iter().map(|(prepared, ..)| prepared.images()).max().unwrap_or(1);
    for k in (0..images.len()).step_by(together) {
        let some = images.range(k..k + together);
        for ((prepared, samples, _), patience) in running.iter_mut().zip(&mut patience) {
            for some in some.chunks(prepared.images()) {
                // An image counts when all candidates have finished it.
                if cancel::requested() {
                    break;
                }
                samples.extend(prepared.infer(some, patience)?);
                done += some.len() as f64;
                progress.set(done / steps, &format!("image {} of {}", k + 1, images.len()));
            }
        }
        if cancel::requested() {
            let finished = running.iter().map(|(_, samples, _)| samples.len()).min().unwrap_or(0);
            running.iter_mut().for_each(|(_, samples, _)| samples.truncate(finished));
            break;
        }
    }
    // Of images that were not finished, nothing is compared.
    running.iter_mut().for_each(|(_, samples, plain)| plain.truncate(samples.len()));
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
