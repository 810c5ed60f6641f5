//! Tests of [`super`].

use super::*;
use crate::runs::validate::{Drawn, KindTimes};
use crate::runs::verdict::Verdict;

/// A configuration executed with one and two threads: (predicted, measured) of each.
fn executed(network: &str, times: [(f64, f64); 2]) -> Executed {
    let measured = |(k, (predicted_ms, measured_ms)): (usize, (f64, f64))| Measured {
        network: network.into(),
        variant: "dense".into(),
        ring_degree: 8192 << k,
        special: 1,
        plaintexts: "stored".into(),
        threads: k + 1,
        predicted_ms,
        // Of one number of threads only, and with another order.
        refined_ms: (k == 0).then_some(1.1 * measured_ms),
        measured_ms,
        pace: k as f64 + 1.0,
        latencies_ms: vec![measured_ms; 3],
        kinds: [("linear", 0.75), ("add", 0.25)]
            .map(|(kind, share)| {
                let predicted_ms = if kind == "add" { 0.0 } else { predicted_ms };
                (kind.to_owned(), KindTimes { predicted_ms, measured_ms: share * measured_ms })
            })
            .into(),
        verdict: Verdict {
            class_agreement: Some(1.0),
            ties_within_noise: 0,
            logit_precision_bits: 9.0,
            logit_relative_precision_bits: 9.0,
        },
        disturbance: Disturbance { images: 3, repeated: k, ..Disturbance::default() },
    };
    Executed {
        drawn: Drawn::of_bytes(110),
        measured_memory_bytes: Some(100),
        measured: times.into_iter().enumerate().map(measured).collect(),
        failures: Vec::new(),
    }
}

#[test]
fn errors_keep_their_sign_and_the_worst_is_the_furthest_from_zero() {
    let errors = Errors::of(&[0.1, -0.3, 0.2, 0.0, -0.05]).unwrap();
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    assert_eq!(errors.count, 5);
    close(errors.median, 0.0);
    close(errors.median_absolute, 0.1);
    close(errors.ninth_decile_absolute, 0.26);
    close(errors.worst, -0.3);
    assert_eq!(Errors::of(&[]), None);
}

#[test]
fn rank_correlations_of_textbooks() {
    // Intelligence quotients and hours of television, the usual example: -29/165.
    let iq = [106.0, 100.0, 86.0, 101.0, 99.0, 103.0, 97.0, 113.0, 112.0, 110.0];
    let tv = [7.0, 27.0, 2.0, 50.0, 28.0, 29.0, 20.0, 12.0, 6.0, 17.0];
    assert!((spearman(&iq, &tv).unwrap() + 29.0 / 165.0).abs() < 1e-12);
    assert_eq!(spearman(&[1.0, 2.0, 30.0], &[2.0, 3.0, 4.0]), Some(1.0));
    assert_eq!(spearman(&[1.0, 2.0, 30.0], &[4.0, 3.0, 2.0]), Some(-1.0));
    // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3: 4.5 / sqrt(4.5 * 5).
    let tied = spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    assert!((tied - 4.5 / 22.5_f64.sqrt()).abs() < 1e-12, "{tied}");
    assert_eq!(spearman(&[1.0, 2.0], &[1.0, 2.0]), None);
    assert_eq!(spearman(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
}

#[test]
fn regret_is_that_of_the_configuration_predicted_fastest() {
    let all = [
        executed("a", [(10.0, 12.0), (6.0, 6.0)]),
        executed("a", [(11.0, 10.0), (7.0, 8.0)]),
        executed("a", [(20.0, 30.0), (8.0, 10.0)]),
        executed("b", [(5.0, 5.0), (4.0, 4.0)]),
    ];
    let summary = Summary::of(&all);
    // One configuration of `b` is no choice.
    let groups: Vec<_> =
        summary.profile.groups.iter().map(|g| (g.network.as_str(), g.threads)).collect();
    assert_eq!(groups, [("a", 1), ("a", 2)]);
    let [one, two] = &summary.profile.groups[..] else { unreachable!() };
    assert_eq!((one.chosen_ms, one.fastest_ms), (12.0, 10.0));
    assert!((one.regret - 0.2).abs() < 1e-12 && one.rank_correlation == Some(0.5));
    assert_eq!((two.regret, two.rank_correlation), (0.0, Some(1.0)));
    // Rows: all, two networks, two numbers of threads, two ring degrees, one of special primes, one form, no disturbance.
    let counts: Vec<_> =
        summary.profile.rows.iter().map(|r| (r.by, r.value.as_str(), r.errors.count)).collect();
    let expected = [
        ("all", "", 8),
        ("network", "a", 6),
        ("network", "b", 2),
        ("threads", "1", 4),
        ("threads", "2", 4),
        ("ring degree", "2^13", 4),
        ("ring degree", "2^14", 4),
        ("special primes", "1", 8),
        ("plaintexts", "stored", 8),
        ("machine", "not busy", 8),
    ];
    assert_eq!(counts, expected);
    // Predictions by times of instructions are judged beside them, over those that have one.
    let refined = summary.refined.as_ref().unwrap();
    assert_eq!((refined.rows[0].errors.count, refined.groups.len()), (4, 1));
    let [group] = &refined.groups[..] else { unreachable!() };
    assert_eq!((group.chosen_ms, group.regret), (10.0, 0.0));
    assert_eq!(group.rank_correlation, Some(1.0));
    assert!((refined.rows[0].errors.worst - 0.1).abs() < 1e-12);
    // So are predictions times how slow cores were.
    let of = |s: &LatencySummary, threads: &str| {
        s.rows.iter().find(|row| row.value == threads).unwrap().errors.median
    };
    let [plain, twice] = [&summary.profile, &summary.paced].map(|s| of(s, "2"));
    assert!(((1.0 + twice) / (1.0 + plain) - 2.0).abs() < 1e-12, "{plain} {twice}");
    assert_eq!(of(&summary.profile, "1"), of(&summary.paced, "1"));
    let [linear, add] = &summary.kinds[..] else { unreachable!() };
    assert_eq!((linear.kind.as_str(), linear.predicted_ms, linear.share), ("linear", 71.0, 0.75));
    assert!((linear.error - (71.0 / (0.75 * 85.0) - 1.0)).abs() < 1e-12);
    assert_eq!((add.kind.as_str(), add.error), ("add", -1.0));
    assert!((summary.memory.unwrap().median - 0.1).abs() < 1e-12);
    let expected = Disturbance { images: 24, repeated: 4, ..Disturbance::default() };
    assert_eq!(summary.disturbance, expected);
}
