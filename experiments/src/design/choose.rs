//! Finding configurations: carrying a wish to the search, and its answers as estimates.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, anyhow};
use rayon::prelude::*;
use serde::Serialize;
use simulator::config::Configuration;
use simulator::fold::{ActivationMethod, Folded};
use simulator::search::{
    Candidate, Evaluated, Journal, Limits, Obstacle, Plans, Pricer, Search, Space, Watch,
    pareto_front,
};

use crate::design::candidate::{Estimate, LeftOut, estimate};
use crate::design::plan::{PatternWish, Planned, PlansFound};
use crate::design::refine::{Choice, Refiner};
use crate::design::wish::Wish;
use crate::inputs::images;
use crate::inputs::networks::Source;
use crate::machine::profiles::Cost;
use crate::process::cancel;
use crate::process::progress::Progress;

/// Numbers of special primes, which are limbs of a key-switching digit as well, up to ring degrees of 2^15; and beyond,
/// where there is room for many, and few digits keep the keys small.
const SPECIAL: [usize; 4] = [1, 2, 3, 4];
const SPECIAL_LARGE: [usize; 4] = [4, 5, 6, 8];
/// The least of those ring degrees, as a base-2 logarithm.
const LARGE_RING: u32 = 16;
/// Images on which precision is predicted.
const PICTURES: usize = 4;
/// Layouts that each look at a network with the same groups everywhere gives to the search for plans.
const PLAN_LAYOUTS: usize = 2;
/// Seed of those images, and of the simulated noise.
const PICTURE_SEED: u64 = 1;

/// What a search found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The best configuration of each variant, the fastest variant first.
    pub best: Vec<Evaluated>,
    /// Configurations that none other beats in latency, accuracy and memory at once.
    pub front: Vec<Evaluated>,
    /// The configurations found to keep to the limits, of a variant the cheapest first: those on its front, and as many of the
    /// cheapest as are to be ranked again.
    #[serde(skip)]
    pub within: Vec<Evaluated>,
    /// Configurations priced, within the limits or not.
    pub evaluated: usize,
    /// Variants that were not searched.
    pub left_out: Vec<LeftOut>,
    /// Where nothing was found for a variant: which limits are in the way, and what comes nearest to each.
    pub obstacles: Vec<Obstacle>,
    /// Variants whose weights are random: their prices mean something, their precision little, their classes nothing.
    pub untrained: Vec<String>,
    /// The fastest configurations of all variants, ranked again by times of their instructions; none if not asked for.
    pub refined: Vec<Choice>,
}

/// What all searches of a wish have in common.
struct Asked<'a> {
    limits: Limits,
    /// Results wanted of each variant.
    wanted: usize,
    prices: Prices<'a>,
    pictures: &'a [Vec<f64>],
}

impl<'p> Asked<'p> {
    fn new(wish: &Wish, prices: Prices<'p>, pictures: &'p [Vec<f64>]) -> Self {
        // Those that are ranked again may all be of one variant.
        let ranked = wish.refine.map_or(0, |refine| refine.configurations);
        let wanted = wish.wanted.max(ranked);
        Self { limits: wish.limits(), wanted, prices, pictures }
    }

    fn search<'a>(&'a self, space: &'a Space, watch: Watch<'a>) -> Search<'a> {
        Search {
            space,
            limits: &self.limits,
            pricer: self.prices.pricer,
            pricer_name: self.prices.name,
            reference_accuracy: None,
            images: self.pictures,
            seed: PICTURE_SEED,
            wanted: self.wanted,
            watch,
        }
    }
}

/// What a search goes by.
#[derive(Clone, Copy)]
pub struct Prices<'a> {
    /// Prices of instructions.
    pub pricer: &'a dyn Pricer,
    /// What tells them from others wherever they come from.
    pub name: &'a str,
}

/// Searches, and refines what was found if that is wished; stops between ring degrees
/// when cancelled.
pub fn search(source: &Source, wish: &Wish, cost: &Cost) -> Result<Found> {
    let mut found = search_by(source, wish, Prices { pricer: &cost.model, name: &cost.name })?;
    if let Some(refine) = wish.refine {
        let mut refiner = Refiner::open(wish.memory_limit)?;
        found.refined = refiner.rank(source, &found.within, wish, refine, cost)?;
    }
    Ok(found)
}

