//! `evaluate` compares with what is recorded, and `--write` records.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::fs;
use std::path::Path;

use common::{spencnn, stderr, stdout};
use experiments::inputs::data::Pixels;
use experiments::inputs::networks::Source;
use experiments::inputs::sample;
use simulator::network::Weights;

/// Generated digits as a data set, and LeNet's dense variant with files of its own.
struct Own(tempfile::TempDir);

impl Own {
    fn new() -> Self {
        let own = Self(tempfile::tempdir().unwrap());
        let digits = sample::digits(60, 5);
        let idx = |extents: &[u32], data: &[u8]| {
            let mut bytes = vec![0, 0, 8, extents.len() as u8];
            extents.iter().for_each(|e| bytes.extend(e.to_be_bytes()));
            bytes.extend(data);
            bytes
        };
        let Pixels::Bytes(pixels) = digits.pixels else { unreachable!() };
        fs::write(own.path("t10k-images-idx3-ubyte"), idx(&[60, 28, 28], &pixels)).unwrap();
        fs::write(own.path("t10k-labels-idx1-ubyte"), idx(&[60], &digits.labels.unwrap())).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(root.join("networks/lenet.toml")).unwrap();
        let text = text.replace("../weights/lenet/", "").replace("= 0.9943", "= 0.9943 # measured");
        fs::write(own.path("own.toml"), text).unwrap();
        fs::copy(root.join("weights/lenet/dense.safetensors"), own.path("dense.safetensors"))
            .unwrap();
        own
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn evaluate(&self, more: &[&str]) -> assert_cmd::Command {
        let mut command = spencnn();
        command.args(["evaluate", "--threads", "2", "--network"]).arg(self.path("own.toml"));
        command.arg("--data").arg(self.0.path()).args(more);
        command
    }
}

#[test]
fn an_accuracy_far_below_the_recorded_one_fails() {
    let own = Own::new();
    let text = stdout(own.evaluate(&[]).assert().success());
    assert!(text.contains("of 60 right") && text.contains("no bound of act1"), "{text}");
    // A hundredth of the deviation in training: values are a hundred times as large, and squared again and again.
    let description = fs::read_to_string(own.path("own.toml")).unwrap();
    fs::write(own.path("own.toml"), description.replace("std = 0.3081", "std = 0.003")).unwrap();
    for arguments in [&[][..], &["--write"]] {
        let text = stderr(own.evaluate(arguments).assert().code(1));
        assert!(text.contains("check failed: accuracy is") && text.contains("mean, std"), "{text}");
    }
    // Nothing of it is recorded.
    let weights = Weights::read(&own.path("dense.safetensors")).unwrap();
    assert!(weights.get("act1.bound").is_none());
}

#[test]
fn what_was_found_is_recorded() {
    let own = Own::new();
    let before = fs::read_to_string(own.path("own.toml")).unwrap();
    let report = stdout(own.evaluate(&["--write", "--json"]).assert().success());
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let accuracy = report["accuracy"].as_f64().unwrap();
    let after = fs::read_to_string(own.path("own.toml")).unwrap();
    let wanted = format!("= {accuracy:?} # measured");
    assert_eq!(after, before.replace("= 0.9943 # measured", &wanted));
    let source = Source::open(own.path("own.toml")).unwrap();
    let bounds = source.model("dense").unwrap().bounds;
    assert_eq!(bounds.activations.len(), 3);
    assert_eq!(bounds.output, Some(1.2 * report["peaks"][3]["largest"].as_f64().unwrap()));
    // Bounds stay where fewer images reach less, and are kept to from now on.
    let written = fs::read(own.path("dense.safetensors")).unwrap();
    own.evaluate(&["--write", "--images", "5"]).assert().success();
    assert_eq!(fs::read(own.path("dense.safetensors")).unwrap(), written);
    let text = stdout(own.evaluate(&[]).assert().success());
    assert!(!text.contains("no bound"), "{text}");
}

#[test]
fn networks_without_files_of_their_own_cannot_be_written() {
    let text = stderr(spencnn().args(["evaluate", "--images", "1", "--write"]).assert().code(2));
    assert!(text.contains("--write") && text.contains("--network"), "{text}");
}
