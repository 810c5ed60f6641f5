//! The page of a run and of a comparison.

use anyhow::Result;

use super::bars::{Bars, Span, Whole, bars, steps, waterfall};
use super::images::{confusion, worst};
use super::markup::{Markup, tag};
use super::{everything, headline, key, lines, page, provenance, section, table, tiles};
use crate::inputs::images::Pictures;
use crate::machine::memory::show_bytes;
use crate::report::text::{self, percent};
use crate::report::{CandidateReport, RunReport, inference_of};

/// The page of a run on these images; `failures` are what is wrong with its results.
///
/// # Errors
/// What cannot be JSON, or no image.
pub fn run(report: &RunReport, pictures: &Pictures, failures: &[String]) -> Result<String> {
    let chosen = &report.chosen;
    let title = format!("{}, {}: encrypted inference", report.network, chosen.variant);
    let below = format!("{} images: {}", report.images, report.image_source);
    let failed = failures.iter().map(|failure| format!("FAILED: {failure}"));
    let warnings: Vec<String> = failed.chain(text::warnings(report)).collect();
    let mut sections = vec![headline(&title, &below, &warnings), tiles(&numbers(report))];
    let facts = text::facts(report);
    let facts = table::facts(facts.iter().map(|(name, value)| (*name, value.as_str())));
    sections.push(section("Summary", [facts]));
    sections.push(compared(report));
    for candidate in report.candidates() {
        let title =
            format!("{}, {}: predicted and measured by layer", candidate.name, candidate.variant);
        sections.push(section(&title, by_layer(candidate)));
    }
    sections.push(section("Where time goes", time(chosen)));
    sections.push(section("Where memory goes", memory(chosen)));
    sections.push(section("Accuracy of the images run", accuracy(chosen)));
    sections.push(section("Worst images", [worst(&chosen.per_image, pictures)?]));
    sections.push(provenance(&report.provenance));
    sections.push(everything(report)?);
    Ok(page(&title, sections))
}

fn numbers(report: &RunReport) -> Vec<(String, String)> {
    let c = &report.chosen;
    let share = |v: Option<f64>| v.map_or("unknown".to_owned(), |v| format!("{:.1} %", 100.0 * v));
    let mut tiles = vec![
        (
            format!(
                "{}, median, {} threads",
                inference_of(c.images_per_ciphertext),
                report.threads
            ),
            format!("{:.1} ms", c.measured_latency_ms),
        ),
        (
            format!("predicted, error {}", percent(c.prediction_error)),
            format!("{:.1} ms", c.predicted_latency_ms),
        ),
    ];
    tiles.extend(c.batch.iter().map(|batch| {
        let told = format!("images a second, predicted {:.1}", batch.predicted_images_per_second);
        (told, format!("{:.1}", batch.measured_images_per_second))
    }));
    tiles.extend(
        report
            .baselines
            .iter()
            .map(|b| (format!("over {}", b.candidate.name), format!("{:.2}x", b.speedup))),
    );
    tiles.extend([
        ("same class as unencrypted".into(), share(c.verdict.class_agreement)),
        ("accuracy here".into(), share(c.accuracy)),
        (
            "precision of logits, relative".into(),
            format!("{:.1} bits", c.verdict.logit_relative_precision_bits),
        ),
        ("peak memory".into(), show_bytes(c.peak_memory_bytes.measured)),
        ("sent for an inference".into(), show_bytes(c.sent_bytes.upload)),
    ]);
    tiles
}

fn compared(report: &RunReport) -> Markup {
    let left_out = report.baselines_left_out.iter();
    let left_out = left_out.map(|l| format!("baseline {} was left out: {}", l.name, l.reason));
    let left_out = lines(&left_out.collect::<Vec<_>>());
    if report.baselines.is_empty() {
        return section("Beside baselines", [left_out]);
    }
    let rows: Vec<Bars> = report
        .candidates()
        .map(|c| Bars {
            name: c.name.clone(),
            spans: pair(c.predicted_latency_ms, c.measured_latency_ms, 1),
        })
        .collect();
    section(
        "Beside baselines",
        [
            colours(),
            bars("latency of each candidate, milliseconds", &rows),
            table::table(&text::candidates(report)),
            lines(&text::notes(report)),
            left_out,
        ],
    )
}

