//! Keys, encoded plaintexts and a first inference of one candidate.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use costmodel::load::{self, Watch};
use engine::buffer::AlignedBuf;
use simulator::chain::Chain;
use simulator::interpret::{Client, NoiseModel, Session, predict_precision, run_measured};
use simulator::lowering::Lowered;
use simulator::precision::Precision;

use super::{Outcome, Running, Sample, ms, timed};
use crate::cancel;
use crate::candidate::{Paper, lower_candidate};
use crate::exit::Failure;
use crate::images::Pictures;
use crate::memory::Phase;
use crate::output::note;

/// Largest difference accepted between the lowered program on plain numbers and the network itself, relative to the
/// largest logit: rounding of double precision, and nothing else.
const CLEAR_TOLERANCE: f64 = 1e-6;

/// Images on which the precision of logits is predicted, the first ones.
const PREDICTED_IMAGES: usize = 4;

/// Seed of the noise that is simulated for that.
const NOISE_SEED: u64 = 1;

/// What preparing a candidate took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setup {
    /// Lowering with plaintext values.
    pub lower_ms: f64,
    /// Generating the secret and the evaluation keys.
    pub key_generation_ms: f64,
    /// Planning, and encoding all plaintexts if they are stored.
    pub prepare_ms: f64,
    /// Most memory at once, from generating keys to the end of the first inference.
    pub peak_memory_bytes: u64,
    /// Keys and plaintexts alone, encoded or as values.
    pub resident_bytes: u64,
    /// Encrypted input.
    pub upload_bytes: u64,
    /// Encrypted output.
    pub download_bytes: u64,
    /// Largest difference of a logit between the program run on plain numbers and the network itself, on one image.
    pub clear_error: f64,
    /// Predicted precision of the logits, on the first few images.
    pub predicted_precision: Precision,
}

/// A candidate ready to run.
pub struct Prepared {
    paper: Paper,
    setup: Setup,
    client: Client,
    session: Session,
}

/// Prepares a candidate in the current pool and runs it once, unmeasured but for its memory. `plain` are the unencrypted
/// network's results on the images.
pub(crate) fn prepare(paper: Paper, plain: Vec<Vec<f64>>, images: &Pictures) -> Result<Running> {
    let name = paper.candidate.name.clone();
    let what = || format!("preparing {name}");
    note(format_args!("preparing {name}: keys and plaintexts ..."));
    let none = "there is no image to run on";
    let (image, logits) = (images.image(0).context(none)?, plain.first().context(none)?);
    let normalised = paper.candidate.model.network.normalise(&image)?;
    // Blocks recycled from another candidate would be missing from this one's account.
    AlignedBuf::release_pool();
    let phase = Phase::begin();
    let chain = Chain::from(&paper.params);
    let (lowered, lower_ms) = timed(|| lower_candidate(&paper.candidate, &chain, true));
    let lowered = lowered.with_context(what)?;
    if lowered.program.instructions != paper.lowered.program.instructions {
        bail!(
            "{name}: the program lowered with values is not the one that was priced; please report this"
        );
    }
    let clear_error = clear_error(&paper, &lowered.program, &normalised, logits)?;
    let predicted_precision = predicted_precision(&paper, &lowered, images, &plain)?;
    let program = lowered.program;
    let (client, secret_ms) = timed(|| Client::new(&paper.params));
    let (keys, keys_ms) = timed(|| client.evaluation_keys(&program));
    let keys = Arc::new(keys.with_context(what)?);
    let prepare = || Session::prepare(&paper.params, keys, program, paper.plaintexts);
    let (session, prepare_ms) = timed(prepare);
    let session = session.with_context(what)?;
    let slots = paper.lowered.encode(&normalised)?;
    let inputs = client.encrypt(&paper.lowered.program, &slots)?;
    let upload_bytes = inputs.iter().map(|ct| ct.bytes() as u64).sum();
    let execution = session.run(inputs).with_context(what)?;
    execution
        .check(&paper.lowered.program)
        .map_err(|error| Failure::Check(format!("{name}: {error}")))?;
    let setup = Setup {
        lower_ms,
        key_generation_ms: secret_ms + keys_ms,
        prepare_ms,
        peak_memory_bytes: phase.peak_bytes() as u64,
        resident_bytes: session.resident_bytes() as u64,
        upload_bytes,
        download_bytes: execution.outputs.iter().map(|ct| ct.bytes() as u64).sum(),
        clear_error,
        predicted_precision,
    };
    Ok((Prepared { paper, setup, client, session }, Vec::new(), plain))
}

