//! The embedded networks agree with the records of their training, and classify what they should.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::{Path, PathBuf};

use experiments::data::{self, Split};
use experiments::networks::Source;
use experiments::report::argmax;
use experiments::sample;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// What a description should say of a variant, from the record of its training.
fn described(record: &toml::Table) -> String {
    let name = record["variant"].as_str().unwrap();
    let mut text = format!(
        "[[variant]]\nname = {name:?}\nweights = \"../weights/lenet/{name}.safetensors\"\n"
    );
    let groups = record["groups"].as_integer().unwrap();
    if groups > 1 {
        text += &format!("groups = {{ conv2 = {groups} }}\n");
    }
    text += &format!("accuracy = {}\n", record["test_accuracy"].as_float().unwrap());
    if record["family"].as_str() != Some("none") {
        let [family, kept, total] =
            ["family", "kept_units", "total_units"].map(|k| record[k].to_string());
        text += &format!(
            "pattern = \"conv2: {kept} of {total} {} units kept\"\n",
            family.trim_matches('"')
        );
    }
    text
}

const MARK: &str = "# Variants, from the records in ../weights/lenet.";

/// Run with `SPENCNN_UPDATE=1` to rewrite the variants in the description from the records.
#[test]
fn lenet_describes_every_variant_that_has_weights() {
    let path = root().join("networks/lenet.toml");
    let text = fs::read_to_string(&path).unwrap();
    let mut variants: Vec<(bool, String, String)> = Vec::new();
    for entry in fs::read_dir(root().join("weights/lenet")).unwrap() {
        let record_path = entry.unwrap().path();
        if record_path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let record: toml::Table = fs::read_to_string(&record_path).unwrap().parse().unwrap();
        let name = record["variant"].as_str().unwrap().to_owned();
        variants.push((name != "dense", name, described(&record)));
    }
    variants.sort();
    let (head, _) = text.split_once(MARK).unwrap();
    let wanted = variants.iter().fold(format!("{head}{MARK}\n"), |text, (_, _, v)| text + "\n" + v);
    if std::env::var_os("SPENCNN_UPDATE").is_some() {
        fs::write(&path, &wanted).unwrap();
    } else {
        assert_eq!(
            text, wanted,
            "run this test with SPENCNN_UPDATE=1 to rewrite networks/lenet.toml"
        );
        assert_eq!(Source::open("lenet").unwrap().network.variants.len(), variants.len());
    }
}

/// The pixels of the check inputs, as the training scripts define them.
fn check_input(k: usize) -> Vec<f64> {
    (0..784)
        .map(|i| {
            let (y, x, k) = ((i / 28) as f64, (i % 28) as f64, k as f64);
            0.5 * (0.37 * k + 0.21 * y).sin() + 0.5 * (0.13 * k * x + 0.3 * x).cos()
        })
        .collect()
}

#[test]
fn forward_pass_agrees_with_the_training_framework() {
    let source = Source::open("lenet").unwrap();
    let text = fs::read_to_string(root().join("weights/lenet/check.json")).unwrap();
    let check: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    for (variant, images) in check["logits"].as_object().unwrap() {
        let model = source.model(variant).unwrap();
        for (k, logits) in images.as_array().unwrap().iter().enumerate() {
            let found = model.forward(&check_input(k)).unwrap();
            for (found, wanted) in found.iter().zip(logits.as_array().unwrap()) {
                let wanted = wanted.as_f64().unwrap();
                assert!(
                    (found - wanted).abs() < 1e-9 * wanted.abs().max(1.0),
                    "{variant} {k}: {found} {wanted}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 160);
}

#[test]
fn generated_digits_are_recognised() {
    let source = Source::open("lenet").unwrap();
    let images = sample::digits(40, 1);
    for variant in ["dense", "g8"] {
        let model = source.model(variant).unwrap();
        let right = (0..40)
            .filter(|&k| {
                let image = model.network.normalise(&images.image(k).unwrap()).unwrap();
                Some(argmax(&model.forward(&image).unwrap())) == images.label(k)
            })
            .count();
        // All 40 when this was written; the margin is for weights trained anew.
        assert!(right >= 36, "{variant}: {right} of 40");
    }
}

#[test]
fn real_digits_are_recognised() {
    let Some(folder) = std::env::var_os("SPENCNN_DATA") else {
        eprintln!("SPENCNN_DATA is not set: nothing compared with real digits");
        return;
    };
    let images = data::load(Path::new(&folder), (1, 28, 28), Split::Test, Some(500)).unwrap();
    let model = Source::open("lenet").unwrap().model("dense").unwrap();
    let right = (0..images.len())
        .filter(|&k| {
            let image = model.network.normalise(&images.image(k).unwrap()).unwrap();
            Some(argmax(&model.forward(&image).unwrap())) == images.label(k)
        })
        .count();
    assert!(right >= 490, "{right} of 500");
}

#[test]
fn unknown_names_say_what_there_is() {
    let error = format!("{:#}", Source::open("resnet").unwrap_err());
    assert!(error.contains("lenet"), "{error}");
    let error = format!("{:#}", Source::open("lenet").unwrap().model("g3").unwrap_err());
    assert!(error.contains("g3") && error.contains("dense"), "{error}");
}
