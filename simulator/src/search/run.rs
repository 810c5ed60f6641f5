//! The search itself: every variant, ring degree and key-switching shape; then limits and the best.

use std::borrow::Cow;

use engine::params::limits::MAX_LOG_N;

use super::dynamic::{LayoutSearch, Only, Path};
use super::evaluate::{Evaluated, priced};
use super::front::pareto_front;
use super::journal::{Journal, Point};
use super::obstacle::Obstacle;
use super::price::{Memo, Pricer};
use super::problem::{Block, blocks};
use super::space::{Limits, Space};
use super::survey::{Survey, looked_at};
use super::watch::Watch;
use super::ways::{Looks, Way};
use crate::chain::Chain;
use crate::config::{Configuration, ParameterChoice, ScalePlan, image_slots};
use crate::fold::{Folded, StageKind, Statistics};
use crate::lowering::{Signature, lower};
use crate::{Error, Result};

/// Images that value sizes are measured over, at most.
const STATISTICS_IMAGES: usize = 16;

/// Version of the keys of points: changes with what is found at a point of the same key.
const KEYS: u32 = 12;

/// A network's variant to be searched for.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Name of the variant.
    pub variant: String,
    /// The folded network with its weights. It has squares that are not rescaled only if the space's `activations` are such.
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
    /// How many results of each candidate are wanted, the cheapest within the limits. Of the others, only those are evaluated
    /// that may be on the front.
    pub wanted: usize,
    /// Who watches.
    pub watch: Watch<'a>,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The fastest result within the limits, by time of an image.
    pub best: Option<Evaluated>,
    /// The fastest one of each variant that has any, in the order of the candidates.
    pub per_variant: Vec<Evaluated>,
    /// The Pareto front of all results within the limits.
    pub front: Vec<Evaluated>,
    /// Every result, within the limits or not, cheapest first.
    pub all: Vec<Evaluated>,
    /// Why there is not more, for each limit: what comes nearest to it.
    pub obstacles: Vec<Obstacle>,
    /// Configurations priced, whether they were evaluated or not.
    pub priced: usize,
    /// Of these, those evaluated now.
    pub evaluated: usize,
    /// Those whose evaluation was taken from the journal.
    pub resumed: usize,
}

/// What all points of a candidate have in common.
pub(super) struct About<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) statistics: &'a Statistics,
    pub(super) images: &'a [Vec<f64>],
}

