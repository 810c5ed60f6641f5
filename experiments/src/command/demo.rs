//! `spencnn demo`.

use anyhow::Result;
use clap::Args;
use costmodel::Machine;
use costmodel::measure::Plan;
use simulator::precision::Demand;

use super::calibrate::calibrate;
use super::options::{MachineArgs, RefineArgs, ResourceArgs, fraction};
use super::run::{Baselines, Job, Output};
use crate::design::choose;
use crate::design::wish;
use crate::design::wish::Wish;
use crate::design::wish::{PlaintextsArg, SpaceArg};
use crate::inputs::images;
use crate::inputs::networks::Source;
use crate::machine::profiles::{self, Calibration};
use crate::machine::threads;
use crate::process::output::note;

/// Ring degree that the demonstration looks at, as a base-2 logarithm, and how many variants: enough to be fast, and
/// few enough to be quick. `search` looks at all.
const RING: u32 = 13;
const VARIANTS: usize = 2;

/// Everything on a small network: calibrate if need be, search, run on encrypted digits, report
///
/// Needs no files and no data: LeNet's weights are embedded, and the digits are drawn by a generator. Takes a few
/// minutes on two cores.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn demo
  spencnn demo --images 40 --threads 2 --json > demo.json")]
pub struct DemoArgs {
    /// Generated digits to classify
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    images: u32,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    /// Largest loss of accuracy against the dense variant, as a fraction
    #[arg(long, value_name = "FRACTION", default_value_t = 0.005, value_parser = fraction, allow_hyphen_values = true)]
    max_drop: f64,
    #[command(flatten)]
    refine: RefineArgs,
    /// Seed of the generated digits
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl DemoArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        let machine = Machine::detect();
        let threads = self.machine.threads(&machine);
        let source = Source::open("lenet")?;
        self.resources.memory.check_network(&source.network, threads)?;
        let calibration = self.calibration(&machine, threads)?;
        let cost = calibration.cost(threads)?;
        let wish = Wish {
            variants: Vec::new(),
            max_drop: self.max_drop,
            space: SpaceArg::Full,
            log_n: vec![RING],
            images: vec![1],
            max_inputs: usize::from(wish::MAX_INPUTS),
            repacks: 0,
            precision: Demand::Relative(wish::MIN_BITS),
            plaintexts: PlaintextsArg::Auto,
            quick: false,
            smallest: Some(VARIANTS),
            shard: None,
            memory_limit: self.resources.memory_limit(),
            insecure: self.resources.allow_insecure,
            threads,
            journal: None,
            wanted: 1,
            refine: self.refine.optional(),
        };
        let chosen = choose::fastest(&source, &wish, &cost)?;
        let job = Job {
            images: images::load(&source.network, None, self.images as usize, self.seed)?,
            source: &source,
            cost: &cost,
            resources: &self.resources,
            baselines: Baselines::Both.list(),
            wish,
            batch: None,
            seed: self.seed,
        };
        let output = Output { json: self.json, plot: None, logits: None, report: None };
        job.run(vec![chosen], &output)
    }

    /// This machine's profile; measured now if there is none, or none that this program can read.
    fn calibration(&self, machine: &Machine, threads: usize) -> Result<Calibration> {
        let named = self.machine.profile.as_deref();
        match profiles::find(machine, named) {
            Ok(Some(found)) => {
                note(format_args!("profile of this machine: {}", found.path.display()));
                return Ok(found);
            }
            Ok(None) => {
                let cpu = &machine.cpu;
                note(format_args!("no profile for this machine ({cpu}): measuring it first"));
            }
            Err(error) if named.is_some() => return Err(error),
            Err(error) => note(format_args!("measuring this machine again: {error:#}")),
        }
        let path = profiles::default_path(machine)?;
        let mut counts = threads::numbers(&[], machine);
        counts.push(threads);
        let (mut profile, points) = calibrate(&Plan::quick(), &counts, &path, None)?;
        if let Err(error) = profile.save(&path, &points) {
            note(format_args!("the profile is used and not kept: {error}"));
        }
        Ok(Calibration { path, profile })
    }
}
