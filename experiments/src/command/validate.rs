//! `spencnn validate`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use costmodel::Machine;
use simulator::precision::Demand;

use super::options::{ResourceArgs, finite, seconds};
use crate::design::candidate::LeftOut;
use crate::design::wish::{self, PlaintextsArg, SpaceArg, Wish};
use crate::inputs::images;
use crate::inputs::networks::{self, Source};
use crate::machine::profiles::{self, Calibration, Cost};
use crate::machine::provenance::{Provenance, REVISION};
use crate::machine::threads;
use crate::process::exit::Failure;
use crate::process::output::{self, note};
use crate::process::{cancel, files};
use crate::report::{ValidationReport, html, scatter};
use crate::runs::validate::{self, Asked, Drawn, Job, Journal, Network, Summary};

/// Say how good predictions of whole runs are, on configurations drawn at random
///
/// Draws configurations by a seed: of several networks, variants, ring degrees, layouts, key-switching shapes and forms of
/// plaintexts, fast ones and slow ones. Executes them on really encrypted images, in turn, with one thread and with all, and
/// checks every result. Prints predicted beside measured latency, the errors by network, threads, ring degree and kind of
/// instruction, whether the predicted order is right (Spearman's rank correlation), and what choosing by prediction costs
/// over the best choice (regret). Images wait for undisturbed cores, and what other work on the machine disturbed is repeated, for
/// a while; times of undisturbed images count where there are any. The report tells where there were none: errors of a busy
/// machine are not the model's.
#[derive(Debug, Args)]
#[command(after_help = "\
How configurations are drawn: each network has an equal part of them, each variant three or more, from two ring degrees \
where several will do. Half of them are the fastest of their key-switching shape; the others come from a search among the \
paper's layouts that is led astray by bent prices. Searching takes from seconds (LeNet) to some minutes (the others).

Of each configuration, --images are run, one in a round; the first warms up and does not count. Where they take less than \
--least-seconds, they are run again, up to 16 times, in more rounds. Configurations that memory does not hold together are \
run in groups. With --refine, random operands take as much memory again; what that leaves \
no room for has the profile's prediction only.

Examples:
  spencnn validate --network lenet --configurations 6      about two minutes
  spencnn validate --journal validate.jsonl --out validation.json --plot validation.svg
                                                           all embedded networks; goes on where it was stopped
  spencnn validate --network hefnet --variant g8-p50 --log-n 14 --threads 2 --seed 7
  spencnn validate --network lenet --variant g8-p50 --configurations 20 --fastest --refine
                                                           how good the choice among the best is")]
