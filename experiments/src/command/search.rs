//! `spencnn search`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use costmodel::Machine;
use serde::Serialize;
use simulator::search::Evaluated;

use super::options::{MachineArgs, NetworkArgs, PatternArgs, RefineArgs, ResourceArgs, SearchArgs};
use super::plans;
use crate::design::choose::{self, Found, Prices};
use crate::design::plan::{self, PlansFound};
use crate::design::refine::Choice;
use crate::design::shard::Shard;
use crate::design::wish::Wish;
use crate::machine::memory::show_bytes;
use crate::machine::provenance::Provenance;
use crate::process::{files, output};
use crate::report::{html, inference_of, percent, table};

/// Find the fastest configuration for a network on this machine
///
/// Prices the ways of computing each variant of the network (packing, schedules, parameters) with this machine's cost
/// model. Then executes the instructions of the fastest few on this machine, with random operands, and ranks these again by
/// that time. Prints the fastest configuration of each variant, the Pareto front of latency, accuracy and memory, and the few
/// with both predictions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn search                                           LeNet, all variants
  spencnn search --variant dense,g8 --space paper          what the paper's layouts reach
  spencnn search --max-drop 0.002 --memory-limit 4GB --out best.toml
  spencnn search --journal search.jsonl                    resumes when run again
  spencnn search --shard 2/4 --journal two.jsonl           one of four parts, for `spencnn merge`
  spencnn search --network hefnet --patterns --max-drop 0.01 --out plan/
                                                           groups and units of every layer, for training")]
pub struct SearchCommandArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    patterns: PatternArgs,
    #[command(flatten)]
    refine: RefineArgs,
    /// Predict by the profile alone
    #[arg(long, conflicts_with = "refine")]
    no_refine: bool,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    /// Search one part of the variants, of so many, into the journal: for several processes or machines; see `merge`
    #[arg(long, value_name = "I/N", requires = "journal", conflicts_with_all = ["out", "report", "patterns", "refine"])]
    shard: Option<Shard>,
    /// Where to write the best configuration (TOML), for `run --config`; with --patterns, the folder of the fastest plan, for
    /// training and `run --plan`
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write a page to look at: every number, and drawings (HTML)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct SearchReport<'a> {
    network: &'a str,
    threads: usize,
    #[serde(flatten)]
    found: &'a Found,
    provenance: Provenance,
}

#[derive(Debug, Serialize)]
struct PlansReport<'a> {
    network: &'a str,
    threads: usize,
    #[serde(flatten)]
    found: &'a PlansFound,
    provenance: Provenance,
}

impl SearchCommandArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        self.search.check_files()?;
        self.report.as_deref().map_or(Ok(()), files::check_writable)?;
        if self.patterns.patterns {
            return self.plans();
        }
        self.out.as_deref().map_or(Ok(()), files::check_writable)?;
        let source = self.network.open()?;
        let machine = Machine::detect();
        let threads = self.machine.threads(&machine);
        self.resources.memory.check_network(&source.network, threads)?;
        let cost = self.machine.calibration(&machine)?.cost(threads)?;
        let refine = (!self.no_refine && self.shard.is_none()).then(|| self.refine.usual());
        let wish = self.search.wish(&self.resources, threads);
        // Shards evaluate what will be ranked once they are together.
        let wanted = if self.no_refine { 1 } else { self.refine.usual().configurations };
        let wish = Wish { wanted, refine, shard: self.shard, ..wish };
        let found = choose::search(&source, &wish, &cost)?;
        // What is best is told once all parts are together.
        let best = if self.shard.is_none() { Some(found.fastest()?) } else { None };
        let network = &source.network.name;
        let provenance = Provenance::now(Some(cost.source.clone()), 0);
        let report = SearchReport { network, threads, found: &found, provenance };
        let results =
            if self.json { output::json(&report)? } else { text(network, threads, &found) };
        let printed = output::results(&results);
        if let (Some(path), Some(best)) = (&self.report, best) {
            files::write_atomically(path, page(&report, best)?.as_bytes())?;
        }
        if let (Some(path), Some(best)) = (&self.out, best) {
            files::write_atomically(path, configuration(&found, best)?.as_bytes())?;
            output::note(format_args!("best configuration written to {}", path.display()));
        }
        printed
    }

    /// Searches for plans.
    fn plans(self) -> Result<()> {
        let file = self.out.as_deref().map(|folder| folder.join("plan.json"));
        file.as_deref().map_or(Ok(()), files::check_writable)?;
        let source = self.network.open()?;
        let machine = Machine::detect();
        let threads = self.machine.threads(&machine);
        self.resources.memory.check_network(&source.network, threads)?;
        let patterns = self.patterns.wish(&source, self.search.max_drop)?;
        let cost = self.machine.calibration(&machine)?.cost(threads)?;
        let wish = self.search.wish(&self.resources, threads);
        let prices = Prices { pricer: &cost.model, name: &cost.name };
        let (planned, found) = choose::plans(&source, &wish, &patterns, prices)?;
        let best = found.fastest()?;
        let network = &source.network.name;
        let provenance = Provenance::now(Some(cost.source.clone()), 0);
        let report = PlansReport { network, threads, found: &found, provenance };
        let results =
            if self.json { output::json(&report)? } else { plans::text(network, threads, &found) };
        let printed = output::results(&results);
        if let Some(path) = &self.report {
            let page = plans::page(network, threads, &found, best, &report.provenance, &report)?;
            files::write_atomically(path, page.as_bytes())?;
        }
        if let Some(folder) = &self.out {
            plan::write(folder, &source, &planned, best)?;
            output::note(format_args!("the fastest plan was written to {}", folder.display()));
        }
        printed
    }
}

