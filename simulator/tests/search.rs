//! The search: exact prices, resuming, restrictions, determinism.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use simulator::fold::{ActivationMethod, Folded};
use simulator::interpret::run_clear;
use simulator::lowering::lower;
use simulator::network::Model;
use simulator::search::*;

fn space() -> Space {
    Space {
        log_n: vec![13],
        special: vec![1, 2],
        min_scale_bits: 10,
        max_inputs: 16,
        ..Space::default()
    }
}

fn search<'a>(space: &'a Space, limits: &'a Limits) -> Search<'a> {
    Search {
        space,
        limits,
        pricer: &WorkPricer,
        pricer_name: "work",
        reference_accuracy: Some(0.99),
        images: &[],
        seed: 1,
    }
}

const ANY: Limits = Limits { accuracy_drop: None, memory_bytes: None, precision_bits: -100.0 };

/// Runs a configuration on plain slots and compares with the network.
#[track_caller]
fn check_clear(model: &Model, e: &Evaluated) {
    let folded = Folded::new(model, e.configuration.activations).unwrap();
    let chain = e.configuration.parameters.ideal_chain();
    let l = lower(&folded, &e.configuration, &chain, true).unwrap();
    l.program.check(&chain).unwrap();
    let x = image(&model.network, 9);
    let y = l.decode(&run_clear(&l.program, &l.encode(&x).unwrap()).unwrap()).unwrap();
    assert!(difference(&y, &model.forward(&x).unwrap()) < 1e-9);
}

/// A small network under every kind of activation and the ring degrees that are secure for it.
fn cases() -> [Space; 2] {
    [
        Space { activations: ActivationMethod::Square, ..space() },
        Space { activations: ActivationMethod::PairedSquare, log_n: vec![14], ..space() },
    ]
}

fn folded(model: &Model, space: &Space) -> Candidate {
    let folded = Folded::new(model, space.activations).unwrap();
    Candidate { variant: "small".into(), folded, accuracy: Some(0.99) }
}

#[test]
fn what_it_finds_computes_the_network_at_the_price_it_says() {
    let m = model(lenet(8, 8, 8, 2));
    for space in cases() {
        let outcome = search(&space, &ANY).run(&[folded(&m, &space)], &mut Journal::new()).unwrap();
        assert!(outcome.best.is_some());
        for e in &outcome.all {
            check_clear(&m, e);
            let sum: f64 = e.layers.iter().map(|l| l.latency_ms).sum();
            assert!((sum - e.latency_ms).abs() <= 1e-9 * sum);
        }
        // The dynamic programme's own sum of prices orders the ways as the lowered programs' prices do.
        assert!(outcome.all.windows(2).all(|w| w[0].latency_ms <= w[1].latency_ms));
    }
}

#[test]
fn the_same_input_gives_the_same_output_and_a_journal_resumes() {
    let m = model(lenet(8, 8, 8, 1));
    let [space, _] = cases();
    let search = search(&space, &ANY);
    let mut journal = Journal::new();
    let first = search.run(&[folded(&m, &space)], &mut journal).unwrap();
    let again = search.run(&[folded(&m, &space)], &mut Journal::new()).unwrap();
    assert_eq!(first.all, again.all);
    let resumed = search.run(&[folded(&m, &space)], &mut journal).unwrap();
    assert_eq!((resumed.evaluated, resumed.resumed), (0, first.evaluated));
    assert_eq!(resumed.all, first.all);
}

#[test]
fn limits_are_kept() {
    let m = model(lenet(8, 8, 8, 1));
    let [space, _] = cases();
    let all = search(&space, &ANY).run(&[folded(&m, &space)], &mut Journal::new()).unwrap();
    let least = all.all.iter().map(|e| e.memory.total_bytes()).min().unwrap();
    let limits = Limits { memory_bytes: Some(least), ..ANY };
    let kept = search(&space, &limits).run(&[folded(&m, &space)], &mut Journal::new()).unwrap();
    assert_eq!(kept.best.unwrap().memory.total_bytes(), least);
    let limits = Limits { precision_bits: 200.0, ..ANY };
    let none = search(&space, &limits).run(&[folded(&m, &space)], &mut Journal::new()).unwrap();
    assert!(none.best.is_none() && none.front.is_empty() && !none.all.is_empty());
}

#[test]
fn the_paper_space_has_neither_phases_nor_patches() {
    let m = model(lenet(8, 8, 8, 2));
    let paper = Space {
        activations: ActivationMethod::Square,
        log_n: vec![13],
        special: vec![1],
        min_scale_bits: 10,
        ..Space::paper()
    };
    let outcome = search(&paper, &ANY).run(&[folded(&m, &paper)], &mut Journal::new()).unwrap();
    assert!(!outcome.all.is_empty());
    for e in &outcome.all {
        let c = &e.configuration;
        assert!(!c.input.patches && c.input.layout.phases == 1);
        assert!(c.linear.iter().all(|l| l.layout.phases == 1));
    }
}
