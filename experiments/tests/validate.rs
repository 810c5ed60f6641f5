//! `validate` on the tiny network: configurations are drawn, executed and judged.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::fs;

use common::{Tiny, stderr, stdout};
use serde_json::Value;

fn validate(tiny: &Tiny, more: &[&str]) -> assert_cmd::Command {
    let mut command = tiny.spencnn();
    command.args(["validate", "--configurations", "3", "--images", "2", "--threads", "1,2"]);
    command.args(["--least-seconds", "0", "--log-n", "13,14", "--network"]).arg(tiny.network());
    command.arg("--profile").arg(tiny.path("profile.toml")).args(more);
    command
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).unwrap().as_f64().unwrap()
}

#[test]
fn predictions_are_judged_on_drawn_configurations() {
    let tiny = Tiny::new();
    let [journal, plot, out] = ["journal.jsonl", "scatter.svg", "out.json"].map(|n| tiny.path(n));
    let run = |more: &[&str]| {
        let mut command = validate(&tiny, more);
        command.arg("--journal").arg(&journal).arg("--plot").arg(&plot).arg("--out").arg(&out);
        stdout(command.assert().success())
    };
    let report: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    let configurations = report["configurations"].as_array().unwrap();
    assert_eq!(configurations.len(), 3);
    let of = |pointer: &str| {
        let mut all: Vec<String> = configurations
            .iter()
            .map(|c| c.pointer(&format!("/drawn/{pointer}")).unwrap().to_string())
            .collect();
        all.sort();
        all.dedup();
        all.len()
    };
    assert_eq!((of("configuration"), of("configuration/parameters/log_n")), (3, 2));
    assert_eq!(of("plaintexts"), 2);
    for c in configurations {
        let measured = c["measured"].as_array().unwrap();
        let threads: Vec<u64> = measured.iter().map(|m| m["threads"].as_u64().unwrap()).collect();
        assert_eq!(threads, [1, 2]);
        for m in measured {
            // The first image does not count.
            assert_eq!(m["latencies_ms"].as_array().unwrap().len(), 1);
            assert_eq!(number(m, "/verdict/class_agreement"), 1.0);
            let kinds = m["kinds"].as_object().unwrap().values();
            let predicted: f64 = kinds.map(|k| number(k, "/predicted_ms")).sum();
            assert!((predicted / number(m, "/predicted_ms") - 1.0).abs() < 1e-9);
        }
        let [predicted, measured] =
            [number(c, "/drawn/memory_bytes"), number(c, "/measured_memory_bytes")];
        // Scratch of threads is much of it on so small a network.
        assert!((predicted / measured - 1.0).abs() < 0.25, "{predicted} {measured}");
    }
    assert_eq!(report["rows"][0]["by"], "all");
    assert_eq!(number(&report, "/rows/0/errors/count"), 6.0);
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    for group in groups {
        assert!(number(group, "/regret") >= 0.0 && number(group, "/rank_correlation").abs() <= 1.0);
    }
    assert_eq!(report["kinds"][0]["kind"], "linear");
    assert!(report["refined"].is_null());
    assert_eq!(number(&report, "/disturbance/images"), 6.0);
    assert!(report["provenance"]["revision"].is_string() && report["interrupted"] == false);
    let written: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(written, report);
    let svg = fs::read_to_string(&plot).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("within 5 %") && svg.contains("tiny"));
    // A line for what was drawn, and one for each configuration; a second run measures nothing.
    let lines = fs::read_to_string(&journal).unwrap();
    assert_eq!(lines.lines().count(), 4);
    let again: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!(fs::read_to_string(&journal).unwrap(), lines);
    for field in ["configurations", "rows", "groups", "kinds"] {
        assert_eq!(again[field], report[field], "{field}");
    }
    // One that was killed goes on, with the same configurations.
    let kept: Vec<&str> = lines.lines().take(2).collect();
    fs::write(&journal, kept.join("\n") + "\n{\"key\":\"torn").unwrap();
    let text = run(&[]);
    for word in ["order and choice", "linear", "rank correlation", "peak memory", "other work"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let resumed: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(resumed["configurations"].as_array().unwrap().len(), 3);
    let known: Value = serde_json::from_str(kept[1]).unwrap();
    let all = resumed["configurations"].as_array().unwrap();
    assert_eq!(all.iter().filter(|c| **c == known["executed"]).count(), 1);
    // Another seed draws others, and leaves what the journal has.
    let other: Value = serde_json::from_str(&run(&["--json", "--seed", "2"])).unwrap();
    assert_ne!(other["configurations"], report["configurations"]);
}

