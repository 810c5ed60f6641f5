//! Models of three frameworks, by four exporters: they import, give the logits that onnxruntime or JAX gives, and run
//! encrypted. How they were made: [make.py](onnx/make.py), [make_jax.py](onnx/make_jax.py).

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::params::Parameters;
use experiments::inputs::onnx::{self, Options};
use serde::Deserialize;
use simulator::chain::Chain;
use simulator::fold::{ActivationMethod, Folded};
use simulator::interpret::{Client, Session};
use simulator::lowering::lower;
use simulator::network::Model;
use simulator::precision::Demand;
use simulator::program::PlaintextForm;
use simulator::search::{Candidate, Journal, Limits, Search, Space, Watch, WorkPricer};

/// What is known of a model.
#[derive(Deserialize)]
struct Exported {
    shape: Vec<usize>,
    operators: BTreeSet<String>,
    logits: Vec<f64>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx")
}

fn exported() -> BTreeMap<String, Exported> {
    serde_json::from_str(&std::fs::read_to_string(folder().join("logits.json")).unwrap()).unwrap()
}

fn import(name: &str) -> onnx::Result<Model> {
    onnx::model(&folder().join(format!("{name}.onnx")), &Options::default())
}

/// The image of a model in the order of channels, rows, columns.
fn image(model: &Model, exported: &Exported) -> Vec<f64> {
    let given = |k: usize| ((7919 * k + 13) % 256) as f64 / 255.0;
    let input = model.network.input;
    let last = exported.shape[1..] != [input.channels, input.height, input.width];
    (0..input.len())
        .map(|k| match last {
            true => given(k % input.area() * input.channels + k / input.area()),
            false => given(k),
        })
        .collect()
}

/// Bits of agreement, relative to the largest.
fn bits(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let most = wanted.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let error = found.iter().zip(wanted).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    -(error / most).log2()
}

#[test]
fn models_of_three_frameworks_give_their_logits() {
    let all = exported();
    for (framework, least) in [("torch", 12), ("keras", 3), ("jax", 5)] {
        let found = all.keys().filter(|name| name.starts_with(framework)).count();
        assert!(found >= least, "{found} of {framework}");
    }
    for (name, exported) in &all {
        let model = import(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let pixels = image(&model, exported);
        let found = model.forward(&pixels).unwrap();
        // Theirs are of single precision.
        assert!(bits(&found, &exported.logits) > 16.0, "{name}: {found:?} {:?}", exported.logits);
        for method in [ActivationMethod::Square, ActivationMethod::Quadratic] {
            let folded =
                Folded::new(&model, method).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(bits(&folded.forward(&pixels).unwrap(), &found) > 30.0, "{name}");
        }
        // Without weights, the network is the same.
        let path = folder().join(format!("{name}.onnx"));
        let network = onnx::network(&path, &Options::default()).unwrap();
        assert_eq!(network.layers, model.network.layers, "{name}");
    }
}

#[test]
fn operators_of_real_exports_are_among_them() {
    let seen: BTreeSet<String> = exported().into_values().flat_map(|e| e.operators).collect();
    for operator in [
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Conv",
        "Div",
        "Dropout",
        "Flatten",
        "Gather",
        "Gemm",
        "GlobalAveragePool",
        "Identity",
        "MatMul",
        "Mul",
        "Pad",
        "Pow",
        "ReduceMean",
        "ReduceSum",
        "Reshape",
        "Shape",
        "Slice",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    ] {
        assert!(seen.contains(operator), "{operator}");
    }
}

/// The search's best configuration of each model, run encrypted, has the framework's logits.
#[test]
fn encrypted_they_give_their_logits_too() {
    for (name, exported) in exported() {
        let model = import(&name).unwrap();
        let folded = Folded::new(&model, ActivationMethod::PairedSquare).unwrap();
        let pixels = image(&model, &exported);
        let space = Space {
            log_n: vec![13, 14],
            special: vec![1],
            max_inputs: 16,
            max_ciphertexts: 16,
            keep: 1,
            quick: true,
            paired_prime_bits: vec![46],
            ..Space::default()
        };
        let limits = Limits { precision: Demand::Relative(11.0), ..Limits::default() };
        let images = [pixels.clone()];
        let search = Search {
            space: &space,
            limits: &limits,
            pricer: &WorkPricer,
            pricer_name: "work",
            reference_accuracy: None,
            images: &images,
            seed: 1,
            wanted: usize::MAX,
            watch: Watch::default(),
        };
        let candidate = Candidate { variant: "onnx".into(), folded, accuracy: None };
        let outcome = search.run(&[candidate], &Journal::new()).unwrap();
        let best = outcome.best.unwrap_or_else(|| panic!("{name}: {:?}", outcome.obstacles));
        let configuration = &best.configuration;
        let folded = Folded::new(&model, configuration).unwrap();
        let params = Parameters::new(&configuration.parameters.literal().unwrap()).unwrap();
        let lowered = lower(&folded, configuration, &Chain::from(&params), true).unwrap();
        let client = Client::new(&params);
        let keys = Arc::new(client.evaluation_keys(&lowered.program).unwrap());
        let form = PlaintextForm::Stored;
        let session = Session::prepare(&params, keys, lowered.program.clone(), form).unwrap();
        let inputs = client.encrypt(&lowered.program, &lowered.encode(&pixels).unwrap()).unwrap();
        let execution = session.run(inputs).unwrap();
        let found = lowered.decode(&client.decrypt(&execution.outputs).unwrap()).unwrap();
        let agreed = bits(&found, &exported.logits);
        assert!(agreed > 10.0, "{name}: {agreed} bits");
    }
}
