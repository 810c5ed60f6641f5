//! `spencnn run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use costmodel::Machine;
use simulator::config::Configuration;

use super::options::{MachineArgs, NetworkArgs, RefineArgs, ResourceArgs, SearchArgs};
use crate::design::baseline_hear::Room;
use crate::design::candidate::{self, Estimate, LeftOut};
use crate::design::choose::{self, Prices};
use crate::design::plan::PlanFolder;
use crate::design::refine::Refiner;
use crate::design::wish::Wish;
use crate::design::wish::{PlaintextsArg, total_bytes};
use crate::design::{baseline_hear, refine};
use crate::inputs::images::{self, Pictures};
use crate::inputs::networks::Source;
use crate::machine::memory::{self, show_bytes};
use crate::machine::profiles::Cost;
use crate::machine::provenance::Provenance;
use crate::process::exit::Failure;
use crate::process::output::{self, note};
use crate::process::{cancel, files};
use crate::report::{Circumstances, RunReport, csv, html, inference_of, plot, print};
use crate::runs::execute;

/// Run a configuration on really encrypted images, beside dense baselines
///
/// Every image is encrypted, run through the network by the configuration in question and by each baseline, and
/// decrypted. Printed are predicted and measured time per layer, latency, speed-up, precision of the logits, agreement
/// of classes with the unencrypted network, and memory. Without --config, the fastest configuration is searched for.
#[derive(Debug, Args)]
#[command(after_help = "\
Baselines, both dense:
  A  HEAR's sequence of operations: raster layout, no repacking, no double hoisting, two levels for an activation
     and one special prime; where that does not fit the memory, more special primes, then activations of one level
  B  the fastest dense configuration that the search finds
A baseline that does not fit the memory limit is left out, and the report says so.

Examples:
  spencnn run --images 20                                generated digits
  spencnn run --config best.toml --data ~/data --images 100 --json > run.json
  spencnn run --no-baselines --threads 1 --plot layers.svg")]
pub struct RunArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Configuration to run [default: the fastest that the search finds]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of a plan that was trained: its network, weights and configuration, without baselines; expected and trained
    /// accuracy are told beside predicted and measured time
    #[arg(long, value_name = "DIR", conflicts_with_all = ["network", "config", "variant", "baseline"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    refine: RefineArgs,
    /// Images
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: u32,
    /// Then classify so many images as fast as can be, those of --images again and again, with an inference on each thread:
    /// images a second, predicted and measured
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: Option<u32>,
    /// Images: a folder (MNIST, CIFAR-10, PNG files, arrays) or a file of arrays (.npy, .npz, .safetensors, IDX) [default:
    /// generated ones]
    #[arg(long, value_name = "PATH", env = "SPENCNN_DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    /// Baselines to run beside it
    #[arg(long, value_enum, default_value_t = Baselines::Both)]
    baseline: Baselines,
    /// Run no baseline
    #[arg(long, conflicts_with = "baseline")]
    no_baselines: bool,
    /// Seed of generated images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Draw predicted and measured time per layer (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write logits, class, margin and error of every image (CSV)
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    /// Write a page to look at: every number, drawings, the worst images (HTML)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Which baselines to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Baselines {
    /// HEAR's sequence
    A,
    /// The fastest dense configuration
    B,
    /// Both
    Both,
}

impl RunArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        self.search.check_files()?;
        let output = Output {
            json: self.json,
            plot: self.plot.as_deref(),
            logits: self.logits.as_deref(),
            report: self.report.as_deref(),
        };
        output.check_files()?;
        let plan = self.plan.as_deref().map(PlanFolder::read).transpose()?;
        let source = plan.as_ref().map_or_else(|| self.network.open(), PlanFolder::source)?;
        let config = plan.as_ref().map(PlanFolder::configuration).or(self.config);
        let machine = Machine::detect();
        let threads = self.machine.threads(&machine);
        self.resources.memory.check_network(&source.network, threads)?;
        let count = self.images as usize;
        let images = images::load(&source.network, self.data.as_deref(), count, self.seed)?;
        let configuration =
            config.as_deref().map(|path| read_configuration(path, &source)).transpose()?;
        let calibration = self.machine.calibration(&machine)?;
        let cost = calibration.cost(threads)?;
        let refine = self.refine.optional();
        let wish = Wish { refine, ..self.search.wish(&self.resources, threads) };
        let configuration = match (configuration, &plan) {
            (Some(found), Some(_)) => {
                let prices = Prices { pricer: &cost.model, name: &cost.name };
                Some(choose::trained(&source, &found, &wish, prices)?)
            }
            (given, _) => given,
        };
        let chosen = match configuration {
            Some(configuration) => candidate::estimate(
                &source,
                configuration,
                "configuration",
                self.resources.allow_insecure,
                &cost,
            )?,
            None => choose::fastest(&source, &wish, &cost)?,
        };
        let job = Job {
            source: &source,
            images,
            cost: &cost,
            resources: &self.resources,
            baselines: if self.no_baselines || plan.is_some() {
                Vec::new()
            } else {
                self.baseline.list()
            },
            wish,
            batch: self.batch.map(|images| images as usize),
            seed: self.seed,
        };
        if let Some(plan) = plan {
            note(plan.accuracy_line()?);
        }
        job.run(vec![chosen], &output)
    }
}