#[test]
fn short_ones_are_run_again() {
    let tiny = Tiny::new();
    let mut command = tiny.spencnn();
    command.args(["validate", "--configurations", "2", "--images", "2", "--threads", "1,2"]);
    command.args(["--log-n", "13", "--json", "--network"]).arg(tiny.network());
    command.arg("--profile").arg(tiny.path("profile.toml"));
    let report = stdout(command.args(["--least-seconds", "0.1"]).assert().success());
    let report: Value = serde_json::from_str(&report).unwrap();
    let all = report["configurations"].as_array().unwrap().iter();
    let all: Vec<&Value> = all.flat_map(|c| c["measured"].as_array().unwrap()).collect();
    assert_eq!(all.len(), 4);
    for m in all {
        // Sixteen times each image at most.
        let runs = (100.0 / number(m, "/predicted_ms")).ceil().clamp(2.0, 32.0);
        // The first does not count, nor do disturbed ones where there are others.
        assert_eq!(number(m, "/disturbance/images"), runs - 1.0);
        let counted = m["latencies_ms"].as_array().unwrap().len() as f64;
        assert!(counted >= 1.0 && number(m, "/pace") >= 1.0);
        let disturbed = number(m, "/disturbance/disturbed");
        assert!(counted == runs - 1.0 - disturbed || disturbed == runs - 1.0, "{m}");
        assert_eq!(number(m, "/verdict/class_agreement"), 1.0);
    }
}

#[test]
fn the_fastest_are_what_a_search_finds() {
    let tiny = Tiny::new();
    let report = stdout(validate(&tiny, &["--fastest", "--json"]).assert().success());
    let report: Value = serde_json::from_str(&report).unwrap();
    let configurations = report["configurations"].as_array().unwrap();
    // The search is for all threads, and the fastest is the first.
    let predicted: Vec<f64> =
        configurations.iter().map(|c| number(c, "/measured/1/predicted_ms")).collect();
    // Sums of tens of positive terms in another order differ by less than a hundred roundings of 1.1e-16 each.
    let rounding = 1.1e-14;
    let sorted = predicted.windows(2).all(|pair| pair[0] <= pair[1] * (1.0 + rounding));
    assert!(predicted.len() == 3 && sorted, "{predicted:?}");
    let mut search = tiny.spencnn();
    search.args(["search", "--quick", "--no-refine", "--threads", "2", "--log-n", "13", "--json"]);
    search.args(["--min-precision", "4", "--network"]).arg(tiny.network());
    let found = stdout(search.arg("--profile").arg(tiny.path("profile.toml")).assert().success());
    let found: Value = serde_json::from_str(&found).unwrap();
    let fastest = number(&found, "/best/0/latency_ms");
    assert!((fastest / predicted[0] - 1.0).abs() < rounding, "{fastest} {predicted:?}");
    // No journal of draws is taken for one of these.
    let journal = tiny.path("journal.jsonl");
    let run = |more: &[&str]| {
        validate(&tiny, more).arg("--journal").arg(&journal).assert().success();
        fs::read_to_string(&journal).unwrap().lines().count()
    };
    assert_eq!([run(&[]), run(&["--fastest"])], [4, 8]);
}

#[test]
fn wrong_results_are_failures_and_do_not_count() {
    let tiny = Tiny::new();
    // Nothing is predicted to be so precise, and nothing is drawn.
    let text = stderr(validate(&tiny, &["--min-precision", "60"]).assert().code(2));
    assert!(
        text.contains("nothing can be drawn") && text.contains("tiny: no configuration"),
        "{text}"
    );
    // Drawn for another precision, configurations are not as precise as is asked for; and one needs too much memory.
    let journal = tiny.path("journal.jsonl");
    let run = |more: &[&str]| {
        let mut command = validate(&tiny, more);
        command.args(["--json", "--journal"]).arg(&journal);
        command
    };
    run(&[]).assert().success();
    let lines = fs::read_to_string(&journal).unwrap();
    let drawn = lines.lines().next().unwrap();
    assert!(drawn.contains(" None 4 None\""), "{drawn}");
    let (before, after) = drawn.rsplit_once("\"memory_bytes\":").unwrap();
    assert!(after.ends_with("}]}}"), "{after}");
    let too_large = format!("{before}\"memory_bytes\":1000000000000000}}]}}}}\n");
    fs::write(&journal, too_large.replace(" None 4 None\"", " None 60 None\"")).unwrap();
    let assert = run(&["--min-precision", "60"]).assert().code(1);
    let report: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    let text = stderr(assert);
    assert!(text.contains("check failed: ") && text.contains("expected at least 60"), "{text}");
    assert!(text.contains("over the limit of") && text.contains("--memory-limit"), "{text}");
    let failures = report["configurations"].as_array().unwrap().iter();
    let counts: Vec<usize> = failures.map(|c| c["failures"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [2, 2, 1]);
    assert!(report["rows"].as_array().unwrap().is_empty());
}

#[test]
fn too_little_memory_and_unknown_variants_are_told() {
    let tiny = Tiny::new();
    let check = |more: &[&str], words: &[&str]| {
        let text = stderr(validate(&tiny, more).assert().code(2));
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    };
    check(&["--memory-limit", "100B"], &["nothing can be drawn", "over the limit of 100 B"]);
    check(&["--variant", "nonesuch"], &["nothing can be drawn", "no variant nonesuch"]);
    let network = tiny.network();
    check(&["--network", network.to_str().unwrap()], &["two networks are called \"tiny\""]);
}
