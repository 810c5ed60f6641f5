//! Other methods for single activations of a configuration that was found.
//!
//! The layouts stay; what is folded in another way is folded, lowered and evaluated again. It can pay in two cases:
//! - A result within the limits becomes faster where a method takes fewer levels, or where a quadratic kept as it is spares
//!   the second squares of an activation near a line ([`crate::fold`]).
//! - A result of paired squares that is not precise enough becomes so where some squares are rescaled after all: the first
//!   ones, whose levels cost least, or the last ones, as few as will do; of those, the ones that can be spared again are.

use std::borrow::Cow;

use super::dynamic::Path;
use super::evaluate::{Evaluated, evaluate};
use super::journal::Journal;
use super::obstacle::Obstacle;
use super::run::{About, Candidate, Search};
use super::space::Space;
use crate::config::{Configuration, ParameterChoice};
use crate::fold::{ActivationMethod, Activations, Folded, Stage, StageKind, Statistics};
use crate::network::{LayerKind, Model};
use crate::{Error, Result};

/// Most configurations that are lowered for one start.
const MOST_TRIALS: usize = 24;

/// Trials around one configuration.
struct Trials<'a, 's> {
    search: &'a Search<'s>,
    model: &'a Model,
    start: &'a Evaluated,
    /// The activations' names, in order.
    layers: Vec<&'a str>,
    /// How many trials are left.
    left: usize,
    journal: &'a Journal,
}

impl Search<'_> {
    /// Whether a result keeps to all limits but precision, and has squares that could be rescaled for that.
    pub fn may_become_precise(&self, e: &Evaluated) -> bool {
        matches!(self.only_obstacle(e), Some(Obstacle::Precision { .. }))
            && Activations::from(&e.configuration).pairs()
    }

    /// Tries other methods for activations of `start`, a result of `model`. Gives what keeps to the limits: if `start` does,
    /// only what is faster, or else only what became precise. None if nothing does.
    ///
    /// # Errors
    /// Those of folding the model, of the journal, and [`Error::Stopped`].
    pub fn exceptions(
        &self,
        model: &Model,
        start: &Evaluated,
        journal: &Journal,
    ) -> Result<Option<Evaluated>> {
        let all = model.network.layers.iter().filter(|l| l.kind == LayerKind::Activation);
        let layers = all.map(|l| l.name.as_str()).collect();
        let mut trials = Trials { search: self, model, start, layers, left: MOST_TRIALS, journal };
        if self.fits(start) {
            trials.faster()
        } else if self.may_become_precise(start) {
            trials.more_precise()
        } else {
            Ok(None)
        }
    }
}

