//! How good predictions were: errors, order and choice.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Executed, Measured};
use crate::runs::disturbance::Disturbance;
use crate::runs::statistics::{median, quantile};

/// Fewest configurations whose order says something.
const LEAST_RANKED: usize = 3;

/// Errors of some predictions, each predicted over measured, less one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Errors {
    /// How many.
    pub count: usize,
    /// Median, with its sign.
    pub median: f64,
    /// Median of their absolute values.
    pub median_absolute: f64,
    /// Ninth decile of those.
    pub ninth_decile_absolute: f64,
    /// The one that is furthest from zero, with its sign.
    pub worst: f64,
}

impl Errors {
    /// Of a list; none if it is empty.
    pub fn of(errors: &[f64]) -> Option<Self> {
        let worst = errors.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()))?;
        let absolute: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
        Some(Self {
            count: errors.len(),
            median: median(errors),
            median_absolute: median(&absolute),
            ninth_decile_absolute: quantile(&absolute, 0.9),
            worst,
        })
    }
}

/// Errors of all measurements that have something in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What they have in common is of this sort.
    pub by: &'static str,
    /// What it is.
    pub value: String,
    /// Errors of latency.
    pub errors: Errors,
    /// Spearman's correlation of predicted and measured latency.
    pub rank_correlation: Option<f64>,
}

/// Configurations that a search chooses between: of one variant, with one number of threads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Network.
    pub network: String,
    /// Variant.
    pub variant: String,
    /// Threads.
    pub threads: usize,
    /// Configurations.
    pub configurations: usize,
    /// Spearman's correlation of predicted and measured latency.
    pub rank_correlation: Option<f64>,
    /// The least measured latency.
    pub fastest_ms: f64,
    /// Measured latency of the configuration predicted to be the fastest.
    pub chosen_ms: f64,
    /// That over the least, less one.
    pub regret: f64,
}

/// All instructions of a kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindSum {
    /// The kind.
    pub kind: String,
    /// Sum of predicted times over all measurements.
    pub predicted_ms: f64,
    /// Sum of measured times.
    pub measured_ms: f64,
    /// Share of all measured time.
    pub share: f64,
    /// Predicted over measured, less one.
    pub error: f64,
}

/// How good one sort of predictions of latency was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencySummary {
    /// Errors of latency: of all, and by network, threads, ring degree, special primes, form of plaintexts, and
    /// whether other work disturbed an image.
    pub rows: Vec<Row>,
    /// Order and choice, where there are two configurations or more.
    pub groups: Vec<Group>,
}

/// How good predictions were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Of the profile.
    #[serde(flatten)]
    pub profile: LatencySummary,
    /// Of the profile, each prediction times how many times as long cores took for the same as undisturbed ones meanwhile.
    pub paced: LatencySummary,
    /// Of times of programs with random operands, over the measurements that have them; none where there are none.
    pub refined: Option<LatencySummary>,
    /// By kind of instruction, the one that takes the most time first.
    pub kinds: Vec<KindSum>,
    /// Errors of peak memory.
    pub memory: Option<Errors>,
    /// How far other work disturbed the images that count.
    pub disturbance: Disturbance,
}

impl Summary {
    /// Of all that was executed.
    pub fn of(executed: &[Executed]) -> Self {
        let all: Vec<&Measured> = executed.iter().flat_map(|e| &e.measured).collect();
        let known = |summary: LatencySummary| Some(summary).filter(|s| !s.rows.is_empty());
        let memory = executed.iter().filter_map(|e| {
            let measured = e.measured_memory_bytes?;
            Some(e.drawn.memory_bytes as f64 / measured as f64 - 1.0)
        });
        Self {
            profile: LatencySummary::of(&all, |m| Some(m.predicted_ms)),
            paced: LatencySummary::of(&all, |m| Some(m.pace * m.predicted_ms)),
            refined: known(LatencySummary::of(&all, |m| m.refined_ms)),
            kinds: kinds(&all),
            memory: Errors::of(&memory.collect::<Vec<_>>()),
            disturbance: all.iter().map(|m| m.disturbance).sum(),
        }
    }
}

