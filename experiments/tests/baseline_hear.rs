//! Baseline A of networks of every kind.

#![allow(clippy::unwrap_used)]

mod common;

use std::ffi::OsStr;
use std::sync::Arc;

use common::Tiny;
use experiments::baseline_hear::{NAME, baseline, shares};
use experiments::candidate::{Paper, lower_candidate};
use experiments::networks::Source;
use experiments::profiles::{Calibration, Cost};
use simulator::chain::Chain;
use simulator::interpret::run_clear;
use simulator::network::{Model, Network};

fn cost(tiny: &Tiny) -> Cost {
    Calibration::load(&tiny.path("profile.toml")).unwrap().cost(1).unwrap()
}

/// As much memory as there may be.
const PLENTY: u64 = 1 << 40;

fn network(layers: &[&str]) -> Network {
    let head = "name = \"n\"\n[input]\nchannels = 2\nheight = 8\nwidth = 8\n";
    let layer = |text: &&str| format!("[[layer]]\n{}\n", text.replace('|', "\n"));
    Network::from_toml(&(head.to_owned() + &layers.iter().map(layer).collect::<String>())).unwrap()
}

/// The program of A gives the network's results on plain numbers.
#[track_caller]
fn check_clear(paper: &Paper, model: &Model) {
    let image: Vec<f64> =
        (0..model.network.input.len()).map(|k| (k * 37 % 101) as f64 / 101.0 - 0.5).collect();
    let lowered = lower_candidate(&paper.candidate, &Chain::from(&paper.params), true).unwrap();
    let slots = lowered.encode(&image).unwrap();
    let results = lowered.decode(&run_clear(&lowered.program, &slots).unwrap()).unwrap();
    let plain = model.forward(&image).unwrap();
    let error = experiments::report::largest_difference(&results, &plain);
    // Double precision on values of order one.
    assert!(error < 1e-9, "{error}");
}

#[test]
fn networks_of_every_kind_have_one() {
    let tiny = Tiny::new();
    let cost = cost(&tiny);
    let conv = "name = \"c\"|kind = \"conv\"|out = 4|kernel = 3|padding = 1";
    let act = "name = \"a\"|kind = \"activation\"";
    let strided = "name = \"d\"|kind = \"conv\"|out = 8|kernel = 3|padding = 1|stride = 2";
    let act_b = "name = \"b\"|kind = \"activation\"";
    let back = "name = \"e\"|kind = \"conv\"|out = 8|kernel = 3|padding = 1";
    let option_a = "name = \"s\"|kind = \"shortcut\"|out = 8|stride = 2|input = \"a\"";
    let by_conv = "name = \"s\"|kind = \"conv\"|out = 8|kernel = 1|stride = 2|input = \"a\"";
    let add = "name = \"t\"|kind = \"add\"|input = [\"e\", \"s\"]";
    let same = "name = \"t\"|kind = \"add\"|input = [\"c\", \"input\"]";
    let two = "name = \"c\"|kind = \"conv\"|out = 2|kernel = 3|padding = 1";
    let pool = "name = \"p\"|kind = \"avgpool\"|kernel = 2";
    let fc = "name = \"f\"|kind = \"fc\"|out = 3";
    for layers in [
        &[pool, conv, act, fc][..],
        &[conv, act, strided, act_b, pool, fc],
        &[conv, act, strided, act_b, back, option_a, add, fc],
        &[conv, act, strided, act_b, back, by_conv, add, fc],
        &[two, same, act, fc],
        &[fc],
    ] {
        let model = Arc::new(Model::random(network(layers), 5));
        let paper = baseline(&model, "v", None, &cost, PLENTY).unwrap();
        assert_eq!(paper.candidate.name, NAME);
        check_clear(&paper, &model);
        let shares = shares(&paper, &cost).unwrap();
        assert!(shares.digit_choice_ms >= 0.0 && shares.plaintext_reading_ms >= 0.0);
    }
}

/// What HEAR's own choices cannot do takes the next form, and its name says so.
#[test]
fn deep_networks_take_a_form_that_fits() {
    let tiny = Tiny::new();
    let cost = cost(&tiny);
    let model = |name: &str| {
        let source = Source::open(OsStr::new(name)).unwrap();
        Arc::new(source.model(source.baseline()).unwrap())
    };
    let lenet = baseline(&model("lenet"), "dense", None, &cost, PLENTY).unwrap();
    assert_eq!(lenet.candidate.name, NAME);
    // With less memory than this takes even on demand, fewer digits are the way.
    let least = lenet.memory_with(simulator::program::PlaintextForm::ON_DEMAND).total_bytes;
    let smaller = baseline(&model("lenet"), "dense", None, &cost, least - 1).unwrap();
    assert!(smaller.candidate.name.contains("special primes"), "{}", smaller.candidate.name);
    let error = baseline(&model("lenet"), "dense", None, &cost, 1 << 20);
    let error = error.err().unwrap().to_string();
    assert!(error.contains("1.0 MB") && error.contains("completed squares needs"), "{error}");
    // 20 linear layers and 19 activations of two levels: no ring degree is secure and fits 16 GB.
    let deep = baseline(&model("resnet20"), "dense", None, &cost, 16_000_000_000).unwrap();
    assert!(deep.candidate.name.contains("completed squares"), "{}", deep.candidate.name);
    assert_eq!(deep.candidate.configuration.parameters.levels, 39);
}
