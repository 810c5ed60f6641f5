//! Finding configurations: what is asked of the search, and its answers as candidates on paper.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use simulator::config::Configuration;

use crate::candidate::Paper;
use crate::command::{ResourceArgs, SearchArgs, SpaceArg};
use crate::networks::Source;
use crate::profiles::Cost;

/// What is asked of a search.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Variants to look at; all if empty.
    pub variants: Vec<String>,
    /// Largest loss of accuracy against the network's baseline variant.
    pub max_drop: f64,
    /// Where to look.
    pub space: SpaceArg,
    /// Most memory, in bytes.
    pub memory_limit: u64,
    /// Whether parameters may be insecure.
    pub insecure: bool,
    /// Threads to predict for.
    pub threads: usize,
    /// Journal to resume from and to append to.
    pub journal: Option<PathBuf>,
}

impl Wish {
    /// From options.
    pub fn new(search: &SearchArgs, resources: &ResourceArgs, threads: usize) -> Self {
        Self {
            variants: search.variant.clone(),
            max_drop: search.max_drop,
            space: search.space,
            memory_limit: resources.memory_limit(),
            insecure: resources.allow_insecure,
            threads,
            journal: search.journal.clone(),
        }
    }

    /// The fastest configuration of one variant, whatever its accuracy.
    pub fn dense(variant: &str, resources: &ResourceArgs, threads: usize) -> Self {
        Self {
            variants: vec![variant.into()],
            max_drop: 1.0,
            space: SpaceArg::Full,
            memory_limit: resources.memory_limit(),
            insecure: resources.allow_insecure,
            threads,
            journal: None,
        }
    }
}

/// One configuration that a search found good.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// Variant.
    pub variant: String,
    /// Accuracy of the variant, where recorded.
    pub accuracy: Option<f64>,
    /// Predicted latency of an image.
    pub predicted_ms: f64,
    /// Predicted peak memory.
    pub memory_bytes: u64,
    /// Predicted precision of the logits.
    pub precision_bits: f64,
    /// The configuration.
    pub configuration: Configuration,
}

/// What a search found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The best configuration of each variant, the fastest variant first.
    pub best: Vec<Point>,
    /// Configurations that none other beats in latency, accuracy and memory at once.
    pub front: Vec<Point>,
    /// Configurations evaluated.
    pub evaluated: usize,
}

/// Searches.
pub fn search(_source: &Source, _wish: &Wish, _cost: &Cost) -> Result<Found> {
    bail!("the search is not there yet; name a configuration with --config")
}

/// The fastest configuration that fulfils a wish, on paper.
pub fn fastest(source: &Source, wish: &Wish, cost: &Cost) -> Result<Paper> {
    let found = search(source, wish, cost)?;
    let Some(best) = found.best.into_iter().next() else {
        bail!("no configuration fulfils the limits; allow a larger drop in accuracy or more memory")
    };
    paper(source, best.configuration, "chosen", wish.insecure, cost)
}

/// A configuration with the weights of its variant, priced.
pub fn paper(source: &Source, configuration: Configuration, name: &str, insecure: bool, cost: &Cost) -> Result<Paper> {
    let variant = configuration.variant.clone();
    let candidate = crate::candidate::Candidate {
        name: name.into(),
        model: std::sync::Arc::new(source.model(&variant)?),
        recorded_accuracy: source.network.variant(&variant)?.accuracy,
        configuration,
    };
    Paper::new(candidate, cost, insecure)
}
