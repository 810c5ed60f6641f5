//! Keys, encoded plaintexts and a first inference of one candidate.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use costmodel::load::{self, Load, Loaded, Patience, Watch};
use engine::cipher::Ciphertext;
use engine::serial;
use runtime::client::{Client, Sizes};
use runtime::server::Server;
use runtime::{Compilation, compile};
use serde::Serialize;
use simulator::interpret::{NoiseModel, predict_precision};
use simulator::lowering::Lowered;
use simulator::precision::Precision;

use super::{Batch, Checked, Outcome, Running, Sample, ms, timed};
use crate::design::candidate::Estimate;
use crate::inputs::images::Pictures;
use crate::machine::memory::{self, Phase};
use crate::process::cancel;
use crate::process::exit::Failure;
use crate::process::files::Counted;
use crate::process::output::note;

/// Images on which noise is simulated to predict the precision of logits, the first ones.
const PREDICTED_IMAGES: usize = 4;

/// Seed of the noise that is simulated for that.
pub(super) const NOISE_SEED: u64 = 1;

/// What preparing a candidate took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setup {
    /// Lowering with plaintext values.
    pub lower_ms: f64,
    /// Generating the secret and the evaluation keys.
    pub key_generation_ms: f64,
    /// Planning, and encoding all plaintexts if they are stored.
    pub prepare_ms: f64,
    /// Most memory at once, from generating keys to the end of the first inference: the network's weights included, what the
    /// client keeps to itself not.
    pub peak_memory_bytes: u64,
    /// Keys and plaintexts alone, encoded or as values.
    pub resident_bytes: u64,
    /// Sizes of what client and server would send each other.
    pub sent: Sent,
    /// The same, known before anything was made.
    pub predicted_sent: Sent,
    /// Largest difference of a logit between the program run on plain numbers and the network itself, on one image.
    pub clear_error: f64,
    /// Predicted precision of the logits, on the first few images.
    pub predicted_precision: Precision,
}

/// Bytes of what client and server send each other, as files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Evaluation keys, once.
    pub evaluation_keys: u64,
    /// An encrypted image, or as many as share a ciphertext.
    pub upload: u64,
    /// Their encrypted results.
    pub download: u64,
}

impl Sent {
    /// What a candidate would send.
    fn predicted(estimate: &Estimate) -> Result<Self> {
        let (spec, _) = compile(Compilation {
            model: &estimate.candidate.model,
            params: &estimate.params,
            lowered: estimate.lowered.clone(),
            plaintexts: estimate.plaintexts,
            reach: None,
            errors: None,
        })?;
        Ok(Self::of(&spec.sizes()?))
    }

    /// Of these sizes, with images encrypted under the secret key.
    pub(crate) fn of(sizes: &Sizes) -> Self {
        let Sizes { evaluation_keys, upload, download, .. } = *sizes;
        Self { evaluation_keys, upload, download }
    }
}

/// A candidate ready to run: client and server, in one process.
pub struct Prepared {
    pub(super) estimate: Estimate,
    setup: Setup,
    pub(super) client: Client,
    pub(super) server: Server,
}

/// Prepares a candidate in the current pool and runs it once, unmeasured but for its memory. `plain` are the unencrypted
/// network's results on the images.
pub(crate) fn prepare(
    estimate: Estimate,
    plain: Vec<Vec<f64>>,
    images: &Pictures,
) -> Result<Running> {
    let name = estimate.candidate.name.clone();
    let what = || format!("preparing {name}");
    note(format_args!("preparing {name}: keys and plaintexts ..."));
    let some = images.range(0..estimate.lowered.images.min(plain.len()));
    if some.is_empty() {
        bail!("there is no image to run on");
    }
    // Blocks recycled from another candidate would be missing from this one's account, and those it freed would stay.
    memory::give_back();
    let begun = Phase::begin();
    let Estimate { candidate, params, .. } = &estimate;
    let predicted_sent = Sent::predicted(&estimate)?;
    let (lowered, lower_ms) = timed(|| Checked::lower(candidate, params));
    let lowered = lowered?;
    if lowered.program.instructions != estimate.lowered.program.instructions {
        bail!(
            "{name}: the program lowered with values is not the one that was priced; please report this"
        );
    }
    let checked = Checked::new(candidate, params, lowered, &some, &plain)?;
    let clear_error = checked.clear_error;
    let predicted_precision = predicted_precision(&estimate, &checked.lowered, images, &plain)?;
    let (spec, model) = checked.compile(candidate, params, estimate.plaintexts, None)?;
    let model_bytes = begun.kept_bytes();
    let (client, secret_ms) = timed(|| Client::generate(spec));
    let client = client?;
    let phase = Phase::begin();
    let (keys, keys_ms) = timed(|| client.evaluation_keys());
    let keys = Arc::new(keys.with_context(what)?);
    let evaluation_keys = serial::bytes_of_evaluation_keys(params, &keys);
    let (server, prepare_ms) = timed(|| Server::new(model, keys, estimate.plaintexts));
    let server = server.with_context(what)?;
    let before = phase.peak_bytes();
    let encrypted = client.encrypt(&some)?;
    // From here on: slots and scratch of the client are its own.
    let (sent_bytes, inference) = (phase.kept_bytes(), Phase::begin());
    let execution = server.infer(encrypted).with_context(what)?;
    execution
        .check(&estimate.lowered.program)
        .map_err(|error| Failure::Check(format!("{name}: {error}")))?;
    let most = before.max(sent_bytes + inference.peak_bytes());
    let peak_memory_bytes = (model_bytes + most) as u64;
    let (upload, download) = sent(&client, some, &execution.outputs)?;
    let setup = Setup {
        lower_ms,
        key_generation_ms: secret_ms + keys_ms,
        prepare_ms,
        peak_memory_bytes,
        resident_bytes: server.resident_bytes() as u64,
        sent: Sent { evaluation_keys, upload, download },
        predicted_sent,
        clear_error,
        predicted_precision,
    };
    Ok((Prepared { estimate, setup, client, server }, Vec::new(), plain))
}

