//! `spencnn compare`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use costmodel::Machine;

use super::options::{MachineArgs, NetworkArgs, RefineArgs, ResourceArgs, SearchArgs};
use super::run::{Baselines, Job, Output};
use crate::design::choose;
use crate::design::wish::Wish;
use crate::inputs::images;
use crate::process::output::note;

/// Run several variants of a network side by side: dense, grouped, pruned
///
/// The fastest configuration of each variant and the dense baselines are executed on the same encrypted images, in
/// turn. The first variant named (or else the fastest) is the one that speed-ups refer to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn compare                                          every variant of LeNet
  spencnn compare --variant g8-p50,g8,g4 --data ~/data --images 100 --json > comparison.json")]
pub struct CompareArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    refine: RefineArgs,
    /// Images
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: u32,
    /// Images: a folder (MNIST, CIFAR-10, PNG files, arrays) or a file of arrays (.npy, .npz, .safetensors, IDX) [default:
    /// generated ones]
    #[arg(long, value_name = "PATH", env = "SPENCNN_DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    /// Baselines to run beside them
    #[arg(long, value_enum, default_value_t = Baselines::Both)]
    baseline: Baselines,
    /// Seed of generated images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Draw predicted and measured time per layer (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write a page to look at: every number, drawings, the worst images (HTML)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl CompareArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        self.search.check_files()?;
        let (plot, report) = (self.plot.as_deref(), self.report.as_deref());
        let output = Output { json: self.json, plot, logits: None, report };
        output.check_files()?;
        let source = self.network.open()?;
        let machine = Machine::detect();
        let threads = self.machine.threads(&machine);
        self.resources.memory.check_network(&source.network, threads)?;
        let images =
            images::load(&source.network, self.data.as_deref(), self.images as usize, self.seed)?;
        let cost = self.machine.calibration(&machine)?.cost(threads)?;
        let refine = self.refine.optional();
        let wish = Wish { refine, ..self.search.wish(&self.resources, threads) };
        let (variants, left_out) = wish.admissible(&source)?;
        for left in left_out {
            note(format_args!("{} is not run: it {}", left.name, left.reason));
        }
        let dense = source.baseline();
        let mut estimates = Vec::new();
        for variant in variants.iter().filter(|v| *v != dense) {
            let mut estimate = choose::fastest(&source, &wish.only(variant), &cost)?;
            estimate.candidate.name.clone_from(variant);
            estimates.push(estimate);
        }
        if estimates.is_empty() {
            bail!("network {} has no variant to compare with {dense}", source.network.name);
        }
        if self.search.variant.is_empty() {
            estimates.sort_by(|a, b| a.latency.median_ms.total_cmp(&b.latency.median_ms));
        }
        let job = Job {
            source: &source,
            images,
            cost: &cost,
            resources: &self.resources,
            baselines: self.baseline.list(),
            wish,
            batch: None,
            seed: self.seed,
        };
        job.run(estimates, &output)
    }
}
