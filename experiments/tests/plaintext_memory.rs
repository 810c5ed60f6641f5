//! Memory of an encrypted inference with plaintexts in every form, counted and predicted.
//!
//! The only test of its process, as it counts everything that the process allocates.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use engine::buffer::AlignedBuf;
use experiments::design::candidate::{Candidate, lower_candidate, parameters};
use experiments::inputs::networks::Source;
use experiments::inputs::sample;
use experiments::machine::memory::{CountingAllocator, Phase};
use simulator::chain::Chain;
use simulator::config::Configuration;
use simulator::interpret::{Client, Session};
use simulator::program::PlaintextForm;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn every_form_takes_what_is_predicted() {
    let configuration = Configuration::from_toml(include_str!("../benches/lenet.toml")).unwrap();
    let source = Source::open("lenet").unwrap();
    let model = Arc::new(source.model(&configuration.variant).unwrap());
    let params = parameters(&configuration, false).unwrap();
    let candidate =
        Candidate { name: "test".into(), model, recorded_accuracy: None, configuration };
    let chain = Chain::from(&params);
    let lowered = lower_candidate(&candidate, &chain, false).unwrap();
    let image = sample::digits(1, 1).image(0).unwrap();
    let image = candidate.model.network.normalise(&image).unwrap();
    let slots = lowered.encode(&image).unwrap();
    // Predictions are for two threads.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let form = |batch_bytes| PlaintextForm::OnDemand { batch_bytes };
    let forms =
        [PlaintextForm::Stored, PlaintextForm::ON_DEMAND, form(64 << 20), form(16 << 20), form(1)];
    let mut logits: Option<Vec<f64>> = None;
    let measured = forms.map(|form| {
        AlignedBuf::release_pool();
        // What a client keeps to itself is not predicted.
        let client = Client::new(&params);
        let phase = Phase::begin();
        let program = lower_candidate(&candidate, &chain, true).unwrap().program;
        let outputs = pool.install(|| {
            let keys = Arc::new(client.evaluation_keys(&program).unwrap());
            let session = Session::prepare(&params, keys, program, form).unwrap();
            // One after another, as the second finds what the first has left in the pool.
            let infer = || {
                let inputs = client.encrypt(&lowered.program, &slots).unwrap();
                session.run(inputs).unwrap()
            };
            drop(infer());
            let execution = infer();
            execution.check(&lowered.program).unwrap();
            client.decrypt(&execution.outputs).unwrap()
        });
        let own = lowered.decode(&outputs).unwrap();
        let first = logits.get_or_insert_with(|| own.clone());
        // Fresh keys and encryptions each time: the same but for their noise.
        assert!(own.iter().zip(first).all(|(a, b)| (a - *b).abs() < 1e-2), "{own:?}");
        let measured = phase.peak_bytes() as f64;
        let predicted = lowered.program.memory(&chain, form);
        let error = predicted.total_bytes() as f64 / measured - 1.0;
        // Threads may have a group of limbs more or fewer under way: 2 to 3 % here.
        assert!(error.abs() < 0.04, "{form:?}: {error:+.3}, {measured} bytes, {predicted:?}");
        measured
    });
    assert!(measured.is_sorted_by(|a, b| a > b), "{measured:?}");
}
