//! Baseline A of networks of every kind.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::Tiny;
use experiments::design::baseline_hear::{NAME, Room, baseline};
use experiments::design::candidate::{Estimate, lower_candidate};
use experiments::inputs::networks::{Source, embedded};
use experiments::machine::profiles::{Calibration, Cost};
use simulator::chain::Chain;
use simulator::config::{Configuration, ParameterChoice};
use simulator::fold::ActivationMethod;
use simulator::interpret::{Client, Session, run_clear};
use simulator::network::{Model, Network};
use simulator::precision::Precision;
use simulator::program::PlaintextForm;

fn cost() -> Cost {
    Calibration::load(&Tiny::new().path("profile.toml")).unwrap().cost(1).unwrap()
}

/// Room for so many bytes, with plaintexts in any form.
fn room(bytes: u64) -> Room<'static> {
    Room { bytes, plaintexts: &[PlaintextForm::Stored, PlaintextForm::ON_DEMAND] }
}

/// As much memory as there may be.
const PLENTY: u64 = 1 << 50;

fn network(layers: &[&str]) -> Network {
    let head = "name = \"n\"\n[input]\nchannels = 2\nheight = 8\nwidth = 8\n";
    let layer = |text: &&str| format!("[[layer]]\n{}\n", text.replace('|', "\n"));
    Network::from_toml(&(head.to_owned() + &layers.iter().map(layer).collect::<String>())).unwrap()
}

/// An embedded network with the weights that its speed-ups refer to.
fn known(name: &str) -> Arc<Model> {
    let source = Source::open(name).unwrap();
    Arc::new(source.model(source.baseline()).unwrap())
}

fn image(model: &Model) -> Vec<f64> {
    let length = model.network.input.len();
    let raw: Vec<f64> = (0..length).map(|k| (k * 37 % 101) as f64 / 101.0).collect();
    model.network.normalise(&raw).unwrap()
}

/// The program of A gives the network's results on plain numbers.
#[track_caller]
fn check_clear(estimate: &Estimate, model: &Model) {
    let image = image(model);
    let lowered =
        lower_candidate(&estimate.candidate, &Chain::from(&estimate.params), true).unwrap();
    assert_eq!(lowered.program.instructions, estimate.lowered.program.instructions);
    let slots = lowered.encode(&image).unwrap();
    let results = lowered.decode(&run_clear(&lowered.program, &slots).unwrap()).unwrap();
    let bits = Precision::of(&results, &model.forward(&image).unwrap()).relative_bits;
    // Double precision has 53; squares of squares and sums of hundreds of them lose some.
    assert!(bits > 30.0, "{}: {bits} bits", model.network.name);
}

/// The same encrypted, and how precise that is.
#[track_caller]
fn check_encrypted(estimate: &Estimate, model: &Model) {
    let image = image(model);
    let lowered =
        lower_candidate(&estimate.candidate, &Chain::from(&estimate.params), true).unwrap();
    let client = Client::new(&estimate.params);
    let keys = Arc::new(client.evaluation_keys(&lowered.program).unwrap());
    let inputs = client.encrypt(&lowered.program, &lowered.encode(&image).unwrap()).unwrap();
    let session =
        Session::prepare(&estimate.params, keys, lowered.program.clone(), estimate.plaintexts)
            .unwrap();
    let execution = session.run(inputs).unwrap();
    execution.check(&lowered.program).unwrap();
    let results = lowered.decode(&client.decrypt(&execution.outputs).unwrap()).unwrap();
    let bits = Precision::of(&results, &model.forward(&image).unwrap()).relative_bits;
    // Scales of 33 bits and half the noise of a ring of 2^15, on values of order one.
    assert!(bits > 8.0, "{bits} bits");
}

