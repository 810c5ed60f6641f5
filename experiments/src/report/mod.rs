//! What a run found out: as one JSON object, as text, as a picture, as a page.

mod batch;
pub mod html;
mod logits;
mod plot;
mod scatter;
mod text;
mod validation;

use costmodel::load::{counted, mean_pace};
use serde::Serialize;
use simulator::config::Configuration;
use simulator::precision::Demand;
use simulator::program::PlaintextForm;

use crate::design::candidate::{Estimate, Latency, LeftOut, PredictedMemory, Shares};
use crate::machine::memory;
use crate::machine::provenance::Provenance;
use crate::runs::disturbance::Disturbance;
use crate::runs::execute::{Outcome, Sample, Sent};
use crate::runs::image_result::ImageResult;
use crate::runs::statistics::{argmax, median, quantile};
use crate::runs::verdict::{MOST_BITS, Verdict};

pub use batch::{BatchReport, inference_of};
pub use logits::csv;
pub use plot::plot;
pub use scatter::scatter;
pub use text::{comparison, percent, print, table};
pub use validation::ValidationReport;

/// One layer of a candidate.
#[derive(Debug, Clone, Serialize)]
pub struct LayerReport {
    /// Name.
    pub name: String,
    /// Level of its first instruction.
    pub level: usize,
    /// Instructions.
    pub instructions: usize,
    /// Rotations.
    pub rotations: usize,
    /// Products of a plaintext and a ciphertext.
    pub products: usize,
    /// Predicted time.
    pub predicted_ms: f64,
    /// Measured time, median over the images.
    pub measured_ms: f64,
}

/// Peak memory of a candidate: keys, encoded plaintexts, ciphertexts and scratch.
#[derive(Debug, Clone, Serialize)]
pub struct PeakMemory {
    /// Predicted before anything was allocated.
    pub predicted: u64,
    /// Measured by counting every allocation.
    pub measured: u64,
    /// Of the measured, keys and encoded plaintexts.
    pub measured_keys_and_plaintexts: u64,
    /// The prediction by purpose.
    pub predicted_parts: PredictedMemory,
}

/// What one candidate did.
#[derive(Debug, Clone, Serialize)]
pub struct CandidateReport {
    /// Name of the candidate within the run.
    pub name: String,
    /// Variant of the network: which weights.
    pub variant: String,
    /// Accuracy of the variant on the whole test set, as recorded at training.
    pub recorded_accuracy: Option<f64>,
    /// The configuration.
    pub configuration: Configuration,
    /// Ring degree N.
    pub ring_degree: usize,
    /// Bits of the whole modulus, special primes included.
    pub log_qp: f64,
    /// Whether the parameters have 128-bit security.
    pub secure: bool,
    /// Images that share a ciphertext: latencies are of all of them.
    pub images_per_ciphertext: usize,
    /// Latency of an inference: median over those that other work did not disturb, or that it disturbed least.
    pub measured_latency_ms: f64,
    /// First and third quartile.
    pub measured_quartiles_ms: [f64; 2],
    /// Predicted latency, as calibrated.
    pub predicted_latency_ms: f64,
    /// Its interval.
    pub predicted_interval_ms: [f64; 2],
    /// Predicted over measured, less one.
    pub prediction_error: f64,
    /// How many times as long cores took for the same as undisturbed ones, on average over the inferences that the median is of.
    pub pace: f64,
    /// The error of the prediction times that.
    pub paced_prediction_error: f64,
    /// Predicted latency by times of its instructions, where they are known.
    pub refined_latency_ms: Option<f64>,
    /// Its error.
    pub refined_prediction_error: Option<f64>,
    /// Many images at once, if they were run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchReport>,
    /// How many images other work disturbed.
    pub disturbance: Disturbance,
    /// Share of images whose class is their label; none where labels are unknown.
    pub accuracy: Option<f64>,
    /// Whether the results are right.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The verdict's `logit_precision_bits` as predicted on the first few images, by simulated noise.
    pub predicted_precision_bits: f64,
    /// Its `logit_relative_precision_bits`.
    pub predicted_relative_precision_bits: f64,
    /// Largest difference of a logit between the program on plain numbers and the network.
    pub clear_error: f64,
    /// For baseline A, what of its predicted time its own choices take.
    pub shares: Option<Shares>,
    /// For baseline A, its forms that would have come before this one, and why they were not taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_taken: Vec<LeftOut>,
    /// Peak memory.
    pub peak_memory_bytes: PeakMemory,
    /// Layers in order.
    pub layers: Vec<LayerReport>,
    /// What came out for each image.
    pub per_image: Vec<ImageResult>,
    /// Generating all keys.
    pub key_generation_ms: f64,
    /// Lowering to a program with plaintext values.
    pub lower_ms: f64,
    /// Whether encoded plaintexts are `stored`, or made `on-demand` for every image.
    pub plaintexts: &'static str,
    /// Encoding all plaintexts: once if they are stored; on demand, for an image, median, not part of the latency.
    pub encode_ms: f64,
    /// Its prediction.
    pub predicted_encode_ms: f64,
    /// Packing, encoding and encrypting an image: median.
    pub encrypt_ms: f64,
    /// Decrypting and decoding a result: median.
    pub decrypt_ms: f64,
    /// Bytes of what client and server send each other, as files.
    pub sent_bytes: Sent,
    /// Its prediction.
    pub predicted_sent_bytes: Sent,
}