fn colours() -> Markup {
    key([("predicted", "predicted, ms"), ("measured", "measured, ms")])
}

/// A bar of predicted and one of measured milliseconds.
fn pair(predicted_ms: f64, measured_ms: f64, decimals: usize) -> Vec<Span> {
    let bar =
        |class, length| Span { from: 0.0, length, class, shown: format!("{length:.decimals$}") };
    vec![bar("predicted", predicted_ms), bar("measured", measured_ms)]
}

fn by_layer(candidate: &CandidateReport) -> [Markup; 3] {
    let layers = candidate.layers.iter();
    let rows: Vec<Bars> = layers
        .map(|l| Bars { name: l.name.clone(), spans: pair(l.predicted_ms, l.measured_ms, 2) })
        .collect();
    let what = format!("{}: milliseconds by layer", candidate.name);
    [colours(), bars(&what, &rows), table::table(&text::layers(candidate))]
}

fn time(c: &CandidateReport) -> [Markup; 6] {
    let ms = |name: &str, ms: f64| (name.to_owned(), ms, format!("{ms:.2} ms"));
    let mut image = vec![ms("client encrypts", c.encrypt_ms)];
    image.extend(c.layers.iter().map(|l| ms(&l.name, l.measured_ms)));
    let mut once = vec![ms("lowering", c.lower_ms), ms("keys", c.key_generation_ms)];
    let encoding = ms("encoding plaintexts", c.encode_ms);
    match c.plaintexts {
        "stored" => once.push(encoding),
        _ => image.push(encoding),
    }
    image.push(ms("client decrypts", c.decrypt_ms));
    // The inference begins when the client has encrypted.
    let (from, part) = (c.encrypt_ms, ms("latency", c.measured_latency_ms));
    let whole = [Whole { class: "measured", from, part }];
    let told = "Of an image: medians of each part, which need not add up to the median of the whole. Latency is that of the \
                encrypted inference, without the client and without encoding.";
    [
        tag("p", &[], told),
        waterfall("where the time of an image goes, milliseconds", &image, &whole),
        steps(["of an image", "time"], &image, &whole),
        tag("h3", &[], "Before the first image, once"),
        waterfall("where the time before the first image goes, milliseconds", &once, &[]),
        steps(["once", "time"], &once, &[]),
    ]
}

fn memory(c: &CandidateReport) -> [Markup; 3] {
    let bytes = |name: &str, bytes: u64| (name.to_owned(), bytes as f64, show_bytes(bytes));
    let memory = &c.peak_memory_bytes;
    let parts = [
        bytes("evaluation keys", memory.predicted_parts.keys_bytes),
        bytes("plaintexts", memory.predicted_parts.plaintexts_bytes),
        bytes("ciphertexts", memory.predicted_parts.ciphertexts_bytes),
        bytes("scratch", memory.predicted_parts.scratch_bytes),
    ];
    let wholes = [
        Whole::new("predicted", bytes("predicted peak", memory.predicted)),
        Whole::new("measured", bytes("measured peak", memory.measured)),
        Whole::new(
            "measured",
            bytes("of it keys, plaintexts", memory.measured_keys_and_plaintexts),
        ),
    ];
    let told = format!("Parts are as predicted; plaintexts are {}.", c.plaintexts);
    [
        tag("p", &[], told),
        waterfall("where memory goes, bytes", &parts, &wholes),
        steps(["part", "memory"], &parts, &wholes),
    ]
}

fn accuracy(c: &CandidateReport) -> [Markup; 2] {
    let share = |v: Option<f64>| v.map_or("unknown".to_owned(), |v| format!("{:.2} %", 100.0 * v));
    let told = format!(
        "{} here; {} on the whole test set, unencrypted, recorded at training.",
        share(c.accuracy),
        share(c.recorded_accuracy)
    );
    [tag("p", &[], told), confusion(&c.per_image)]
}