const CONV: &str = "name = \"c\"|kind = \"conv\"|out = 4|kernel = 3|padding = 1";
const ACT: &str = "name = \"a\"|kind = \"activation\"";
const STRIDED: &str = "name = \"d\"|kind = \"conv\"|out = 8|kernel = 3|padding = 1|stride = 2";
const ACT_B: &str = "name = \"b\"|kind = \"activation\"";
const BACK: &str = "name = \"e\"|kind = \"conv\"|out = 8|kernel = 3|padding = 1";
const OPTION_A: &str = "name = \"s\"|kind = \"shortcut\"|out = 8|stride = 2|input = \"a\"";
const BY_CONV: &str = "name = \"s\"|kind = \"conv\"|out = 8|kernel = 1|stride = 2|input = \"a\"";
const ADD: &str = "name = \"t\"|kind = \"add\"|input = [\"e\", \"s\"]";
const POOL: &str = "name = \"p\"|kind = \"avgpool\"|kernel = 2";
const FC: &str = "name = \"f\"|kind = \"fc\"|out = 3";

#[test]
fn networks_of_every_kind_have_one() {
    let cost = cost();
    let same = "name = \"t\"|kind = \"add\"|input = [\"c\", \"input\"]";
    let two = "name = \"c\"|kind = \"conv\"|out = 2|kernel = 3|padding = 1";
    // Padding that makes maps larger than the image, before and behind a stride, and a map of one position.
    let wide = "name = \"c\"|kind = \"conv\"|out = 4|kernel = 3|padding = 2";
    let wider = "name = \"d\"|kind = \"conv\"|out = 4|kernel = 5|padding = 4|stride = 2";
    let all = "name = \"p\"|kind = \"avgpool\"|kernel = 8";
    let again = "name = \"d\"|kind = \"conv\"|out = 4|kernel = 3|padding = 2";
    // Windows that are no squares, padded on some sides, dilated; a pool with padding; a batch norm after a flatten.
    let flat = "name = \"c\"|kind = \"conv\"|out = 4|kernel = [3, 2]|stride = [1, 2]|padding = [1, 0, 1, 2]";
    let dilated = "name = \"d\"|kind = \"conv\"|out = 4|kernel = 3|dilation = [2, 1]|padding = [3, 1]|stride = [2, 1]";
    let tall = "name = \"p\"|kind = \"avgpool\"|kernel = [2, 1]|stride = [2, 1]";
    let padded = "name = \"p\"|kind = \"avgpool\"|kernel = 3|stride = 2|padding = 1";
    let flatten = "name = \"l\"|kind = \"flatten\"";
    let norm = "name = \"n\"|kind = \"batchnorm\"|affine = false";
    for layers in [
        &[POOL, CONV, ACT, FC][..],
        &[flat, ACT, dilated, ACT_B, FC],
        &[flat, ACT, tall, dilated, ACT_B, FC],
        &[CONV, ACT, padded, flatten, norm, FC],
        &[POOL],
        &[ACT],
        &[CONV, ACT, POOL, STRIDED, ACT_B, FC],
        &[CONV, ACT, STRIDED, ACT_B, POOL, FC],
        &[two, same, ACT, FC],
        &[wide, ACT, FC],
        &[wide, ACT, wider, ACT_B, FC],
        &[CONV, ACT, all, again, ACT_B, FC],
        &[FC],
    ] {
        let model = Arc::new(Model::random(network(layers), 5));
        let estimate = baseline(&model, "v", None, &cost, room(PLENTY)).unwrap();
        assert_eq!(estimate.candidate.name, NAME);
        assert_eq!(estimate.not_taken, []);
        check_clear(&estimate, &model);
        check_encrypted(&estimate, &model);
    }
}

#[test]
fn residual_blocks_of_both_kinds_have_one() {
    let cost = cost();
    for shortcut in [OPTION_A, BY_CONV] {
        let layers = [CONV, ACT, STRIDED, ACT_B, BACK, shortcut, ADD, FC];
        let model = Arc::new(Model::random(network(&layers), 5));
        let estimate = baseline(&model, "v", None, &cost, room(PLENTY)).unwrap();
        check_clear(&estimate, &model);
        check_encrypted(&estimate, &model);
        assert_eq!(estimate.candidate.name, NAME);
    }
}