/// A baseline, run image by image beside the configuration in question.
#[derive(Debug, Clone, Serialize)]
pub struct BaselineReport {
    /// Its latency over that of the configuration in question.
    pub speedup: f64,
    /// The baseline itself.
    #[serde(flatten)]
    pub candidate: CandidateReport,
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Network.
    pub network: String,
    /// Threads.
    pub threads: usize,
    /// Images finished.
    pub images: usize,
    /// Where the images came from.
    pub image_source: String,
    /// Whether the user stopped the run before all images were done.
    pub interrupted: bool,
    /// The configuration in question.
    #[serde(flatten)]
    pub chosen: CandidateReport,
    /// What it is compared with.
    pub baselines: Vec<BaselineReport>,
    /// Baselines that were not run.
    pub baselines_left_out: Vec<LeftOut>,
    /// Whether all candidates ran on each image in turn; else one after the other, as memory did not hold them together.
    pub interleaved: bool,
    /// Peak resident memory of the whole process as the system counts it, all candidates together.
    pub process_resident_peak_bytes: Option<u64>,
    /// How it was made.
    pub provenance: Provenance,
}

/// Facts of a run that no outcome holds.
pub struct Circumstances {
    /// Threads.
    pub threads: usize,
    /// Where the images came from.
    pub image_source: String,
    /// Labels of the images, where known.
    pub labels: Option<Vec<u8>>,
    /// Whether the run was stopped.
    pub interrupted: bool,
    /// Baselines that were not run.
    pub left_out: Vec<LeftOut>,
    /// Whether all candidates ran on each image in turn.
    pub interleaved: bool,
    /// How it was made.
    pub provenance: Provenance,
}

impl RunReport {
    /// The report of a run whose first outcome is the configuration in question and whose others are baselines.
    /// None without a finished image.
    pub fn new(outcomes: &[Outcome], about: Circumstances) -> Option<Self> {
        let (chosen, baselines) = outcomes.split_first()?;
        let images = chosen.samples.len();
        if images == 0 {
            return None;
        }
        let labels = about.labels.as_deref();
        let chosen_report = candidate(chosen, labels);
        let baselines = baselines
            .iter()
            .filter(|outcome| !outcome.samples.is_empty())
            .map(|outcome| {
                let candidate = candidate(outcome, labels);
                let speedup = candidate.measured_latency_ms / chosen_report.measured_latency_ms;
                BaselineReport { speedup, candidate }
            })
            .collect();
        Some(Self {
            network: chosen.estimate.candidate.model.network.name.clone(),
            threads: about.threads,
            images,
            image_source: about.image_source,
            interrupted: about.interrupted,
            chosen: chosen_report,
            baselines,
            baselines_left_out: about.left_out,
            interleaved: about.interleaved,
            process_resident_peak_bytes: memory::resident_peak_bytes(),
            provenance: about.provenance,
        })
    }

    /// The chosen configuration and the baselines.
    pub fn candidates(&self) -> impl Iterator<Item = &CandidateReport> {
        std::iter::once(&self.chosen).chain(self.baselines.iter().map(|b| &b.candidate))
    }

    /// What is wrong with the results: classes that differ by more than noise, or less precision than is asked for. Nothing if
    /// all is well.
    pub fn failures(&self, asked: Demand) -> Vec<String> {
        let of = |c: &CandidateReport| {
            let name = c.name.clone();
            let batch = c.batch.iter().flat_map(|b| b.verdict.failures(b.images, asked));
            let batch = batch.map(|failure| format!("batch: {failure}"));
            let all = c.verdict.failures(self.images, asked).into_iter().chain(batch);
            all.map(move |f| format!("{name}: {f}")).collect::<Vec<_>>()
        };
        self.candidates().flat_map(of).collect()
    }
}

