//! Reports as text, on standard output.

use std::fmt::Write as _;

use costmodel::load::pace::DISTURBED_PACE;
use costmodel::machine::describe_threads;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Style};

use super::{BaselineReport, CandidateReport, RunReport, inference_of};
use crate::machine::memory::show_bytes;
use crate::runs::disturbance::Disturbance;

/// The report as text.
pub fn print(report: &RunReport) -> String {
    let chosen = &report.chosen;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}, {}\n", report.network, chosen.variant);
    out.push_str(&table(layers(chosen)));
    out.push('\n');
    out.push_str(&lines(&facts(report)));
    if !report.baselines.is_empty() {
        out.push('\n');
        out.push_str(&comparison(report));
    }
    for left in &report.baselines_left_out {
        let _ = writeln!(out, "baseline {} was left out: {}", left.name, left.reason);
    }
    for warning in warnings(report) {
        let _ = writeln!(out, "\n{warning}");
    }
    out
}

/// What a reader must know before any number: that the run was stopped, disturbed, or not secure.
pub(super) fn warnings(report: &RunReport) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.interrupted {
        let images = report.images;
        warnings
            .push(format!("INTERRUPTED: results are of the {images} images that were finished"));
    }
    let disturbance = report.candidates().map(|c| c.disturbance).sum::<Disturbance>();
    warnings.extend(disturbance.warning());
    if report.candidates().any(|c| !c.secure) {
        warnings.push(
            "INSECURE PARAMETERS: fewer than 128 bits of security; never use them with real data"
                .into(),
        );
    }
    warnings
}

/// A line for each layer of a candidate, and one for the whole image; the first line is the head.
pub(super) fn layers(candidate: &CandidateReport) -> Vec<Vec<String>> {
    let mut rows = vec![vec![
        "layer".to_owned(),
        "level".into(),
        "instructions".into(),
        "rotations".into(),
        "products".into(),
        "predicted ms".into(),
        "measured ms".into(),
        "error".into(),
    ]];
    for l in &candidate.layers {
        rows.push(vec![
            l.name.clone(),
            l.level.to_string(),
            l.instructions.to_string(),
            l.rotations.to_string(),
            l.products.to_string(),
            format!("{:.2}", l.predicted_ms),
            format!("{:.2}", l.measured_ms),
            percent(l.predicted_ms / l.measured_ms - 1.0),
        ]);
    }
    let sum = |f: &dyn Fn(&super::LayerReport) -> usize| {
        candidate.layers.iter().map(f).sum::<usize>().to_string()
    };
    rows.push(vec![
        match candidate.images_per_ciphertext {
            1 => "whole image".into(),
            images => format!("{images} whole images"),
        },
        String::new(),
        sum(&|l| l.instructions),
        sum(&|l| l.rotations),
        sum(&|l| l.products),
        format!("{:.2}", candidate.predicted_latency_ms),
        format!("{:.2}", candidate.measured_latency_ms),
        percent(candidate.prediction_error),
    ]);
    rows
}

/// What there is to say of the configuration in question: what it is, and how it is.
pub(super) fn facts(report: &RunReport) -> Vec<(&'static str, String)> {
    let c = &report.chosen;
    let p = &report.provenance;
    let [low, high] = c.predicted_interval_ms;
    let [first, third] = c.measured_quartiles_ms;
    let refined = match (c.refined_latency_ms, c.refined_prediction_error) {
        (Some(ms), Some(error)) => {
            format!("; {ms:.1} ms ({}) by timing its instructions", percent(error))
        }
        _ => String::new(),
    };
    let paced = match c.pace >= DISTURBED_PACE {
        true => {
            format!("; error {} on cores as slow as these were", percent(c.paced_prediction_error))
        }
        false => String::new(),
    };
    let memory = &c.peak_memory_bytes;
    let share = |v: Option<f64>| v.map_or("unknown".to_owned(), |v| format!("{:.2} %", 100.0 * v));
    let mut rows = vec![
        (
            "latency",
            format!(
                "{:.1} ms {} (quartiles {first:.1} to {third:.1}), {} threads",
                c.measured_latency_ms,
                inference_of(c.images_per_ciphertext),
                report.threads
            ),
        ),
        (
            "predicted",
            format!(
                "{:.1} ms ({low:.1} to {high:.1}), error {}{refined}{paced}",
                c.predicted_latency_ms,
                percent(c.prediction_error)
            ),
        ),
        ("images", format!("{} ({})", report.images, report.image_source)),
        ("other work", c.disturbance.describe()),
        ("same class as plain", classes(c)),
        ("accuracy here", share(c.accuracy)),
        (
            "accuracy, whole test set",
            format!("{} (unencrypted, recorded at training)", share(c.recorded_accuracy)),
        ),
        (
            "logits",
            format!(
                "{:.1} bits (predicted {:.1}), {:.1} bits relative to the largest (predicted {:.1})",
                c.verdict.logit_precision_bits,
                c.predicted_precision_bits,
                c.verdict.logit_relative_precision_bits,
                c.predicted_relative_precision_bits
            ),
        ),
        (
            "peak memory",
            format!(
                "{} predicted, {} measured",
                show_bytes(memory.predicted),
                show_bytes(memory.measured)
            ),
        ),
        (
            "keys",
            format!(
                "generated in {:.1} ms, {} (predicted {})",
                c.key_generation_ms,
                show_bytes(c.sent_bytes.evaluation_keys),
                show_bytes(c.predicted_sent_bytes.evaluation_keys)
            ),
        ),
        (
            "plaintexts",
            format!(
                "{}, encoded in {:.1} ms (predicted {:.1})",
                c.plaintexts, c.encode_ms, c.predicted_encode_ms
            ),
        ),
        (
            "client",
            format!(
                "encrypts in {:.1} ms, decrypts in {:.1} ms; sends {} (predicted {}), receives {} (predicted {})",
                c.encrypt_ms,
                c.decrypt_ms,
                show_bytes(c.sent_bytes.upload),
                show_bytes(c.predicted_sent_bytes.upload),
                show_bytes(c.sent_bytes.download),
                show_bytes(c.predicted_sent_bytes.download)
            ),
        ),
        (
            "parameters",
            format!(
                "N = {}, log2 QP = {:.1}, {}",
                c.ring_degree,
                c.log_qp,
                if c.secure { "128-bit security" } else { "INSECURE" }
            ),
        ),
        (
            "machine",
            format!(
                "{}, {} kernels, {}",
                p.cpu,
                p.isa,
                describe_threads(p.machine_threads, p.machine_threads_by, p.machine_cpus)
            ),
        ),
        ("made by", format!("revision {}, {}, seed {}", p.revision, p.date, p.seed)),
    ];
    if let Some(bytes) = report.process_resident_peak_bytes {
        rows.insert(
            9,
            (
                "whole process",
                format!("{} resident at most, baselines included", show_bytes(bytes)),
            ),
        );
    }
    if let Some(batch) = &c.batch {
        rows.insert(2, ("batch", batch.describe()));
    }
    rows
}

