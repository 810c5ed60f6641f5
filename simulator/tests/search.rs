//! The search: exact prices, resuming, restrictions, determinism.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use simulator::fold::{ActivationMethod, Folded};
use simulator::interpret::run_clear;
use simulator::lowering::lower;
use simulator::network::Model;
use simulator::search::*;

fn candidate(model: &Model, name: &str, accuracy: f64) -> Candidate {
    let folded = Folded::new(model, ActivationMethod::Square).unwrap();
    Candidate { variant: name.into(), folded, accuracy: Some(accuracy) }
}

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

#[test]
#[ignore]
fn timing() {
    for log_n in [14] {
        let m = model(lenet(64, 32, 32, 8));
        let s = Space { log_n: vec![log_n], ..Space::default() };
        let start = std::time::Instant::now();
        let mut j = Journal::new();
        let o = search(&s, &ANY).run(&[candidate(&m, "g8", 0.99)], &mut j).unwrap();
        println!("{log_n}: {:?}", start.elapsed());
        for e in &o.all {
            println!(
                "{:.3} ms {:?} bits {:.0} MB special {}",
                e.latency_ms,
                e.precision_bits,
                e.memory.total_bytes() as f64 / 1e6,
                e.configuration.parameters.special
            );
        }
        let b = o.best.unwrap();
        println!("{:?}\n{}", b.layers, b.configuration.to_toml().unwrap());
    }
}