pub struct ValidateArgs {
    /// A network, embedded or a description file; may be given several times [default: the embedded ones with weights]
    #[arg(long, value_name = "NAME|FILE")]
    network: Vec<OsString>,
    /// Only these variants [default: all that are described]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    variant: Vec<String>,
    /// Only these ring degrees, as base-2 logarithms
    #[arg(long, value_name = "LOG2,...", value_delimiter = ',', default_value = "13,14,15,16", value_parser = clap::value_parser!(u32).range(12..=17))]
    log_n: Vec<u32>,
    /// Configurations in all
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    configurations: u16,
    /// Take the configurations that are predicted to be fastest, in place of draws: what choosing by prediction costs
    #[arg(long)]
    fastest: bool,
    /// Images of each configuration; the first does not count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    images: u32,
    /// Least time of each configuration with each number of threads, in predicted seconds: short ones run the same images again
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds, allow_hyphen_values = true)]
    least_seconds: f64,
    /// Numbers of threads, each with every configuration [default: 1 and all hardware threads]
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Seed of the configurations and of generated images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time the instructions of every configuration with random operands, too, once after each image, and judge that prediction
    /// beside the profile's
    #[arg(long)]
    refine: bool,
    /// How plaintexts are kept; auto draws it
    #[arg(long, value_enum, default_value_t = PlaintextsArg::Auto)]
    plaintexts: PlaintextsArg,
    /// Fewest bits of precision of the logits, relative to the largest logit of an image: fewer than other commands ask for,
    /// as times do not depend on it
    #[arg(long, value_name = "BITS", default_value_t = 4.0, value_parser = finite, allow_hyphen_values = true)]
    min_precision: f64,
    /// Folder of the networks' data sets (mnist, cifar10) [default: generated images]
    #[arg(long, value_name = "DIR", env = "SPENCNN_DATA")]
    data: Option<PathBuf>,
    /// Calibration profile [default: this machine's, below $SPENCNN_HOME or ~/.spencnn, or in ./profiles]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    resources: ResourceArgs,
    /// Journal of what was drawn and executed (JSON lines); with the same options, a validation goes on from it
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Where to write the report (JSON)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Draw predicted against measured latencies (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write a page to look at: every number, and drawings (HTML)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl ValidateArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        let files = [&self.out, &self.plot, &self.report];
        files.into_iter().flatten().try_for_each(|f| files::check_writable(f))?;
        self.journal.as_deref().map_or(Ok(()), files::check_appendable)?;
        let machine = Machine::detect();
        let sources = self.sources()?;
        let calibration = profiles::needed(&machine, self.profile.as_deref())?;
        let costs = self.costs(&machine, &calibration)?;
        let mut journal = Journal::open(self.journal.as_deref(), self.key(&sources, &costs))?;
        let (networks, mut left_out) = self.networks(sources, &costs)?;
        let drawn = self.draw(&networks, &costs, &mut journal, &mut left_out)?;
        let job = Job {
            networks: &networks,
            costs: &costs,
            precision: Demand::Relative(self.min_precision),
            memory_limit: self.resources.memory_limit(),
            insecure: self.resources.allow_insecure,
            refine: self.refine,
            least_ms: 1e3 * self.least_seconds,
        };
        let configurations = job.run(&drawn, &mut journal)?;
        if configurations.is_empty() {
            return Err(Failure::Interrupted.into());
        }
        let report = ValidationReport {
            images: self.images as usize,
            least_seconds: self.least_seconds,
            threads: costs.iter().map(|c| c.threads).collect(),
            asked: usize::from(self.configurations),
            interrupted: cancel::requested(),
            left_out,
            summary: Summary::of(&configurations),
            configurations,
            provenance: Provenance::now(costs.first().map(|c| c.source.clone()), self.seed),
        };
        self.tell(&report)?;
        cancel::check()?;
        match report.failures() {
            failures if failures.is_empty() => Ok(()),
            failures => Err(Failure::Check(failures.join("; ")).into()),
        }
    }

    fn tell(&self, report: &ValidationReport) -> Result<()> {
        let json = output::json(report)?;
        let text = if self.json { &json } else { &report.print() };
        let printed = output::results(text);
        if let Some(path) = &self.out {
            files::write_atomically(path, json.as_bytes())?;
        }
        if let Some(path) = &self.plot {
            match report.measured().next() {
                Some(_) => files::write_atomically(path, scatter(report)?.as_bytes())?,
                None => note("nothing was measured, so that there is no picture"),
            }
        }
        if let Some(path) = &self.report {
            files::write_atomically(path, html::validation(report)?.as_bytes())?;
        }
        printed
    }

    /// The networks named, or else the embedded ones that have weights.
    fn sources(&self) -> Result<Vec<Source>> {
        if self.network.is_empty() {
            let all = networks::embedded().map(Source::open).collect::<Result<Vec<_>>>()?;
            let described = |s: &Source| !s.network.variants.is_empty();
            return Ok(all.into_iter().filter(described).collect());
        }
        let sources = self.network.iter().map(Source::open).collect::<Result<Vec<_>>>()?;
        for (k, source) in sources.iter().enumerate() {
            let name = &source.network.name;
            if sources[..k].iter().any(|s| s.network.name == *name) {
                bail!("two networks are called {name:?}; name each once, or rename one");
            }
        }
        Ok(sources)
    }

    /// What predicts, for each number of threads.
    fn costs(&self, machine: &Machine, calibration: &Calibration) -> Result<Vec<Cost>> {
        let threads = threads::numbers(&self.threads, machine);
        threads.into_iter().map(|t| calibration.cost(t)).collect()
    }

    /// The networks that fit the memory, with their images, and those left out.
    fn networks(&self, all: Vec<Source>, costs: &[Cost]) -> Result<(Vec<Network>, Vec<LeftOut>)> {
        let (mut networks, mut left_out) = (Vec::new(), Vec::new());
        let threads = costs.iter().map(|c| c.threads).max().unwrap_or(1);
        for source in all {
            let name = source.network.name.clone();
            let fits = self.resources.memory.check_network(&source.network, threads);
            if let Err(error) = fits {
                left_out.push(LeftOut { name, reason: format!("{error:#}") });
            } else if self.variants(&source).is_empty() {
                let reason = format!("it has no variant {}", self.variant.join(", "));
                left_out.push(LeftOut { name, reason });
            } else {
                let count = self.images as usize;
                let images = images::load(&source.network, self.data.as_deref(), count, self.seed)?;
                if images.len() < count {
                    bail!("--images is {count}, and there are only {} for {name}", images.len());
                }
                networks.push(Network { source, images });
            }
        }
        Ok((networks, left_out))
    }

    /// The variants of a network to draw from.
    fn variants(&self, source: &Source) -> Vec<String> {
        let known = |variant: &&String| source.accuracy(variant).is_ok();
        match self.variant[..] {
            [] => source.variants(),
            _ => self.variant.iter().filter(known).cloned().collect(),
        }
    }

    /// Draws for each network an equal part of the configurations, but what the journal has.
    fn draw(
        &self,
        networks: &[Network],
        costs: &[Cost],
        journal: &mut Journal,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Vec<Drawn>> {
        let Some(cost) = costs.last() else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for (k, Network { source, .. }) in networks.iter().enumerate() {
            let left = usize::from(self.configurations) - all.len();
            let count = left.div_ceil(networks.len() - k);
            let name = source.network.name.as_str();
            if journal.drawn(name).is_none() && count > 0 {
                let asked = Asked {
                    source,
                    variants: self.variants(source),
                    count,
                    fastest: self.fastest,
                    seed: self.seed.wrapping_add((k as u64) << 32),
                    wish: self.wish(cost.threads),
                    log_n: self.log_n.clone(),
                    cost,
                };
                journal.add_drawn(name, validate::draw(&asked)?)?;
            }
            let drawn = journal.drawn(name).unwrap_or_default();
            if drawn.is_empty() {
                let reason = match count {
                    0 => "there are more networks than configurations",
                    _ => "no configuration keeps to the limits; `search` tells which is in the way",
                };
                left_out.push(LeftOut { name: name.into(), reason: reason.into() });
            }
            all.extend_from_slice(drawn);
        }
        if all.is_empty() {
            let reasons = left_out.iter().map(|l| format!("{}: {}", l.name, l.reason));
            bail!("nothing can be drawn:\n  {}", reasons.collect::<Vec<_>>().join("\n  "));
        }
        Ok(all)
    }

    /// What the search of a drawn variant and ring degree keeps to.
    fn wish(&self, threads: usize) -> Wish {
        Wish {
            variants: Vec::new(),
            max_drop: 1.0,
            space: SpaceArg::Full,
            log_n: Vec::new(),
            images: vec![1],
            max_inputs: usize::from(wish::MAX_INPUTS),
            repacks: 0,
            precision: Demand::Relative(self.min_precision),
            plaintexts: self.plaintexts,
            quick: true,
            smallest: None,
            shard: None,
            memory_limit: self.resources.memory_limit(),
            insecure: self.resources.allow_insecure,
            threads,
            journal: None,
            wanted: usize::MAX,
            refine: None,
        }
    }

    /// Everything that the result depends on, but the memory that is free by chance.
    fn key(&self, sources: &[Source], costs: &[Cost]) -> String {
        let names: Vec<&str> = sources.iter().map(|s| s.network.name.as_str()).collect();
        let threads: Vec<usize> = costs.iter().map(|c| c.threads).collect();
        let profile = costs.first().map_or("", |c| c.name.as_str());
        let Self { variant, log_n, configurations, images, seed, plaintexts, .. } = self;
        let limit = self.resources.memory.memory_limit;
        let Self { min_precision, data, least_seconds, .. } = self;
        let refine = if self.refine { " refine" } else { "" };
        let fastest = if self.fastest { " fastest" } else { "" };
        format!(
            "{REVISION} {profile} {names:?} {variant:?} {log_n:?} {threads:?} {configurations} {images} {least_seconds} \
             {seed} {plaintexts:?} {limit:?} {min_precision} {data:?}{refine}{fastest}"
        )
    }
}