impl<'a> Trials<'a, '_> {
    /// Layer by layer, keeps what is faster.
    fn faster(&mut self) -> Result<Option<Evaluated>> {
        let mut now = Activations::from(&self.start.configuration);
        let folded = Folded::new(self.model, now.clone())?;
        let mut best: Option<Evaluated> = None;
        for layer in self.layers.clone() {
            for method in cheaper(&folded, self.model, &now, layer) {
                let trial = now.with(layer, method);
                let most = best.as_ref().unwrap_or(self.start).latency_ms;
                let found = self.evaluate(&trial, Some(most))?;
                if let Some(found) = found.filter(|e| e.latency_ms < most) {
                    (now, best) = (trial, Some(found));
                }
            }
        }
        Ok(best)
    }

    /// The fewest first or last squares that have to be rescaled, without those that need not be.
    fn more_precise(&mut self) -> Result<Option<Evaluated>> {
        let all = self.layers.clone();
        let mut reversed = all.clone();
        reversed.reverse();
        let mut best: Option<(Vec<&str>, Evaluated)> = None;
        for order in [all, reversed] {
            // Precision grows with their number, or nearly so: what is taken was evaluated.
            let (mut few, mut many) = (0, order.len());
            let mut found = self.rescaled(&order)?;
            while found.is_some() && few + 1 < many {
                let middle = (few + many) / 2;
                match self.rescaled(&order[..middle])? {
                    Some(e) => (many, found) = (middle, Some(e)),
                    None => few = middle,
                }
            }
            let fastest = best.as_ref().map_or(f64::INFINITY, |(_, e)| e.latency_ms);
            if let Some(e) = found.filter(|e| e.latency_ms < fastest) {
                best = Some((order[..many].to_vec(), e));
            }
        }
        let Some((layers, mut best)) = best else { return Ok(None) };
        let mut kept = layers.clone();
        for layer in layers {
            let fewer: Vec<&str> = kept.iter().copied().filter(|k| *k != layer).collect();
            if fewer.is_empty() {
                continue;
            }
            if let Some(e) = self.rescaled(&fewer)?.filter(|e| e.latency_ms < best.latency_ms) {
                (kept, best) = (fewer, e);
            }
        }
        Ok(Some(best))
    }

    /// The start with the squares of some layers rescaled.
    fn rescaled(&mut self, layers: &[&str]) -> Result<Option<Evaluated>> {
        let start = Activations::from(&self.start.configuration);
        let square = |all: Activations, layer: &&str| all.with(layer, ActivationMethod::Square);
        self.evaluate(&layers.iter().fold(start, square), None)
    }

    /// The start's layouts with other methods, if that keeps to the limits, and is predicted to take less than `most`
    /// milliseconds if that is given.
    fn evaluate(
        &mut self,
        activations: &Activations,
        most: Option<f64>,
    ) -> Result<Option<Evaluated>> {
        self.search.watch.check()?;
        let start = &self.start.configuration;
        let folded = Folded::new(self.model, activations.clone())?;
        let method = match activations.pairs() {
            true => ActivationMethod::PairedSquare,
            false => activations.method,
        };
        let space = Space { activations: method, ..self.search.space.clone() };
        let levels = folded.levels() + start.repacks.len();
        let (log_n, special) = (start.parameters.log_n, start.parameters.special);
        let candidate =
            Candidate { variant: start.variant.clone(), folded, accuracy: self.start.accuracy };
        let (mut best, mut look): (Option<Evaluated>, _) = (None, None);
        for parameters in space.parameters(log_n, special, levels) {
            let Some(left) = self.left.checked_sub(1) else { break };
            self.left = left;
            let most = best.as_ref().map(|e| e.latency_ms).into_iter().chain(most);
            let most = most.fold(f64::INFINITY, f64::min);
            let found = self.point(&candidate, &parameters, most, &mut look)?;
            best = found.filter(|e| self.search.fits(e)).or(best);
        }
        Ok(best)
    }

    /// A trial at one set of parameters, from the journal if it is there; `look` is that at the candidate, once it has been
    /// taken. None where the layouts do not do, there is no room
    /// for the values, or it takes no less than `most` milliseconds.
    fn point(
        &mut self,
        candidate: &Candidate,
        parameters: &ParameterChoice,
        most: f64,
        look: &mut Option<(Cow<'a, [Vec<f64>]>, Statistics)>,
    ) -> Result<Option<Evaluated>> {
        let (search, folded) = (self.search, &candidate.folded);
        // Prices do not depend on scales.
        let plain = Configuration {
            activations: folded.activations.method,
            activation_exceptions: folded.activations.exceptions.clone(),
            parameters: *parameters,
            scales: None,
            ..self.start.configuration.clone()
        };
        let priced = evaluate(folded, &plain, search.space.threads, search.pricer);
        if possible(priced)?.is_none_or(|e| e.latency_ms >= most) {
            return Ok(None);
        }
        let layouts = plain.to_toml()?;
        let key = format!("{} exceptions {layouts}", search.key(candidate, parameters)?);
        if let Some(known) = self.journal.get(&key) {
            return Ok(known.found.first().cloned());
        }
        let (images, statistics) = match look {
            Some(known) => known,
            none => none.insert(search.look(folded)?),
        };
        let about = About { candidate, statistics, images };
        let point = search.finish(&about, parameters, &Path::of(&plain), &mut None);
        let Some(point) = possible(point)? else { return Ok(None) };
        self.journal.insert(key, point.clone())?;
        Ok(point.found.into_iter().next())
    }
}

/// Methods of a layer with which its network may be cheaper: those of fewer levels, as long as what has scales of its own
/// stays so, and a quadratic where channels have two squares.
fn cheaper(
    folded: &Folded,
    model: &Model,
    now: &Activations,
    layer: &str,
) -> Vec<ActivationMethod> {
    let of_layer = |s: &&Stage| s.name == layer;
    let squares = folded.stages.iter().filter(of_layer).find_map(|s| match s.kind {
        StageKind::Square { .. } => Some(s.output.channels),
        _ => None,
    });
    let own = model.network.layers.iter().find(|l| l.name == layer);
    let channels = own.map_or(usize::MAX, |l| l.output.channels);
    let mut methods = match now.of(layer) {
        ActivationMethod::Quadratic => vec![ActivationMethod::Square],
        _ if squares.is_some_and(|s| s > channels) => vec![ActivationMethod::Quadratic],
        _ => Vec::new(),
    };
    if now.pairs() && now.of(layer) != ActivationMethod::PairedSquare {
        methods.push(ActivationMethod::PairedSquare);
    }
    methods
}

/// What came of a trial: an error that says that a configuration does not fit is no failure of the search.
fn possible<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error @ (Error::Stopped | Error::Io { .. } | Error::Journal { .. })) => Err(error),
        Err(_) => Ok(None),
    }
}