/// Bytes of images that share ciphertexts and of their result, as they are sent.
fn sent(client: &Client, images: Vec<Vec<f64>>, result: &[Ciphertext]) -> Result<(u64, u64)> {
    let mut upload = Counted::default();
    let count = images.len();
    client.write_images(&mut upload, images.into_iter())?;
    let mut download = Counted::default();
    client.spec().results()?.begin(&mut download, count)?;
    for ciphertext in result {
        serial::write_ciphertext(&mut download, &client.spec().params, ciphertext)?;
    }
    Ok((upload.bytes, download.bytes))
}

/// Predicts the precision of the logits over all images by noise that is simulated on some of them. `plain` are the network's
/// results on the images.
fn predicted_precision(
    estimate: &Estimate,
    lowered: &Lowered,
    images: &Pictures,
    plain: &[Vec<f64>],
) -> Result<Precision> {
    let most = plain.len().min(PREDICTED_IMAGES);
    let first = images.normalised(&estimate.candidate.model.network, most)?;
    let model = NoiseModel::from(&estimate.params);
    Ok(predict_precision(lowered, &model, &first, plain, NOISE_SEED)?)
}

/// An inference.
struct Attempt {
    /// Of each image.
    samples: Vec<Sample>,
    load: Load,
}

impl Loaded for Attempt {
    fn load(&self) -> &Load {
        &self.load
    }
}

impl Prepared {
    /// What preparing it took.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The estimate of the candidate.
    pub fn estimate(&self) -> &Estimate {
        &self.estimate
    }

    /// Images that share a ciphertext.
    pub(crate) fn images(&self) -> usize {
        self.estimate.lowered.images
    }

    /// Encrypts raw images, up to as many as share a ciphertext, runs the program in the current pool when cores are undisturbed,
    /// decrypts the results; and again while other work disturbed it all the same, as far as `patience` goes.
    pub(crate) fn infer(
        &self,
        images: &[Vec<f64>],
        patience: &mut Patience,
    ) -> Result<Vec<Sample>> {
        let before = patience.repeats;
        let attempt = || self.attempt(images);
        let Attempt { mut samples, .. } = load::repeat(patience, cancel::flag(), attempt)?;
        samples.iter_mut().for_each(|sample| sample.repeats = before - patience.repeats);
        Ok(samples)
    }

    fn attempt(&self, images: &[Vec<f64>]) -> Result<Attempt> {
        let program = &self.estimate.lowered.program;
        let (inputs, encrypt_ms) = timed(|| self.client.encrypt(images));
        let inputs = inputs?;
        let mut watch = Watch::start(rayon::current_num_threads());
        let mut looking_ms = 0.0;
        let mut look = || looking_ms += timed(|| watch.look()).1;
        let (execution, run_ms) = timed(|| self.server.infer_watched(inputs, &mut look));
        let load = watch.stop();
        let execution =
            execution.with_context(|| format!("running {}", self.estimate.candidate.name))?;
        let encode_ms = execution.encode_times.iter().copied().map(ms).sum();
        let (logits, decrypt_ms) = timed(|| self.client.decrypt(&execution.outputs));
        let mut layers_ms = vec![0.0; program.layers.len()];
        for (instruction, time) in program.instructions.iter().zip(&execution.times) {
            layers_ms[instruction.layer] += ms(*time);
        }
        let mut kinds_ms = BTreeMap::new();
        for (recorded, time) in execution.recorded.iter().zip(&execution.times) {
            *kinds_ms.entry(recorded.primitive.kind()).or_insert(0.0) += ms(*time);
        }
        let sample = Sample {
            encrypt_ms,
            latency_ms: run_ms - looking_ms - encode_ms,
            encode_ms,
            decrypt_ms,
            layers_ms,
            kinds_ms,
            load,
            repeats: 0,
            logits: Vec::new(),
        };
        let each = logits?.into_iter().take(images.len());
        let samples = each.map(|logits| Sample { logits, ..sample.clone() }).collect();
        Ok(Attempt { samples, load })
    }

    /// Drops keys and plaintexts and keeps what was found out.
    pub(super) fn finish(
        self,
        samples: Vec<Sample>,
        plain: Vec<Vec<f64>>,
        batch: Option<Batch>,
    ) -> Outcome {
        Outcome { estimate: self.estimate, setup: self.setup, samples, plain, batch }
    }
}
