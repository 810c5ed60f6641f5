//! The report of a validation of the cost model.

use std::fmt::Write as _;

use serde::Serialize;

use super::text::{percent, table};
use crate::design::candidate::LeftOut;
use crate::machine::provenance::Provenance;
use crate::runs::disturbance::Disturbance;
use crate::runs::validate::{
    Errors, Executed, Group, KindSum, LatencySummary, Measured, Row, Summary,
};

/// What a validation found.
#[derive(Debug, Clone, Serialize)]
pub struct ValidationReport {
    /// Images of each configuration, the first of which does not count.
    pub images: usize,
    /// Least time of each configuration with each number of threads, in predicted seconds: where its images take less, they were
    /// run again.
    pub least_seconds: f64,
    /// Numbers of threads.
    pub threads: Vec<usize>,
    /// Configurations asked for.
    pub asked: usize,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// Networks from which nothing was drawn, and why.
    pub left_out: Vec<LeftOut>,
    /// How good predictions were.
    #[serde(flatten)]
    pub summary: Summary,
    /// Configurations, with every measurement.
    pub configurations: Vec<Executed>,
    /// How it was made.
    pub provenance: Provenance,
}

impl ValidationReport {
    /// Every measurement.
    pub fn measured(&self) -> impl Iterator<Item = &Measured> {
        self.configurations.iter().flat_map(|e| &e.measured)
    }

    /// What went wrong with configurations.
    pub fn failures(&self) -> Vec<&str> {
        self.configurations.iter().flat_map(|e| &e.failures).map(String::as_str).collect()
    }

    /// As text.
    pub fn print(&self) -> String {
        let Summary { kinds, memory, disturbance, .. } = &self.summary;
        let mut out = format!(
            "{} configurations, {} threads; errors are predicted over measured, less one\n\n",
            self.configurations.len(),
            self.threads.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
        );
        out.push_str(&table(measurements(self)));
        for (what, summary) in self.predictions() {
            out.push_str(&latencies(what, summary));
        }
        let _ = write!(out, "\n{}\n", table(by_kind(kinds)));
        if let Some(errors) = memory {
            let _ = writeln!(out, "peak memory: {}", memory_errors(errors));
        }
        let _ = writeln!(out, "other work: {}", disturbance.describe());
        let p = &self.provenance;
        let _ = writeln!(
            out,
            "made by revision {}, {}, seed {}, on {} with {} kernels",
            p.revision, p.date, p.seed, p.cpu, p.isa
        );
        for left in &self.left_out {
            let _ = writeln!(out, "{} was left out: {}", left.name, left.reason);
        }
        for failure in self.failures() {
            let _ = writeln!(out, "FAILED: {failure}");
        }
        for warning in self.warnings() {
            let _ = writeln!(out, "\n{warning}");
        }
        out
    }

    /// All sorts of predictions that there are, with their names.
    pub(super) fn predictions(&self) -> impl Iterator<Item = (&'static str, &LatencySummary)> {
        let Summary { profile, paced, refined, .. } = &self.summary;
        let all = [
            ("latency", Some(profile)),
            ("latency on cores as slow as they were", Some(paced)),
            ("latency by timing instructions", refined.as_ref()),
        ];
        all.into_iter().filter_map(|(what, summary)| Some((what, summary?)))
    }

    /// What a reader must know before any number.
    pub(super) fn warnings(&self) -> Vec<String> {
        let stopped =
            self.interrupted.then(|| "INTERRUPTED: results are of what was finished".to_owned());
        self.summary.disturbance.warning().into_iter().chain(stopped).collect()
    }
}

/// Errors, order and choice of one sort of predictions.
fn latencies(what: &str, summary: &LatencySummary) -> String {
    format!("\n{}\n{}", table(errors(what, &summary.rows)), table(choices(&summary.groups)))
}

