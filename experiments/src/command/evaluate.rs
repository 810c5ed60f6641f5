//! `spencnn evaluate`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use costmodel::Machine;
use serde::Serialize;

use super::options::NetworkArgs;
use crate::evaluate::{Evaluation, Peak, evaluate};
use crate::exit::Failure;
use crate::provenance::Provenance;
use crate::report::table;
use crate::{cancel, images};

/// Images generated where there is no data set.
const GENERATED: u32 = 100;

/// Classify test images without encryption, and check the bounds of values
///
/// Runs the plain network in double precision. Prints its accuracy, and for each activation the largest input in
/// absolute value beside the bound that the weights give for it (and the same for the results). Bounds are what
/// encrypted inference relies on for room in its moduli: one that is exceeded fails the check.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn evaluate --data ~/data                               LeNet's dense variant, all test images
  spencnn evaluate --network vgg5-slim --variant dense --data ~/data --images 1000
  spencnn evaluate --variant g8-p50 --data ~/data --json > accuracy.json")]
pub struct EvaluateArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Variant of the network [default: its baseline]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Folder of the data set (mnist, cifar10) [default: generated images]
    #[arg(long, value_name = "DIR", env = "SPENCNN_DATA")]
    data: Option<PathBuf>,
    /// Images, from the first [default: all test images; 100 generated ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: Option<u32>,
    /// Threads that compute [default: all hardware threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Seed of generated images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct EvaluateReport<'a> {
    network: &'a str,
    variant: &'a str,
    image_source: &'a str,
    recorded_accuracy: Option<f64>,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    provenance: Provenance,
}

impl EvaluateArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        let source = self.network.open()?;
        let variant = match &self.variant {
            Some(name) => name.as_str(),
            None => source.baseline(),
        };
        let model = source.model(variant)?;
        let recorded_accuracy = source.accuracy(variant)?;
        let count = match (self.images, &self.data) {
            (Some(count), _) => count,
            (None, Some(_)) => u32::MAX,
            (None, None) => GENERATED,
        };
        let images =
            images::load(&source.network, self.data.as_deref(), count as usize, self.seed)?;
        let threads = self.threads.map_or_else(|| Machine::detect().threads, usize::from);
        let evaluation = evaluate(&model, &images, threads)?;
        if self.json {
            let report = EvaluateReport {
                network: &source.network.name,
                variant,
                image_source: &images.source,
                recorded_accuracy,
                evaluation: &evaluation,
                provenance: Provenance::now(None, self.seed),
            };
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{}, {variant}, {}\n", source.network.name, images.source);
            print!("{}", text(&evaluation, recorded_accuracy));
        }
        cancel::check()?;
        let over: Vec<String> = evaluation.peaks.iter().filter(|p| p.exceeds()).map(told).collect();
        if over.is_empty() { Ok(()) } else { Err(Failure::Check(over.join("; ")).into()) }
    }
}

fn told(peak: &Peak) -> String {
    let what = if peak.layer == "output" { "results" } else { "inputs" };
    format!(
        "{what} of {} reach {:.6}, over the bound of {:.6} in the weights: bound the network on these images too, or \
         train it again with smaller values",
        peak.layer,
        peak.largest,
        peak.bound.unwrap_or(f64::NAN)
    )
}

fn text(found: &Evaluation, recorded: Option<f64>) -> String {
    let share = |a: f64| format!("{:.2} %", 100.0 * a);
    let accuracy = match (found.correct, found.accuracy) {
        (Some(correct), Some(accuracy)) => {
            format!("{correct} of {} right, {}", found.images, share(accuracy))
        }
        _ => format!("{} images without labels", found.images),
    };
    let recorded = recorded.map_or(String::new(), |a| format!(" (recorded: {})", share(a)));
    let mut rows = vec![["largest input", "value", "bound", "of it"].map(str::to_owned).to_vec()];
    rows.extend(found.peaks.iter().map(|p| {
        vec![
            p.layer.clone(),
            format!("{:.4}", p.largest),
            p.bound.map_or("none".into(), |b| format!("{b:.4}")),
            p.bound.map_or("-".into(), |b| format!("{:.1} %", 100.0 * p.largest / b)),
        ]
    }));
    let interrupted = if found.interrupted {
        "\nINTERRUPTED: results are of the images that were finished\n"
    } else {
        ""
    };
    format!("{accuracy}{recorded}\n\n{}{interrupted}", table(rows))
}