impl Baselines {
    /// The baselines one by one.
    pub fn list(self) -> Vec<Self> {
        match self {
            Self::Both => vec![Self::A, Self::B],
            one => vec![one],
        }
    }
}

/// Reads a configuration file and checks that it is for this network.
pub(super) fn read_configuration(path: &Path, source: &Source) -> Result<Configuration> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading configuration {}", path.display()))?;
    let configuration = Configuration::from_toml(&text)
        .with_context(|| format!("configuration file {}", path.display()))?;
    if configuration.network != source.network.name {
        bail!(
            "configuration {} is for network {:?}, and the network is {:?}; name the right one with --network",
            path.display(),
            configuration.network,
            source.network.name
        );
    }
    Ok(configuration)
}

/// Everything that a run needs but the configuration in question.
pub struct Job<'a> {
    /// The network.
    pub source: &'a Source,
    /// What to run on.
    pub images: Pictures,
    /// Predictions.
    pub cost: &'a Cost,
    /// Limits.
    pub resources: &'a ResourceArgs,
    /// Baselines wanted.
    pub baselines: Vec<Baselines>,
    /// How baseline B is searched for, but for the variant.
    pub wish: Wish,
    /// Images that the configurations in question run at once afterwards, if they are to.
    pub batch: Option<usize>,
    /// Seed of generated images.
    pub seed: u64,
}

/// How to tell the result.
pub struct Output<'a> {
    /// As JSON.
    pub json: bool,
    /// Picture to draw.
    pub plot: Option<&'a Path>,
    /// Table of logits to write.
    pub logits: Option<&'a Path>,
    /// Page to write.
    pub report: Option<&'a Path>,
}

impl Output<'_> {
    /// Checks, before any work, that the picture, the table and the page can be written.
    pub fn check_files(&self) -> Result<()> {
        let Self { plot, logits, report, .. } = self;
        [plot, logits, report]
            .into_iter()
            .flatten()
            .try_for_each(|path| files::check_writable(path))
    }
}

