//! README's "Bring your own, in five minutes", followed line by line with a small network that torch exported.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{Tiny, spencnn, stderr, stdout};

/// The commands of the section, each as its arguments.
fn commands() -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("README.md")).unwrap();
    let section = text.split("## Bring your own, in five minutes").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().lines();
    let told = |line: &str| -> Vec<String> {
        let line = line.split(" #").next().unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    let commands: Vec<Vec<String>> = lines.map(told).collect();
    assert!(commands.iter().all(|words| words[0] == "spencnn"), "{commands:?}");
    commands.into_iter().map(|words| words[1..].to_vec()).collect()
}

#[test]
fn the_section_can_be_followed() {
    let tiny = Tiny::new();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    fs::copy(models.join("bars.onnx"), tiny.path("mine.onnx")).unwrap();
    fs::copy(models.join("bars.npz"), tiny.path("test.npz")).unwrap();
    let commands = commands();
    let names: Vec<&str> = commands.iter().map(|words| words[0].as_str()).collect();
    assert_eq!(names, ["evaluate", "search", "run"]);
    for words in &commands {
        let mut command = spencnn();
        command.current_dir(tiny.path("")).args(words);
        if words[0] != "evaluate" {
            // That of a calibration, which the section takes as done.
            command.arg("--profile").arg(tiny.path("profile.toml"));
        }
        let text = stdout(command.assert().success());
        match words[0].as_str() {
            "evaluate" => assert!(text.contains("60 of 60 right"), "{text}"),
            "run" => assert!(text.contains("same class as plain       100.00 %"), "{text}"),
            _ => {}
        }
    }
    // Logits of the images that were run, encrypted and not, are the same but for noise.
    let table = |name: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(tiny.path(name)).unwrap();
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let (plain, encrypted) = (table("plain.csv"), table("encrypted.csv"));
    assert_eq!(
        plain[0].join(","),
        "candidate,image,label,class,margin,error,logit_0,logit_1,logit_2,logit_3"
    );
    assert_eq!((plain.len(), plain[0].len()), (61, encrypted[0].len()));
    for (k, line) in encrypted.iter().enumerate().skip(1).take(10) {
        assert_eq!(line[1..4], plain[k][1..4], "{line:?}");
        let number = |word: &String| word.parse::<f64>().unwrap();
        assert!((number(&line[6]) - number(&plain[k][6])).abs() <= number(&line[5]), "{line:?}");
    }
}

#[test]
fn what_is_not_the_models_own_is_told() {
    let tiny = Tiny::new();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    fs::copy(models.join("bars.npz"), tiny.path("test.npz")).unwrap();
    let evaluate = |arguments: &[&str]| {
        let mut command = spencnn();
        command.current_dir(tiny.path("")).args(["evaluate", "--data", "test.npz"]).args(arguments);
        command.assert()
    };
    let model = models.join("bars.onnx");
    let model = model.to_str().unwrap();
    // A network that says what an image is normalised with, and one that does not.
    let text = stderr(evaluate(&["--network", "tiny.toml", "--mean", "0.5"]).code(2));
    assert!(text.contains("for ONNX models"), "{text}");
    let text = stderr(evaluate(&["--network", model, "--mean", "0.1,0.2"]).code(2));
    assert!(
        text.contains("mean is a list of 2, expected one number, or one per channel (1)"),
        "{text}"
    );
    let text = stderr(evaluate(&["--network", model, "--write"]).code(2));
    assert!(text.contains("nothing is written into an ONNX model"), "{text}");
    // Images that are turned inside out are of no class: the accuracy is that of guessing, and this is said.
    let text = stdout(evaluate(&["--network", model, "--mean", "3.0"]).success());
    let guessing = text.contains("no better than guessing (25.00 %)");
    assert!(guessing, "{text}");
    let relu = models.join("refused-relu.onnx");
    let text = stderr(evaluate(&["--network", relu.to_str().unwrap()]).code(2));
    assert!(text.contains("--activations"), "{text}");
    fs::write(tiny.path("map.toml"), "Relu = [0.1, 0.5, 0.2]\n").unwrap();
    let mut command = spencnn();
    command.args(["search", "--quick", "--activations"]).arg(tiny.path("map.toml"));
    command.arg("--network").arg(&relu).arg("--profile").arg(tiny.path("profile.toml"));
    stdout(command.assert().success());
}