fn lines(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts.iter().fold(String::new(), |mut out, (name, value)| {
        let _ = writeln!(out, "{name:width$}  {value}");
        out
    })
}

fn classes(c: &CandidateReport) -> String {
    let share = match c.verdict.class_agreement {
        Some(share) => format!("{:.2} %", 100.0 * share),
        None => return "one logit, judged by its error".into(),
    };
    match c.verdict.ties_within_noise {
        0 => share,
        ties => format!("{share}; {ties} tied within noise"),
    }
}

/// Columns of a comparison that tell of programs' own times.
const TIMED: std::ops::Range<usize> = 6..8;

/// The configuration in question and its baselines, one line each.
pub fn comparison(report: &RunReport) -> String {
    notes(report).into_iter().fold(table(candidates(report)), |mut out, note| {
        let _ = writeln!(out, "{note}");
        out
    })
}

/// The same as rows, of which the first is the head.
pub(super) fn candidates(report: &RunReport) -> Vec<Vec<String>> {
    let mut rows = vec![
        [
            "",
            "variant",
            "accuracy",
            "latency ms",
            "predicted ms",
            "error",
            "by timing ms",
            "error",
            "speed-up",
            "logit bits",
            "predicted bits",
            "memory",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.push(comparison_row(&report.chosen, None));
    rows.extend(
        report
            .baselines
            .iter()
            .map(|b: &BaselineReport| comparison_row(&b.candidate, Some(b.speedup))),
    );
    if report.candidates().all(|c| c.refined_latency_ms.is_none()) {
        rows.iter_mut().for_each(|row| drop(row.drain(TIMED)));
    }
    rows
}

/// What goes below a comparison.
pub(super) fn notes(report: &RunReport) -> Vec<String> {
    let how = match report.interleaved {
        true => "image by image in turn",
        false => "one after the other, as memory does not hold them together",
    };
    let mut notes =
        vec![format!("speed-up: of the first line over that one, both run here, {how}")];
    let several = report.candidates().filter(|c| c.images_per_ciphertext > 1);
    notes.extend(
        several
            .map(|c| format!("{}: latency is {}", c.name, inference_of(c.images_per_ciphertext))),
    );
    for BaselineReport { candidate, .. } in &report.baselines {
        if let Some(shares) = &candidate.shares {
            notes.push(format!(
                "{}: of {:.1} ms predicted, {:.1} are its number of digits, {:.1} reading plaintexts, {:.1} multiplying by them",
                candidate.name,
                candidate.predicted_latency_ms,
                shares.digit_choice_ms,
                shares.plaintext_reading_ms,
                shares.plaintext_products_ms
            ));
        }
        let not_taken = candidate.not_taken.iter();
        notes.extend(not_taken.map(|left| format!("not taken: {}: {}", left.name, left.reason)));
    }
    notes
}

fn comparison_row(c: &CandidateReport, speedup: Option<f64>) -> Vec<String> {
    vec![
        c.name.clone(),
        c.variant.clone(),
        c.recorded_accuracy.map_or("unknown".into(), |a| format!("{:.2} %", 100.0 * a)),
        format!("{:.1}", c.measured_latency_ms),
        format!("{:.1}", c.predicted_latency_ms),
        percent(c.prediction_error),
        c.refined_latency_ms.map_or(String::new(), |ms| format!("{ms:.1}")),
        c.refined_prediction_error.map_or(String::new(), percent),
        speedup.map_or(String::new(), |s| format!("{s:.2}x")),
        format!("{:.1}", c.verdict.logit_precision_bits),
        format!("{:.1}", c.predicted_precision_bits),
        show_bytes(c.peak_memory_bytes.measured),
    ]
}

/// A table: first row as head, first column to the left, numbers to the right.
pub fn table(rows: Vec<Vec<String>>) -> String {
    let mut builder = Builder::default();
    rows.into_iter().for_each(|row| builder.push_record(row));
    let mut table = builder.build();
    table.with(Style::markdown());
    table.modify(Columns::new(1..), Alignment::right());
    format!("{table}\n")
}

/// A signed fraction as per cent.
pub fn percent(fraction: f64) -> String {
    format!("{:+.1} %", 100.0 * fraction)
}