/// VGG-5 has fully connected layers of 64 units here: with all 4096, lowering takes a minute.
#[test]
fn embedded_networks_have_one() {
    let cost = cost();
    for name in embedded() {
        let model = match name {
            "vgg5" => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("networks/vgg5.toml");
                let text = std::fs::read_to_string(path).unwrap();
                let narrow = text.replace(" = 4096", " = 64");
                assert_ne!(narrow, text);
                Arc::new(Model::random(Network::from_toml(&narrow).unwrap(), 1))
            }
            _ => known(name),
        };
        let estimate = baseline(&model, "dense", None, &cost, room(PLENTY)).unwrap();
        assert_eq!(estimate.candidate.name, NAME);
        check_clear(&estimate, &model);
    }
}

/// What HEAR's own choices cannot do takes the next form; name and report say so.
#[test]
fn the_first_form_that_fits_is_taken() {
    let cost = cost();
    let layers = [CONV, ACT, STRIDED, ACT_B, POOL, FC];
    let model = Arc::new(Model::random(network(&layers), 5));
    let in_room = |bytes| baseline(&model, "v", None, &cost, room(bytes));
    let mut estimates = vec![in_room(PLENTY).unwrap()];
    // A byte less than each takes at the least, until nothing fits.
    let error = loop {
        let last = estimates.last().unwrap();
        let on_demand = last.memory_with(PlaintextForm::ON_DEMAND).total_bytes;
        match in_room(on_demand.min(last.memory.total_bytes) - 1) {
            Ok(estimate) => estimates.push(estimate),
            Err(error) => break error.to_string(),
        }
    };
    let own = &estimates[0].candidate.configuration;
    assert_eq!((own.activations, own.parameters.special), (ActivationMethod::Quadratic, 1));
    let mut before = own;
    for estimate in &estimates[1..] {
        let now = &estimate.candidate.configuration;
        let order = |c: &Configuration| {
            (c.activations != ActivationMethod::Quadratic, c.parameters.special)
        };
        assert!(order(now) >= order(before), "{}", estimate.candidate.name);
        before = now;
        let special = now.parameters.special;
        assert_eq!(estimate.candidate.name.contains(&format!(", {special} special")), special > 1);
        let squares = now.activations == ActivationMethod::Square;
        assert_eq!(estimate.candidate.name.contains("completed squares"), squares);
        let levels = if squares { 5 } else { 7 };
        assert_eq!(now.parameters.levels, levels);
        // HEAR's own comes first among those not taken, then fewer digits.
        let names: Vec<&str> = estimate.not_taken.iter().map(|l| &l.name[..]).collect();
        let fewer = format!("{NAME}, 2 to 8 special primes");
        let wanted = match (special, squares) {
            (1, _) => vec![],
            (_, false) => vec![NAME],
            (_, true) => vec![NAME, &fewer],
        };
        assert_eq!(names, wanted);
        for left in &estimate.not_taken {
            assert!(left.reason.contains("predicted to need"), "{}", left.reason);
            assert!(left.reason.contains("over the limit of"), "{}", left.reason);
        }
    }
    assert!(estimates.iter().any(|p| p.candidate.configuration.parameters.special > 1));
    assert_eq!(before.activations, ActivationMethod::Square);
    check_encrypted(estimates.last().unwrap(), &model);
    check_clear(estimates.last().unwrap(), &model);
    assert!(error.contains("completed squares: predicted to need"), "{error}");
}

