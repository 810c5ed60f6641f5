//! The commands that need no encryption: accuracy and bounds, and units for pruning.

mod common;

use std::fs;

use common::{Tiny, spencnn, stderr, stdout};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;
use simulator::network::Weights;

#[test]
fn evaluate_prints_accuracy_and_peaks() {
    let arguments = ["evaluate", "--variant", "g8", "--images", "20", "--threads", "1"];
    let output = stdout(spencnn().args(arguments).arg("--json").assert().success());
    let report: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (report["images"].as_u64(), report["interrupted"].as_bool()),
        (Some(20), Some(false))
    );
    let correct = report["correct"].as_u64().unwrap();
    // All of them when this was written; the margin is for weights trained anew.
    assert!(correct >= 18, "{correct} of 20");
    assert_eq!(report["accuracy"].as_f64().unwrap(), correct as f64 / 20.0);
    assert!(report["recorded_accuracy"].as_f64().unwrap() > 0.98);
    let peaks = report["peaks"].as_array().unwrap();
    let names: Vec<&str> = peaks.iter().map(|p| p["layer"].as_str().unwrap()).collect();
    assert_eq!(names, ["act1", "act2", "act3", "output"]);
    assert!(peaks.iter().all(|p| p["largest"].as_f64().unwrap() > 0.0 && p["bound"].is_null()));
    let text = stdout(spencnn().args(arguments).assert().success());
    assert!(
        text.contains("of 20 right") && text.contains("act2") && text.contains("recorded"),
        "{text}"
    );
}

#[test]
fn an_exceeded_bound_ends_with_1() {
    let tiny = Tiny::new();
    let path = tiny.path("tiny.safetensors");
    let run = |bound: f64| {
        let mut weights = Weights::read(&path).unwrap();
        weights.insert("act1.bound", &[1], vec![bound]).unwrap();
        weights.write(&path).unwrap();
        let mut command = tiny.spencnn();
        command.args(["evaluate", "--json", "--images", "5", "--network"]).arg(tiny.network());
        command.assert()
    };
    let report: Value = serde_json::from_str(&stdout(run(1e6).success())).unwrap();
    assert!(report["correct"].is_null(), "random pixels have no labels");
    assert_eq!(report["peaks"][0]["bound"].as_f64(), Some(1e6));
    let largest = report["peaks"][0]["largest"].as_f64().unwrap();
    run(largest).success();
    let assert = run(largest * (1.0 - 1e-9)).code(1);
    let text = stderr(assert);
    assert!(text.contains("inputs of act1") && text.contains("over the bound"), "{text}");
}

#[test]
fn units_are_written_for_every_layer() {
    let tiny = Tiny::new();
    let (out, scores) = (tiny.path("units.safetensors"), tiny.path("scores.safetensors"));
    let run = |arguments: &[&str]| {
        let mut command = tiny.spencnn();
        command.arg("units").arg("--network").arg(tiny.network()).arg("--config");
        command.arg(tiny.configuration()).arg("--out").arg(&out).args(arguments);
        command.assert()
    };
    let report: Value = serde_json::from_str(&stdout(run(&["--json"]).success())).unwrap();
    let bytes = fs::read(&out).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    assert_eq!((metadata["network"].as_str(), metadata["variant"].as_str()), ("tiny", "dense"));
    let numbers = |name: &str| -> Vec<i32> {
        let view = file.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::I32);
        view.data().as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect()
    };
    assert_eq!(file.tensor("conv1.units").unwrap().shape(), [4, 1, 3, 3]);
    // Four output channels in as many blocks, of which one is copied from the only input channel: a unit for each
    // kernel position.
    let wanted: Vec<i32> = (0..36).map(|k| k % 9).collect();
    assert_eq!((numbers("conv1.units"), metadata["conv1.units"].as_str()), (wanted, "9"));
    assert_eq!(file.tensor("fc1.units").unwrap().shape(), [5, 64]);
    let fc1 = numbers("fc1.units");
    let count: usize = metadata["fc1.units"].parse().unwrap();
    let mut seen: Vec<i32> = fc1.clone();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..count as i32).collect::<Vec<_>>());
    assert_eq!(file.names().len(), 2);
    assert_eq!(report["layers"][1]["units"].as_u64(), Some(count as u64));
    assert_eq!(report["layers"][1]["kept_importance"].as_f64(), Some(1.0));

    // Scores that make unit k worth k: those at the end stay.
    let mut file = Weights::default();
    file.insert("fc1.taylor", &[5, 64], fc1.iter().map(|k| f64::from(*k)).collect()).unwrap();
    file.write(&scores).unwrap();
    let scores = scores.to_str().unwrap();
    let pruned = ["--keep", "0.25", "--layer", "fc1", "--importance", scores, "--json"];
    let report: Value = serde_json::from_str(&stdout(run(&pruned).success())).unwrap();
    let bytes = fs::read(&out).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let keep = file.tensor("fc1.keep").unwrap();
    assert_eq!((keep.dtype(), keep.shape()), (Dtype::U8, &[count][..]));
    let worth: Vec<usize> =
        (0..count).map(|unit| unit * fc1.iter().filter(|k| **k as usize == unit).count()).collect();
    let kept = report["layers"][0]["kept"].as_u64().unwrap() as usize;
    assert_eq!(kept, count / 4);
    let (mut stay, mut go) = (Vec::new(), Vec::new());
    keep.data()
        .iter()
        .zip(&worth)
        .for_each(|(k, w)| if *k == 1 { stay.push(*w) } else { go.push(*w) });
    assert_eq!(stay.len(), kept);
    assert!(stay.iter().min() >= go.iter().max());
    let share = stay.iter().sum::<usize>() as f64 / worth.iter().sum::<usize>() as f64;
    let told = report["layers"][0]["kept_importance"].as_f64().unwrap();
    assert!((told - share).abs() < 1e-12);

    let all = ["--keep", "0.25", "--importance", scores];
    assert!(stderr(run(&all).code(2)).contains("conv1.taylor"));
    assert!(stderr(run(&["--layer", "pool1"]).code(2)).contains("pool1"));
    assert!(stderr(run(&["--keep", "1.5"]).code(2)).contains("a number from 0 to 1"));
    run(&["--family", "rotation-aligned"]).code(2);
    let text = stdout(run(&["--keep", "0.5", "--family", "rotation-aligned"]).success());
    assert!(text.contains("kept importance") && text.contains("fc1"), "{text}");
}
