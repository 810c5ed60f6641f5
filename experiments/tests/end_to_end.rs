//! A whole run on a tiny network: really encrypted, on a small insecure ring.

mod common;

use common::{Tiny, stderr, stdout};
use serde_json::Value;

#[test]
fn run_prints_one_object_with_every_field() {
    let tiny = Tiny::new();
    let output = stdout(tiny.run().args(["--allow-insecure", "--json"]).assert().success());
    let report: Value = serde_json::from_str(&output).unwrap();
    for field in [
        "network",
        "configuration",
        "threads",
        "images",
        "measured_latency_ms",
        "predicted_latency_ms",
        "prediction_error",
        "baselines",
        "disturbance",
        "class_agreement",
        "accuracy",
        "logit_precision_bits",
        "peak_memory_bytes",
        "layers",
        "log_qp",
        "ring_degree",
        "provenance",
    ] {
        assert!(report.get(field).is_some(), "no {field}");
    }
    let number = |path: &str| report.pointer(path).unwrap().as_f64().unwrap();
    assert_eq!(number("/images"), 3.0);
    assert_eq!(number("/class_agreement"), 1.0);
    // However busy the machine is, no more are repeated than were asked for.
    assert_eq!(number("/disturbance/images"), 3.0);
    assert!(number("/disturbance/repeated") <= 3.0 && number("/disturbance/disturbed") <= 3.0);
    assert!(report["accuracy"].is_null(), "random pixels have no labels");
    assert!(number("/logit_precision_bits") > 10.0);
    for kind in ["", "relative_"] {
        let measured = number(&format!("/logit_{kind}precision_bits"));
        let predicted = number(&format!("/predicted_{kind}precision_bits"));
        // The largest of a few errors, and a simulation of it: each is uncertain by half a bit.
        assert!((measured - predicted).abs() < 2.5, "{kind}: {measured} {predicted}");
    }
    assert_eq!(number("/ring_degree"), 2048.0);
    assert_eq!(report["secure"], Value::Bool(false));
    let error = number("/predicted_latency_ms") / number("/measured_latency_ms") - 1.0;
    assert!((number("/prediction_error") - error).abs() < 1e-9);
    let layers = report["layers"].as_array().unwrap();
    let names: Vec<&str> = layers.iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names.first(), Some(&"conv1"));
    assert_eq!(names.last(), Some(&"fc1"));
    let levels: Vec<u64> = layers.iter().map(|l| l["level"].as_u64().unwrap()).collect();
    assert!(levels.is_sorted_by(|a, b| a >= b), "{levels:?}");
    let predicted: f64 = layers.iter().map(|l| l["predicted_ms"].as_f64().unwrap()).sum();
    assert!((predicted - number("/predicted_latency_ms")).abs() < 1e-9 * predicted);
    for field in [
        "revision",
        "cpu",
        "isa",
        "machine_threads_by",
        "machine_cpus",
        "profile",
        "seed",
        "date",
        "command",
    ] {
        assert!(report["provenance"].get(field).is_some(), "no provenance.{field}");
    }
}

/// Five images of which two share a ciphertext are three inferences, two at a time: two rounds, the second of one.
#[test]
fn several_images_share_ciphertexts_and_run_at_once() {
    let run = |tiny: &Tiny, more: &[&str]| -> Value {
        let all = ["--allow-insecure", "--json", "--threads", "2"];
        let mut command = tiny.run_with(&all);
        serde_json::from_str(&stdout(command.args(more).assert().success())).unwrap()
    };
    let (alone, shared) = (Tiny::new(), Tiny::of_two_images());
    let alone = run(&alone, &[]);
    assert!(alone.get("batch").is_none());
    for form in ["stored", "on-demand"] {
        let report = run(&shared, &["--batch", "5", "--plaintexts", form]);
        assert_eq!(report["images_per_ciphertext"], 2);
        assert_eq!(report["configuration"]["images"], 2);
        assert_eq!(report["class_agreement"], 1.0);
        // Three images in two inferences.
        let images = report["per_image"].as_array().unwrap();
        assert_eq!(images.len(), 3);
        let sent = |report: &Value| report["sent_bytes"]["upload"].as_u64().unwrap();
        assert_eq!(sent(&report), sent(&alone), "two images take the bytes of one");
        assert_eq!(report["sent_bytes"], report["predicted_sent_bytes"]);
        let batch = &report["batch"];
        let number = |field: &str| batch[field].as_f64().unwrap();
        let counts =
            ["images", "inferences", "at_once"].map(|field| batch[field].as_u64().unwrap());
        assert_eq!(counts, [5, 3, 2]);
        assert_eq!(batch["verdict"]["class_agreement"], 1.0);
        for kind in ["measured", "predicted"] {
            let rate = 5e3 / number(&format!("{kind}_total_ms"));
            assert!((rate / number(&format!("{kind}_images_per_second")) - 1.0).abs() < 1e-9);
        }
        // Of the second round's inference, the memory's bandwidth is its own: it takes no longer than one of two.
        let (each, total) = (number("predicted_inference_ms"), number("predicted_total_ms"));
        assert!(each < total && total <= 2.0 * each * (1.0 + 1e-9), "{each} {total}");
        let [low, high] = [0, 1].map(|k| batch["predicted_total_interval_ms"][k].as_f64().unwrap());
        assert!(low < total && total < high);
    }
    let mut command = shared.run_with(&["--allow-insecure", "--threads", "1"]);
    let text = stdout(command.args(["--batch", "2"]).assert().success());
    assert!(text.contains("for 2 images together") && text.contains("images a second"), "{text}");
    assert!(text.contains("2 images in 1 inferences") && text.contains("2 whole images"), "{text}");
}