/// [`search`] with any prices, without refinement: several variants at a time.
pub fn search_by(source: &Source, wish: &Wish, prices: Prices<'_>) -> Result<Found> {
    let (names, left_out) = wish.admissible(source)?;
    let pictures = pictures(source)?;
    let journal = match &wish.journal {
        Some(path) => Journal::open(path)?,
        None => Journal::new(),
    };
    let asked = Asked::new(wish, prices, &pictures);
    let what = format!("searching {} of {}", names.join(", "), source.network.name);
    let progress = Progress::new(&what);
    // How much of each variant is done.
    let done = Mutex::new(vec![0.0; names.len()]);
    let search = |(k, name): (usize, &String)| {
        let tell = |share: f64, at: &str| {
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done[k] = share;
            progress.set(done.iter().sum::<f64>() / done.len() as f64, &format!("{name}, {at}"));
        };
        let searched = asked.variant(source, wish, name, &journal, &tell)?;
        tell(1.0, "done");
        Ok(searched)
    };
    let variants: Vec<Searched> =
        names.par_iter().enumerate().map(search).collect::<Result<_>>()?;
    progress.finish();
    let (mut within, mut best) = (Vec::new(), Vec::new());
    let mut obstacles = Vec::new();
    let mut evaluated = 0;
    for Searched { found, refused, evaluated: more } in variants {
        evaluated += more;
        if found.is_empty() {
            obstacles.extend(refused);
        }
        best.extend(found.first().cloned());
        within.extend(found);
    }
    best.sort_by(|a, b| a.image_ms().total_cmp(&b.image_ms()));
    let untrained = names.into_iter().filter(|n| source.untrained(n).is_some()).collect();
    let (front, obstacles) = (pareto_front(&within), Obstacle::nearest(obstacles));
    let refined = Vec::new();
    Ok(Found { best, front, within, evaluated, left_out, obstacles, untrained, refined })
}

/// What a search of one variant found.
struct Searched {
    /// The configurations that keep to the limits, the cheapest first.
    found: Vec<Evaluated>,
    /// Why there are no others.
    refused: Vec<Obstacle>,
    /// Configurations priced.
    evaluated: usize,
}

impl Asked<'_> {
    /// Searches a variant, one ring degree after the other; `tell` hears how much is done, 0 to 1, and of what.
    fn variant(
        &self,
        source: &Source,
        wish: &Wish,
        name: &str,
        journal: &Journal,
        tell: &(dyn Fn(f64, &str) + Sync),
    ) -> Result<Searched> {
        let model = source.model(name)?;
        let accuracy = source.accuracy(name)?;
        for (k, picture) in self.pictures.iter().enumerate() {
            model.forward_checked(picture, &format!("generated image {}", k + 1))?;
        }
        let (mut found, mut refused, mut evaluated) = (Vec::new(), Vec::new(), 0);
        // Of those that only lack precision which rescaled squares would give, the fastest.
        let mut imprecise: Option<Evaluated> = None;
        // Squares that are not rescaled are faster; where they are not precise enough, the others are looked at.
        let methods = [ActivationMethod::PairedSquare, ActivationMethod::Square];
        for (pass, activations) in methods.into_iter().enumerate() {
            let space = wish.space(activations);
            let folded = Folded::new(&model, activations)?;
            let candidate = [Candidate { variant: name.to_owned(), folded, accuracy }];
            let rings = space.log_n.len();
            let points = wish
                .images
                .iter()
                .flat_map(|images| space.log_n.iter().map(move |n| (*images, *n)));
            // Those images that a ring was found for.
            let mut ready = None;
            for (j, (images, log_n)) in points.enumerate() {
                // A larger ring costs more for each slot: it is only for what no smaller one can do.
                if ready == Some(images) {
                    continue;
                }
                cancel::check()?;
                let all = rings * wish.images.len();
                let done = (pass * all + j) as f64 / (methods.len() * all) as f64;
                let several = if images > 1 { format!(", {images} images") } else { String::new() };
                let at = format!("N = 2^{log_n}{several}");
                tell(done, &at);
                let part =
                    Space { log_n: vec![log_n], special: special(log_n), images, ..space.clone() };
                let note = |what: &str| tell(done, &format!("{at}, {what}"));
                let search = self.search(&part, Watch { stop: cancel::flag(), note: &note });
                let outcome = search.run(&candidate, journal);
                cancel::check()?;
                let outcome = outcome?;
                evaluated += outcome.priced;
                refused.extend(outcome.obstacles);
                let lacking = outcome.all.iter().filter(|e| search.may_become_precise(e)).cloned();
                imprecise = fastest_of(imprecise.into_iter().chain(lacking));
                let before = found.len();
                found.extend(outcome.all.into_iter().filter(|e| search.fits(e)));
                ready = (found.len() > before).then_some(images);
            }
            if !found.is_empty() {
                break;
            }
        }
        // Other methods for single activations: of the fastest, and of what is faster still but not precise enough.
        let fastest = fastest_of(found.iter().cloned());
        imprecise.take_if(|e| fastest.as_ref().is_some_and(|f| f.image_ms() <= e.image_ms()));
        for start in fastest.into_iter().chain(imprecise) {
            let images = start.configuration.images;
            let space = Space { images, ..wish.space(methods[0]) };
            let search = self.search(&space, Watch { stop: cancel::flag(), note: &|_| {} });
            let exception = search.exceptions(&model, &start, journal);
            cancel::check()?;
            let exception = exception?;
            evaluated += usize::from(exception.is_some());
            found.extend(exception);
        }
        found.sort_by(|a, b| a.image_ms().total_cmp(&b.image_ms()));
        Ok(Searched { found, refused, evaluated })
    }
}