/// Errors of latency by what measurements have in common; here and below, the first line is the head.
pub(super) fn errors(what: &str, rows: &[Row]) -> Vec<Vec<String>> {
    let by = format!("{what}, by");
    let mut lines = vec![words(&[
        &by,
        "measured",
        "median",
        "median size",
        "ninth decile",
        "worst",
        "rank correlation",
    ])];
    lines.extend(rows.iter().map(|r| {
        vec![
            format!("{} {}", r.by, r.value).trim_end().to_owned(),
            r.errors.count.to_string(),
            percent(r.errors.median),
            size(r.errors.median_absolute),
            size(r.errors.ninth_decile_absolute),
            percent(r.errors.worst),
            rank(r.rank_correlation),
        ]
    }));
    lines
}

/// Order and choice of one sort of predictions.
pub(super) fn choices(groups: &[Group]) -> Vec<Vec<String>> {
    let mut lines = vec![words(&[
        "order and choice",
        "threads",
        "configurations",
        "rank correlation",
        "predicted fastest ms",
        "fastest ms",
        "regret",
    ])];
    lines.extend(groups.iter().map(|g| {
        vec![
            format!("{} {}", g.network, g.variant),
            g.threads.to_string(),
            g.configurations.to_string(),
            rank(g.rank_correlation),
            format!("{:.1}", g.chosen_ms),
            format!("{:.1}", g.fastest_ms),
            percent(g.regret),
        ]
    }));
    lines
}

/// Predicted and measured time by kind of instruction.
pub(super) fn by_kind(kinds: &[KindSum]) -> Vec<Vec<String>> {
    let head = ["instructions", "share of time", "predicted ms", "measured ms", "error"];
    let mut lines = vec![words(&head)];
    lines.extend(kinds.iter().map(|k| {
        vec![
            k.kind.clone(),
            size(k.share),
            format!("{:.1}", k.predicted_ms),
            format!("{:.1}", k.measured_ms),
            percent(k.error),
        ]
    }));
    lines
}

/// Errors of peak memory in words.
pub(super) fn memory_errors(errors: &Errors) -> String {
    format!(
        "median size of errors {}, worst {}",
        size(errors.median_absolute),
        percent(errors.worst)
    )
}

/// Every measurement, the fastest first within its network.
pub(super) fn measurements(report: &ValidationReport) -> Vec<Vec<String>> {
    let mut all: Vec<&Measured> = report.measured().collect();
    all.sort_by(|a, b| {
        let key = |m: &Measured| (m.network.clone(), m.threads, m.variant.clone());
        key(a).cmp(&key(b)).then(a.measured_ms.total_cmp(&b.measured_ms))
    });
    let head = [
        "configuration",
        "threads",
        "N",
        "special primes",
        "plaintexts",
        "predicted ms",
        "measured ms",
        "error",
        "by timing ms",
        "error",
    ];
    let timed = all.iter().any(|m| m.refined_ms.is_some());
    let head = if timed { &head[..] } else { &head[..head.len() - 2] };
    let mut lines = vec![words(head)];
    lines.extend(all.into_iter().map(|m| {
        let busy = Disturbance::warning(&m.disturbance).map_or("", |_| " (busy)");
        let mut line = vec![
            format!("{} {}", m.network, m.variant),
            m.threads.to_string(),
            format!("2^{}", m.ring_degree.ilog2()),
            m.special.to_string(),
            m.plaintexts.clone(),
            format!("{:.1}", m.predicted_ms),
            format!("{:.1}{busy}", m.measured_ms),
            percent(m.error()),
        ];
        if timed {
            line.push(m.refined_ms.map_or(String::new(), |ms| format!("{ms:.1}")));
            line.push(m.refined_ms.map_or(String::new(), |ms| percent(m.error_of(ms))));
        }
        line
    }));
    lines
}

fn words(head: &[&str]) -> Vec<String> {
    head.iter().map(|word| (*word).to_owned()).collect()
}

/// A correlation of ranks, where there is one.
fn rank(correlation: Option<f64>) -> String {
    correlation.map_or(String::new(), |r| format!("{r:.3}"))
}

/// A fraction that has no sign, as per cent.
pub(super) fn size(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}
