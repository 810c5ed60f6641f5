//! The page of a validation.

use anyhow::Result;

use super::bars::{Bars, Span, bars};
use super::markup::Markup;
use super::points::{Spot, Titles, points};
use super::{everything, headline, key, lines, page, provenance, section, table, tiles};
use crate::report::ValidationReport;
use crate::report::scatter::{BAND, networks};
use crate::report::text::percent;
use crate::report::validation as rows;
use crate::runs::validate::{LatencySummary, Measured, Summary};

/// Colours of networks, in turn: classes of the style sheet.
const COLOURS: [&str; 7] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6"];

/// The page of a validation.
///
/// # Errors
/// What cannot be JSON.
pub fn validation(report: &ValidationReport) -> Result<String> {
    let Summary { memory, disturbance, .. } = &report.summary;
    let title = "Predictions beside measurements of whole runs";
    let threads = report.threads.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let below = format!(
        "{} configurations of {} asked for, {} images of each (again where they take less than {} s), {threads} threads; errors are predicted over measured, less one",
        report.configurations.len(),
        report.asked,
        report.images,
        report.least_seconds
    );
    let failures = report.failures();
    let failed = failures.iter().map(|failure| format!("FAILED: {failure}"));
    let warnings: Vec<String> = failed.chain(report.warnings()).collect();
    let mut sections = vec![headline(title, &below, &warnings), tiles(&numbers(report))];
    sections.push(section("Predicted against measured", against(report)));
    sections.push(section("By kind of instruction", by_kind(report)));
    for (what, summary) in report.predictions() {
        sections.push(section(&format!("Errors of {what}"), errors(what, summary)));
    }
    let mut notes = vec![format!("other work: {}", disturbance.describe())];
    notes.extend(memory.as_ref().map(|m| format!("peak memory: {}", rows::memory_errors(m))));
    let left_out = report.left_out.iter();
    notes.extend(left_out.map(|l| format!("{} was left out: {}", l.name, l.reason)));
    sections.push(section("Notes", [lines(&notes)]));
    sections.push(provenance(&report.provenance));
    sections.push(everything(report)?);
    Ok(page(title, sections))
}

fn numbers(report: &ValidationReport) -> Vec<(String, String)> {
    let mut tiles = Vec::new();
    if let Some(all) = report.summary.profile.rows.first() {
        tiles.extend([
            ("measured".into(), all.errors.count.to_string()),
            ("median error".into(), percent(all.errors.median)),
            ("median size of errors".into(), rows::size(all.errors.median_absolute)),
            ("ninth decile".into(), rows::size(all.errors.ninth_decile_absolute)),
            ("worst error".into(), percent(all.errors.worst)),
        ]);
        tiles.extend(
            all.rank_correlation.map(|r| ("rank correlation".to_owned(), format!("{r:.3}"))),
        );
    }
    let memory = report.summary.memory.as_ref();
    tiles.extend(memory.map(|m| ("peak memory, worst error".to_owned(), percent(m.worst))));
    tiles
}

fn against(report: &ValidationReport) -> [Markup; 3] {
    let networks = networks(report);
    let colours = || networks.iter().copied().zip(COLOURS.into_iter().cycle());
    let spot = |m: &Measured| Spot {
        x: m.measured_ms,
        y: m.predicted_ms,
        class: colours().find(|(n, _)| *n == m.network).map_or("other", |(_, c)| c).into(),
        told: format!(
            "{} {}, {} threads: {:.1} ms predicted, {:.1} measured, {}",
            m.network,
            m.variant,
            m.threads,
            m.predicted_ms,
            m.measured_ms,
            percent(m.error())
        ),
    };
    let spots: Vec<Spot> = report.measured().map(spot).collect();
    let titles = Titles {
        what: "predicted against measured latency",
        x: "measured, ms",
        y: "predicted, ms",
    };
    let within = format!("within {:.0} %", 100.0 * BAND);
    let named = colours().map(|(network, class)| (class, network));
    [
        key(named.chain([("other", within.as_str())])),
        points(&titles, &spots, Some(BAND)),
        table::table(&rows::measurements(report)),
    ]
}

fn by_kind(report: &ValidationReport) -> [Markup; 3] {
    let kinds = &report.summary.kinds;
    let rows: Vec<Bars> = kinds
        .iter()
        .map(|k| {
            let bar =
                |class, length| Span { from: 0.0, length, class, shown: format!("{length:.1}") };
            let spans = vec![bar("predicted", k.predicted_ms), bar("measured", k.measured_ms)];
            Bars { name: k.kind.clone(), spans }
        })
        .collect();
    [
        key([("predicted", "predicted, ms"), ("measured", "measured, ms")]),
        bars("milliseconds by kind of instruction, over all measurements", &rows),
        table::table(&rows::by_kind(kinds)),
    ]
}

fn errors(what: &str, summary: &LatencySummary) -> [Markup; 2] {
    let LatencySummary { rows: errors, groups } = summary;
    [table::table(&rows::errors(what, errors)), table::table(&rows::choices(groups))]
}