/// Searches for plans, in one ring degree after the other until there are some.
pub fn plans(
    source: &Source,
    wish: &Wish,
    patterns: &PatternWish,
    prices: Prices<'_>,
) -> Result<(Planned, PlansFound)> {
    let start = Instant::now();
    let planned = Planned::new(source, patterns)?;
    let pictures = pictures(source)?;
    let asked = Asked::new(wish, prices, &pictures);
    let space = Space { keep: PLAN_LAYOUTS, ..wish.space(ActivationMethod::PairedSquare) };
    let mut all = Plans::default();
    let progress = Progress::new(&format!("searching plans of {}", source.network.name));
    for (k, &log_n) in space.log_n.iter().enumerate() {
        let done = k as f64 / space.log_n.len() as f64;
        let part = Space { log_n: vec![log_n], special: special(log_n), ..space.clone() };
        let note = |what: &str| progress.set(done, &format!("N = 2^{log_n}, {what}"));
        let search = asked.search(&part, Watch { stop: cancel::flag(), note: &note });
        let found = search.plan(&planned.request(patterns));
        cancel::check()?;
        let found = found?;
        all.configurations += found.configurations;
        all.priced += found.priced;
        all.obstacles.extend(found.obstacles);
        all.front = found.front;
        if !all.front.is_empty() {
            break;
        }
    }
    progress.finish();
    all.obstacles = Obstacle::nearest(all.obstacles);
    let found = PlansFound {
        plans: all,
        seconds: start.elapsed().as_secs_f64(),
        accuracy: planned.fit.clone(),
        margin: planned.accuracy.margin,
        dense_accuracy: planned.dense_accuracy,
        start: planned.start.clone(),
        lost: planned.lost,
        max_groups: planned.max_groups,
    };
    Ok((planned, found))
}

/// The configuration of a plan for the weights that it was trained to: its layouts, with primes and scales for what values are
/// now.
///
/// # Errors
/// Those of lowering, and what is in the way where nothing keeps to the limits.
pub fn trained(
    source: &Source,
    configuration: &Configuration,
    wish: &Wish,
    prices: Prices<'_>,
) -> Result<Configuration> {
    let pictures = pictures(source)?;
    let asked = Asked::new(wish, prices, &pictures);
    let images = configuration.images;
    let space = Space { images, ..wish.space(configuration.activations) };
    let search = asked.search(&space, Watch { stop: cancel::flag(), note: &|_| {} });
    let (model, accuracy) =
        (source.model(&configuration.variant)?, source.accuracy(&configuration.variant)?);
    let (found, obstacles) = search.refit(&model, configuration, accuracy)?;
    found.map(|evaluated| evaluated.configuration).ok_or_else(|| {
        let reasons: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        anyhow!(
            "with its trained weights, the plan does not keep to the limits; nearest to each:\n  {}",
            reasons.join("\n  ")
        )
    })
}

/// Normalised images on which precision is predicted.
fn pictures(source: &Source) -> Result<Vec<Vec<f64>>> {
    let network = &source.network;
    images::load(network, None, PICTURES, PICTURE_SEED)?.normalised(network, PICTURES)
}

/// Numbers of special primes to look at in a ring.
fn special(log_n: u32) -> Vec<usize> {
    if log_n >= LARGE_RING { SPECIAL_LARGE.to_vec() } else { SPECIAL.to_vec() }
}

impl Found {
    /// The best of all: by their own times where those were asked for.
    ///
    /// # Errors
    /// If there is none: every limit that is in the way, with what comes nearest to it.
    pub fn fastest(&self) -> Result<&Evaluated> {
        let refined = self.refined.first().map(|choice| &choice.evaluated);
        refined.or(self.best.first()).ok_or_else(|| {
            let left_out =
                self.left_out.iter().map(|l| format!("{} {} (--max-drop)", l.name, l.reason));
            let reasons: Vec<String> =
                self.obstacles.iter().map(ToString::to_string).chain(left_out).collect();
            anyhow!(
                "no configuration keeps to the limits; nearest to each:\n  {}",
                reasons.join("\n  ")
            )
        })
    }
}

/// The fastest of a list; of equal ones, the first.
fn fastest_of(all: impl Iterator<Item = Evaluated>) -> Option<Evaluated> {
    all.min_by(|a, b| a.image_ms().total_cmp(&b.image_ms()))
}

/// The fastest configuration that fulfils a wish, with what it is predicted to take.
pub fn fastest(source: &Source, wish: &Wish, cost: &Cost) -> Result<Estimate> {
    let found = search(source, wish, cost)?;
    let configuration = found.fastest()?.configuration.clone();
    estimate(source, configuration, "chosen", wish.insecure, cost)
}
