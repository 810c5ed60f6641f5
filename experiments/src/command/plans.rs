//! How plans are told.

use anyhow::Result;
use serde::Serialize;
use simulator::search::{LayerPrice, Marginal, Plan};

use crate::design::plan::PlansFound;
use crate::machine::memory::show_bytes;
use crate::machine::provenance::Provenance;
use crate::report::{html, table};

/// Everything that a search for plans found.
pub(super) fn text(network: &str, threads: usize, found: &PlansFound) -> String {
    let plans = &found.plans;
    let mut text = format!(
        "{network}, {threads} threads: {}\n\n{}\n\n{FRONT}\n",
        searched(found),
        expected(found)
    );
    text += &table(front(&plans.front));
    if let Some(best) = plans.front.first() {
        text += &format!("\n{NEXT}\n");
        text += &table(layers(best));
    }
    text
}

/// Titles of tables.
const FRONT: &str = "Pareto front of latency, expected accuracy and memory";
const NEXT: &str = "the fastest, and what its next patterns would cost (-: save)";

/// How much was searched.
fn searched(found: &PlansFound) -> String {
    format!(
        "the best of {:.3e} configurations (schedules not counted), {} patterns between layouts priced, {:.1} s",
        found.plans.configurations, found.plans.priced, found.seconds
    )
}

/// What is known of accuracy.
fn expected(found: &PlansFound) -> String {
    let fit = &found.accuracy;
    let start = if found.lost == 0.0 {
        String::new()
    } else {
        format!(
            "; {}, which training starts from, has lost {:.2} points of it",
            found.start, found.lost
        )
    };
    format!(
        "accuracy: {:.2} % dense{start}; expected drops are missed by {:.2} points (median) and {:.2} (worst) on networks left out; \
         --max-drop is kept by the upper end, {:.2} points above what is expected; at most {} groups",
        100.0 * found.dense_accuracy,
        fit.median_error,
        fit.worst_error,
        found.margin,
        found.max_groups
    )
}

/// A search for plans as a page; `report` is all of it, as `--json` prints it.
pub(super) fn page(
    network: &str,
    threads: usize,
    found: &PlansFound,
    best: &Plan,
    provenance: &Provenance,
    report: &impl Serialize,
) -> Result<String> {
    let plans = &found.plans.front;
    html::search(&html::SearchPage {
        network,
        threads,
        searched: searched(found),
        best: &best.evaluated,
        accuracy: (
            "its expected drop of accuracy".into(),
            format!("{:.2} points", best.expected_drop),
        ),
        found: plans
            .iter()
            .map(|plan| html::Found {
                evaluated: &plan.evaluated,
                worth: Some(plan.expected_drop),
                on_front: true,
            })
            .collect(),
        worth: "expected drop, points",
        tables: vec![(FRONT.into(), front(plans)), (NEXT.into(), layers(best))],
        notes: vec![expected(found)],
        provenance,
        report,
    })
}

fn front(plans: &[Plan]) -> Vec<Vec<String>> {
    let head =
        ["predicted ms", "expected drop", "at most", "memory", "logit bits", "N", "digits of"];
    let names = plans.first().map(|p| p.layers.iter().map(|l| l.layer.clone()));
    let head = head.map(str::to_owned).into_iter().chain(names.into_iter().flatten());
    let mut rows = vec![head.collect::<Vec<_>>()];
    for (k, plan) in plans.iter().enumerate() {
        let e = &plan.evaluated;
        let parameters = &e.configuration.parameters;
        let mut row = vec![
            format!("{:.1}", e.latency_ms),
            format!("{:.2}", plan.expected_drop),
            format!("{:.2}", plan.upper_drop),
            show_bytes(e.memory.total_bytes()),
            e.precision.map_or("unknown".into(), |p| format!("{:.1}", p.relative_bits)),
            format!("2^{}", parameters.log_n),
            parameters.alpha.to_string(),
        ];
        // Of all but the first, only what differs from it.
        let first = plans.first().filter(|_| k > 0);
        row.extend(plan.layers.iter().enumerate().map(|(at, layer)| {
            match first.and_then(|p| p.layers.get(at)) {
                Some(same) if same.choice == layer.choice => "same".into(),
                _ => layer.choice.to_string(),
            }
        }));
        rows.push(row);
    }
    rows
}

fn layers(plan: &Plan) -> Vec<Vec<String>> {
    let head =
        ["layer", "groups, units", "ms", "importance kept", "instead", "more ms", "more points"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for layer in &plan.layers {
        let own = |l: &&LayerPrice| l.layer == layer.layer;
        let ms = plan.evaluated.layers.iter().find(own).map_or(0.0, |l| l.latency_ms);
        let kept =
            format!("{:.1} % x {:.1} %", 100.0 * layer.kept.groups, 100.0 * layer.kept.units);
        let first = [layer.layer.clone(), layer.choice.to_string(), format!("{ms:.1}"), kept];
        let instead = |m: &Marginal| {
            [m.choice.to_string(), format!("{:+.2}", m.latency_ms), format!("{:+.2}", m.drop)]
        };
        if layer.next.is_empty() {
            rows.push(
                first
                    .iter()
                    .cloned()
                    .chain([String::new(), String::new(), String::new()])
                    .collect(),
            );
        }
        for (k, next) in layer.next.iter().enumerate() {
            let left = if k == 0 { first.clone() } else { Default::default() };
            rows.push(left.into_iter().chain(instead(next)).collect());
        }
    }
    rows
}
