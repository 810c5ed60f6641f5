//! Many images, as many inferences at a time as there are threads: how many a second.

use std::time::Duration;

use anyhow::{Context, Result};
use costmodel::load::Watch;
use runtime::server::Lanes;

use super::prepare::Prepared;
use super::{ms, timed};
use crate::inputs::images::Pictures;
use crate::process::cancel;
use crate::process::progress::Progress;
use crate::runs::verdict::Verdict;

/// What a batch took.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Images that were finished.
    pub images: usize,
    /// Inferences that they took: fewer than images, where several share a ciphertext.
    pub inferences: usize,
    /// Inferences at a time.
    pub at_once: usize,
    /// From the first ciphertext to the last result, without encrypting and decrypting.
    pub total_ms: f64,
    /// Each inference on its thread, encoding of plaintexts included.
    pub inferences_ms: Vec<f64>,
    /// Share of the processor time wanted that it had to go without.
    pub lost_share: f64,
    /// The results beside those of the same network unencrypted.
    pub verdict: Verdict,
}

impl Batch {
    /// Images a second.
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.total_ms * 1e3
    }
}

impl Prepared {
    /// Runs as many images as the paper asks for, those given again and again, with an inference on each thread of the current
    /// pool; `plain` are the unencrypted network's results on them. Stops between rounds when cancelled, and tells of what was
    /// finished; of nothing, if nothing was, or no batch is asked for.
    pub(super) fn batch(&self, images: &Pictures, plain: &[Vec<f64>]) -> Result<Option<Batch>> {
        let Some(wanted) = self.estimate.batch.as_ref() else { return Ok(None) };
        let what = || format!("a batch of {}", self.estimate.candidate.name);
        let lanes = Lanes::new(wanted.at_once).with_context(what)?;
        let progress = Progress::new(&format!("a batch of {} images", wanted.images));
        let (mut logits, mut exact) = (Vec::new(), Vec::new());
        let (mut total_ms, mut inferences_ms) = (0.0, Vec::new());
        let mut lost = 0.0;
        while logits.len() < wanted.images && !cancel::requested() {
            let end = wanted.images.min(logits.len() + lanes.at_once() * self.images());
            let numbers: Vec<usize> = (logits.len()..end).map(|k| k % plain.len()).collect();
            let some = numbers.iter().map(|k| images.image(*k).context("an image is missing"));
            let some = some.collect::<Result<Vec<_>>>()?;
            let ciphertexts = some.chunks(self.images()).map(|some| self.client.encrypt(some));
            let ciphertexts = ciphertexts.collect::<runtime::Result<Vec<_>>>()?;
            let watch = Watch::start(ciphertexts.len());
            let ((executions, ()), round_ms) =
                timed(|| lanes.infer(&self.server, ciphertexts, || {}));
            lost += watch.stop().lost_share() * round_ms;
            total_ms += round_ms;
            for (execution, some) in executions.into_iter().zip(some.chunks(self.images())) {
                let execution = execution.with_context(what)?;
                let times = execution.times.iter().chain(&execution.encode_times);
                inferences_ms.push(ms(times.sum::<Duration>()));
                let decrypted = self.client.decrypt(&execution.outputs)?;
                logits.extend(decrypted.into_iter().take(some.len()));
            }
            exact.extend(numbers.iter().map(|k| plain[*k].clone()));
            let done = logits.len();
            progress
                .set(done as f64 / wanted.images as f64, &format!("{done} of {}", wanted.images));
        }
        progress.finish();
        if logits.is_empty() {
            return Ok(None);
        }
        let results: Vec<&[f64]> = logits.iter().map(Vec::as_slice).collect();
        Ok(Some(Batch {
            images: logits.len(),
            inferences: inferences_ms.len(),
            at_once: lanes.at_once(),
            total_ms,
            inferences_ms,
            lost_share: lost / total_ms,
            verdict: Verdict::of_logits(&results, &exact),
        }))
    }
}
