//! `spencnn evaluate`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use costmodel::Machine;
use serde::Serialize;
use simulator::network::OUTPUT;
use simulator::search::PLAN;

use super::options::{MemoryArgs, NetworkArgs};
use crate::design::plan::PlanFolder;
use crate::inputs::images;
use crate::inputs::networks::Source;
use crate::machine::provenance::Provenance;
use crate::machine::threads;
use crate::process::exit::Failure;
use crate::process::output::{self, note};
use crate::process::{cancel, files};
use crate::report::{csv, table};
use crate::runs::evaluate::{Evaluation, Peak, evaluate};
use crate::runs::record;

/// Images generated where there is no data set.
const GENERATED: u32 = 100;

/// Classify test images without encryption, and check the bounds of values
///
/// Runs the plain network in double precision. Prints its accuracy, and for each activation the largest input in
/// absolute value beside the bound that the weights give for it (and the same for the results). Bounds are what
/// encrypted inference relies on for room in its moduli: one that is exceeded fails the check. So does an accuracy on a
/// data set that is further below the recorded one than chance explains: the description's mean, std or contrast are then
/// not those of the training, as a rule. With --write, the accuracy and bounds found are recorded in the network's files.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn evaluate --data ~/data                               LeNet's dense variant, all test images
  spencnn evaluate --network vgg5-slim --variant dense --data ~/data --images 1000
  spencnn evaluate --variant g8-p50 --data ~/data --json > accuracy.json
  spencnn evaluate --network hefnet --pattern plan/ --data ~/data    a plan of the search, untrained
  spencnn evaluate --network mine.onnx --mean 0.13 --std 0.31 --data test.npz --logits logits.csv
  spencnn evaluate --network mine.toml --data ~/data --write   records accuracy and bounds in the network's files")]
pub struct EvaluateArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Variant of the network [default: its baseline, or the first if that is untrained]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// The weights that a plan starts from, those of the dense network if it names no others, of which only those are left that
    /// it keeps: what its pattern costs before any training
    #[arg(long, value_name = "DIR", conflicts_with_all = ["variant", "write"])]
    pattern: Option<PathBuf>,
    /// Images: a folder (MNIST, CIFAR-10, PNG files, arrays) or a file of arrays (.npy, .npz, .safetensors, IDX) [default:
    /// generated ones]
    #[arg(long, value_name = "PATH", env = "SPENCNN_DATA")]
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
    /// Record the accuracy (of a data set) in the description, and bounds in the weights: 1.2 times the largest values
    /// seen, and never less than they are now
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write logits, class and margin of every image (CSV)
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct EvaluateReport<'a> {
    network: &'a str,
    variant: &'a str,
    image_source: &'a str,
    recorded_accuracy: Option<f64>,
    /// By how much the accuracy may be below that.
    accuracy_tolerance: Option<f64>,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    /// Whether the accuracy is no better than that of guessing.
    guessing: bool,
    provenance: Provenance,
}

