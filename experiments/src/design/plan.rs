//! Plans: which groups and units a network is to be trained with, and how it is computed then. Searched for, written to a
//! folder, and read from it.

mod folder;
mod importance;
mod start;
mod untrained;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use simulator::fold::{ActivationMethod, Folded};
use simulator::network::{LayerKind, Model, Weights};
use simulator::pattern::Family;
use simulator::search::{
    AccuracyFit, AccuracyModel, Importance, Plan, Plans, Request, TrainedPattern,
};

use crate::inputs::networks::Source;

pub use folder::{PlanFolder, write};
pub use importance::read_scores;

/// What the trained networks of the tree keep, and lose ([`../training/kept.py`] writes it).
const TRAINED: &str = include_str!("../../accuracy/trained.json");
/// Most groups that a trained network has had, and one with residual blocks.
const TRAINED_GROUPS: usize = 8;
const TRAINED_GROUPS_RESIDUAL: usize = 1;

#[derive(Deserialize)]
struct Trained {
    rows: Vec<TrainedPattern>,
}

/// The model of accuracy, fitted to the trained networks of the tree.
///
/// # Errors
/// None but those of a damaged program.
pub fn accuracy() -> Result<AccuracyFit> {
    let trained: Trained = serde_json::from_str(TRAINED).context("trained patterns")?;
    Ok(AccuracyModel::fit(&trained.rows)?)
}

/// What plans are searched for.
#[derive(Debug, Clone)]
pub struct PatternWish {
    /// What may be removed together; everything if empty.
    pub families: Vec<Family>,
    /// Most groups of a layer; what trained networks have had if none is given.
    pub max_groups: Option<usize>,
    /// Whether groups may be shuffled.
    pub shuffles: bool,
    /// Scores of the weights that training starts from, or of those within groups; their squares if none are given.
    pub scores: Option<Weights>,
    /// The variant that training starts from; the dense one if none is named.
    pub start: Option<String>,
    /// Largest loss of accuracy against the dense variant, as a fraction.
    pub max_drop: f64,
    /// Most plans that are lowered.
    pub most: usize,
}

/// A network to be planned.
pub struct Planned {
    /// Dense and trained: what is priced, cut to a pattern. Values of a plan, once trained, are much like its own.
    pub model: Model,
    /// The variant that training starts from.
    pub start: String,
    /// Importance of the weights that training starts from.
    pub importance: Importance,
    /// That which says what groups cost: the same, but for scores of a network that has groups.
    pub group_importance: Importance,
    /// The model of accuracy, for this network.
    pub accuracy: AccuracyModel,
    /// Most groups of a layer.
    pub max_groups: usize,
    /// Accuracy of the dense variant, 0 to 1.
    pub dense_accuracy: f64,
    /// What the start has lost against that, in points.
    pub lost: f64,
    /// How good the model of accuracy is.
    pub fit: AccuracyFit,
}

impl Planned {
    /// The dense network of a source, and what is known of its accuracy.
    ///
    /// # Errors
    /// If no dense variant was trained, or not the one that training is to start from, and if that has lost too much.
    pub fn new(source: &Source, wish: &PatternWish) -> Result<Self> {
        let dense = source.baseline();
        let Some(dense_accuracy) = source.accuracy(dense)? else {
            bail!(
                "network {} has no trained dense variant, whose weights say what is important and which accuracy to expect",
                source.network.name
            );
        };
        let trained = source.model(dense)?;
        let fit = accuracy()?;
        let residual = source.network.layers.iter().any(|l| matches!(l.kind, LayerKind::Add));
        let usual = if residual { TRAINED_GROUPS_RESIDUAL } else { TRAINED_GROUPS };
        let start = wish.start.as_deref().unwrap_or(dense);
        let lost = start::lost(source, start, dense_accuracy, wish.max_drop)?;
        let squares = match start == dense {
            true => importance::squares(&trained),
            false => importance::squares(&start::begun(source, start)?),
        };
        let (importance, group_importance) = match &wish.scores {
            None => (squares.clone(), squares),
            Some(scores) => {
                let scored = importance::scored(&trained, scores)?;
                let of_groups = start == dense && !importance::has_groups(&trained, scores);
                (scored.clone(), if of_groups { scored } else { squares })
            }
        };
        Ok(Self {
            start: start.to_owned(),
            importance,
            group_importance,
            model: trained,
            accuracy: fit.model.scaled(100.0 * (1.0 - dense_accuracy)),
            max_groups: wish.max_groups.unwrap_or(usual),
            dense_accuracy,
            lost,
            fit,
        })
    }

    /// What to ask of the search.
    pub fn request(&self, wish: &PatternWish) -> Request<'_> {
        let families = match &wish.families[..] {
            [] => Family::REMOVING.to_vec(),
            some => some.to_vec(),
        };
        Request {
            model: &self.model,
            importance: &self.importance,
            group_importance: &self.group_importance,
            families,
            shuffles: wish.shuffles,
            max_groups: self.max_groups,
            accuracy: self.accuracy,
            lost: self.lost,
            max_drop: 100.0 * wish.max_drop,
            most: wish.most,
        }
    }

    /// The dense network as plans are priced.
    ///
    /// # Errors
    /// Those of folding.
    pub fn folded(&self) -> Result<Folded> {
        Ok(Folded::new(&self.model, ActivationMethod::PairedSquare)?)
    }
}

/// What a search for plans found, as it is told.
#[derive(Debug, Clone, Serialize)]
pub struct PlansFound {
    /// The plans.
    #[serde(flatten)]
    pub plans: Plans,
    /// Seconds that the search took.
    pub seconds: f64,
    /// The model of accuracy for a dense error of one percent, and how good it is.
    pub accuracy: AccuracyFit,
    /// By how many points the network's expected drops may be too small.
    pub margin: f64,
    /// Accuracy of the dense variant, 0 to 1.
    pub dense_accuracy: f64,
    /// The variant that training starts from.
    pub start: String,
    /// What it has lost against the dense one, in points: expected drops include it.
    pub lost: f64,
    /// Most groups of a layer that were looked at.
    pub max_groups: usize,
}

impl PlansFound {
    /// The fastest plan.
    ///
    /// # Errors
    /// If there is none: what is in the way.
    pub fn fastest(&self) -> Result<&Plan> {
        let reasons: Vec<String> = self.plans.obstacles.iter().map(ToString::to_string).collect();
        match self.plans.front.first() {
            Some(plan) => Ok(plan),
            None => {
                bail!("no plan keeps to the limits; nearest to each:\n  {}", reasons.join("\n  "))
            }
        }
    }
}
