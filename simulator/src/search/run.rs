//! The search itself: every variant, ring degree and key-switching shape; then limits and the best.

use super::dynamic::{Path, Programme};
use super::evaluate::{Evaluated, precision_bits, priced, random_image};
use super::front::pareto_front;
use super::journal::Journal;
use super::price::{Memo, Pricer};
use super::problem::blocks;
use super::space::{Limits, Space};
use super::watch::Watch;
use crate::config::{Configuration, ParameterChoice};
use crate::fold::{ActivationMethod, Folded, StageKind, Statistics};
use crate::lowering::{ScalePlan, Signature, lower};
use crate::{Error, Result};

/// Images that value sizes are measured over, at most.
const STATISTICS_IMAGES: usize = 16;

/// A network's variant to be searched for.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Name of the variant.
    pub variant: String,
    /// The folded network with its weights, folded as the space's `activations` says.
    pub folded: Folded,
    /// Test accuracy, 0 to 1, if measured.
    pub accuracy: Option<f64>,
}

/// A search.
pub struct Search<'a> {
    /// What may be chosen.
    pub space: &'a Space,
    /// What a result must keep to.
    pub limits: &'a Limits,
    /// Prices, and their name (a profile's, say), which is part of every point's key.
    pub pricer: &'a dyn Pricer,
    /// Name of the pricer.
    pub pricer_name: &'a str,
    /// Accuracy that drops refer to.
    pub reference_accuracy: Option<f64>,
    /// Normalised images on which precision is simulated; a random one if there are none.
    pub images: &'a [Vec<f64>],
    /// Seed of the simulated noise.
    pub seed: u64,
    /// Who watches.
    pub watch: Watch<'a>,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The fastest result within the limits.
    pub best: Option<Evaluated>,
    /// The fastest one of each variant that has any, in the order of the candidates.
    pub per_variant: Vec<Evaluated>,
    /// The Pareto front of all results within the limits.
    pub front: Vec<Evaluated>,
    /// Every result, within the limits or not, cheapest first.
    pub all: Vec<Evaluated>,
    /// Points evaluated now.
    pub evaluated: usize,
    /// Points taken from the journal.
    pub resumed: usize,
}

