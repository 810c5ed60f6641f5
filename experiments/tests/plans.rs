//! Plans: searched for, written to a folder, and run from it.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::assert::Assert;
use common::{shipped_profile, spencnn, stderr, stdout};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

const DENSE: &[u8] = include_bytes!("../weights/lenet/dense.safetensors");

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).unwrap().as_f64().unwrap()
}

/// Searches for LeNet's plans.
fn search(profile: &Path, out: &Path, more: &[&str]) -> Assert {
    let mut command = spencnn();
    command.args(["search", "--patterns", "--quick", "--threads", "2", "--json"]).args(more);
    command.arg("--profile").arg(profile).arg("--out").arg(out).assert()
}

/// What a command prints.
fn report(assert: Assert) -> Value {
    serde_json::from_str(&stdout(assert.success())).unwrap()
}

/// LeNet on some digits without encryption.
fn evaluate(images: &str, more: &[&Path]) -> Value {
    report(spencnn().args(["evaluate", "--json", "--images", images]).args(more).assert())
}

/// LeNet's dense weights, cut to the groups and units of a plan: what it is like before training.
fn untrained(plan: &Path) -> Vec<u8> {
    let units = fs::read(plan.join("units.safetensors")).unwrap();
    let units = SafeTensors::deserialize(&units).unwrap();
    let words = |view: &TensorView<'_>| -> Vec<[u8; 4]> {
        view.data().chunks_exact(4).map(|w| w.try_into().unwrap()).collect()
    };
    let dense = SafeTensors::deserialize(DENSE).unwrap();
    // The fully connected layer's weights as they are, but for units that go.
    let kept_of = |layer: &str, weights: Vec<[u8; 4]>| -> (Vec<usize>, Vec<u8>) {
        let ids = units.tensor(&format!("{layer}.units")).unwrap();
        let keep = units.tensor(&format!("{layer}.keep")).unwrap();
        let unit = words(&ids).into_iter().map(|w| i32::from_le_bytes(w) as usize);
        assert_eq!(ids.shape().iter().product::<usize>(), weights.len());
        let kept =
            unit.zip(weights).map(|(unit, w)| if keep.data()[unit] == 1 { w } else { [0; 4] });
        (ids.shape().to_vec(), kept.flatten().collect())
    };
    let fc1 = kept_of("fc1", words(&dense.tensor("fc1.weight").unwrap()));
    assert_eq!(fc1.0, dense.tensor("fc1.weight").unwrap().shape());
    let whole = words(&dense.tensor("conv2.weight").unwrap());
    let ids = units.tensor("conv2.units").unwrap();
    let [out, depth, area] = [ids.shape()[0], ids.shape()[1], 25];
    let groups = 64 / depth;
    let read = (0..out).flat_map(|o| {
        let first = (o * 64 + o * groups / out * depth) * area;
        whole[first..][..depth * area].iter().copied()
    });
    let conv2 = kept_of("conv2", read.collect());
    assert_eq!(conv2.1.len(), 4 * out * depth * area);
    let pruned = [("conv2.weight", &conv2), ("fc1.weight", &fc1)];
    let own = pruned.map(|(name, (shape, kept))| {
        (name.to_owned(), TensorView::new(Dtype::F32, shape.clone(), kept).unwrap())
    });
    let others =
        dense.tensors().into_iter().filter(|(name, _)| !pruned.iter().any(|p| p.0 == name));
    let all = others.chain(own);
    safetensors::serialize(all, None).unwrap()
}

