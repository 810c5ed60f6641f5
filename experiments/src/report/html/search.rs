//! The page of a search.

use anyhow::Result;
use serde::Serialize;
use simulator::search::Evaluated;

use super::bars::{Bars, Part, Span, Whole, bars, steps, waterfall};
use super::markup::Markup;
use super::points::{Spot, Titles, points};
use super::{everything, headline, key, lines, page, provenance, section, table, tiles};
use crate::machine::memory::show_bytes;
use crate::machine::provenance::Provenance;

/// A configuration that a search found.
pub struct Found<'a> {
    /// What it is, and what it takes.
    pub evaluated: &'a Evaluated,
    /// What the vertical axis of the front shows, where it is known.
    pub worth: Option<f64>,
    /// Whether none other beats it.
    pub on_front: bool,
}

/// What there is to show of a search.
pub struct SearchPage<'a, R> {
    /// Network.
    pub network: &'a str,
    /// Threads.
    pub threads: usize,
    /// How much was searched, in words.
    pub searched: String,
    /// The fastest configuration.
    pub best: &'a Evaluated,
    /// What is known of its accuracy, and that in words.
    pub accuracy: (String, String),
    /// What came out, of which the front is part.
    pub found: Vec<Found<'a>>,
    /// What the vertical axis of the front is.
    pub worth: &'a str,
    /// Tables with their titles, as they are printed.
    pub tables: Vec<(String, Vec<Vec<String>>)>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// How it was made.
    pub provenance: &'a Provenance,
    /// All of it, as `--json` prints it.
    pub report: &'a R,
}

/// The page of a search.
///
/// # Errors
/// What cannot be JSON.
pub fn search<R: Serialize>(search: &SearchPage<'_, R>) -> Result<String> {
    let best = search.best;
    let title = format!("{}: search for the fastest configuration", search.network);
    let below = format!("{} threads, {}", search.threads, search.searched);
    let bits = best.precision.map_or("unknown".into(), |p| format!("{:.1} bits", p.relative_bits));
    let numbers = [
        ("fastest, predicted".to_owned(), format!("{:.1} ms", best.latency_ms)),
        ("its variant".into(), best.configuration.variant.clone()),
        search.accuracy.clone(),
        ("its memory".into(), show_bytes(best.memory.total_bytes())),
        ("precision of its logits, relative".into(), bits),
        ("its ring degree".into(), format!("2^{}", best.configuration.parameters.log_n)),
    ];
    let mut sections = vec![headline(&title, &below, &[]), tiles(&numbers)];
    let others = search.found.iter().any(|found| !found.on_front);
    let colours = [("s0", "on the front"), ("other", "best of its variant, not on the front")];
    let front = [
        key(colours.into_iter().take(1 + usize::from(others))),
        spots(search, search.worth, |f| f.worth),
        spots(search, "memory, MB", |f| Some(f.evaluated.memory.total_bytes() as f64 / 1e6)),
    ];
    sections.push(section("Pareto front", front));
    sections.extend(search.tables.iter().map(|(title, rows)| section(title, [table::table(rows)])));
    sections.push(section("The fastest by layer", by_layer(best)));
    sections.push(section("Where its memory goes", memory(best)));
    sections.push(section("Notes", [lines(&search.notes)]));
    sections.push(provenance(search.provenance));
    sections.push(everything(search.report)?);
    Ok(page(&title, sections))
}

/// Latency and something else of all that was found.
fn spots<R>(
    search: &SearchPage<'_, R>,
    title: &str,
    value: impl Fn(&Found<'_>) -> Option<f64>,
) -> Markup {
    let spot = |found: &Found<'_>| {
        let (Evaluated { latency_ms, configuration, .. }, y) = (found.evaluated, value(found)?);
        let (variant, log_n) = (&configuration.variant, configuration.parameters.log_n);
        Some(Spot {
            x: *latency_ms,
            y,
            class: if found.on_front { "s0" } else { "other" }.into(),
            told: format!("{variant}, N = 2^{log_n}: {latency_ms:.1} ms, {title}: {y:.2}"),
        })
    };
    let what = format!("predicted latency and {title}");
    let titles = Titles { what: &what, x: "predicted latency, ms", y: title };
    points(&titles, &search.found.iter().filter_map(spot).collect::<Vec<_>>(), None)
}

fn by_layer(best: &Evaluated) -> [Markup; 2] {
    let ms = |ms: f64| format!("{ms:.2}");
    let rows: Vec<Bars> = best
        .layers
        .iter()
        .map(|l| {
            let (length, shown) = (l.latency_ms, ms(l.latency_ms));
            let span = Span { from: 0.0, length, class: "predicted", shown };
            Bars { name: l.layer.clone(), spans: vec![span] }
        })
        .collect();
    let mut lines = vec![["layer", "predicted ms"].map(str::to_owned).to_vec()];
    lines.extend(best.layers.iter().map(|l| vec![l.layer.clone(), ms(l.latency_ms)]));
    lines.push(vec!["whole image".into(), ms(best.latency_ms)]);
    [bars("predicted milliseconds by layer", &rows), table::table(&lines)]
}

fn memory(best: &Evaluated) -> [Markup; 2] {
    let bytes = |name: &str, bytes: u64| -> Part { (name.into(), bytes as f64, show_bytes(bytes)) };
    let memory = &best.memory;
    let parts = [
        bytes("evaluation keys", memory.keys_bytes),
        bytes("plaintexts, stored", memory.plaintexts_bytes),
        bytes("ciphertexts", memory.ciphertexts_bytes),
        bytes("scratch", memory.scratch_bytes),
    ];
    let wholes = [
        Whole::new("predicted", bytes("predicted peak", memory.total_bytes())),
        Whole::new(
            "other",
            bytes("with plaintexts on demand", best.memory_on_demand.total_bytes()),
        ),
    ];
    [
        waterfall("where memory goes, bytes", &parts, &wholes),
        steps(["part", "memory"], &parts, &wholes),
    ]
}