impl Search<'_> {
    /// Runs the search, adding to the journal every point that it does not have yet.
    pub fn run(&self, candidates: &[Candidate], journal: &mut Journal) -> Result<Outcome> {
        if self.space.log_n.is_empty() || self.space.special.is_empty() {
            return Err(Error::Configuration(
                "the space needs a log_n and a number of special primes".into(),
            ));
        }
        if let Some(bad) = self.space.special.iter().find(|s| **s == 0) {
            return Err(Error::Configuration(format!("special is {bad}, expected at least 1")));
        }
        let memo = Memo::new(self.pricer);
        let (mut evaluated, mut resumed) = (0, 0);
        let mut all: Vec<(usize, Evaluated)> = Vec::new();
        for (index, candidate) in candidates.iter().enumerate() {
            let blocks = blocks(&candidate.folded)?;
            let depth = candidate.folded.levels();
            let statistics = self.statistics(candidate)?;
            for &log_n in &self.space.log_n {
                let mut programme = Programme::new(
                    &candidate.folded,
                    &blocks,
                    self.space,
                    &memo,
                    self.watch,
                    log_n,
                );
                for (k, &special) in self.space.special.iter().enumerate() {
                    for repacks in 0..=self.space.repacks {
                        let choices = self.space.parameters(log_n, special, depth + repacks);
                        let mut paths = None;
                        for parameters in choices {
                            let key = self.key(candidate, &parameters)?;
                            if let Some(found) = journal.get(&key) {
                                resumed += 1;
                                all.extend(found.iter().map(|e| (index, e.clone())));
                                continue;
                            }
                            // Prices do not depend on the sizes of the primes.
                            let paths = match &paths {
                                Some(known) => known,
                                None => paths.insert(programme.solve(k, repacks)?),
                            };
                            let found =
                                self.finish(candidate, &statistics, &parameters, paths.clone())?;
                            evaluated += 1;
                            journal.insert(key, found.clone())?;
                            all.extend(found.into_iter().map(|e| (index, e)));
                        }
                    }
                }
            }
        }
        // Equal prices keep the order of candidates and points, which is fixed.
        all.sort_by(|a, b| a.1.latency_ms.total_cmp(&b.1.latency_ms));
        let fit: Vec<&(usize, Evaluated)> = all.iter().filter(|(_, e)| self.fits(e)).collect();
        let per_variant = (0..candidates.len())
            .filter_map(|k| fit.iter().find(|(index, _)| *index == k).map(|(_, e)| e.clone()))
            .collect();
        let within: Vec<Evaluated> = fit.iter().map(|(_, e)| e.clone()).collect();
        Ok(Outcome {
            best: within.first().cloned(),
            per_variant,
            front: pareto_front(&within),
            all: all.into_iter().map(|(_, e)| e).collect(),
            evaluated,
            resumed,
        })
    }

    fn statistics(&self, candidate: &Candidate) -> Result<Statistics> {
        let folded = &candidate.folded;
        if self.images.is_empty() {
            return Statistics::measure(folded, &[random_image(folded.input.len(), self.seed)]);
        }
        Statistics::measure(folded, &self.images[..self.images.len().min(STATISTICS_IMAGES)])
    }

    /// Whether a result keeps to the limits.
    pub fn fits(&self, e: &Evaluated) -> bool {
        let accurate = match (self.limits.accuracy_drop, self.reference_accuracy, e.accuracy) {
            (Some(drop), Some(reference), Some(accuracy)) => reference - accuracy <= drop + 1e-12,
            _ => true,
        };
        let small = self.limits.memory_bytes.is_none_or(|limit| e.memory.total_bytes() <= limit);
        let precise = e.precision_bits.is_none_or(|bits| bits >= self.limits.precision_bits);
        accurate && small && precise
    }

    /// Lowers the ways found. Precision depends on the parameters and the depth far more than on the layouts, so
    /// it is simulated for the cheapest way and taken for the others of the point.
    fn finish(
        &self,
        candidate: &Candidate,
        statistics: &Statistics,
        parameters: &ParameterChoice,
        paths: Vec<Path>,
    ) -> Result<Vec<Evaluated>> {
        let (folded, chain) = (&candidate.folded, parameters.ideal_chain()?);
        let scales = match self.space.activations {
            ActivationMethod::PairedSquare => {
                match ScalePlan::new(folded, statistics, &chain) {
                    Ok(plan) => Some(plan),
                    // Primes without room for the values are no candidate.
                    Err(Error::Configuration(_)) => return Ok(Vec::new()),
                    Err(error) => return Err(error),
                }
            }
            ActivationMethod::Square | ActivationMethod::Quadratic => None,
        };
        let mut found = Vec::with_capacity(paths.len());
        let mut bits = None;
        for path in paths {
            let configuration = Configuration {
                network: folded.name.clone(),
                variant: candidate.variant.clone(),
                activations: self.space.activations,
                parameters: *parameters,
                scales: scales.clone(),
                input: path.input,
                linear: path.linear,
                pools: path.pools,
                repacks: path.repacks,
            };
            let lowered = match lower(folded, &configuration, &chain, bits.is_none()) {
                // Nor are those without room for values as large as the network's bounds.
                Err(Error::Room { .. }) => continue,
                other => other?,
            };
            let (program, threads) = (&lowered.program, self.space.threads);
            let mut e = priced(program, &chain, &configuration, threads, self.pricer);
            if bits.is_none() {
                let (images, seed) = (self.images, self.seed);
                bits =
                    Some(precision_bits(&lowered, folded, &configuration, &chain, images, seed)?);
            }
            e.accuracy = candidate.accuracy;
            e.precision_bits = bits;
            found.push(e);
        }
        Ok(found)
    }

    /// Everything that a point's result depends on.
    fn key(&self, candidate: &Candidate, parameters: &ParameterChoice) -> Result<String> {
        let json =
            |r: serde_json::Result<String>| r.map_err(|e| Error::Configuration(e.to_string()));
        let space = json(serde_json::to_string(self.space))?;
        let parameters = json(serde_json::to_string(parameters))?;
        let mut weights = Signature::default();
        for (k, stage) in candidate.folded.stages.iter().enumerate() {
            if let StageKind::Linear(l) = &stage.kind {
                l.weights
                    .iter()
                    .chain(&l.bias)
                    .enumerate()
                    .for_each(|(n, w)| weights.add(n, k, *w));
            }
            // As if bounds were weights of further stages.
            let bound = stage.bound.iter();
            bound.for_each(|b| weights.add(0, candidate.folded.stages.len() + k, *b));
        }
        let mut images = Signature::default();
        for (k, image) in self.images.iter().enumerate() {
            image.iter().enumerate().for_each(|(n, v)| images.add(n, k, *v));
        }
        Ok(format!(
            "{}/{} {weights} {parameters} {space} {} images {images} seed {}",
            candidate.folded.name, candidate.variant, self.pricer_name, self.seed
        ))
    }
}