impl EvaluateArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        self.logits.as_deref().map_or(Ok(()), files::check_writable)?;
        let source = self.network.open()?;
        let variant = match (&self.variant, &self.pattern) {
            (Some(name), _) => name.as_str(),
            (None, Some(_)) => PLAN,
            (None, None) => source.evaluated(),
        };
        let files = self.write.then(|| self.own_files(&source, variant)).transpose()?;
        let threads = threads::number(self.threads, &Machine::detect());
        self.memory.check_network(&source.network, threads)?;
        let (model, recorded_accuracy) = match &self.pattern {
            Some(folder) => (PlanFolder::read(folder)?.untrained(&source)?, None),
            None => (source.model(variant)?, source.accuracy(variant)?),
        };
        let count = match (self.images, &self.data) {
            (Some(count), _) => count,
            (None, Some(_)) => u32::MAX,
            (None, None) => GENERATED,
        };
        let images =
            images::load(&source.network, self.data.as_deref(), count as usize, self.seed)?;
        let evaluation = evaluate(&model, &images, threads)?;
        let image_source = images.source();
        let results = if self.json {
            output::json(&EvaluateReport {
                network: &source.network.name,
                variant,
                image_source: &image_source,
                recorded_accuracy,
                accuracy_tolerance: recorded_accuracy
                    .filter(|_| self.data.is_some() && evaluation.accuracy.is_some())
                    .map(|recorded| evaluation.tolerance(recorded)),
                evaluation: &evaluation,
                guessing: evaluation.is_guessing(),
                provenance: Provenance::now(None, self.seed),
            })?
        } else {
            let head = format!("{}, {variant}, {image_source}\n\n", source.network.name);
            head + &text(&evaluation, recorded_accuracy)
        };
        let printed = output::results(&results);
        if let Some(path) = &self.logits {
            let results = evaluation.per_image.iter();
            let lines: Vec<_> = results.map(|result| (variant, result)).collect();
            files::write_atomically(path, csv(&lines).as_bytes())?;
        }
        cancel::check()?;
        let failures = self.failures(&evaluation, recorded_accuracy);
        if failures.is_empty()
            && let Some((description, weights)) = files
        {
            self.record(&evaluation, variant, &description, &weights)?;
        }
        printed?;
        if failures.is_empty() { Ok(()) } else { Err(Failure::Check(failures.join("; ")).into()) }
    }

    /// What is wrong with the result.
    fn failures(&self, found: &Evaluation, recorded: Option<f64>) -> Vec<String> {
        // What exceeds a bound is recorded, but not what is no number.
        let fails = |p: &&Peak| if self.write { !p.largest.is_finite() } else { p.exceeds() };
        let mut failures: Vec<String> = found.peaks.iter().filter(fails).map(told).collect();
        if let Some((recorded, accuracy)) =
            recorded.zip(found.accuracy).filter(|(recorded, _)| found.falls_short(*recorded))
        {
            let text = format!(
                "accuracy is {:.2} % of {} images, expected {:.2} % as the description records, less {:.2} % for chance: \
                 see that mean, std and contrast are those of the training and that these are the right weights, or \
                 remove the recorded accuracy",
                100.0 * accuracy,
                found.images,
                100.0 * recorded,
                100.0 * found.tolerance(recorded)
            );
            match self.data {
                Some(_) => failures.push(text),
                // Generated images are not those that the record is of.
                None => note(format_args!("on generated images, {text}")),
            }
        }
        failures
    }

    /// The description file and the weight file, if they are there to be written.
    fn own_files(&self, source: &Source, variant: &str) -> Result<(PathBuf, PathBuf)> {
        let description = PathBuf::from(&self.network.network);
        if source.is_imported() {
            bail!(
                "--write needs a network with files of its own, and nothing is written into an ONNX model: without bounds there \
                 is room for eight times what values reach on a few images"
            );
        }
        if !description.is_file() || source.untrained(variant).is_some() {
            bail!(
                "--write needs a network with files of its own; name a description with --network, and one of the \
                 variants that it describes"
            );
        }
        let folder = description.parent().unwrap_or(Path::new(""));
        let weights = folder.join(&source.network.variant(variant)?.weights);
        files::check_writable(&description)?;
        files::check_writable(&weights)?;
        Ok((description, weights))
    }

    /// Records what was found.
    fn record(
        &self,
        found: &Evaluation,
        variant: &str,
        description: &Path,
        weights: &Path,
    ) -> Result<()> {
        record::write_bounds(weights, &record::bounds(found))?;
        note(format_args!("bounds written to {}", weights.display()));
        match found.accuracy.filter(|_| self.data.is_some()) {
            Some(accuracy) => {
                record::write_accuracy(description, variant, accuracy)?;
                note(format_args!("accuracy written to {}", description.display()));
            }
            None => note("no accuracy is recorded: it is one of a data set with labels (--data)"),
        }
        Ok(())
    }
}

fn told(peak: &Peak) -> String {
    let what = if peak.layer == OUTPUT { "results" } else { "inputs" };
    match peak.bound.filter(|_| peak.largest.is_finite()) {
        Some(bound) => format!(
            "{what} of {} reach {:.6}, over the bound of {bound:.6} in the weights: bound the network on these images too \
             (--write), or train it again with smaller values",
            peak.layer, peak.largest
        ),
        None => format!(
            "{what} of {} are not finite ({}): see that mean, std and contrast are those of the training",
            peak.layer, peak.largest
        ),
    }
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
    let unbounded: Vec<&str> =
        found.peaks.iter().filter(|p| p.bound.is_none()).map(|p| p.layer.as_str()).collect();
    let unbounded = if unbounded.is_empty() {
        String::new()
    } else {
        format!(
            "\nThe weights carry no bound of {}: nothing says whether these values are as in training. `evaluate --write` \
             records bounds.\n",
            unbounded.join(", ")
        )
    };
    let interrupted = if found.interrupted {
        "\nINTERRUPTED: results are of the images that were finished\n"
    } else {
        ""
    };
    let guessing = match found.is_guessing() {
        true => format!(
            "\nThis is no better than guessing ({}). See that the images are in the order of channels, rows and columns (some \
             programs write transposed arrays as they lie in memory), that they are normalised as in training, and that labels \
             are numbered as the network's results are.\n",
            share(found.chance.unwrap_or(0.0))
        ),
        false => String::new(),
    };
    format!("{accuracy}{recorded}\n{guessing}\n{}{unbounded}{interrupted}", table(rows))
}
