//! Finding configurations: what is asked of the search, and its answers as candidates on paper.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use serde::Serialize;
use simulator::config::Configuration;
use simulator::fold::{ActivationMethod, Folded};
use simulator::search::{Candidate, Evaluated, Journal, Limits, Search, Space, pareto_front};

use crate::candidate::{self, Paper};
use crate::command::{ResourceArgs, SearchArgs, SpaceArg};
use crate::networks::Source;
use crate::profiles::Cost;
use crate::progress::Progress;
use crate::{cancel, images};

/// Bits of precision that logits must have.
pub const MIN_BITS: f64 = 10.0;
/// Bits by which a prediction of precision must exceed them.
const MARGIN_BITS: f64 = 1.0;
/// Smallest scale looked at, in bits. Noise takes well over ten of them, so that fewer cannot leave logits with as many
/// bits as they must have.
const LEAST_SCALE_BITS: u32 = 26;
/// Images on which value sizes and precision are predicted.
const PICTURES: usize = 4;
/// Seed of those images, and of the simulated noise.
const PICTURE_SEED: u64 = 1;

/// What is asked of a search.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Variants to look at; all if empty.
    pub variants: Vec<String>,
    /// Largest loss of accuracy against the network's baseline variant.
    pub max_drop: f64,
    /// Where to look.
    pub space: SpaceArg,
    /// Ring degrees to look at, as base-2 logarithms; the space's own if empty.
    pub log_n: Vec<u32>,
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
            log_n: search.log_n.clone(),
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
            log_n: Vec::new(),
            memory_limit: resources.memory_limit(),
            insecure: resources.allow_insecure,
            threads,
            journal: None,
        }
    }
}

/// What a search found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The best configuration of each variant, the fastest variant first.
    pub best: Vec<Evaluated>,
    /// Configurations that none other beats in latency, accuracy and memory at once.
    pub front: Vec<Evaluated>,
    /// Configurations found, within the limits or not.
    pub evaluated: usize,
    /// Variants left out because they lose too much accuracy.
    pub inaccurate: Vec<String>,
}

/// Searches, one variant and ring degree after the other; stops between them when cancelled.
pub fn search(source: &Source, wish: &Wish, cost: &Cost) -> Result<Found> {
    let network = &source.network;
    let reference = network.variant(source.baseline()?)?.accuracy;
    let limits = Limits {
        accuracy_drop: Some(wish.max_drop),
        memory_bytes: Some(wish.memory_limit),
        precision_bits: MIN_BITS + MARGIN_BITS,
    };
    let names: Vec<String> = if wish.variants.is_empty() {
        network.variants.iter().map(|v| v.name.clone()).collect()
    } else {
        wish.variants.clone()
    };
    let space = wish.space();
    let pictures = images::load(network, None, PICTURES, PICTURE_SEED)?;
    let pictures = (0..PICTURES)
        .map(|k| Ok(network.normalise(&pictures.image(k).unwrap_or_default())?))
        .collect::<Result<Vec<_>>>()?;
    let mut journal = match &wish.journal {
        Some(path) => Journal::open(path)?,
        None => Journal::new(),
    };
    let (mut inaccurate, mut within, mut best) = (Vec::new(), Vec::new(), Vec::new());
    let mut evaluated = 0;
    let progress =
        Progress::new(&format!("searching {} variants of {}", names.len(), network.name));
    for (k, name) in names.iter().enumerate() {
        let accuracy = network.variant(name)?.accuracy;
        let lost = reference.zip(accuracy).map(|(reference, own)| reference - own);
        if lost.is_some_and(|lost| lost > wish.max_drop + 1e-12) {
            inaccurate.push(name.clone());
            continue;
        }
        let model = source.model(name)?;
        let mut found = Vec::new();
        // Squares with a level of their own are slower and more precise: only if nothing else is precise enough.
        let points = [ActivationMethod::PairedSquare, ActivationMethod::Square]
            .into_iter()
            .flat_map(|activations| space.log_n.iter().map(move |&log_n| (activations, log_n)));
        for (j, (activations, log_n)) in points.enumerate() {
            if activations == ActivationMethod::Square && !found.is_empty() {
                break;
            }
            cancel::check()?;
            let done = k as f64 + j as f64 / (2 * space.log_n.len()) as f64;
            progress.set(done / names.len() as f64, &format!("{name}, N = 2^{log_n}"));
            let part = Space { log_n: vec![log_n], activations, ..space.clone() };
            let folded = Folded::new(&model, activations)?;
            let candidate = [Candidate { variant: name.clone(), folded, accuracy }];
            let search = Search {
                space: &part,
                limits: &limits,
                pricer: &cost.raw,
                pricer_name: &cost.name,
                reference_accuracy: reference,
                images: &pictures,
                seed: PICTURE_SEED,
            };
            let outcome = search.run(&candidate, &mut journal)?;
            evaluated += outcome.all.len();
            found.extend(outcome.all.into_iter().filter(|e| search.fits(e)));
        }
        found.sort_by(|a, b| a.latency_ms.total_cmp(&b.latency_ms));
        best.extend(found.first().cloned());
        within.extend(found);
    }
    progress.finish();
    best.sort_by(|a, b| a.latency_ms.total_cmp(&b.latency_ms));
    Ok(Found { best, front: pareto_front(&within), evaluated, inaccurate })
}

impl Wish {
    fn space(&self) -> Space {
        let space = match self.space {
            SpaceArg::Paper => Space::paper(),
            SpaceArg::Full => Space::default(),
        };
        let log_n = if self.log_n.is_empty() { space.log_n } else { self.log_n.clone() };
        Space { log_n, threads: self.threads, min_scale_bits: LEAST_SCALE_BITS, ..space }
    }
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
pub fn paper(
    source: &Source,
    configuration: Configuration,
    name: &str,
    insecure: bool,
    cost: &Cost,
) -> Result<Paper> {
    let variant = configuration.variant.clone();
    let candidate = candidate::Candidate {
        name: name.into(),
        model: Arc::new(source.model(&variant)?),
        recorded_accuracy: source.network.variant(&variant)?.accuracy,
        configuration,
    };
    Paper::new(candidate, cost, insecure)
}
