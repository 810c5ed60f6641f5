//! What a batch took, beside its prediction.

use serde::Serialize;

use super::percent;
use crate::design::batch::PredictedBatch;
use crate::runs::execute::Batch;
use crate::runs::statistics::median;
use crate::runs::verdict::Verdict;

/// Many images at once, as many inferences at a time as there are threads.
#[derive(Debug, Clone, Serialize)]
pub struct BatchReport {
    /// Images that were finished.
    pub images: usize,
    /// Inferences that they took.
    pub inferences: usize,
    /// Inferences at a time.
    pub at_once: usize,
    /// Images a second, without encrypting and decrypting.
    pub measured_images_per_second: f64,
    /// Its prediction.
    pub predicted_images_per_second: f64,
    /// Predicted over measured images a second, less one.
    pub prediction_error: f64,
    /// All of it.
    pub measured_total_ms: f64,
    /// Its prediction, of as many images as were asked for.
    pub predicted_total_ms: f64,
    /// Its interval.
    pub predicted_total_interval_ms: [f64; 2],
    /// An inference on its thread, encoding included: median.
    pub measured_inference_ms: f64,
    /// Its prediction, where all threads are at work.
    pub predicted_inference_ms: f64,
    /// Share of the processor time wanted that it had to go without.
    pub lost_share: f64,
    /// Whether the results are right.
    pub verdict: Verdict,
}

impl BatchReport {
    /// Of what was measured and what was predicted.
    pub fn new(measured: &Batch, predicted: &PredictedBatch) -> Self {
        let (found, expected) = (measured.images_per_second(), predicted.images_per_second());
        Self {
            images: measured.images,
            inferences: measured.inferences,
            at_once: measured.at_once,
            measured_images_per_second: found,
            predicted_images_per_second: expected,
            prediction_error: expected / found - 1.0,
            measured_total_ms: measured.total_ms,
            predicted_total_ms: predicted.total.median_ms,
            predicted_total_interval_ms: [predicted.total.low_ms, predicted.total.high_ms],
            measured_inference_ms: median(&measured.inferences_ms),
            predicted_inference_ms: predicted.inference.median_ms,
            lost_share: measured.lost_share,
            verdict: measured.verdict,
        }
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        format!(
            "{:.1} images a second (predicted {:.1}, error {}): {} images in {} inferences of {:.1} ms (predicted {:.1}), {} at \
             a time; {:.1} % of the processor time went to others",
            self.measured_images_per_second,
            self.predicted_images_per_second,
            percent(self.prediction_error),
            self.images,
            self.inferences,
            self.measured_inference_ms,
            self.predicted_inference_ms,
            self.at_once,
            100.0 * self.lost_share
        )
    }
}

/// An inference of so many images that share a ciphertext, in words.
pub fn inference_of(images: usize) -> String {
    match images {
        1 => "an image".into(),
        _ => format!("for {images} images together"),
    }
}