/// Predicts the precision of the logits by simulated noise. `plain` are the network's results on the images.
fn predicted_precision(
    paper: &Paper,
    lowered: &Lowered,
    images: &Pictures,
    plain: &[Vec<f64>],
) -> Result<Precision> {
    let network = &paper.candidate.model.network;
    let first: Vec<Vec<f64>> = (0..plain.len().min(PREDICTED_IMAGES))
        .filter_map(|k| images.image(k))
        .map(|image| network.normalise(&image))
        .collect::<simulator::Result<_>>()?;
    let (model, exact) = (NoiseModel::from(&paper.params), &plain[..first.len()]);
    Ok(predict_precision(lowered, &model, &first, exact, NOISE_SEED)?)
}

/// Runs the program on plain numbers, checks that the primes have room for them, and compares with the network's results,
/// `plain`.
fn clear_error(
    paper: &Paper,
    program: &simulator::program::Program,
    image: &[f64],
    plain: &[f64],
) -> Result<f64> {
    let slots = paper.lowered.encode(image)?;
    let (outputs, reach) = run_measured(program, &[&slots])?;
    program.check_room(|v| reach[v], 0.0, &Chain::from(&paper.params))?;
    let logits = paper.lowered.decode(&outputs[0])?;
    let error = crate::report::largest_difference(&logits, plain);
    let largest = plain.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    // Where logits are infinite, so are the error and what would be tolerated.
    if !error.is_finite() || error > CLEAR_TOLERANCE * largest {
        let name = &paper.candidate.name;
        let check = format!(
            "{name}: the lowered program differs from the network by {error:.2e} without encryption"
        );
        return Err(Failure::Check(check).into());
    }
    Ok(error)
}

impl Prepared {
    /// What preparing it took.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The candidate on paper.
    pub fn paper(&self) -> &Paper {
        &self.paper
    }

    /// Encrypts a normalised image, runs the program in the current pool, decrypts the result; and again while other work
    /// disturbed it and some of `repeats` are left.
    pub(crate) fn infer(&self, image: &[f64], repeats: &mut usize) -> Result<Sample> {
        let before = *repeats;
        let (mut sample, _) = load::repeat(repeats, cancel::flag(), || {
            let sample = self.attempt(image)?;
            let load = sample.load;
            anyhow::Ok((sample, load))
        })?;
        sample.repeats = before - *repeats;
        Ok(sample)
    }

    fn attempt(&self, image: &[f64]) -> Result<Sample> {
        let lowered = &self.paper.lowered;
        let (inputs, encrypt_ms) = timed(|| -> Result<_> {
            Ok(self.client.encrypt(&lowered.program, &lowered.encode(image)?)?)
        });
        let inputs = inputs?;
        let watch = Watch::start(rayon::current_num_threads());
        let (execution, run_ms) = timed(|| self.session.run(inputs));
        let load = watch.stop();
        let execution =
            execution.with_context(|| format!("running {}", self.paper.candidate.name))?;
        let encode_ms = execution.encode_times.iter().copied().map(ms).sum();
        let (logits, decrypt_ms) = timed(|| -> Result<_> {
            Ok(lowered.decode(&self.client.decrypt(&execution.outputs)?)?)
        });
        let mut layers_ms = vec![0.0; lowered.program.layers.len()];
        for (instruction, time) in lowered.program.instructions.iter().zip(&execution.times) {
            layers_ms[instruction.layer] += ms(*time);
        }
        let mut kinds_ms = BTreeMap::new();
        for (recorded, time) in execution.recorded.iter().zip(&execution.times) {
            *kinds_ms.entry(recorded.primitive.kind()).or_insert(0.0) += ms(*time);
        }
        Ok(Sample {
            encrypt_ms,
            latency_ms: run_ms - encode_ms,
            encode_ms,
            decrypt_ms,
            layers_ms,
            kinds_ms,
            load,
            repeats: 0,
            logits: logits?,
        })
    }

    /// Drops keys and plaintexts and keeps what was found out.
    pub(super) fn finish(self, samples: Vec<Sample>, plain: Vec<Vec<f64>>) -> Outcome {
        Outcome { paper: self.paper, setup: self.setup, samples, plain }
    }
}
