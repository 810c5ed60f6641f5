//! `spencnn units`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use simulator::network::Weights;

use super::options::{FamilyArg, MemoryArgs, NetworkArgs, fraction};
use super::run::read_configuration;
use crate::inputs::units::{self, NetworkUnits, Pruning};
use crate::machine::provenance::Provenance;
use crate::process::{files, output};
use crate::report::table;

/// Write which weights of each layer one product of a configuration holds, for pruning them together
///
/// A product of a ciphertext and a plaintext is saved when every weight that the plaintext holds is zero. Such weights
/// are a unit. For every convolution and fully connected layer, the file has `<layer>.units` (I32, of the weights'
/// shape): the number of each weight's unit, from 0. With --keep, `<layer>.keep` (U8) says for each unit whether to
/// keep it: those of the least importance go, which is the sum of their squared weights, or of the scores that
/// --importance gives.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn search --variant g8 --out best.toml
  spencnn units --config best.toml --out units.safetensors
  spencnn units --config best.toml --keep 0.5 --layer conv2 --out units.safetensors
  spencnn units --config best.toml --keep 0.5 --importance taylor.safetensors --out units.safetensors --json")]
pub struct UnitsArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Configuration, as `search --out` writes it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Variant whose weights are meant [default: the configuration's]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Only these layers [default: all convolutions and fully connected ones]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    layer: Vec<String>,
    /// Choose units to keep: this share of those present in each layer, 0 to 1
    #[arg(long, value_name = "FRACTION", value_parser = fraction, allow_hyphen_values = true)]
    keep: Option<f64>,
    /// Which units are removed together
    #[arg(long, value_enum, default_value_t = FamilyArg::SubBlock, requires = "keep")]
    family: FamilyArg,
    /// Scores of the weights (safetensors): `<layer>.taylor`, of the weights' shape, not negative
    #[arg(long, value_name = "FILE")]
    importance: Option<PathBuf>,
    /// Where to write the units (safetensors)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct UnitsReport<'a> {
    network: &'a str,
    variant: &'a str,
    #[serde(flatten)]
    found: &'a NetworkUnits,
    provenance: Provenance,
}

impl UnitsArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        files::check_writable(&self.out)?;
        let source = self.network.open()?;
        self.memory.check_network(&source.network, 1)?;
        let configuration = read_configuration(&self.config, &source)?;
        let variant = self.variant.as_deref().unwrap_or(&configuration.variant);
        let model = source.model(variant)?;
        let importance = self
            .importance
            .as_deref()
            .map(|path| {
                Weights::read_for(&model.network, path)
                    .with_context(|| format!("reading scores {}", path.display()))
            })
            .transpose()?;
        let family = self.family.family();
        let pruning = self.keep.map(|keep| Pruning { keep, family });
        let found = units::find(&model, &configuration, &self.layer, pruning, importance.as_ref())?;
        let network = &source.network.name;
        let results = if self.json {
            let provenance = Provenance::now(None, 0);
            let report = UnitsReport { network, variant, found: &found, provenance };
            output::json(&report)?
        } else {
            format!("{network}, {variant}\n\n{}", text(&found))
        };
        let printed = output::results(&results);
        files::write_atomically(&self.out, &found.to_safetensors(network, variant)?)?;
        output::note(format_args!("units written to {}", self.out.display()));
        printed
    }
}

fn text(found: &NetworkUnits) -> String {
    let head = ["layer", "units", "present", "kept", "kept importance"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(found.layers.iter().map(|l| {
        vec![
            l.layer.clone(),
            l.units.to_string(),
            l.present.to_string(),
            l.kept.to_string(),
            format!("{:.2} %", 100.0 * l.kept_importance),
        ]
    }));
    let without = found.without.iter().map(|w| format!("{} has no units: {}\n", w.layer, w.reason));
    table(rows) + &without.collect::<String>()
}
