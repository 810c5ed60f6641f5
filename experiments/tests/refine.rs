//! Choosing by times of programs: real ones, and ones that were written down.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::fs;
use std::path::Path;

use common::{Tiny, stderr, stdout};
use costmodel::Machine;
use costmodel::point::Timing;
use costmodel::timings::{Origin, Timings};
use experiments::design::candidate::{self, Estimate};
use experiments::design::choose;
use experiments::design::refine::{Choice, Refiner};
use experiments::design::wish::Refine;
use experiments::design::wish::Wish;
use experiments::design::wish::{PlaintextsArg, SpaceArg};
use experiments::inputs::networks::Source;
use experiments::machine::profiles::{Calibration, Cost};
use serde_json::Value;
use simulator::precision::Demand;
use simulator::search::Evaluated;

fn json(assert: assert_cmd::assert::Assert) -> Value {
    serde_json::from_str(&stdout(assert.success())).unwrap()
}

/// The file of times in the folder that is a command's home.
fn kept(tiny: &Tiny) -> std::path::PathBuf {
    let mut files = fs::read_dir(tiny.path("profiles")).unwrap().map(|e| e.unwrap().path());
    files.find(|path| path.to_string_lossy().ends_with(".refined.jsonl")).unwrap()
}

fn search(tiny: &Tiny, more: &[&str]) -> assert_cmd::Command {
    let mut command = tiny.spencnn();
    command.args(["search", "--threads", "1", "--log-n", "13", "--refine-seconds", "0.1"]);
    command.arg("--network").arg(tiny.network());
    command.arg("--profile").arg(tiny.path("profile.toml")).args(more);
    command
}

