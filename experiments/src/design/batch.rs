//! Many images at once: how long they are predicted to take.

use costmodel::{Client, CostModel, Operation, Residency, Setting};
use engine::params::Parameters;
use serde::Serialize;
use simulator::chain::Chain;
use simulator::program::{PlaintextForm, Program};

use super::candidate::{Estimate, Latency, encodings};
use crate::machine::profiles::Cost;

/// A batch, as it is predicted: as many inferences at a time as there are threads, each on one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PredictedBatch {
    /// Images.
    pub images: usize,
    /// Inferences that they take: a ciphertext's images are one.
    pub inferences: usize,
    /// Inferences at a time.
    pub at_once: usize,
    /// One of so many, encoding of plaintexts included where they are not stored.
    pub inference: Latency,
    /// All of them: round after round, of which the last may have fewer.
    pub total: Latency,
}

impl PredictedBatch {
    /// Images a second.
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.total.median_ms * 1e3
    }
}

impl Estimate {
    /// Predicts a batch of so many images, with the threads of `cost`.
    pub fn predict_batch(&self, images: usize, cost: &Cost) -> PredictedBatch {
        let inferences = images.div_ceil(self.lowered.images);
        let at_once = cost.threads.max(1);
        let round = |at_once| {
            inference(&self.lowered.program, &self.params, self.plaintexts, &cost.model, at_once)
        };
        let (full, last) = (inferences / at_once, inferences % at_once);
        let (inference, rest) =
            (round(at_once), if last > 0 { round(last) } else { Latency::default() });
        let sum = |of: fn(&Latency) -> f64| full as f64 * of(&inference) + of(&rest);
        let total = Latency {
            median_ms: sum(|l| l.median_ms),
            low_ms: sum(|l| l.low_ms),
            high_ms: sum(|l| l.high_ms),
        };
        PredictedBatch { images, inferences, at_once, inference, total }
    }

    /// Predicted peak memory of its batch, in bytes; without one, of single inferences.
    pub fn batch_bytes(&self) -> u64 {
        let at_once = self.batch.map_or(1, |batch| batch.at_once);
        let memory = self.lowered.program.memory(&Chain::from(&self.params), self.plaintexts);
        memory.at_once_bytes(self.plaintexts, at_once)
    }
}

/// A program on one of so many threads that run it at the same time.
fn inference(
    program: &Program,
    params: &Parameters,
    form: PlaintextForm,
    model: &CostModel,
    at_once: usize,
) -> Latency {
    let chain = Chain::from(params);
    let mut all = Latency::default();
    let mut add = |operation: &Operation, setting: &Setting, residency, count: f64| {
        let prediction = model.predict_at_once(operation, setting, residency, at_once);
        all.median_ms += count * prediction.median_ms;
        all.low_ms += count * prediction.low_ms;
        all.high_ms += count * prediction.high_ms;
    };
    for (_, primitive, level) in program.primitives() {
        add(&primitive.into(), &chain.setting(level, 1), primitive.residency(), 1.0);
    }
    if form != PlaintextForm::Stored {
        let read = program.instructions.iter().flat_map(|i| program.facts(i).plaintexts);
        for (setting, extended, count) in encodings(read.map(|p| &program.plaintexts[p]), &chain) {
            let encode = Client::Encode { extended };
            add(&encode.into(), &setting, Residency::Warm, f64::from(count));
        }
    }
    all
}
