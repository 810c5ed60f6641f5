//! Every weight file belongs to a described variant, has the record of its training beside it, and computes what the
//! training framework computed.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use experiments::inputs::networks::{Source, embedded};
use simulator::network::{LayerKind, Network, Shape, Weights};

/// The pixels of check input `k`, as the training scripts define them.
fn check_input(k: usize, shape: Shape) -> Vec<f64> {
    (0..shape.len())
        .map(|i| {
            let (x, rest) = (i % shape.width, i / shape.width);
            let (y, c) = (rest % shape.height, rest / shape.height);
            let [k, c, y, x] = [k, c, y, x].map(|v| v as f64);
            0.5 * (0.37 * k + 0.21 * y + 0.9 * c).sin()
                + 0.5 * (0.13 * k * x + 0.3 * x + 0.5 * c).cos()
        })
        .collect()
}

/// What is wrong with a folder of weight files, and how many logits agree with those of `check.json`. Activations must
/// have bounds of at most `most`, if it is given.
fn examine(source: &Source, folder: &Path, most: Option<f64>) -> (Vec<String>, usize) {
    let mut faults = Vec::new();
    let mut compared = 0;
    let network = &source.network;
    let files: BTreeSet<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.map(|e| e.unwrap().path()).collect())
        .unwrap_or_default();
    let ending = |path: &Path, wanted: &str| path.extension().is_some_and(|e| e == wanted);
    let weights: BTreeSet<String> = files
        .iter()
        .filter(|f| ending(f, "safetensors"))
        .map(|f| f.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let described: BTreeSet<String> = network.variants.iter().map(|v| v.name.clone()).collect();
    faults
        .extend(weights.difference(&described).map(|n| format!("{n}: weights without a variant")));
    faults.extend(described.difference(&weights).map(|n| format!("{n}: variant without weights")));
    let check: serde_json::Value = fs::read_to_string(folder.join("check.json"))
        .map(|text| serde_json::from_str(&text).unwrap())
        .unwrap_or_default();
    let inputs = check["inputs"].as_u64().unwrap_or(0) as usize;
    for name in described.intersection(&weights) {
        let variant = network.variant(name).unwrap();
        if variant.weights != format!("../weights/{}/{name}.safetensors", network.name) {
            faults.push(format!("{name}: the variant names the file {}", variant.weights));
        }
        match fs::read_to_string(folder.join(format!("{name}.toml"))) {
            Ok(text) => {
                let record: toml::Table = text.parse().unwrap();
                let accuracy = record.get("test_accuracy").and_then(toml::Value::as_float);
                if accuracy.is_none() || accuracy != variant.accuracy {
                    faults.push(format!(
                        "{name}: accuracy {:?} in the description, {accuracy:?} in the record",
                        variant.accuracy
                    ));
                }
                if record.get("variant").and_then(toml::Value::as_str) != Some(name) {
                    faults.push(format!("{name}: the record is of another variant"));
                }
            }
            Err(_) => faults.push(format!("{name}: no record")),
        }
        let empty = Vec::new();
        let wanted = check["logits"][name].as_array().unwrap_or(&empty);
        if inputs == 0 || wanted.len() != inputs {
            faults.push(format!("{name}: logits of {} of {inputs} check inputs", wanted.len()));
        }
        let model = source.model(name).unwrap();
        let activations =
            network.layers.iter().enumerate().filter(|(_, l)| l.kind == LayerKind::Activation);
        for (k, layer) in activations {
            let bound = model.bounds.activations.get(&k);
            if most.is_some_and(|most| bound.is_none_or(|b| *b > most)) {
                faults.push(format!("{name}: the bound of {} is {bound:?}", layer.name));
            }
        }
        for (k, wanted) in wanted.iter().enumerate() {
            let wanted: Vec<f64> =
                wanted.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let found = model.forward(&check_input(k, network.input)).unwrap();
            // Both in double precision, in another order of additions.
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 * b.abs().max(1.0);
            if found.len() != wanted.len() || !found.iter().zip(&wanted).all(close) {
                faults.push(format!("{name}: input {k} gives {found:?}, not {wanted:?}"));
            }
            compared += wanted.len();
        }
    }
    (faults, compared)
}

