//! The ways of a candidate: all are priced, and those that matter evaluated.
//!
//! A price takes one lowering for all sizes of primes and key-switching shapes; an evaluation looks at the slots of every value
//! on several images and simulates noise, which takes a hundred times as long. So ways are taken in the order of their prices:
//! once as many as are wanted keep to the limits, a way that takes no less memory than one of these is neither among the
//! cheapest nor on the front, and stays priced only.
//!
//! ```text
//!   price, ms      20      21      22      23      24
//!   memory, GB    1.0     1.2     0.8     0.9     0.7
//!   one wanted    fits     -      fits     -     fits    evaluated: those with less memory than all before
//! ```

use rayon::prelude::*;

use super::dynamic::Path;
use super::evaluate::{Evaluated, priced};
use super::journal::{Journal, Point};
use super::obstacle::Obstacle;
use super::run::{About, Candidate, Search};
use super::survey::Survey;
use crate::Result;
use crate::chain::Chain;
use crate::config::{Configuration, ParameterChoice};
use crate::fold::Folded;
use crate::lowering::lower;
use crate::program::Program;

/// Bits of the primes that ways are lowered under to be priced: with values at scale one, there is always room.
const ROOMY_BITS: u32 = 60;

/// A way under a set of parameters.
pub(super) struct Way {
    /// Of what comes of it, in the journal.
    key: String,
    /// Its price and memory, without scales and precision.
    priced: Evaluated,
}

impl Way {
    /// Those of a point with such a key.
    pub(super) fn all(key: String, found: Vec<Evaluated>) -> impl Iterator<Item = Self> {
        let way = move |(n, priced)| Self { key: format!("{key} way {n}"), priced };
        found.into_iter().enumerate().map(way)
    }
}

/// What has been seen of layouts: neither instructions nor values depend on primes.
#[derive(Default)]
pub(super) struct Looks(Vec<Look>);

struct Look {
    log_n: u32,
    path: Path,
    /// Without plaintext values.
    program: Option<Program>,
    survey: Option<Survey>,
}

impl Looks {
    /// The look at such layouts.
    fn at(&mut self, log_n: u32, path: Path) -> &mut Look {
        let same = |look: &Look| look.log_n == log_n && look.path == path;
        let at = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(Look { log_n, path, program: None, survey: None });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

/// What came of the ways of a candidate.
#[derive(Default)]
pub(super) struct Settled {
    /// Those evaluated.
    pub(super) all: Vec<Evaluated>,
    /// Why others are none.
    pub(super) refused: Vec<Obstacle>,
    /// How many were evaluated now, and how many taken from the journal.
    pub(super) evaluated: usize,
    pub(super) resumed: usize,
}

impl Search<'_> {
    /// Prices the ways found at a point.
    pub(super) fn price(
        &self,
        candidate: &Candidate,
        parameters: &ParameterChoice,
        paths: &[Path],
        looks: &mut Looks,
    ) -> Result<Point> {
        let ParameterChoice { log_n, levels, .. } = *parameters;
        let mut point = Point::default();
        if paths.is_empty() {
            point.refused.push(Obstacle::Layouts { log_n });
        }
        let plain = |path| self.plain(candidate, path, *parameters);
        let configurations: Vec<Configuration> = paths.iter().map(plain).collect();
        let is_new = |c: &&Configuration| looks.at(log_n, Path::of(c)).program.is_none();
        let new: Vec<&Configuration> = configurations.iter().filter(is_new).collect();
        let lowered: Vec<Result<Program>> =
            new.par_iter().map(|c| instructions(&candidate.folded, c, levels)).collect();
        for (configuration, program) in new.into_iter().zip(lowered) {
            looks.at(log_n, Path::of(configuration)).program = Some(program?);
        }
        let (chain, threads) = (parameters.ideal_chain()?, self.space.threads);
        for configuration in &configurations {
            let look = looks.at(log_n, Path::of(configuration));
            let program = look.program.as_ref();
            let price = |p| priced(p, &chain, configuration, threads, self.pricer);
            let accuracy = candidate.accuracy;
            point.found.extend(program.map(price).map(|e| Evaluated { accuracy, ..e }));
        }
        Ok(point)
    }

    /// Evaluates the ways of a candidate that matter; all, if none keeps to the limits, to tell which are in the way.
    pub(super) fn settle(
        &self,
        about: &About<'_>,
        mut ways: Vec<Way>,
        mut looks: Looks,
        journal: &Journal,
    ) -> Result<Settled> {
        looks.0.iter_mut().for_each(|look| look.program = None);
        // Equal prices keep the order of points, which is fixed.
        ways.sort_by(|a, b| a.priced.latency_ms.total_cmp(&b.priced.latency_ms));
        let mut settled = Settled::default();
        let (mut fit, mut left) = (Vec::new(), Vec::new());
        for way in ways {
            let bytes = way.priced.memory.total_bytes();
            let beaten = fit.len() >= self.wanted && fit.iter().any(|known| *known <= bytes);
            // Without a precision it is told whether anything else is in the way.
            if beaten || !self.fits(&way.priced) {
                left.push(way);
                continue;
            }
            let found = self.take(about, &way, &mut looks, journal, &mut settled)?;
            fit.extend(found.filter(|e| self.fits(e)).map(|e| e.memory.total_bytes()));
        }
        if fit.is_empty() {
            for way in &left {
                self.take(about, way, &mut looks, journal, &mut settled)?;
            }
        }
        Ok(settled)
    }

    /// What comes of a way, from the journal if it is there.
    fn take(
        &self,
        about: &About<'_>,
        way: &Way,
        looks: &mut Looks,
        journal: &Journal,
        settled: &mut Settled,
    ) -> Result<Option<Evaluated>> {
        let known = journal.get(&way.key);
        settled.resumed += usize::from(known.is_some());
        let point = match known {
            Some(point) => point,
            None => {
                self.watch.check()?;
                let configuration = &way.priced.configuration;
                let parameters = &configuration.parameters;
                let look = looks.at(parameters.log_n, Path::of(configuration));
                let point = self.finish(about, parameters, &look.path, &mut look.survey)?;
                journal.insert(way.key.clone(), point.clone())?;
                settled.evaluated += 1;
                point
            }
        };
        settled.refused.extend(point.refused);
        settled.all.extend(point.found.iter().cloned());
        Ok(point.found.into_iter().next())
    }
}

/// The instructions of a configuration, whatever its primes and scales.
fn instructions(folded: &Folded, configuration: &Configuration, levels: usize) -> Result<Program> {
    let log_n = configuration.parameters.log_n;
    let chain = Chain { scale: 1.0, ..Chain::uniform(log_n, levels, ROOMY_BITS, 1, 1) };
    Ok(lower(folded, configuration, &chain, false)?.program)
}
