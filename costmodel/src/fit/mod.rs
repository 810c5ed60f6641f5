//! Unit costs from measured times.
//!
//! For each thread count: the non-negative unit costs `x` that minimise the sum over all points of
//! `rho((p - t) / sqrt(p t))`, where `p = work . x` is the predicted and `t` the median measured time, with Huber's `rho` so that
//! single disturbed points do not rule the rest. It is solved by iteratively reweighted non-negative least squares.
//!
//! That error is the same for twice and for half of a time. Relative to `t` alone, the one is twice as wrong as the other, so that
//! a fit to scattered points lies below their middle:
//!
//! ```text
//! t = 1 and 2      (p - t) / t: least squares at p = 1.2      (p - t) / sqrt(p t): at p = 1.41
//! ```
//!
//! A quarter of the points is kept out, and only used to tell how
//! good the fit is. The effective size of the last-level cache is fitted too, by trying a few shares of the real one.

mod errors;
pub mod nnls;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use errors::{ErrorSummary, Spread};

use crate::error::{Error, Result};
use crate::machine::Caches;
use crate::operation::Operation;
use crate::point::{Point, quantile};
use crate::work::{Feature, Work};
use nnls::{Matrix, nnls};

/// Huber's constant: 95 % efficiency for normally distributed errors.
const HUBER: f64 = 1.345;

/// Relative errors below this count as noise, whatever the spread.
const NOISE: f64 = 0.01;

/// Predictions of a round that are this many times off, or more, weigh the same in the next.
const FARTHEST: f64 = 10.0;

/// Rounds of reweighting; the weights settle long before.
const ROUNDS: usize = 12;

/// Fewest points that a thread count needs.
const MIN_POINTS: usize = 8;

/// Unit costs for one thread count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Thread count.
    pub threads: usize,
    /// Smallest base-2 logarithm of a ring degree measured.
    pub min_log_n: u32,
    /// Largest base-2 logarithm of a ring degree measured.
    pub max_log_n: u32,
    /// Unit costs in nanoseconds, by [`Feature::unit_name`].
    pub unit_costs: BTreeMap<String, f64>,
    /// How much of the last-level cache operations seem to have for themselves, in bytes: other cores, and on a
    /// virtual machine other machines, use it too.
    pub last_level_bytes: u64,
    /// How repeatable the measurements were: the median over all points of half the distance between the quartiles,
    /// relative to the time. No fit can be better.
    pub noise_relative: f64,
    /// Errors on the points that were fitted.
    pub training: ErrorSummary,
    /// Errors on the points that were kept out.
    pub held_out: ErrorSummary,
    /// Spread of measured over predicted times, by family of operations, over all points.
    pub families: BTreeMap<String, Spread>,
    /// Errors on each ring degree when fitted on the other ones, by `log_n_<logarithm>`.
    pub unseen_rings: BTreeMap<String, ErrorSummary>,
}

impl Fit {
    /// Unit costs in the order of [`Feature::ALL`]; missing ones are zero.
    pub fn vector(&self) -> [f64; Feature::COUNT] {
        std::array::from_fn(|i| {
            self.unit_costs.get(Feature::ALL[i].unit_name()).copied().unwrap_or(0.0)
        })
    }

    /// Arithmetic that these points do and that is priced at nothing: its time is in the prices of what it was always
    /// measured together with. What does the one without the other is predicted wrong.
    pub fn unpriced(&self, points: &[Point], caches: &Caches) -> Vec<Feature> {
        let own: Vec<&Point> =
            points.iter().filter(|p| p.setting.threads == self.threads).collect();
        let (rows, costs) = (count(&own, caches), self.vector());
        let is_done = |f: &Feature| rows.iter().any(|row| row.work.get(*f) > 0.0);
        let unpriced = |f: &Feature| f.is_arithmetic() && costs[f.index()] == 0.0 && is_done(f);
        Feature::ALL.into_iter().filter(unpriced).collect()
    }
}

/// Fits every thread count among the points.
///
/// # Errors
/// [`Error::Fit`] when a thread count has too few points, a time is not positive, or a number is one that
/// [`crate::Profile::load`] refuses.
pub fn fit(points: &[Point], caches: &Caches) -> Result<Vec<Fit>> {
    let threads: BTreeSet<usize> = points.iter().map(|p| p.setting.threads).collect();
    if threads.is_empty() {
        return Err(Error::Fit("no points".into()));
    }
    threads.into_iter().map(|t| fit_threads(points, t, caches)).collect()
}

/// Weight of a kernel timed alone: there are some twenty of them beside hundreds of operations.
const WEIGHT_ALONE: f64 = 2.0;

/// Weight of an operation that takes so long: what takes long is what the time of a network is made of, and there fixed costs and
/// caches matter least.
fn weight(point: &Point) -> f64 {
    match point.operation {
        Operation::Unit(_) => WEIGHT_ALONE,
        _ => (1e-6 * point.time.median_ns).powf(0.4).clamp(0.3, 4.0),
    }
}

/// A point with its work counted.
struct Row<'a> {
    point: &'a Point,
    work: Work,
}

fn count<'a>(points: &[&'a Point], caches: &Caches) -> Vec<Row<'a>> {
    let work = |p: &Point| Work::count(&p.operation, &p.setting, caches, p.residency);
    points.iter().map(|&point| Row { point, work: work(point) }).collect()
}