/// Plaintexts that must be stored take a form that fits so, not one that would on demand.
#[test]
fn forms_of_plaintexts_are_kept_to() {
    let cost = cost();
    let model = Arc::new(Model::random(network(&[CONV, ACT, STRIDED, ACT_B, POOL, FC]), 5));
    let stored = &[PlaintextForm::Stored][..];
    let either = &[PlaintextForm::Stored, PlaintextForm::ON_DEMAND][..];
    let found = |bytes, plaintexts| {
        let estimate = baseline(&model, "v", None, &cost, Room { bytes, plaintexts }).unwrap();
        assert!(estimate.memory.total_bytes <= bytes);
        estimate
    };
    let plenty = found(PLENTY, either);
    assert_eq!(plenty.plaintexts, PlaintextForm::Stored);
    // What both HEAR's form on demand and another one that is stored fit into; which of them needs more depends on what keys take.
    let on_demand = plenty.memory_with(PlaintextForm::ON_DEMAND).total_bytes;
    let fewer = found(plenty.memory.total_bytes - 1, stored).memory.total_bytes;
    let bytes = on_demand.max(fewer);
    assert!(bytes < plenty.memory.total_bytes);
    let first = found(bytes, either);
    assert_eq!((&first.candidate.name[..], first.plaintexts), (NAME, PlaintextForm::ON_DEMAND));
    let other = found(bytes, stored);
    assert_eq!(other.plaintexts, PlaintextForm::Stored);
    assert_ne!(other.candidate.name, NAME);
}

/// 20 linear layers and 19 activations of two levels: the keys of no number of digits fit 16 GB.
#[test]
fn deep_networks_take_completed_squares() {
    let deep = baseline(&known("resnet20"), "dense", None, &cost(), room(16_000_000_000)).unwrap();
    assert!(deep.candidate.name.contains("completed squares"), "{}", deep.candidate.name);
    assert_eq!(deep.candidate.configuration.parameters.levels, 39);
    assert_eq!(deep.not_taken.len(), 2);
}

/// More layers than there are levels: the reason is told.
#[test]
fn networks_too_deep_for_any_form_are_refused() {
    let layers: Vec<String> =
        (0..70).map(|k| CONV.replace("\"c\"", &format!("\"c{k}\""))).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let model = Arc::new(Model::random(network(&layers), 5));
    let error = baseline(&model, "v", None, &cost(), room(PLENTY)).err().unwrap().to_string();
    assert!(error.contains("parameters.levels") && error.contains("70"), "{error}");
}

/// Shares are parts of the whole; the digits' is what the best number of special primes saves.
#[test]
fn shares_of_the_time_are_told() {
    let cost = cost();
    let model = Arc::new(Model::random(network(&[CONV, ACT, STRIDED, ACT_B, POOL, FC]), 5));
    let estimate = baseline(&model, "v", None, &cost, room(PLENTY)).unwrap();
    let shares = estimate.shares.unwrap();
    let price = |special: usize| {
        let own = estimate.candidate.configuration.parameters;
        let chain = ParameterChoice { special, alpha: special, ..own }.ideal_chain();
        let chain = chain.unwrap();
        let primitives = estimate.lowered.program.primitives();
        let ms = |(_, p, level)| cost.model.predict(&p, &chain.setting(level, 1)).median_ms;
        primitives.map(ms).sum::<f64>()
    };
    let own = estimate.candidate.configuration.parameters;
    let secure = |s: usize| {
        let other = ParameterChoice { special: s, alpha: s, ..own };
        other.secure()
    };
    let best = (1..=8).filter(|s| secure(*s)).map(price).fold(f64::INFINITY, f64::min);
    let whole = estimate.latency.median_ms;
    assert!((price(1) - whole).abs() < 1e-9 * whole);
    assert!((shares.digit_choice_ms - (whole - best)).abs() < 1e-9 * whole);
    assert!(secure(2), "there is a choice");
    let parts = shares.plaintext_reading_ms + shares.plaintext_products_ms;
    assert!(parts > 0.0 && parts < whole, "{shares:?}");
}