/// The report of one candidate; it must have finished an image.
fn candidate(outcome: &Outcome, labels: Option<&[u8]>) -> CandidateReport {
    let Outcome { estimate, setup, samples, plain, batch } = outcome;
    let times = counted(samples);
    let pace = mean_pace(&times);
    let of = |f: &dyn Fn(&Sample) -> f64| -> Vec<f64> { times.iter().map(|s| f(s)).collect() };
    let latencies = of(&|s| s.latency_ms);
    let measured = median(&latencies);
    let count = samples.len() as f64;
    let classes: Vec<usize> = samples.iter().map(|s| argmax(&s.logits)).collect();
    let accuracy = labels.map(|labels| {
        classes.iter().zip(labels).filter(|(c, l)| **c == usize::from(**l)).count() as f64 / count
    });
    let error = |latency: Latency| latency.median_ms / measured - 1.0;
    CandidateReport {
        name: estimate.candidate.name.clone(),
        variant: estimate.candidate.configuration.variant.clone(),
        recorded_accuracy: estimate.candidate.recorded_accuracy,
        configuration: estimate.candidate.configuration.clone(),
        ring_degree: estimate.params.n(),
        log_qp: estimate.params.log_qp(),
        secure: estimate.params.is_secure(),
        images_per_ciphertext: estimate.lowered.images,
        measured_latency_ms: measured,
        measured_quartiles_ms: [quantile(&latencies, 0.25), quantile(&latencies, 0.75)],
        predicted_latency_ms: estimate.latency.median_ms,
        predicted_interval_ms: [estimate.latency.low_ms, estimate.latency.high_ms],
        prediction_error: error(estimate.latency),
        pace,
        paced_prediction_error: pace * estimate.latency.median_ms / measured - 1.0,
        refined_latency_ms: estimate.refined.map(|l| l.median_ms),
        refined_prediction_error: estimate.refined.map(error),
        batch: batch
            .as_ref()
            .zip(estimate.batch.as_ref())
            .map(|(measured, predicted)| BatchReport::new(measured, predicted)),
        disturbance: Disturbance::of(samples),
        accuracy,
        verdict: Verdict::of(samples, plain),
        predicted_precision_bits: setup.predicted_precision.absolute_bits.min(MOST_BITS),
        predicted_relative_precision_bits: setup.predicted_precision.relative_bits.min(MOST_BITS),
        clear_error: setup.clear_error,
        shares: estimate.shares,
        not_taken: estimate.not_taken.clone(),
        peak_memory_bytes: PeakMemory {
            predicted: estimate.memory.total_bytes,
            measured: setup.peak_memory_bytes,
            measured_keys_and_plaintexts: setup.resident_bytes,
            predicted_parts: estimate.memory,
        },
        layers: layers(estimate, &times),
        per_image: samples
            .iter()
            .zip(plain)
            .enumerate()
            .map(|(k, (sample, exact))| {
                let label = labels.and_then(|labels| labels.get(k)).map(|l| usize::from(*l));
                ImageResult::new(k, label, &sample.logits, Some(exact))
            })
            .collect(),
        key_generation_ms: setup.key_generation_ms,
        lower_ms: setup.lower_ms,
        plaintexts: estimate.plaintexts.name(),
        encode_ms: match estimate.plaintexts {
            PlaintextForm::Stored => setup.prepare_ms,
            PlaintextForm::OnDemand { .. } => median(&of(&|s| s.encode_ms)),
        },
        predicted_encode_ms: estimate.encode_ms(),
        encrypt_ms: median(&of(&|s| s.encrypt_ms)),
        decrypt_ms: median(&of(&|s| s.decrypt_ms)),
        sent_bytes: setup.sent,
        predicted_sent_bytes: setup.predicted_sent,
    }
}

/// The layers of a candidate, with times over the samples that count.
fn layers(estimate: &Estimate, counted: &[&Sample]) -> Vec<LayerReport> {
    estimate
        .layers
        .iter()
        .map(|layer| {
            let times: Vec<f64> = counted.iter().map(|s| s.layers_ms[layer.index]).collect();
            LayerReport {
                name: layer.name.clone(),
                level: layer.level,
                instructions: layer.instructions,
                rotations: layer.rotations,
                products: layer.products,
                predicted_ms: layer.predicted_ms,
                measured_ms: median(&times),
            }
        })
        .collect()
}