impl Job<'_> {
    /// Runs configurations, the one in question first, and the baselines that fit beside them, and reports.
    pub fn run(self, mut estimates: Vec<Estimate>, output: &Output<'_>) -> Result<()> {
        let limit = self.resources.memory_limit();
        self.wish.plaintexts.choose(&mut estimates, limit);
        let what = match self.wish.plaintexts {
            PlaintextsArg::Stored => "what is to be run (--plaintexts auto takes less)",
            PlaintextsArg::OnDemand | PlaintextsArg::Auto => "what is to be run",
        };
        if let Some(images) = self.batch {
            for estimate in &mut estimates {
                estimate.batch = Some(estimate.predict_batch(images, self.cost));
            }
        }
        self.resources.memory.check(what, self.largest(&estimates))?;
        if let Some(refine) = self.wish.refine {
            Refiner::open(limit)?.time(&estimates, self.cost.threads, refine.seconds)?;
        }
        let mut left_out = Vec::new();
        for &baseline in &self.baselines {
            cancel::check()?;
            match self.baseline(baseline) {
                Ok(estimate) => estimates.push(estimate),
                Err(error) if error.downcast_ref::<Failure>().is_some() => return Err(error),
                Err(error) => {
                    let name = baseline.name();
                    note(format_args!("leaving out baseline {name}: {error:#}"));
                    left_out.push(LeftOut {
                        name: baseline.name().into(),
                        reason: format!("{error:#}"),
                    });
                }
            }
        }
        refine::look_up(&mut estimates, self.cost.threads);
        for estimate in &estimates {
            let refined = estimate.refined.map_or(String::new(), |refined| {
                format!(", {:.1} by timing its instructions", refined.median_ms)
            });
            note(format_args!(
                "{}: predicted {:.1} ms {} ({:.1} to {:.1}){refined}, {} at most, plaintexts {}",
                estimate.candidate.name,
                estimate.latency.median_ms,
                inference_of(estimate.lowered.images),
                estimate.latency.low_ms,
                estimate.latency.high_ms,
                show_bytes(estimate.memory.total_bytes),
                estimate.plaintexts.name()
            ));
        }
        let together = total_bytes(&estimates) + batch_beyond(&estimates);
        let interleaved = together <= limit;
        if !interleaved {
            note("together they do not fit the memory: one after the other, each on all images");
        }
        let needed = if interleaved { together } else { self.largest(&estimates) };
        memory::reserve("what is to be run", needed)?;
        let outcomes = execute::run(estimates, &self.images, self.cost.threads, interleaved)?;
        let about = Circumstances {
            threads: self.cost.threads,
            image_source: self.images.source(),
            labels: self.images.labels(outcomes.first().map_or(0, |o| o.samples.len())),
            interrupted: cancel::requested(),
            left_out,
            interleaved,
            provenance: Provenance::now(Some(self.cost.source.clone()), self.seed),
        };
        let Some(report) = RunReport::new(&outcomes, about) else {
            return Err(Failure::Interrupted.into());
        };
        let text = if output.json { output::json(&report)? } else { print(&report) };
        let printed = output::results(&text);
        if let Some(path) = output.plot {
            files::write_atomically(path, plot(&report)?.as_bytes())?;
        }
        if let Some(path) = output.logits {
            let mut lines = Vec::new();
            for candidate in report.candidates() {
                lines.extend(candidate.per_image.iter().map(|r| (candidate.name.as_str(), r)));
            }
            files::write_atomically(path, csv(&lines).as_bytes())?;
        }
        let failures = report.failures(self.wish.precision);
        if let Some(path) = output.report {
            let page = html::run(&report, &self.images, &failures)?;
            files::write_atomically(path, page.as_bytes())?;
        }
        printed?;
        cancel::check()?;
        match failures {
            failures if failures.is_empty() => Ok(()),
            failures => Err(Failure::Check(failures.join("; ")).into()),
        }
    }

    /// The most memory that one of several candidates needs.
    fn largest(&self, estimates: &[Estimate]) -> u64 {
        estimates.iter().map(Estimate::batch_bytes).max().unwrap_or(0)
    }

    /// The estimate of a baseline, if it fits the memory by itself.
    fn baseline(&self, which: Baselines) -> Result<Estimate> {
        let dense = self.source.baseline();
        let limit = self.resources.memory_limit();
        let mut estimate = match which {
            Baselines::A => {
                let model = Arc::new(self.source.model(dense)?);
                let accuracy = self.source.accuracy(dense)?;
                let room = Room { bytes: limit, plaintexts: self.wish.plaintexts.forms() };
                baseline_hear::baseline(&model, dense, accuracy, self.cost, room)?
            }
            Baselines::B | Baselines::Both => {
                let mut estimate = choose::fastest(self.source, &self.wish.only(dense), self.cost)?;
                estimate.candidate.name = which.name().into();
                estimate
            }
        };
        self.wish.plaintexts.choose(std::slice::from_mut(&mut estimate), limit);
        let needed = estimate.memory.total_bytes;
        if needed > limit {
            bail!("it needs {}, over the limit of {}", show_bytes(needed), show_bytes(limit));
        }
        Ok(estimate)
    }
}

/// The most memory that the batch of one of several candidates needs beyond that of a single inference.
fn batch_beyond(estimates: &[Estimate]) -> u64 {
    let beyond = estimates.iter().map(|p| p.batch_bytes().saturating_sub(p.memory.total_bytes));
    beyond.max().unwrap_or(0)
}

impl Baselines {
    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => baseline_hear::NAME,
            Self::B => "B (fastest dense)",
            Self::Both => "A and B",
        }
    }
}
