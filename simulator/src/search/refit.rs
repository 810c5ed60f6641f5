//! Primes and scales for layouts that are given: of a way that was found, or of a configuration for other weights.

use super::dynamic::Path;
use super::evaluate::Evaluated;
use super::journal::Journal;
use super::obstacle::Obstacle;
use super::run::{About, Candidate, Search};
use super::ways::Looks;
use crate::Result;
use crate::config::Configuration;
use crate::fold::{Activations, Folded};
use crate::network::Model;

/// What comes of layouts under several sizes of primes.
#[derive(Debug, Default)]
pub(super) struct Fit {
    /// Under the cheapest that keep to the limits.
    pub(super) found: Option<Evaluated>,
    /// Under the cheapest that only lack precision which rescaled squares would give.
    imprecise: Option<Evaluated>,
    /// What is in the way of the others.
    pub(super) refused: Vec<Obstacle>,
}

impl Search<'_> {
    /// A way under the parameters of a ring degree and number of special primes: those of the space, the cheapest first, and of equal
    /// ones those with the larger primes, which leave more room.
    pub(super) fn cheapest_fit(
        &self,
        about: &About<'_>,
        (log_n, special): (u32, usize),
        levels: usize,
        path: &Path,
    ) -> Result<Fit> {
        let (mut fit, mut looks) = (Fit::default(), Looks::default());
        let mut choices = Vec::new();
        for parameters in self.space.parameters(log_n, special, levels).into_iter().rev() {
            let paths = std::slice::from_ref(path);
            let priced = self.price(about.candidate, &parameters, paths, &mut looks)?.found;
            choices.extend(priced.into_iter().map(|e| (e.latency_ms, parameters)));
        }
        choices.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut survey = None;
        for (_, parameters) in choices {
            self.watch.check()?;
            let point = self.finish(about, &parameters, path, &mut survey)?;
            fit.refused.extend(point.refused);
            for evaluated in point.found {
                if self.fits(&evaluated) {
                    fit.found = Some(evaluated);
                    return Ok(fit);
                }
                fit.refused.extend(self.only_obstacle(&evaluated));
                if self.may_become_precise(&evaluated) {
                    fit.imprecise.get_or_insert(evaluated);
                }
            }
        }
        Ok(fit)
    }

    /// The layouts of a configuration that was found for other weights, with primes and scales for those of `model`, and
    /// squares rescaled if precision needs it. None where nothing keeps to the limits, with what is in the way.
    ///
    /// # Errors
    /// A configuration that does not fit the model, and [`crate::Error::Stopped`].
    pub fn refit(
        &self,
        model: &Model,
        start: &Configuration,
        accuracy: Option<f64>,
    ) -> Result<(Option<Evaluated>, Vec<Obstacle>)> {
        let folded = Folded::new(model, Activations::from(start))?;
        let candidate = Candidate { variant: start.variant.clone(), folded, accuracy };
        let (images, statistics) = self.look(&candidate.folded)?;
        let about = About { candidate: &candidate, statistics: &statistics, images: &images };
        let of = (start.parameters.log_n, start.parameters.special);
        let levels = candidate.folded.levels() + start.repacks.len();
        let fit = self.cheapest_fit(&about, of, levels, &Path::of(start))?;
        let found = match (fit.found, fit.imprecise) {
            (None, Some(imprecise)) => self.exceptions(model, &imprecise, &Journal::new())?,
            (found, _) => found,
        };
        Ok((found, Obstacle::nearest(fit.refused)))
    }
}
