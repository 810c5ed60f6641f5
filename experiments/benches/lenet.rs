//! Time of LeNet's layers on one encrypted digit, one thread.
//!
//! The whole network is run for every sample, and each benchmark counts the instructions of its layer alone, so that
//! keys and plaintexts come from memory as they do in earnest.
#![allow(clippy::expect_used, reason = "a benchmark that cannot start should say so")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use experiments::design::candidate::{Candidate, lower_candidate, parameters};
use experiments::inputs::networks::Source;
use experiments::inputs::sample;
use simulator::chain::Chain;
use simulator::config::Configuration;
use simulator::interpret::{Client, Session};
use simulator::program::PlaintextForm;

fn layers(criterion: &mut Criterion) {
    let configuration =
        Configuration::from_toml(include_str!("lenet.toml")).expect("a configuration");
    let source = Source::open("lenet").expect("an embedded network");
    let model = Arc::new(source.model(&configuration.variant).expect("an embedded variant"));
    let params = parameters(&configuration, false).expect("secure parameters");
    let candidate =
        Candidate { name: "bench".into(), model, recorded_accuracy: None, configuration };
    let chain = Chain::from(&params);
    let lowered = lower_candidate(&candidate, &chain, false).expect("a program");
    let program = lower_candidate(&candidate, &chain, true).expect("a program").program;
    let image = sample::digits(1, 1).image(0).expect("an image");
    let image = candidate.model.network.normalise(&image).expect("an image of the right shape");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let (session, inputs) = pool.install(|| {
        let client = Client::new(&params);
        let keys = Arc::new(client.evaluation_keys(&program).expect("keys"));
        let slots = lowered.encode(&image).expect("slots");
        let inputs = client.encrypt(&program, &slots).expect("ciphertexts");
        let session = Session::prepare(&params, keys, program, PlaintextForm::Stored);
        (session.expect("a session"), inputs)
    });
    let mut group = criterion.benchmark_group("lenet");
    group.sample_size(10);
    for (index, layer) in lowered.program.layers.iter().enumerate() {
        let instructions = lowered.program.instructions.iter().enumerate();
        let here: Vec<usize> =
            instructions.filter(|(_, i)| i.layer == index).map(|(k, _)| k).collect();
        if here.is_empty() {
            continue;
        }
        let once = || -> Duration {
            let run = pool.install(|| session.run(inputs.clone())).expect("a run");
            here.iter().map(|&k| run.times[k]).sum()
        };
        group.bench_function(layer, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| once()).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
