//! Searching a small network, and running what the search returns.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;

use engine::params::Parameters;
use simulator::chain::Chain;
use simulator::config::Configuration;
use simulator::fold::{ActivationMethod, Folded};
use simulator::interpret::{Client, Session, run_clear};
use simulator::lowering::lower;
use simulator::network::Model;
use simulator::precision::{Demand, Precision};
use simulator::program::PlaintextForm;
use simulator::search::{
    Candidate, Evaluated, Journal, Limits, Outcome, Search, Space, Watch, WorkPricer,
};

/// Few parameter sets, small rings: secure ones all the same.
pub fn space(activations: ActivationMethod) -> Space {
    Space {
        log_n: vec![13, 14],
        special: vec![1],
        activations,
        max_inputs: 16,
        max_ciphertexts: 16,
        keep: 4,
        paired_prime_bits: vec![46],
        ..Space::default()
    }
}

/// A search on the images given (normalised).
pub fn search(
    model: &Model,
    space: &Space,
    demand: Demand,
    images: &[Vec<f64>],
) -> simulator::Result<Outcome> {
    search_into(model, space, demand, images, &Journal::new())
}

/// The same with a journal.
pub fn search_into(
    model: &Model,
    space: &Space,
    demand: Demand,
    images: &[Vec<f64>],
    journal: &Journal,
) -> simulator::Result<Outcome> {
    let folded = Folded::new(model, space.activations)?;
    let candidate = Candidate { variant: "v".into(), folded, accuracy: None };
    search_with(space, demand, images, |search| search.run(&[candidate], journal))
}

/// Something done with a search.
pub fn search_with<T>(
    space: &Space,
    demand: Demand,
    images: &[Vec<f64>],
    run: impl FnOnce(&Search<'_>) -> T,
) -> T {
    let limits = Limits { precision: demand, ..Limits::default() };
    run(&Search {
        space,
        limits: &limits,
        pricer: &WorkPricer,
        pricer_name: "work",
        reference_accuracy: None,
        images,
        seed: 1,
        wanted: usize::MAX,
        watch: Watch::default(),
    })
}

/// Checks a configuration on plain slots: the network's results but for roundings of double precision.
#[track_caller]
pub fn check_clear(model: &Model, e: &Evaluated, image: &[f64]) {
    let folded = Folded::new(model, &e.configuration).unwrap();
    let chain = e.configuration.parameters.ideal_chain().unwrap();
    let lowered = lower(&folded, &e.configuration, &chain, true).unwrap();
    lowered.program.check(&chain).unwrap();
    let slots = lowered.encode(image).unwrap();
    let results = lowered.decode(&run_clear(&lowered.program, &slots).unwrap()).unwrap();
    let bits = Precision::of(&results, &model.forward(image).unwrap()).relative_bits;
    // Double precision has 53; squares of squares and sums of hundreds of them lose some.
    assert!(bits > 30.0, "{bits} bits: {:?}", e.configuration);
}

/// Runs a configuration encrypted, and gives its precision; the instructions must be the priced ones.
#[track_caller]
pub fn encrypted(model: &Model, c: &Configuration, image: &[f64]) -> Precision {
    encrypted_images(model, c, &[image.to_vec()])
}

/// The same for several images under one key: the precision of the least precise.
#[track_caller]
pub fn encrypted_images(model: &Model, c: &Configuration, images: &[Vec<f64>]) -> Precision {
    let folded = Folded::new(model, c).unwrap();
    let params = Parameters::new(&c.parameters.literal().unwrap()).unwrap();
    let chain = Chain::from(&params);
    let lowered = lower(&folded, c, &chain, true).unwrap();
    let client = Client::new(&params);
    let keys = Arc::new(client.evaluation_keys(&lowered.program).unwrap());
    let form = PlaintextForm::Stored;
    let session = Session::prepare(&params, keys, lowered.program.clone(), form).unwrap();
    let precision = |some: &[Vec<f64>]| {
        let slots = lowered.encode_images(some).unwrap();
        let execution = session.run(client.encrypt(&lowered.program, &slots).unwrap()).unwrap();
        execution.check(&lowered.program).unwrap();
        let slots = client.decrypt(&execution.outputs).unwrap();
        let results = lowered.decode_images(&slots, some.len()).unwrap();
        let each = results.iter().zip(some);
        each.map(|(found, image)| Precision::of(found, &model.forward(image).unwrap()))
            .fold(Precision::EXACT, Precision::least)
    };
    images.chunks(lowered.images).map(precision).fold(Precision::EXACT, Precision::least)
}