fn fit_threads(points: &[Point], threads: usize, caches: &Caches) -> Result<Fit> {
    let points: Vec<&Point> = points.iter().filter(|p| p.setting.threads == threads).collect();
    points.iter().try_for_each(|p| p.check()).map_err(Error::Fit)?;
    let training: Vec<&Point> = points.iter().copied().filter(|p| !p.is_held_out()).collect();
    if training.len() < MIN_POINTS {
        return Err(Error::Fit(format!(
            "{} points for {threads} threads, expected at least {MIN_POINTS}",
            training.len()
        )));
    }
    let (last_level_bytes, costs) = best_last_level(&training, caches)?;
    let rows = count(&points, &Caches { l3_bytes: last_level_bytes, ..*caches });
    let (held_out, training): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
        rows.iter().partition(|r| r.point.is_held_out());
    let mut families: BTreeMap<String, Vec<&Row<'_>>> = BTreeMap::new();
    for row in &rows {
        families.entry(row.point.operation.family().into()).or_default().push(row);
    }
    let rings: BTreeSet<u32> = rows.iter().map(|r| r.point.setting.log_n).collect();
    Ok(Fit {
        threads,
        min_log_n: rings.first().copied().unwrap_or(0),
        max_log_n: rings.last().copied().unwrap_or(0),
        last_level_bytes,
        noise_relative: noise(&rows),
        unit_costs: Feature::ALL
            .iter()
            .filter(|f| f.is_everywhere() || rows.iter().any(|row| row.work.get(**f) > 0.0))
            .map(|f| (f.unit_name().into(), costs[f.index()]))
            .collect(),
        training: ErrorSummary::of(pairs(&training, &costs)),
        held_out: ErrorSummary::of(pairs(&held_out, &costs)),
        families: families
            .into_iter()
            .map(|(name, rows)| (name, Spread::of(pairs(&rows, &costs))))
            .collect(),
        unseen_rings: unseen_rings(&rows, &rings),
    })
}

/// The share of the last-level cache, among a few, with which the points fit best, in bytes; and the unit costs.
fn best_last_level(points: &[&Point], caches: &Caches) -> Result<(u64, Vec<f64>)> {
    let mut best: Option<(f64, u64, Vec<f64>)> = None;
    for share in [1, 2, 4, 8, 16] {
        let bytes = (caches.l3_bytes / share).max(caches.l2_bytes);
        let rows = count(points, &Caches { l3_bytes: bytes, ..*caches });
        let rows: Vec<&Row<'_>> = rows.iter().collect();
        let costs = solve(&rows)?;
        // Points that are far off in any case must not decide.
        let loss: f64 = pairs(&rows, &costs).map(|(p, m)| (p / m - 1.0).abs().min(0.5)).sum();
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, bytes, costs));
        }
    }
    best.map(|(_, bytes, costs)| (bytes, costs)).ok_or_else(|| Error::Fit("no points".into()))
}

fn noise(rows: &[Row<'_>]) -> f64 {
    let half = |row: &Row<'_>| {
        let time = &row.point.time;
        (time.high_quartile_ns - time.low_quartile_ns) / (2.0 * time.median_ns)
    };
    let mut all: Vec<f64> = rows.iter().map(half).collect();
    all.sort_by(f64::total_cmp);
    quantile(&all, 0.5).unwrap_or(0.0)
}

fn pairs<'a>(rows: &'a [&Row<'_>], costs: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    rows.iter().map(|row| (dot(row.work.amounts(), costs), row.point.time.median_ns))
}

fn dot(work: &[f64], costs: &[f64]) -> f64 {
    work.iter().zip(costs).map(|(w, c)| w * c).sum()
}

/// Errors on each ring degree of a fit to the other ones; nothing where too few points are left.
fn unseen_rings(rows: &[Row<'_>], rings: &BTreeSet<u32>) -> BTreeMap<String, ErrorSummary> {
    let summary = |&ring: &u32| {
        let (unseen, seen): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
            rows.iter().partition(|r| r.point.setting.log_n == ring);
        let costs = (seen.len() >= MIN_POINTS).then(|| solve(&seen).ok()).flatten()?;
        Some((format!("log_n_{ring}"), ErrorSummary::of(pairs(&unseen, &costs))))
    };
    rings.iter().filter_map(summary).collect()
}

/// Robust non-negative unit costs for some rows.
fn solve(rows: &[&Row<'_>]) -> Result<Vec<f64>> {
    let relative: Vec<Vec<f64>> = rows
        .iter()
        .map(|r| r.work.amounts().iter().map(|w| w / r.point.time.median_ns).collect())
        .collect();
    let given: Vec<f64> = rows.iter().map(|row| weight(row.point)).collect();
    let mut weights = given.clone();
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let weighted: Vec<Vec<f64>> = relative
            .iter()
            .zip(&weights)
            .map(|(row, w)| row.iter().map(|x| x * w).collect())
            .collect();
        costs = nnls(&Matrix::from_rows(&weighted)?, &weights)?;
        // Predicted over measured.
        let ratios: Vec<f64> =
            relative.iter().map(|row| dot(row, &costs).clamp(1.0 / FARTHEST, FARTHEST)).collect();
        let errors: Vec<f64> = ratios.iter().map(|p| (p - 1.0).abs() / p.sqrt()).collect();
        let mut sorted = errors.clone();
        sorted.sort_by(f64::total_cmp);
        let scale = (1.4826 * quantile(&sorted, 0.5).unwrap_or(0.0)).max(NOISE);
        // Least squares squares the weights, hence the root.
        let next = errors.iter().zip(&ratios).zip(&given).map(|((&e, ratio), given)| {
            let huber = if e <= HUBER * scale { 1.0 } else { (HUBER * scale / e).sqrt() };
            given * huber / ratio.sqrt()
        });
        weights = next.collect();
    }
    Ok(costs)
}

#[cfg(test)]
pub(crate) mod tests;