impl Search<'_> {
    /// Runs the search, adding to the journal every point that it does not have yet.
    pub fn run(&self, candidates: &[Candidate], journal: &Journal) -> Result<Outcome> {
        if self.space.log_n.is_empty() || self.space.special.is_empty() {
            return Err(Error::Configuration(
                "the space needs a log_n and a number of special primes".into(),
            ));
        }
        if let Some(bad) = self.space.special.iter().find(|s| **s == 0) {
            return Err(Error::Configuration(format!("special is {bad}, expected at least 1")));
        }
        if !self.space.images.is_power_of_two() {
            image_slots(self.space.images, MAX_LOG_N)?;
        }
        let memo = Memo::new(self.pricer);
        let (mut priced, mut evaluated, mut resumed) = (0, 0, 0);
        let mut all: Vec<(usize, Evaluated)> = Vec::new();
        let mut obstacles = Vec::new();
        for (index, candidate) in candidates.iter().enumerate() {
            let (images, statistics) = self.look(&candidate.folded)?;
            let about = About { candidate, statistics: &statistics, images: &images };
            let mut looks = Looks::default();
            let ways = self.ways(candidate, &memo, &mut looks, journal, &mut obstacles)?;
            priced += ways.len();
            let settled = self.settle(&about, ways, looks, journal)?;
            evaluated += settled.evaluated;
            resumed += settled.resumed;
            all.extend(settled.all.into_iter().map(|e| (index, e)));
            obstacles.extend(settled.refused);
        }
        // Equal prices keep the order of candidates and points, which is fixed.
        all.sort_by(|a, b| a.1.image_ms().total_cmp(&b.1.image_ms()));
        let fit: Vec<&(usize, Evaluated)> = all.iter().filter(|(_, e)| self.fits(e)).collect();
        let per_variant = (0..candidates.len())
            .filter_map(|k| fit.iter().find(|(index, _)| *index == k).map(|(_, e)| e.clone()))
            .collect();
        let within: Vec<Evaluated> = fit.iter().map(|(_, e)| e.clone()).collect();
        Ok(Outcome {
            best: within.first().cloned(),
            per_variant,
            front: pareto_front(&within),
            obstacles: Obstacle::nearest(
                obstacles.into_iter().chain(all.iter().filter_map(|(_, e)| self.only_obstacle(e))),
            ),
            all: all.into_iter().map(|(_, e)| e).collect(),
            priced,
            evaluated,
            resumed,
        })
    }

    /// The best ways of a candidate at every point, priced: from the journal, where it has the point.
    fn ways(
        &self,
        candidate: &Candidate,
        memo: &Memo<'_>,
        looks: &mut Looks,
        journal: &Journal,
        obstacles: &mut Vec<Obstacle>,
    ) -> Result<Vec<Way>> {
        let blocks = blocks(&candidate.folded)?;
        let mut ways = Vec::new();
        for &log_n in &self.space.log_n {
            if image_slots(self.space.images, log_n).is_err() {
                obstacles.push(Obstacle::Layouts { log_n });
                continue;
            }
            let search = || {
                let folded = &candidate.folded;
                LayoutSearch::new(folded, &blocks, self.space, memo, self.watch, log_n)
            };
            let mut layouts = search();
            if let Some(needed) = layouts.too_many_inputs() {
                let allowed = self.space.max_inputs;
                obstacles.push(Obstacle::Inputs { log_n, needed, allowed });
                continue;
            }
            // Layouts found elsewhere are good ones, seldom the best.
            let mut elsewhere = search().among(self.elsewhere(candidate, &blocks, log_n, journal));
            for (k, &special) in self.space.special.iter().enumerate() {
                for repacks in 0..=self.space.repacks {
                    let levels = candidate.folded.levels() + repacks;
                    let choices = self.space.parameters(log_n, special, levels);
                    if choices.is_empty() {
                        obstacles.push(self.insecure(log_n, special, levels));
                    }
                    let mut paths: Option<Vec<Path>> = None;
                    for parameters in choices {
                        let key = self.key(candidate, &parameters)?;
                        let known = journal.get(&key);
                        let point = match known {
                            Some(point) => point,
                            None => {
                                // Layouts are chosen for one size of primes, and then priced for each.
                                let paths = match &mut paths {
                                    Some(known) => known,
                                    none => {
                                        let known = elsewhere.glance(k, repacks)?;
                                        none.insert(layouts.solve(k, repacks, known)?)
                                    }
                                };
                                let point = self.price(candidate, &parameters, paths, looks)?;
                                journal.insert(key.clone(), point.clone())?;
                                point
                            }
                        };
                        obstacles.extend(point.refused);
                        ways.extend(Way::all(key, point.found));
                    }
                }
            }
        }
        Ok(ways)
    }

    /// Layouts that were found for the network's other variants, and in smaller rings.
    fn elsewhere(
        &self,
        candidate: &Candidate,
        blocks: &[Block],
        log_n: u32,
        journal: &Journal,
    ) -> Only {
        let like = |configuration: &Configuration| {
            configuration.network == candidate.folded.name
                && configuration.images == self.space.images
                && configuration.parameters.log_n <= log_n
        };
        let slots = self.space.image_slots(1 << (log_n - 1));
        Only::like(journal.configurations(like).iter(), blocks, slots)
    }

    /// The images that a network is looked at on, and the sizes of its values on the first of them.
    pub(super) fn look(&self, folded: &Folded) -> Result<(Cow<'_, [Vec<f64>]>, Statistics)> {
        let images = looked_at(folded, self.images, self.seed);
        let statistics =
            Statistics::measure(folded, &images[..images.len().min(STATISTICS_IMAGES)])?;
        Ok((images, statistics))
    }

    /// Why a depth at a ring degree is insecure.
    pub(super) fn insecure(&self, log_n: u32, special: usize, levels: usize) -> Obstacle {
        let least = self.space.least_parameters(log_n, special, levels);
        let allowed_bits = engine::params::max_log_qp(log_n).unwrap_or(0);
        Obstacle::Security { log_n, levels, needed_bits: least.log_qp() as u32, allowed_bits }
    }

    /// Whether a result keeps to the limits.
    pub fn fits(&self, e: &Evaluated) -> bool {
        self.is_accurate(e) && self.obstacles(e).next().is_none()
    }

    fn is_accurate(&self, e: &Evaluated) -> bool {
        match (self.limits.accuracy_drop, self.reference_accuracy, e.accuracy) {
            (Some(drop), Some(reference), Some(accuracy)) => reference - accuracy <= drop + 1e-12,
            _ => true,
        }
    }

    /// The limits, but for accuracy, that a result does not keep to.
    fn obstacles(&self, e: &Evaluated) -> impl Iterator<Item = Obstacle> {
        let log_n = e.configuration.parameters.log_n;
        let stored = e.memory.total_bytes();
        let needed = match self.limits.on_demand {
            true => stored.min(e.memory_on_demand.total_bytes()),
            false => stored,
        };
        let memory = self.limits.memory_bytes.filter(|limit| needed > *limit);
        let memory = memory.map(|allowed| Obstacle::Memory { log_n, needed, allowed });
        let asked = self.limits.precision;
        let imprecise = e.precision.filter(|p| !asked.is_met(p));
        let precision =
            imprecise.map(|p| Obstacle::Precision { log_n, found: asked.found(&p), asked });
        memory.into_iter().chain(precision)
    }

    /// The one limit that a result does not keep to, if it is only one.
    pub(super) fn only_obstacle(&self, e: &Evaluated) -> Option<Obstacle> {
        let mut all = self.obstacles(e).filter(|_| self.is_accurate(e));
        let first = all.next()?;
        all.next().is_none().then_some(first)
    }

    /// The scales of a point's programs, as far as they are not nominal.
    fn scales(&self, about: &About<'_>, beside: f64, chain: &Chain) -> Result<Option<ScalePlan>> {
        let (folded, statistics) = (&about.candidate.folded, about.statistics);
        match folded.activations.pairs() {
            true => ScalePlan::new(folded, statistics, beside, chain).map(Some),
            false => ScalePlan::nominal(folded, statistics, beside, chain),
        }
    }

    /// The configuration of a way, before scales are planned.
    pub(super) fn plain(
        &self,
        candidate: &Candidate,
        path: &Path,
        parameters: ParameterChoice,
    ) -> Configuration {
        Configuration {
            variant: candidate.variant.clone(),
            images: self.space.images,
            ..path.plain(&candidate.folded, parameters)
        }
    }

    /// Lowers a way, simulates its noise, and says what is in the way if there is no room for it. Precision depends on layouts,
    /// too: by a bit or more between two ways of one network with the same scales. What values reach is looked at if that is
    /// not known yet.
    pub(super) fn finish(
        &self,
        about: &About<'_>,
        parameters: &ParameterChoice,
        path: &Path,
        survey: &mut Option<Survey>,
    ) -> Result<Point> {
        let mut point = Point::default();
        match self.evaluate(about, parameters, path, survey) {
            Ok(evaluated) => point.found.push(evaluated),
            // Primes without room for the values are no candidate.
            Err(error @ (Error::Room { .. } | Error::Configuration(_))) => {
                let (log_n, reason) = (parameters.log_n, error.to_string());
                point.refused.push(Obstacle::Room { log_n, reason });
            }
            Err(error) => return Err(error),
        }
        Ok(point)
    }

    /// Lowers one way, and looks at what values reach if that is not known yet.
    fn evaluate(
        &self,
        about: &About<'_>,
        parameters: &ParameterChoice,
        path: &Path,
        survey: &mut Option<Survey>,
    ) -> Result<Evaluated> {
        let (candidate, images) = (about.candidate, about.images);
        let (folded, chain) = (&candidate.folded, parameters.ideal_chain()?);
        let beside = survey.as_ref().map_or(0.0, |s| s.beside);
        let scaled = |scales: &Option<ScalePlan>| ParameterChoice {
            scale_bits: parameters.scale_bits.filter(|_| scales.is_none()),
            ..*parameters
        };
        let scales = self.scales(about, beside, &chain)?;
        let plain = self.plain(candidate, path, scaled(&scales));
        let mut configuration = Configuration { scales, ..plain };
        let mut lowered = lower(folded, &configuration, &chain, true)?;
        let survey = match survey {
            Some(survey) => survey,
            none => none.insert(Survey::new(&lowered, folded, images)?),
        };
        let scales = self.scales(about, survey.beside, &chain)?;
        if scales != configuration.scales {
            // What lies beside the results needs more room than they do.
            configuration.parameters = scaled(&scales);
            configuration.scales = scales;
            lowered = lower(folded, &configuration, &chain, true)?;
        }
        survey.check_room(&lowered, &chain)?;
        let precision = survey.precision(&lowered, &chain, images, self.seed)?;
        let threads = self.space.threads;
        let mut e = priced(&lowered.program, &chain, &configuration, threads, self.pricer);
        e.accuracy = candidate.accuracy;
        e.precision = Some(precision);
        Ok(e)
    }

    /// Everything that a point's result depends on.
    pub(super) fn key(
        &self,
        candidate: &Candidate,
        parameters: &ParameterChoice,
    ) -> Result<String> {
        let json =
            |r: serde_json::Result<String>| r.map_err(|e| Error::Configuration(e.to_string()));
        let space = json(serde_json::to_string(self.space))?;
        let parameters = json(serde_json::to_string(parameters))?;
        let mut weights = Signature::default();
        for (k, stage) in candidate.folded.stages.iter().enumerate() {
            if let StageKind::Linear(l) = &stage.kind {
                l.parts()
                    .flat_map(|part| part.weights.iter().chain(&part.gains))
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
            "{KEYS} {}/{} {weights} {parameters} {space} {} images {images} seed {}",
            candidate.folded.name, candidate.variant, self.pricer_name, self.seed
        ))
    }
}