/// The best configuration as a file that also tells what it is predicted to take.
fn configuration(found: &Found, best: &Evaluated) -> Result<String> {
    let refined = found.refined.first().and_then(|choice| choice.refined);
    let refined = refined.map_or(String::new(), |refined| {
        format!("# By timing its instructions: {:.2} ms.\n", refined.median_ms)
    });
    let toml = best.configuration.to_toml()?;
    Ok(format!(
        "# Predicted by the profile: {:.2} ms {}.\n{refined}{toml}",
        best.latency_ms,
        inference_of(best.configuration.images)
    ))
}

fn text(network: &str, threads: usize, found: &Found) -> String {
    let refined = match won(&found.refined) {
        Some(won) => format!("{won}\n{}", table(refined(&found.refined))),
        None => String::new(),
    };
    format!(
        "{network}, {threads} threads, {} configurations evaluated\n\n{BEST}\n{}\n{}\n{FRONT}\n{}\n{refined}",
        found.evaluated,
        table(points(&found.best)),
        notes(found).iter().map(|note| format!("{note}\n")).collect::<String>(),
        table(points(&found.front)),
    )
}

/// Titles of tables.
const BEST: &str = "best of each variant";
const FRONT: &str = "Pareto front of latency, accuracy and memory";

/// The search as a page.
fn page(report: &SearchReport<'_>, best: &Evaluated) -> Result<String> {
    let found = report.found;
    let mut tables =
        vec![(BEST.to_owned(), points(&found.best)), (FRONT.into(), points(&found.front))];
    tables.extend(won(&found.refined).map(|won| (won, refined(&found.refined))));
    let others = found.best.iter().filter(|best| !found.front.contains(best));
    let shown = |evaluated, on_front| html::Found {
        evaluated,
        worth: evaluated.accuracy.map(|a| 100.0 * a),
        on_front,
    };
    html::search(&html::SearchPage {
        network: report.network,
        threads: report.threads,
        searched: format!("{} configurations evaluated", found.evaluated),
        best,
        accuracy: (
            "its accuracy, recorded".into(),
            best.accuracy.map_or("unknown".into(), |a| format!("{:.2} %", 100.0 * a)),
        ),
        found: others
            .map(|e| shown(e, false))
            .chain(found.front.iter().map(|e| shown(e, true)))
            .collect(),
        worth: "accuracy, %",
        tables,
        notes: notes(found),
        provenance: &report.provenance,
        report,
    })
}

/// Variants that were not searched, and those whose weights are random.
fn notes(found: &Found) -> Vec<String> {
    let left_out =
        found.left_out.iter().map(|l| format!("{} was not searched: it {}", l.name, l.reason));
    let untrained = found
        .untrained
        .iter()
        .map(|n| format!("{n} has random weights: it tells latency and memory, not accuracy"));
    left_out.chain(untrained).collect()
}

/// Whether the configurations that were ranked again have another order; none if there are none.
fn won(choices: &[Choice]) -> Option<String> {
    let won = match choices.first()?.profile_place {
        1 => "the profile's first choice stays".to_owned(),
        place => format!("the profile's choice number {place} is better"),
    };
    Some(format!("the fastest, with their instructions timed: {won}"))
}

/// The configurations that were ranked again, the one to run first.
fn refined(choices: &[Choice]) -> Vec<Vec<String>> {
    let head = [
        "place",
        "place by the profile",
        "variant",
        "predicted ms",
        "by timing ms",
        "difference",
        "plaintexts",
        "N",
        "prime bits",
        "special",
        "digits of",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(choices.iter().zip(1..).map(|(choice, place)| {
        let Evaluated { configuration, latency_ms, .. } = &choice.evaluated;
        let parameters = &configuration.parameters;
        let refined = choice.refined.map(|refined| refined.median_ms);
        vec![
            format!("{place}"),
            choice.profile_place.to_string(),
            configuration.variant.clone(),
            format!("{latency_ms:.1}"),
            refined.map_or("unknown".into(), |ms| format!("{ms:.1}")),
            refined.map_or(String::new(), |ms| percent(ms / latency_ms - 1.0)),
            choice.plaintexts.into(),
            format!("2^{}", parameters.log_n),
            parameters.prime_bits.to_string(),
            parameters.special.to_string(),
            parameters.alpha.to_string(),
        ]
    }));
    rows
}

/// Columns of points that tell of several images in a ciphertext.
const SEVERAL: std::ops::Range<usize> = 3..5;

fn points(points: &[Evaluated]) -> Vec<Vec<String>> {
    let head = [
        "variant",
        "accuracy",
        "predicted ms",
        "images",
        "images/s",
        "memory",
        "logit bits",
        "absolute",
        "N",
        "levels",
        "prime bits",
        "digits of",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(points.iter().map(|p| {
        let parameters = &p.configuration.parameters;
        vec![
            p.configuration.variant.clone(),
            p.accuracy.map_or("unknown".into(), |a| format!("{:.2} %", 100.0 * a)),
            format!("{:.1}", p.latency_ms),
            p.configuration.images.to_string(),
            format!("{:.1}", 1e3 / p.image_ms()),
            show_bytes(p.memory.total_bytes()),
            p.precision.map_or("unknown".into(), |p| format!("{:.1}", p.relative_bits)),
            p.precision.map_or("unknown".into(), |p| format!("{:.1}", p.absolute_bits)),
            format!("2^{}", parameters.log_n),
            parameters.levels.to_string(),
            parameters.prime_bits.to_string(),
            parameters.alpha.to_string(),
        ]
    }));
    if points.iter().all(|p| p.configuration.images == 1) {
        rows.iter_mut().for_each(|row| drop(row.drain(SEVERAL)));
    }
    rows
}
