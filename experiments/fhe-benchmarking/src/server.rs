//! Stages of who computes.

use std::iter;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use engine::serial;
use experiments::machine::memory::{self, show_bytes};
use experiments::process::files::{self, Readers};
use experiments::process::output::note;
use experiments::runs::execute::timed;
use runtime::server::{CompiledModel, Server};

use crate::folders::{Build, Instance, open};

/// Checks that the compiled model is whole, and that there is memory to run it. Weights are encoded where they are used:
/// that takes less time than to read them encoded.
///
/// # Errors
/// What cannot be read, or does not fit.
pub fn preprocess_model() -> Result<()> {
    let model = model(&Build::of_this_process()?.model())?;
    let at_once = images_at_once(&model);
    tell(format!(
        "{} needs at most {} for one image, {} for {at_once} at a time",
        model.network,
        show_bytes(needed(&model, 1)),
        show_bytes(needed(&model, at_once)),
    ));
    Ok(())
}

/// Answers all encrypted images, in their order: one at a time for the least latency where there is a single one, else one on
/// each thread.
///
/// # Errors
/// What cannot be read, computed or written.
pub fn compute() -> Result<()> {
    let instance = Instance::of_this_process()?;
    let path = Build::of_this_process()?.model();
    let (model, model_ms) = timed(|| model(&path));
    let model = model?;
    let at_once = if instance.is_single() { 1 } else { images_at_once(&model) };
    let form = model.plaintexts;
    let keys_path = instance.evaluation_keys();
    let (keys, keys_ms) = timed(|| {
        let keys = serial::read_evaluation_keys(open(&keys_path)?, model.params());
        keys.with_context(|| keys_path.display().to_string())
    });
    let keys = Arc::new(keys?);
    let (server, prepare_ms) = timed(|| Server::new(model, keys, form));
    let server = server.with_context(|| keys_path.display().to_string())?;
    let from = instance.upload();
    let mut images = 0;
    let (done, took_ms) = timed(|| {
        files::write_streaming(&instance.download(), Readers::All, |out| {
            server.answer_batch(open(&from)?, out, at_once, |_, count| {
                images += count;
                anyhow::Ok(())
            })
        })
    });
    done.with_context(|| from.display().to_string())?;
    tell(format!(
        "model read in {model_ms:.1} ms, keys in {keys_ms:.1}, weights prepared in {prepare_ms:.1}; {images} images, {at_once} at \
         a time, in {took_ms:.1} ms"
    ));
    Ok(())
}

/// The compiled model, if there is memory to run it.
fn model(path: &Path) -> Result<CompiledModel> {
    let what = || path.display().to_string();
    let model = CompiledModel::read(open(path)?, false).with_context(what)?;
    memory::reserve("the inference", needed(&model, 1))?;
    Ok(model)
}

/// Memory for so many images at a time, in bytes.
fn needed(model: &CompiledModel, at_once: usize) -> u64 {
    model.batch_bytes(model.plaintexts, at_once)
}

/// As many images at a time as there are threads; half as many, and so on, where memory does not hold them.
fn images_at_once(model: &CompiledModel) -> usize {
    let free = memory::available_bytes().unwrap_or(u64::MAX);
    let fits = |at_once: &usize| needed(model, *at_once) <= free - free / 10;
    let halves = iter::successors(Some(rayon::current_num_threads()), |n| Some(n / 2));
    halves.take_while(|n| *n > 1).find(fits).unwrap_or(1)
}

fn tell(what: String) {
    note(format_args!("         [server] {what}"));
}
