//! The folder of a plan.
//!
//! | file | what |
//! | --- | --- |
//! | `configuration.toml` | how the network is to be computed |
//! | `units.safetensors` | the unit of each weight, and which units to keep, as `spencnn units` writes them |
//! | `training.toml` | the variant for `train.py --plan`: groups, shuffled layers, and what to start from |
//! | `network.toml` | the network with one variant, `plan`, whose weights training puts into the folder |
//! | `plan.json` | what was found: prices, patterns, the expected accuracy |
//! | `plan.safetensors`, `plan.toml` | weights and their record, once trained |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use simulator::search::{PLAN, Plan, pattern_units};

use super::Planned;
use crate::inputs::networks::Source;
use crate::inputs::units::NetworkUnits;
use crate::machine::provenance::Provenance;
use crate::process::files;

/// The file of units.
pub(super) const UNITS: &str = "units.safetensors";
/// The file that is written last, without which there is no plan.
const LAST: &str = "plan.json";

/// A plan as it is written.
#[derive(Debug, Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    dense_accuracy: f64,
    start: &'a str,
    provenance: Provenance,
}

/// A plan that was found.
#[derive(Debug, Clone, Deserialize)]
pub struct PlanFolder {
    /// Where it is.
    #[serde(skip)]
    pub(super) folder: PathBuf,
    /// What it is.
    #[serde(flatten)]
    pub plan: Plan,
    /// Accuracy of the dense variant, 0 to 1.
    pub dense_accuracy: f64,
    /// The variant that training starts from; the dense one where a plan of an earlier version names none.
    #[serde(default)]
    pub start: Option<String>,
}

/// The part of a training's record that matters here.
#[derive(Debug, Deserialize)]
struct Record {
    test_accuracy: f64,
}

#[derive(Serialize)]
struct TrainingFile {
    variant: BTreeMap<&'static str, TrainingVariant>,
}

/// The variant for training, in the words of its plans.
#[derive(Serialize)]
struct TrainingVariant {
    parent: String,
    shuffle: Vec<String>,
    groups: BTreeMap<String, usize>,
}

#[derive(Serialize)]
struct DescribedVariant {
    name: &'static str,
    weights: String,
    pattern: String,
    groups: BTreeMap<String, usize>,
}

#[derive(Serialize)]
struct Described {
    variant: Vec<DescribedVariant>,
}

/// The groups of a plan's layers: those that are shuffled are described as dense ones, with zeros.
fn groups(plan: &Plan, shuffled: bool) -> BTreeMap<String, usize> {
    let of = |l: &&simulator::search::PlannedLayer| {
        let grouping = l.choice.grouping;
        grouping.groups > 1 && (shuffled || !grouping.shuffled)
    };
    let listed = plan.layers.iter().filter(of);
    listed.map(|l| (l.layer.clone(), l.choice.grouping.groups)).collect()
}