/// What measurements may have in common.
type Common = (&'static str, fn(&Measured) -> (usize, String));

const COMMON: [Common; 7] = [
    ("all", |_| (0, String::new())),
    ("network", |m| (0, m.network.clone())),
    ("threads", |m| (m.threads, m.threads.to_string())),
    ("ring degree", |m| (m.ring_degree, format!("2^{}", m.ring_degree.ilog2()))),
    ("special primes", |m| (m.special, m.special.to_string())),
    ("plaintexts", |m| (0, m.plaintexts.clone())),
    ("machine", |m| {
        let busy = m.disturbance.disturbed > 0;
        (usize::from(busy), if busy { "busy" } else { "not busy" }.into())
    }),
];

/// A measurement and its prediction.
type Pair<'a> = (&'a Measured, f64);

impl LatencySummary {
    /// Of those measurements that have a prediction.
    fn of(all: &[&Measured], predicted: fn(&Measured) -> Option<f64>) -> Self {
        let pairs: Vec<Pair<'_>> = all.iter().filter_map(|m| Some((*m, predicted(m)?))).collect();
        Self { rows: rows(&pairs), groups: groups(&pairs) }
    }
}

fn rows(all: &[Pair<'_>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (by, of) in COMMON {
        let values: BTreeSet<_> = all.iter().map(|(m, _)| of(m)).collect();
        for value in values {
            let some: Vec<Pair<'_>> = all.iter().filter(|(m, _)| of(m) == value).copied().collect();
            let errors: Vec<f64> = some.iter().map(|(m, ms)| m.error_of(*ms)).collect();
            rows.extend(Errors::of(&errors).map(|errors| Row {
                by,
                value: value.1,
                errors,
                rank_correlation: rank_correlation(&some),
            }));
        }
    }
    rows
}

fn groups(all: &[Pair<'_>]) -> Vec<Group> {
    let mut groups: BTreeMap<(&str, &str, usize), Vec<Pair<'_>>> = BTreeMap::new();
    for pair @ (m, _) in all {
        groups.entry((&m.network, &m.variant, m.threads)).or_default().push(*pair);
    }
    let group = |((network, variant, threads), some): ((&str, &str, usize), Vec<Pair<'_>>)| {
        let chosen_ms = some.iter().min_by(|a, b| a.1.total_cmp(&b.1))?.0.measured_ms;
        let measured = some.iter().map(|(m, _)| m.measured_ms);
        let fastest_ms = measured.min_by(f64::total_cmp)?;
        (some.len() > 1).then(|| Group {
            network: network.into(),
            variant: variant.into(),
            threads,
            configurations: some.len(),
            rank_correlation: rank_correlation(&some),
            fastest_ms,
            chosen_ms,
            regret: chosen_ms / fastest_ms - 1.0,
        })
    };
    groups.into_iter().filter_map(group).collect()
}

fn kinds(all: &[&Measured]) -> Vec<KindSum> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (kind, times) in all.iter().flat_map(|m| &m.kinds) {
        let sum = sums.entry(kind).or_default();
        *sum = (sum.0 + times.predicted_ms, sum.1 + times.measured_ms);
    }
    let total: f64 = sums.values().map(|(_, measured)| measured).sum();
    let mut kinds: Vec<KindSum> = sums
        .into_iter()
        .map(|(kind, (predicted_ms, measured_ms))| KindSum {
            kind: kind.into(),
            predicted_ms,
            measured_ms,
            share: measured_ms / total,
            error: predicted_ms / measured_ms - 1.0,
        })
        .collect();
    kinds.sort_by(|a, b| b.measured_ms.total_cmp(&a.measured_ms));
    kinds
}

fn rank_correlation(some: &[Pair<'_>]) -> Option<f64> {
    let (measured, predicted): (Vec<f64>, Vec<f64>) =
        some.iter().map(|(m, predicted)| (m.measured_ms, *predicted)).unzip();
    spearman(&predicted, &measured)
}

/// Spearman's rank correlation of pairs, -1 to 1; equal values share their ranks. None for fewer than three pairs, or where
/// all values of a side are equal.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.len() < LEAST_RANKED {
        return None;
    }
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() - 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    (spread > 0.0).then(|| product(&a, &b) / spread)
}

/// Ranks from zero; equal values have the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |v: &f64| {
        let below = values.iter().filter(|w| *w < v).count();
        let equal = values.iter().filter(|w| *w == v).count();
        below as f64 + (equal as f64 - 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests;