#[test]
fn a_search_is_refined_once_and_gives_the_same_again() {
    let tiny = Tiny::new();
    let out = tiny.path("best.toml");
    let run = |more: &[&str]| {
        json(search(&tiny, &["--json", "--out", out.to_str().unwrap()]).args(more).assert())
    };
    let report = run(&["--refine", "3"]);
    let refined = report["refined"].as_array().unwrap();
    assert_eq!(refined.len(), 3);
    let times: Vec<f64> =
        refined.iter().map(|c| c["refined"]["median_ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] > 0.0, "{times:?}");
    for choice in refined {
        let of = |end: &str| choice["refined"][end].as_f64().unwrap();
        assert!(of("low_ms") <= of("median_ms") && of("median_ms") <= of("high_ms"));
        assert!(choice["evaluated"]["latency_ms"].as_f64().unwrap() > 0.0);
    }
    // The file has both predictions of the first, and is a configuration.
    let toml = fs::read_to_string(&out).unwrap();
    for told in [
        format!("profile: {:.2} ms", refined[0]["evaluated"]["latency_ms"].as_f64().unwrap()),
        format!("timing its instructions: {:.2} ms", times[0]),
    ] {
        assert!(toml.contains(&told), "{told}: {toml}");
    }
    let lines = fs::read_to_string(kept(&tiny)).unwrap();
    assert_eq!(run(&["--refine", "3"])["refined"], report["refined"]);
    assert_eq!(fs::read_to_string(kept(&tiny)).unwrap(), lines);
    assert_eq!(lines.lines().count(), 3);
    // Killed within the last line: that configuration is timed again.
    fs::write(kept(&tiny), &lines[..lines.len() - 30]).unwrap();
    let again = search(&tiny, &["--refine", "3"]).assert().success();
    assert!(stderr(again).contains("timing 1 configurations"));
    let text = fs::read_to_string(kept(&tiny)).unwrap();
    assert_eq!(text.lines().count(), lines.lines().count() + 1);
    let text = stdout(search(&tiny, &["--refine", "3"]).assert().success());
    for word in ["with their instructions timed", "place by the profile", "by timing ms"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // Without it, nothing is timed, and the profile chooses.
    fs::remove_file(kept(&tiny)).unwrap();
    let plain = run(&["--no-refine"]);
    assert!(plain["refined"].as_array().unwrap().is_empty());
    assert_eq!(fs::read_dir(tiny.path("profiles")).unwrap().count(), 0);
    assert!(!fs::read_to_string(&out).unwrap().contains("timing"));
    search(&tiny, &["--no-refine", "--refine", "3"]).assert().code(2);
}

#[test]
fn damaged_times_are_told() {
    let tiny = Tiny::new();
    search(&tiny, &["--refine", "1"]).assert().success();
    fs::write(kept(&tiny), "[]\n").unwrap();
    let text = stderr(search(&tiny, &["--refine", "1"]).assert().code(2));
    assert!(text.contains("line 1: ") && text.contains("remove the file"), "{text}");
    // Where they are only told beside others, nothing fails.
    let run = tiny.run().arg("--allow-insecure").assert().success();
    assert!(stderr(run).contains("known times of configurations are not used"));
}

/// What is told is the time that was kept.
#[test]
fn a_run_tells_both_predictions() {
    let tiny = Tiny::new();
    let run =
        |more: &[&str]| json(tiny.run().args(["--allow-insecure", "--json"]).args(more).assert());
    let unknown = run(&[]);
    assert!(unknown["refined_latency_ms"].is_null());
    let report = run(&["--refine", "1", "--refine-seconds", "0.5"]);
    let number = |name: &str| report[name].as_f64().unwrap();
    let (refined, measured) = (number("refined_latency_ms"), number("measured_latency_ms"));
    let line: Value = serde_json::from_str(&fs::read_to_string(kept(&tiny)).unwrap()).unwrap();
    let median_ms = line["median_ns"].as_f64().unwrap() / 1e6;
    assert!(median_ms > 0.0 && (refined - median_ms).abs() < 1e-9, "{refined} {median_ms}");
    assert!((number("refined_prediction_error") - (refined / measured - 1.0)).abs() < 1e-9);
    // Now it is known.
    assert_eq!(run(&[])["refined_latency_ms"], report["refined_latency_ms"]);
    let text = stdout(tiny.run().arg("--allow-insecure").assert().success());
    assert!(text.contains("by timing its instructions"), "{text}");
}

#[test]
fn validation_judges_both_predictions() {
    let tiny = Tiny::new();
    let mut command = tiny.spencnn();
    command.args(["validate", "--configurations", "3", "--images", "2", "--threads", "1"]);
    command.args(["--least-seconds", "0"]);
    command.args(["--log-n", "13", "--refine", "--json", "--network"]);
    command.arg(tiny.network()).arg("--profile").arg(tiny.path("profile.toml"));
    let report = json(command.assert());
    let of = |sort: &Value| sort["rows"][0]["errors"]["count"].as_u64().unwrap();
    assert_eq!([&report, &report["refined"], &report["paced"]].map(of), [3, 3, 3]);
    assert_eq!(report["refined"]["groups"][0]["configurations"], 3);
    for configuration in report["configurations"].as_array().unwrap() {
        let measured = &configuration["measured"][0];
        assert!(measured["refined_ms"].as_f64().unwrap() > 0.0, "{measured}");
    }
}

/// The tiny network searched, without times.
struct Searched {
    source: Source,
    wish: Wish,
    cost: Cost,
    within: Vec<Evaluated>,
}

impl Searched {
    fn new(tiny: &Tiny) -> Self {
        let source = Source::open(tiny.network()).unwrap();
        let cost = Calibration::load(&tiny.path("profile.toml")).unwrap().cost(1).unwrap();
        let wish = Wish {
            variants: Vec::new(),
            max_drop: 1.0,
            space: SpaceArg::Full,
            log_n: vec![13],
            images: vec![1],
            max_inputs: 8,
            repacks: 0,
            precision: Demand::Relative(8.0),
            plaintexts: PlaintextsArg::Auto,
            quick: true,
            smallest: None,
            shard: None,
            memory_limit: 4 << 30,
            insecure: false,
            threads: 1,
            journal: None,
            wanted: usize::MAX,
            refine: None,
        };
        let within = choose::search(&source, &wish, &cost).unwrap().within;
        Self { source, wish, cost, within }
    }

    fn rank(&self, timings: Timings, configurations: usize) -> Vec<Choice> {
        let refine = Refine { configurations, seconds: 0.0 };
        // Nothing can be timed anew in no memory.
        let mut refiner = Refiner::new(timings, 0);
        refiner.rank(&self.source, &self.within, &self.wish, refine, &self.cost).unwrap()
    }

    fn estimate(&self, choice: &Choice) -> Estimate {
        let configuration = choice.evaluated.configuration.clone();
        candidate::estimate(&self.source, configuration, "it", false, &self.cost).unwrap()
    }
}

fn timings(path: &Path) -> Timings {
    Timings::open(Some(path), Origin::new(&Machine::detect(), "a build".into())).unwrap()
}

fn timing(median_ns: f64) -> Timing {
    Timing { median_ns, low_quartile_ns: median_ns, high_quartile_ns: median_ns, samples: 1 }
}

#[test]
fn times_that_are_written_down_decide() {
    let tiny = Tiny::new();
    let searched = Searched::new(&tiny);
    let path = tiny.path("times.jsonl");
    // Nothing is known: the profile's order, of configurations that differ in what they execute.
    let unknown = searched.rank(timings(&path), 4);
    assert_eq!(unknown.len(), 4);
    let places = |choices: &[Choice]| choices.iter().map(|c| c.profile_place).collect::<Vec<_>>();
    assert!(places(&unknown).is_sorted() && unknown.iter().all(|c| c.refined.is_none()));
    // Those that the profile has first take longest.
    let mut file = timings(&path);
    let expected = [4.0, 3.0, 2.0, 1.0];
    for (choice, ms) in unknown.iter().zip(expected) {
        let estimate = searched.estimate(choice);
        let sequence = estimate.sequence().unwrap();
        file.add(&sequence, &estimate.params, 1, timing(1e6 * ms)).unwrap();
    }
    let ranked = searched.rank(timings(&path), 4);
    let reversed: Vec<usize> = places(&unknown).into_iter().rev().collect();
    assert_eq!(places(&ranked), reversed);
    assert_eq!(places(&searched.rank(timings(&path), 4)), places(&ranked));
    for choice in &ranked {
        let k = unknown.iter().position(|u| u.profile_place == choice.profile_place).unwrap();
        let refined = choice.refined.unwrap().median_ms;
        assert!((refined / expected[k] - 1.0).abs() < 1e-9, "{refined} {}", expected[k]);
    }
    // Fewer are looked at, and the profile alone says which.
    assert_eq!(places(&searched.rank(timings(&path), 2)).len(), 2);
    assert!(!places(&searched.rank(timings(&path), 2)).contains(&unknown[3].profile_place));
    // Times of another build are not this one's.
    let other = Timings::open(Some(&path), Origin::new(&Machine::detect(), "another".into()));
    assert_eq!(places(&searched.rank(other.unwrap(), 4)), places(&unknown));
}
