//! `spencnn infer`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use costmodel::Machine;
use engine::serial;
use runtime::server::{CompiledModel, Server};
use serde::Serialize;
use simulator::interpret::Execution;
use simulator::program::PlaintextForm;

use super::options::ResourceArgs;
use super::parties::{
    KEYS, MODEL, beside, check_writable, is_stream, note_written, read, read_whole, write,
};
use crate::design::wish::PlaintextsArg;
use crate::machine::memory::{self, show_bytes};
use crate::machine::threads;
use crate::process::cancel;
use crate::process::output::{self, note};
use crate::runs::execute::{ms, timed};

/// Run a model on encrypted images, without being able to decrypt anything
///
/// Needs the model file and the client's evaluation keys. Weights are encoded once for all files of a call. What comes out is
/// encrypted; only the client's secret key decrypts it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn infer digit.images --out digit.results
  spencnn infer images/*.images --out-dir results/          several files, weights prepared once
  spencnn infer test.images --batch --out test.results      many images, one on each thread
  ssh client cat digit.images | spencnn infer - --out - | ssh client tee digit.results")]
pub struct InferArgs {
    /// Model file, from `compile`
    #[arg(long, value_name = "FILE", default_value = MODEL)]
    model: PathBuf,
    /// Evaluation keys, from the client's `keygen`
    #[arg(long, value_name = "FILE", default_value = KEYS)]
    keys: PathBuf,
    /// Encrypted images; - for standard input
    #[arg(value_name = "IMAGES", required = true)]
    images: Vec<PathBuf>,
    /// File of results to write for one of images, or - for standard output
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "out_dir",
        conflicts_with = "out_dir"
    )]
    out: Option<PathBuf>,
    /// Folder of results to write: for every file of images one of its name, ending in `.results`
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Threads that compute [default: all hardware threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Run as many inferences at a time as there are threads, each on one: takes less time for many, more for each, and more
    /// memory; `run --batch` predicts and measures it. A program that sends images must not wait for results before it sends more
    #[arg(long)]
    batch: bool,
    /// How plaintexts are kept [default: as compiled]
    #[arg(long, value_enum)]
    plaintexts: Option<PlaintextsArg>,
    #[command(flatten)]
    resources: ResourceArgs,
    /// Print times as one JSON object
    #[arg(long)]
    json: bool,
}

/// What took how long, in milliseconds.
#[derive(Debug, Default, Serialize)]
struct Times {
    /// Name of the network.
    network: String,
    /// Threads.
    threads: usize,
    /// Inferences at a time.
    at_once: usize,
    /// Images, of all inferences: of each as many as share a ciphertext, one mostly.
    images: usize,
    /// Reading the model.
    read_model_ms: f64,
    /// Reading the evaluation keys.
    read_keys_ms: f64,
    /// Encoding weights and planning.
    prepare_ms: f64,
    /// Each inference: all instructions.
    images_ms: Vec<f64>,
    /// Each inference: encoding plaintexts within it, where they are not stored.
    encode_ms: Vec<f64>,
    /// Reading, computing and writing together.
    total_ms: f64,
}

impl InferArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        let outputs = self.outputs()?;
        if self.json && outputs.iter().any(|path| is_stream(path)) {
            bail!("--json and results cannot both go to standard output; name a file with --out");
        }
        outputs.iter().try_for_each(|path| check_writable(path))?;
        let threads = threads::number(self.threads, &Machine::detect());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.with_context(|| format!("starting {threads} threads"))?;
        let times = pool.install(|| self.serve(&outputs, threads))?;
        let count = times.images_ms.len().max(1) as f64;
        note(format_args!(
            "{} images{}, {} at a time, {:.1} ms each, all in {:.1} ms; model read in {:.1} ms, keys in {:.1}, weights \
             prepared in {:.1}",
            times.images,
            match times.images_ms.len() {
                inferences if inferences == times.images => String::new(),
                inferences => format!(" in {inferences} inferences"),
            },
            times.at_once,
            times.images_ms.iter().sum::<f64>() / count,
            times.total_ms,
            times.read_model_ms,
            times.read_keys_ms,
            times.prepare_ms
        ));
        if self.json {
            output::results(&output::json(&times)?)?;
        }
        Ok(())
    }

    fn serve(&self, outputs: &[PathBuf], threads: usize) -> Result<Times> {
        let insecure = self.resources.allow_insecure;
        let (model, read_model_ms) =
            timed(|| read_whole(&self.model, |reader| Ok(CompiledModel::read(reader, insecure)?)));
        let model = model?;
        let at_once = if self.batch { threads } else { 1 };
        let form = self.form(&model, at_once);
        let needed = model.batch_bytes(form, at_once);
        self.resources.memory.check("the inference (--plaintexts on-demand takes less)", needed)?;
        memory::reserve("the inference", needed)?;
        let (network, params) = (model.network.clone(), model.params().clone());
        let (keys, read_keys_ms) = timed(|| {
            read_whole(&self.keys, |reader| Ok(serial::read_evaluation_keys(reader, &params)?))
        });
        let keys = Arc::new(beside(&self.model, keys)?);
        note(format_args!(
            "{network}: at most {} predicted, plaintexts {}",
            show_bytes(needed),
            form.name()
        ));
        let (server, prepare_ms) = timed(|| Server::new(model, keys, form));
        let server = server.with_context(|| {
            format!("model {} with keys {}", self.model.display(), self.keys.display())
        })?;
        let mut times = Times {
            network,
            threads,
            at_once,
            read_model_ms,
            read_keys_ms,
            prepare_ms,
            ..Times::default()
        };
        let (done, total_ms) = timed(|| {
            self.images
                .iter()
                .zip(outputs)
                .try_for_each(|(from, to)| self.answer(&server, from, to, &mut times))
        });
        done?;
        Ok(Times { total_ms, ..times })
    }

    fn answer(&self, server: &Server, from: &Path, to: &Path, times: &mut Times) -> Result<()> {
        let result = read(from, |reader| {
            write(to, |writer| {
                let at_once = times.at_once;
                let finished = |execution: &Execution, images: usize| {
                    cancel::check()?;
                    times.images += images;
                    times.images_ms.push(execution.times.iter().copied().map(ms).sum());
                    times.encode_ms.push(execution.encode_times.iter().copied().map(ms).sum());
                    anyhow::Ok(())
                };
                match self.batch {
                    true => server.answer_batch(reader, writer, at_once, finished),
                    false => server.answer(reader, writer, finished),
                }
            })
        });
        beside(&self.model, result)?;
        note_written(to, "encrypted results, for the client");
        Ok(())
    }

    /// In which form plaintexts are kept.
    fn form(&self, model: &CompiledModel, at_once: usize) -> PlaintextForm {
        let memory = |form| model.batch_bytes(form, at_once);
        let limit = self.resources.memory_limit();
        self.plaintexts.map_or(model.plaintexts, |asked| asked.fitting(memory, limit))
    }

    /// Where the results of every file of images go.
    fn outputs(&self) -> Result<Vec<PathBuf>> {
        let Some(folder) = &self.out_dir else {
            return match (&self.out, &self.images[..]) {
                (Some(out), [_]) => Ok(vec![out.clone()]),
                _ => bail!("several files of images: name a folder for their results, --out-dir"),
            };
        };
        let named = |path: &PathBuf| {
            let name = if is_stream(path) { None } else { path.file_stem() };
            let name = name.with_context(|| {
                format!("{} has no name for its results: use --out", path.display())
            })?;
            Ok(folder.join(name).with_extension("results"))
        };
        let all: Vec<PathBuf> = self.images.iter().map(named).collect::<Result<_>>()?;
        let mut sorted: Vec<_> = all.iter().collect();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => bail!("two files of images would both give {}", pair[0].display()),
            None => Ok(all),
        }
    }
}