#[test]
fn a_plan_is_found_written_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, profile) = (folder.path().join("plan"), shipped_profile(folder.path()));
    let run = || {
        let mut command = spencnn();
        command.args(["run", "--images", "2", "--threads", "2", "--json"]);
        command.arg("--profile").arg(&profile).arg("--plan").arg(&plan);
        command.assert()
    };
    let missing = stderr(run().code(2));
    assert!(missing.contains("plan.json") && missing.contains("search --patterns"), "{missing}");

    let found = report(search(&profile, &plan, &["--log-n", "14", "--max-drop", "0.01"]));
    let front = found["front"].as_array().unwrap();
    assert!(front.len() >= 2 && number(&found, "/configurations") > 1e5);
    // Fastest first, each slower one loses less, and none more than was asked for.
    for pair in front.windows(2) {
        let (latency, drop) = ("/evaluated/latency_ms", "/expected_drop");
        assert!(number(&pair[0], latency) <= number(&pair[1], latency));
        assert!(number(&pair[0], drop) >= number(&pair[1], drop));
    }
    assert!(front.iter().all(|plan| number(plan, "/upper_drop") <= 1.0));
    // Networks left out of the fit are missed by less than half a point in the median.
    assert!(number(&found, "/accuracy/median_error") < 0.5);
    let written = fs::read_to_string(plan.join("plan.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["layers"], front[0]["layers"]);

    let waits = stderr(run().code(2));
    assert!(waits.contains("has not been trained") && waits.contains("train.py --plan"), "{waits}");

    // The pattern on the dense weights, here and by the command: as accurate without encryption.
    fs::write(plan.join("plan.safetensors"), untrained(&plan)).unwrap();
    let network = plan.join("network.toml");
    let own = evaluate("50", &[Path::new("--network"), &network, Path::new("--variant=plan")]);
    let cut = evaluate("50", &[Path::new("--pattern"), &plan]);
    assert_eq!(own["peaks"], cut["peaks"]);
    let wrong = ["evaluate", "--network", "hefnet", "--pattern"];
    let wrong = stderr(spencnn().args(wrong).arg(&plan).assert().code(2));
    assert!(wrong.contains("lenet") && wrong.contains("hefnet"), "{wrong}");

    let told = stderr(run().success());
    assert!(told.contains("accuracy: expected") && told.contains("no record"), "{told}");
    fs::write(plan.join("plan.toml"), "test_accuracy = 0.25\n").unwrap();
    let told = run().success();
    let report: Value = serde_json::from_str(&stdout(told)).unwrap();
    assert_eq!(number(&report, "/recorded_accuracy"), 0.25, "{report}");
}

#[test]
fn drops_are_kept_where_some_layers_may_have_no_patterns() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, profile) = (folder.path().join("plan"), shipped_profile(folder.path()));
    let more = ["--log-n", "14", "--family", "input-ciphertext", "--max-drop", "0.006"];
    let found = report(search(&profile, &plan, &more));
    let front = found["front"].as_array().unwrap();
    // One that removes something, and none that may lose more than was asked for.
    assert!(front.iter().any(|plan| number(plan, "/expected_drop") > 0.0), "{found}");
    assert!(front.iter().all(|plan| number(plan, "/upper_drop") <= 0.6), "{found}");
}

#[test]
fn what_is_in_the_way_of_plans_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, profile) = (folder.path().join("plan"), shipped_profile(folder.path()));
    let told = stderr(search(&profile, &plan, &["--log-n", "12"]).code(2));
    assert!(told.contains("no plan keeps to the limits") && told.contains("are secure"), "{told}");
}

#[test]
fn a_plan_may_start_from_a_variant_with_groups() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, profile) = (folder.path().join("plan"), shipped_profile(folder.path()));
    let search = |max_drop: &str| {
        search(&profile, &plan, &["--log-n", "14", "--start", "g8", "--max-drop", max_drop])
    };
    let refused = stderr(search("0.001").code(2));
    assert!(refused.contains("g8 has lost 0.40 points") && refused.contains("0.10"), "{refused}");

    // Less than the margin is left: nothing that g8 has may go, and its groups are free.
    let found = report(search("0.0041"));
    assert!((number(&found, "/lost") - 0.40).abs() < 1e-9 && found["start"] == "g8", "{found}");
    for which in ["expected_drop", "upper_drop"] {
        assert_eq!(number(&found, &format!("/front/0/{which}")), number(&found, "/lost"));
    }
    let training = fs::read_to_string(plan.join("training.toml")).unwrap();
    assert!(training.contains("parent = \"g8\""), "{training}");
    let peaks = |more: &[&Path]| -> Vec<f64> {
        let report = evaluate("20", more);
        let peaks = report["peaks"].as_array().unwrap().iter();
        peaks.map(|peak| number(peak, "/largest")).collect()
    };
    // Equal but for the order of sums, unlike the dense network's.
    let is_near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * a);
    let own = peaks(&[Path::new("--variant=g8")]);
    assert_eq!(own.len(), 4);
    assert!(is_near(&own, &peaks(&[Path::new("--pattern"), &plan])));
    assert!(!is_near(&own, &peaks(&[])));
}