/// Writes the folder of a plan, and makes it if need be.
///
/// # Errors
/// Whatever the system says.
pub fn write(folder: &Path, source: &Source, planned: &Planned, plan: &Plan) -> Result<()> {
    let configuration = &plan.evaluated.configuration;
    let units =
        pattern_units(&planned.folded()?, configuration, &plan.patterns(), &planned.importance)?;
    let units = NetworkUnits::planned(&source.network, units)?;
    let units = units.to_safetensors(&source.network.name, PLAN)?;
    let head = format!(
        "# Predicted by the profile: {:.2} ms. Expected to lose {:.2} points of accuracy, {:.2} at most.\n",
        plan.evaluated.latency_ms, plan.expected_drop, plan.upper_drop
    );
    let shuffled = plan.layers.iter().filter(|l| l.choice.grouping.shuffled);
    let training = TrainingFile {
        variant: std::iter::once((
            PLAN,
            TrainingVariant {
                parent: planned.start.clone(),
                shuffle: shuffled.map(|l| l.layer.clone()).collect(),
                groups: groups(plan, true),
            },
        ))
        .collect(),
    };
    let patterns = plan.layers.iter().map(|l| format!("{}: {}", l.layer, l.choice));
    let described = Described {
        variant: vec![DescribedVariant {
            name: PLAN,
            weights: format!("{PLAN}.safetensors"),
            pattern: patterns.collect::<Vec<_>>().join("; "),
            groups: groups(plan, false),
        }],
    };
    let network = format!("{}\n{}", source.without_variants()?, toml::to_string(&described)?);
    let provenance = Provenance::now(None, 0);
    let (dense_accuracy, start) = (planned.dense_accuracy, &planned.start[..]);
    let written = Written { plan, dense_accuracy, start, provenance };
    let json = serde_json::to_string_pretty(&written)? + "\n";
    // Files of two plans do not belong together: the old one ends before the first new file, and the new one begins with the
    // last.
    files::remove_old(&folder.join(LAST))?;
    for (name, bytes) in [
        ("configuration.toml", (head.clone() + &configuration.to_toml()?).into_bytes()),
        (UNITS, units),
        ("training.toml", (head + &toml::to_string(&training)?).into_bytes()),
        ("network.toml", network.into_bytes()),
        (LAST, json.into_bytes()),
    ] {
        files::write_atomically(&folder.join(name), &bytes)?;
    }
    Ok(())
}

impl PlanFolder {
    /// Reads what a plan expects.
    ///
    /// # Errors
    /// A folder that is none of a plan.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(LAST);
        let what = || format!("reading {}; `search --patterns --out` writes it", path.display());
        let text = std::fs::read_to_string(&path).with_context(what)?;
        let plan: Self = serde_json::from_str(&text).with_context(what)?;
        Ok(Self { folder: folder.to_owned(), ..plan })
    }

    /// The description of the network, with the trained weights and their accuracy.
    ///
    /// # Errors
    /// If it has not been trained.
    pub fn source(&self) -> Result<Source> {
        let weights = self.folder.join(format!("{PLAN}.safetensors"));
        if !weights.is_file() {
            bail!(
                "{} is not there: the plan has not been trained; experiments/training/train.py --plan {} does that",
                weights.display(),
                self.folder.display()
            );
        }
        let mut source = Source::open(self.folder.join("network.toml"))?;
        let accuracy = self.trained_accuracy()?;
        source.network.variants.iter_mut().for_each(|variant| variant.accuracy = accuracy);
        Ok(source)
    }

    /// Groups by layer, as the network is described.
    pub(super) fn groups(&self) -> BTreeMap<String, usize> {
        groups(&self.plan, false)
    }

    /// The file of the configuration.
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("configuration.toml")
    }

    /// The accuracy that its training's record states, 0 to 1; none if there is no record.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn trained_accuracy(&self) -> Result<Option<f64>> {
        let path = self.folder.join(format!("{PLAN}.toml"));
        if !path.is_file() {
            return Ok(None);
        }
        let what = || format!("reading {}", path.display());
        let text = std::fs::read_to_string(&path).with_context(what)?;
        let record: Record = toml::from_str(&text).with_context(what)?;
        Ok(Some(record.test_accuracy))
    }

    /// Expected and trained accuracy, side by side.
    ///
    /// # Errors
    /// Those of [`Self::trained_accuracy`].
    pub fn accuracy_line(&self) -> Result<String> {
        let expected = 100.0 * self.dense_accuracy - self.plan.expected_drop;
        let least = 100.0 * self.dense_accuracy - self.plan.upper_drop;
        let trained = match self.trained_accuracy()? {
            Some(accuracy) => format!("trained to {:.2} %", 100.0 * accuracy),
            None => "there is no record of its training".into(),
        };
        Ok(format!("accuracy: expected {expected:.2} % ({least:.2} % at least), {trained}"))
    }
}