/// Memory of both forms of plaintexts is within 10 % of what was predicted, on demand takes less, and is what happens
/// when the limit has no room for the other.
#[test]
fn memory_is_as_predicted_in_both_forms() {
    let tiny = Tiny::new();
    let run = |arguments: &[&str]| -> Value {
        let mut command = tiny.run();
        command.args(["--allow-insecure", "--json"]).args(arguments);
        serde_json::from_str(&stdout(command.assert().success())).unwrap()
    };
    let number = |report: &Value, path: &str| report.pointer(path).unwrap().as_f64().unwrap();
    let predicted = |report: &Value| number(report, "/peak_memory_bytes/predicted");
    let measured = |report: &Value| number(report, "/peak_memory_bytes/measured");
    let [stored, on_demand] = ["stored", "on-demand"].map(|form| {
        let report = run(&["--plaintexts", form]);
        assert_eq!(report["plaintexts"], form);
        let error = predicted(&report) / measured(&report) - 1.0;
        let memory = &report["peak_memory_bytes"];
        // A plaintext is a two hundredth of all here, and on demand room for two dozen lies idle, in places too small for what comes
        // next. In a network to use they are small beside all: see `plaintext_memory.rs`.
        assert!(error.abs() < 0.15, "{form}: {:.1} % off: {memory}", 100.0 * error);
        assert_eq!(number(&report, "/class_agreement"), 1.0);
        assert!(number(&report, "/encode_ms") > 0.0);
        report
    });
    assert!(measured(&on_demand) < measured(&stored));
    let limit = ((predicted(&stored) + predicted(&on_demand)) / 2.0).round().to_string();
    assert_eq!(run(&["--memory-limit", &limit])["plaintexts"], "on-demand");
    assert_eq!(run(&[])["plaintexts"], "stored");
    let mut command = tiny.run();
    command.args(["--allow-insecure", "--plaintexts", "stored", "--memory-limit", &limit]);
    assert!(stderr(command.assert().code(2)).contains("--plaintexts auto"));
}

#[test]
fn run_as_text_with_a_plot() {
    let tiny = Tiny::new();
    let plot = tiny.path("layers.svg");
    let text =
        stdout(tiny.run().arg("--allow-insecure").arg("--plot").arg(&plot).assert().success());
    for word in
        ["conv1", "fc1", "whole image", "predicted", "INSECURE", "peak memory", "other work"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    let svg = std::fs::read_to_string(plot).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && svg.contains("fc1"));
}

#[test]
fn insecure_parameters_are_refused_unless_asked_for() {
    let tiny = Tiny::new();
    let text = stderr(tiny.run().assert().code(2));
    assert!(text.contains("secur"), "{text}");
}

#[test]
fn too_little_precision_ends_with_1() {
    let tiny = Tiny::new();
    let assert =
        tiny.run().args(["--allow-insecure", "--json", "--min-precision", "60"]).assert().code(1);
    // The result is printed all the same.
    let report: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(report["images"], 3);
    assert!(stderr(assert).contains("expected at least 60"));
}

#[test]
fn too_little_memory_is_refused_before_anything_is_allocated() {
    let tiny = Tiny::new();
    let text =
        stderr(tiny.run().args(["--allow-insecure", "--memory-limit", "100kB"]).assert().code(2));
    assert!(text.contains("over the limit of 100.0 kB"), "{text}");
}

#[test]
fn missing_weights_are_named() {
    let tiny = Tiny::new();
    std::fs::remove_file(tiny.path("tiny.safetensors")).unwrap();
    let text = stderr(tiny.run().arg("--allow-insecure").assert().code(2));
    assert!(text.contains("tiny.safetensors"), "{text}");
}

