//! Commands that are killed at any moment: nothing that was finished is lost, nothing is read that is half written, and the
//! next run ends as one that was never disturbed.
//!
//! A few kills each; `SPENCNN_KILLS=200 cargo test --release -p spencnn-experiments --test killed` makes as many of each.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Tiny, weights};
use costmodel::lines::Lines;
use experiments::design::plan::PlanFolder;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::config::Configuration;
use simulator::network::{Model, Network};
use simulator::search::Journal;

/// How often a command is killed.
fn kills() -> usize {
    let asked = std::env::var("SPENCNN_KILLS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(4)
}

/// The command with a folder as its home.
fn command(tiny: &Tiny, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("spencnn"));
    command.args(arguments).current_dir(tiny.folder()).env("SPENCNN_HOME", tiny.folder());
    command.env_remove("SPENCNN_DATA").stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end and tells how long that took.
#[track_caller]
fn whole(tiny: &Tiny, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    let output = command(tiny, arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    start.elapsed()
}

/// Starts a command again and again, kills each after a time of up to `most`, and calls `check` with whether it had ended by
/// itself before.
fn kill_often(tiny: &Tiny, arguments: &[&str], most: Duration, mut check: impl FnMut(bool)) {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for _ in 0..kills() {
        let mut started = command(tiny, arguments).spawn().unwrap();
        std::thread::sleep(most.mul_f64(rng.random()));
        // Fails for one that has ended.
        let _ = started.kill();
        let output = started.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        // What it did not like before it was killed would be what the one before left.
        assert!(!errors.contains("error:") && !errors.contains("panicked"), "{errors}");
        check(output.status.success());
    }
}

const SEARCH: [&str; 12] = [
    "search",
    "--network",
    "tiny.toml",
    "--profile",
    "profile.toml",
    "--threads",
    "1",
    "--quick",
    "--no-refine",
    "--journal",
    "points.jsonl",
    "--out",
];

#[test]
fn a_search_goes_on_from_all_that_it_found() {
    let (tiny, reference) = (Tiny::new(), Tiny::new());
    // The same profile, so that both find the same.
    for name in ["profile.toml", "profile.points.jsonl"] {
        fs::copy(tiny.path(name), reference.path(name)).unwrap();
    }
    let arguments = [&SEARCH[..], &["best.toml"]].concat();
    let time = whole(&reference, &arguments);
    let choice = |tiny: &Tiny| fs::read_to_string(tiny.path("best.toml")).ok();
    let wanted = Configuration::from_toml(&choice(&reference).unwrap()).unwrap();
    let points = |tiny: &Tiny| Journal::open(&tiny.path("points.jsonl")).unwrap().len();
    let mut before = 0;
    kill_often(&tiny, &arguments, time, |ended| {
        let found = points(&tiny);
        assert!(found >= before, "{found} points after {before}");
        before = found;
        if let Some(text) = choice(&tiny) {
            assert_eq!(Configuration::from_toml(&text).unwrap(), wanted);
        }
        assert!(!ended || choice(&tiny).is_some());
        if ended {
            // From the beginning again: there is nothing more to be lost.
            fs::remove_file(tiny.path("points.jsonl")).unwrap();
            fs::remove_file(tiny.path("best.toml")).unwrap();
            before = 0;
        }
    });
    whole(&tiny, &arguments);
    assert_eq!(Configuration::from_toml(&choice(&tiny).unwrap()).unwrap(), wanted);
    assert_eq!(points(&tiny), points(&reference));
}

/// Lines of a file that are whole.
fn lines(path: &Path) -> usize {
    Lines::open(path).unwrap().lock().unwrap().read::<serde_json::Value>().unwrap().len()
}

#[test]
fn a_calibration_keeps_what_it_measured() {
    let tiny = Tiny::new();
    let journal = tiny.path("machine.journal.jsonl");
    let arguments = ["calibrate", "--full", "--threads", "1", "--out", "machine.toml"];
    // Until there is something to be kept.
    let mut first = command(&tiny, &arguments).spawn().unwrap();
    let start = Instant::now();
    while !(journal.exists() && lines(&journal) > 0) && start.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(20));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let mut before = lines(&journal);
    assert!(before > 0);
    kill_often(&tiny, &arguments, Duration::from_secs(6), |ended| {
        assert!(!ended && !tiny.path("machine.toml").exists());
        let found = lines(&journal);
        assert!(found >= before, "{found} lines after {before}");
        before = found;
    });
}

/// Patterns are of every convolution but the first.
const TWO_CONVOLUTIONS: &str = r#"
name = "two"
baseline = "dense"

[input]
channels = 1
height = 8
width = 8

[[layer]]
name = "conv1"
kind = "conv"
out = 4
kernel = 3
padding = 1

[[layer]]
name = "act1"
kind = "activation"

[[layer]]
name = "conv2"
kind = "conv"
out = 4
kernel = 3
padding = 1

[[layer]]
name = "fc1"
kind = "fc"
out = 5

[[variant]]
name = "dense"
weights = "two.safetensors"
accuracy = 0.5
"#;

/// A folder of a plan has files that belong together: one that is killed while it is written is none.
#[test]
fn a_plan_is_whole_or_none() {
    let tiny = Tiny::new();
    fs::write(tiny.path("two.toml"), TWO_CONVOLUTIONS).unwrap();
    let model = Model::random(Network::from_toml(TWO_CONVOLUTIONS).unwrap(), 3);
    weights(&model).write(&tiny.path("two.safetensors")).unwrap();
    let arguments = [
        "search",
        "--network",
        "two.toml",
        "--patterns",
        "--profile",
        "profile.toml",
        "--threads",
        "1",
        "--quick",
        "--log-n",
        "13",
        "--max-drop",
        "0.01",
        "--out",
        "plan",
    ];
    let time = whole(&tiny, &arguments);
    let names = ["configuration.toml", "units.safetensors", "training.toml", "network.toml"];
    let read = |name: &str| fs::read(tiny.path("plan").join(name)).ok();
    let wanted = names.map(read);
    kill_often(&tiny, &arguments, time, |_| {
        if PlanFolder::read(&tiny.path("plan")).is_ok() {
            assert!(names.map(read) == wanted);
        }
    });
}

/// The parties' files: whatever is killed, what there is belongs together.
#[test]
fn results_are_whole_and_keys_belong_together() {
    let tiny = Tiny::new();
    let run = |arguments: &[&str]| whole(&tiny, &[arguments, &["--allow-insecure"]].concat());
    run(&["compile", "--network", "tiny.toml", "--config", "config.toml"]);
    run(&["keygen"]);
    run(&["encrypt", "--images", "4", "--split", "--out", "in"]);
    let names = (1..=4).map(|k| format!("image-00000{k}")).collect::<Vec<_>>();
    let inputs: Vec<String> = names.iter().map(|name| format!("in/{name}.images")).collect();
    let mut infer = vec!["infer", "--allow-insecure", "--threads", "1", "--out-dir", "out"];
    infer.extend(inputs.iter().map(String::as_str));
    let time = whole(&tiny, &infer);
    let results = |name: &String| fs::read(tiny.path(&format!("out/{name}.results"))).ok();
    let wanted: Vec<_> = names.iter().map(results).collect();
    assert!(wanted.iter().all(Option::is_some));
    let clear = || fs::remove_dir_all(tiny.path("out")).unwrap();
    clear();
    kill_often(&tiny, &infer, time, |ended| {
        let found: Vec<_> = names.iter().map(results).collect();
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!(found.is_none() || found == wanted);
        }
        if ended {
            assert_eq!(found, wanted);
            clear();
        }
    });

    let keygen = ["keygen", "--allow-insecure", "--force"];
    let time = whole(&tiny, &keygen);
    let logits = || -> Vec<f64> {
        run(&["encrypt", "--out", "one.images"]);
        run(&["infer", "one.images", "--out", "one.results"]);
        run(&["decrypt", "one.results", "--logits", "logits.csv"]);
        let table = fs::read_to_string(tiny.path("logits.csv")).unwrap();
        // After file, image, label, class, margin and error.
        table.lines().nth(1).unwrap().split(',').skip(6).map(|v| v.parse().unwrap()).collect()
    };
    let wanted = logits();
    let largest = wanted.iter().fold(0.0f64, |m, v| v.abs().max(m));
    assert_eq!(wanted.len(), 5);
    kill_often(&tiny, &keygen, time, |ended| {
        assert!(tiny.path("secret.key").exists());
        assert!(!ended || tiny.path("evaluation.keys").exists());
        if tiny.path("evaluation.keys").exists() {
            // To 8 bits: keys of two clients give numbers as large as the modulus.
            let found = logits();
            assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < largest / 256.0));
        }
    });
}