#[test]
fn every_weight_file_computes_what_the_training_framework_did() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
    let mut unknown: BTreeSet<PathBuf> =
        fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).collect();
    for name in embedded() {
        let folder = root.join(name);
        unknown.remove(&folder);
        // LeNet was trained before bounds were.
        let most = (name != "lenet").then_some(32.0);
        let (faults, compared) = examine(&Source::open(name).unwrap(), &folder, most);
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
        assert!(name != "lenet" || compared >= 7 * 8 * 10);
    }
    assert!(unknown.is_empty(), "weights of no embedded network: {unknown:?}");
}

const NETWORK: &str = r#"
name = "small"

[input]
channels = 2
height = 3
width = 4

[[layer]]
name = "fc"
kind = "fc"
out = 2
bias = false

[[layer]]
name = "act"
kind = "activation"
"#;

const VARIANT: &str = r#"
[[variant]]
name = "one"
weights = "../weights/small/one.safetensors"
accuracy = 0.75
"#;

/// One output is the square of the sum of all pixels, the other of those of the last row of channel 1.
fn write_weights(folder: &Path, bound: f64) {
    let mut weights = vec![1.0; 24];
    weights.extend((0..24).map(|k| f64::from(u8::from(k >= 20))));
    let mut file = Weights::default();
    file.insert("fc.weight", &[2, 24], weights).unwrap();
    file.insert("act.coeffs", &[3], vec![1.0, 0.0, 0.0]).unwrap();
    file.insert("act.bound", &[1], vec![bound]).unwrap();
    file.write(&folder.join("one.safetensors")).unwrap();
}

/// Writes a network whose logits are known, and returns what is found wrong with it after `change` to its folder.
fn faults_after(variants: &str, change: impl Fn(&Path)) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("weights/small");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir(home.path().join("networks")).unwrap();
    let description = home.path().join("networks/small.toml");
    fs::write(&description, format!("{NETWORK}{variants}")).unwrap();
    write_weights(&folder, 4.0);
    let shape = Network::from_toml(NETWORK).unwrap().input;
    let logits: Vec<[f64; 2]> = (0..3)
        .map(|k| check_input(k, shape))
        .map(|x| [x.iter().sum::<f64>().powi(2), x[20..].iter().sum::<f64>().powi(2)])
        .collect();
    let check = serde_json::json!({ "inputs": 3, "logits": { "one": logits } });
    fs::write(folder.join("check.json"), check.to_string()).unwrap();
    fs::write(folder.join("one.toml"), "variant = \"one\"\ntest_accuracy = 0.75\n").unwrap();
    change(&folder);
    examine(&Source::open(description.to_str().unwrap()).unwrap(), &folder, Some(4.0)).0
}

#[test]
fn the_examination_finds_faults() {
    let check = |variants: &str, change: &dyn Fn(&Path), expected: &[&str]| {
        let faults = faults_after(variants, change);
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, part) in faults.iter().zip(expected) {
            assert!(fault.contains(part), "{fault:?} does not say {part:?}");
        }
    };
    let write = |name: &'static str, text: &'static str| {
        move |folder: &Path| fs::write(folder.join(name), text).unwrap()
    };
    check(VARIANT, &|_| {}, &[]);
    check(VARIANT, &|f| write_weights(f, 5.0), &["one: the bound of act is Some(5.0)"]);
    check("", &|_| {}, &["one: weights without a variant"]);
    check(VARIANT, &|f| fs::remove_file(f.join("one.safetensors")).unwrap(), &["without weights"]);
    check(VARIANT, &|f| fs::remove_file(f.join("one.toml")).unwrap(), &["no record"]);
    check(VARIANT, &|f| fs::remove_file(f.join("check.json")).unwrap(), &["0 of 0 check inputs"]);
    check(VARIANT, &write("check.json", r#"{"inputs": 3, "logits": {}}"#), &["0 of 3"]);
    check(
        VARIANT,
        &write("check.json", r#"{"inputs": 1, "logits": {"one": [[1.0, 2.0]]}}"#),
        &["input 0 gives"],
    );
    check(VARIANT, &write("one.toml", "variant = \"one\"\ntest_accuracy = 0.7\n"), &["accuracy"]);
    check(VARIANT, &write("one.toml", "test_accuracy = 0.75\n"), &["of another variant"]);
    check(&VARIANT.replace("accuracy = 0.75", ""), &|_| {}, &["accuracy None"]);
    check(
        &VARIANT.replace("../weights/small/one", "../networks/../weights/small/one"),
        &|_| {},
        &["names the file"],
    );
}