/// A configuration found by the search runs, beside HEAR's sequence, with secure parameters.
#[test]
fn search_then_run_with_a_baseline() {
    let tiny = Tiny::new();
    let (best, journal) = (tiny.path("best.toml"), tiny.path("journal.jsonl"));
    let search = || -> Value {
        let mut command = tiny.spencnn();
        command.args(["search", "--threads", "1", "--space", "paper", "--log-n", "13", "--json"]);
        command
            .arg("--no-refine")
            .arg("--network")
            .arg(tiny.network())
            .arg("--profile")
            .arg(tiny.path("profile.toml"));
        command.arg("--out").arg(&best).arg("--journal").arg(&journal);
        serde_json::from_str(&stdout(command.assert().success())).unwrap()
    };
    let first = search();
    let points = std::fs::read_to_string(&journal).unwrap().lines().count();
    assert!(points > 0);
    // The second search finds everything in the journal, and the same result.
    assert_eq!(search()["best"], first["best"]);
    assert_eq!(std::fs::read_to_string(&journal).unwrap().lines().count(), points);

    let run = |more: &[&str]| {
        let mut command = tiny.spencnn();
        command.args(["run", "--threads", "1", "--baseline", "a", "--images", "2"]);
        command.arg("--network").arg(tiny.network()).arg("--config").arg(&best);
        command.arg("--profile").arg(tiny.path("profile.toml")).args(more);
        command
    };
    let report: Value = serde_json::from_str(&stdout(run(&["--json"]).assert().success())).unwrap();
    assert_eq!(report["secure"], Value::Bool(true));
    // The search prices with ideal primes, the run with real ones: the same instructions.
    let predicted = first.pointer("/best/0/latency_ms").unwrap().as_f64().unwrap();
    let again = report["predicted_latency_ms"].as_f64().unwrap();
    assert!((again - predicted).abs() < 1e-6 * predicted, "{again} {predicted}");
    let baseline = &report["baselines"][0];
    let ratio = baseline["measured_latency_ms"].as_f64().unwrap()
        / report["measured_latency_ms"].as_f64().unwrap();
    assert!((baseline["speedup"].as_f64().unwrap() - ratio).abs() < 1e-9 * ratio);
    assert_eq!(baseline["class_agreement"].as_f64(), Some(1.0));
    for share in ["digit_choice_ms", "plaintext_reading_ms", "plaintext_products_ms"] {
        let ms = baseline["shares"][share].as_f64().unwrap();
        assert!(ms >= 0.0 && ms < baseline["predicted_latency_ms"].as_f64().unwrap(), "{share}");
    }
    assert!(baseline.get("not_taken").is_none() && report["shares"].is_null());

    // Where HEAR's own parameters do not fit, the report names what was taken, and why they were not.
    // With a byte less than what was taken, others are first chosen with the same parameters: schedules that need less, weights
    // on demand. Which, depends on measured times.
    let needed = |report: &Value| {
        report.pointer("/baselines/0/peak_memory_bytes/predicted").unwrap().as_u64().unwrap()
    };
    let (mut limit, mut report) = (String::new(), report);
    for _ in 0..8 {
        limit = (needed(&report) - 1).to_string();
        let output = run(&["--json", "--memory-limit", &limit]).assert().success();
        report = serde_json::from_str(&stdout(output)).unwrap();
        let name = report.pointer("/baselines/0/name").unwrap().as_str().unwrap();
        if name.contains("special primes") {
            break;
        }
    }
    let baseline = &report["baselines"][0];
    assert!(baseline["name"].as_str().unwrap().contains("special primes"), "{baseline}");
    assert_eq!(baseline["not_taken"][0]["name"], "A (HEAR sequence)");
    let reason = baseline["not_taken"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("predicted to need") && reason.contains("limit"), "{reason}");
    let text = stdout(run(&["--memory-limit", &limit]).assert().success());
    assert!(text.contains(&format!("not taken: A (HEAR sequence): {reason}")), "{text}");
    assert!(text.contains("reading plaintexts"), "{text}");
}

/// Ctrl-C in the middle of a run: what was finished is printed, and the exit code says why it ended.
#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_what_it_has() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let tiny = Tiny::new();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("spencnn"))
        .args(["run", "--threads", "1", "--no-baselines", "--images", "1000000", "--json"])
        .args(["--allow-insecure", "--network"])
        .arg(tiny.network())
        .arg("--profile")
        .arg(tiny.path("profile.toml"))
        .arg("--config")
        .arg(tiny.configuration())
        .env_remove("SPENCNN_DATA")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("encrypted inference")));
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    // Both at once: with a line for each image, the report is larger than a pipe holds.
    let mut stdout = child.stdout.take().unwrap();
    let report = std::thread::spawn(move || {
        let mut output = String::new();
        stdout.read_to_string(&mut output).map(|_| output)
    });
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let output = report.join().unwrap().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let report: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(report["interrupted"], Value::Bool(true));
    assert!(report["images"].as_u64().unwrap() >= 1);
    assert!(rest.last().unwrap().contains("interrupted"), "{rest:?}");
}
