//! A method for each activation: every mixture computes the network, in the clear and encrypted, and the search finds the
//! mixtures that pay.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::found::{check_clear, encrypted, search_with, space};
use common::image;
use common::layers::{act, conv, fc, pool, random};
use simulator::Error;
use simulator::config::Configuration;
use simulator::fold::ActivationMethod::{PairedSquare, Quadratic, Square};
use simulator::fold::{ActivationMethod, Activations, Folded};
use simulator::lowering::lower;
use simulator::network::{LayerParameters, Model};
use simulator::precision::Demand;
use simulator::search::{Evaluated, Journal, Space};

const METHODS: [ActivationMethod; 3] = [Square, PairedSquare, Quadratic];
/// Bits that a measured precision may lie below the predicted one: each is the largest of a few Gaussian errors.
const UNCERTAIN_BITS: f64 = 2.0;

/// Two activations, a pool between them and a linear layer after each.
fn two() -> Model {
    let layers = [
        conv("c", 4, 3, "padding = 1"),
        act("a"),
        pool("p", 2, 2),
        conv("d", 4, 3, ""),
        act("b"),
        fc("f", 4),
    ];
    random((2, 8, 8), &layers, 5)
}

/// A network whose first activation is near a line, and whose channels fill a ciphertext there.
fn near_a_line() -> Model {
    let layers = [
        conv("c", 32, 1, ""),
        act("a"),
        conv("d", 32, 3, "padding = 1"),
        act("b"),
        pool("p", 16, 16),
        fc("f", 4),
    ];
    let mut model = random((2, 16, 16), &layers, 5);
    let LayerParameters::Activation { a, b, .. } = &mut model.parameters[1] else { unreachable!() };
    a.fill(1e-6);
    b.fill(1.0);
    model
}

fn images(model: &Model) -> Vec<Vec<f64>> {
    (0..2).map(|seed| image(&model.network, seed)).collect()
}

/// The best result of a search with one method, whatever its precision.
fn plain(model: &Model, space: &Space, demand: Demand) -> Option<Evaluated> {
    search_with(space, demand, &images(model), |search| {
        let folded = Folded::new(model, space.activations).unwrap();
        let candidate =
            simulator::search::Candidate { variant: "v".into(), folded, accuracy: Some(0.5) };
        search.run(&[candidate], &Journal::new()).unwrap().all.into_iter().next()
    })
}

/// What exceptions make of a start.
fn exceptions(
    model: &Model,
    space: &Space,
    demand: Demand,
    start: &Evaluated,
    journal: &Journal,
) -> Option<Evaluated> {
    search_with(space, demand, &images(model), |search| {
        search.exceptions(model, start, journal).unwrap()
    })
}

#[test]
fn every_mixture_of_two_methods_computes_the_network() {
    let model = two();
    let folded = |a, b| Folded::new(&model, Activations::from(a).with("b", b)).unwrap();
    let own = |method| match method {
        PairedSquare => 0,
        Square => 1,
        Quadratic => 2,
    };
    let image = &images(&model)[1];
    let exact = model.forward(image).unwrap();
    for (first, last) in METHODS.into_iter().flat_map(|a| METHODS.map(|b| (a, b))) {
        let folded = folded(first, last);
        assert_eq!(folded.levels(), 3 + own(first) + own(last), "{first:?} {last:?}");
        let found = folded.forward(image).unwrap();
        assert!(common::difference(&found, &exact) < 1e-9, "{first:?} {last:?}");
    }
}

/// A pure square, which the next activation reads as it is.
fn in_a_row() -> Model {
    let layers = [conv("c", 4, 3, "padding = 1"), act("a"), act("b"), fc("f", 4)];
    let mut model = random((2, 8, 8), &layers, 5);
    let LayerParameters::Activation { a, b, c } = &mut model.parameters[1] else { unreachable!() };
    a.fill(1.0);
    b.fill(0.0);
    c.fill(0.0);
    model
}

#[test]
fn every_mixture_is_as_precise_encrypted_as_predicted() {
    check_mixtures(&two());
}

#[test]
fn so_is_every_mixture_of_activations_in_a_row() {
    check_mixtures(&in_a_row());
}

/// Searches for each mixture of two methods, and runs the best in the clear and encrypted.
#[track_caller]
fn check_mixtures(model: &Model) {
    let images = images(model);
    for (first, last) in METHODS.into_iter().flat_map(|a| METHODS.map(|b| (a, b))) {
        let activations = Activations::from(first).with("b", last);
        let method = if activations.pairs() { PairedSquare } else { first };
        let space = Space { log_n: vec![14], ..space(method) };
        let found = search_with(&space, Demand::Relative(8.0), &images, |search| {
            let folded = Folded::new(model, activations.clone()).unwrap();
            let candidate =
                simulator::search::Candidate { variant: "v".into(), folded, accuracy: None };
            search.run(&[candidate], &Journal::new()).unwrap()
        });
        let best = found.best.unwrap_or_else(|| panic!("{activations}: {:?}", found.obstacles));
        assert_eq!(Activations::from(&best.configuration), activations);
        check_clear(model, &best, &images[1]);
        let (predicted, measured) =
            (best.precision.unwrap(), encrypted(model, &best.configuration, &images[1]));
        assert!(
            measured.relative_bits > predicted.relative_bits - UNCERTAIN_BITS,
            "{activations}: {predicted:?} {measured:?}"
        );
    }
}

#[test]
fn configurations_keep_exceptions() {
    let model = two();
    let space = Space { log_n: vec![14], ..space(PairedSquare) };
    let mut c = plain(&model, &space, Demand::Relative(1.0)).unwrap().configuration;
    let without = c.to_toml().unwrap();
    assert!(!without.contains("[[activation]]"));
    assert_eq!(Configuration::from_toml(&without).unwrap(), c);
    c.activation_exceptions = Activations::from(PairedSquare).with("b", Quadratic).exceptions;
    let text = c.to_toml().unwrap();
    assert!(text.contains("[[activation]]\nlayer = \"b\"\nmethod = \"quadratic\"\n"), "{text}");
    assert_eq!(Configuration::from_toml(&text).unwrap(), c);
    // A network folded in another way is not lowered as if it were folded in this one.
    let folded = Folded::new(&model, PairedSquare).unwrap();
    let chain = c.parameters.ideal_chain().unwrap();
    let error = lower(&folded, &c, &chain, false).unwrap_err().to_string();
    assert!(error.contains("paired-square, b quadratic"), "{error}");
}

#[test]
fn exceptions_name_each_activation_once() {
    let model = two();
    let error = |activations: Activations| match Folded::new(&model, activations) {
        Err(Error::Configuration(text)) => text,
        other => panic!("{other:?}"),
    };
    for unknown in ["x", "c"] {
        let text = error(Activations::from(Square).with(unknown, Quadratic));
        assert_eq!(
            text,
            format!(
                "activation.layer is {unknown:?}, which is no activation of n; these are: a, b"
            )
        );
    }
    let mut twice = Activations::from(Square).with("a", Quadratic);
    twice.exceptions.extend(twice.exceptions.clone());
    assert!(error(twice).contains("\"a\" twice"));
}

#[test]
fn an_activation_near_a_line_is_kept_where_that_is_faster() {
    let model = near_a_line();
    let space = Space { log_n: vec![14], ..space(PairedSquare) };
    let demand = Demand::Relative(6.0);
    let start = plain(&model, &space, demand).unwrap();
    let journal = Journal::new();
    let better = exceptions(&model, &space, demand, &start, &journal);
    let better = better.unwrap_or_else(|| panic!("{start:?}"));
    assert!(better.latency_ms < start.latency_ms);
    assert_eq!(better.accuracy, start.accuracy);
    let chosen = Activations::from(&better.configuration);
    assert_eq!(chosen, Activations::from(PairedSquare).with("a", Quadratic));
    check_clear(&model, &better, &images(&model)[1]);
    // The same again, from the journal or not.
    let points = journal.len();
    assert_eq!(exceptions(&model, &space, demand, &start, &journal), Some(better.clone()));
    assert_eq!(journal.len(), points);
    let again = exceptions(&model, &space, demand, &start, &Journal::new());
    assert_eq!(again, Some(better));
    // Where no activation is near a line, nothing is faster, and nothing is evaluated.
    let journal = Journal::new();
    let start = plain(&two(), &space, demand).unwrap();
    assert_eq!(exceptions(&two(), &space, demand, &start, &journal), None);
    assert!(journal.is_empty());
}

#[test]
fn squares_are_rescaled_where_precision_asks_for_it() {
    let model = two();
    let space = Space { log_n: vec![14], ..space(PairedSquare) };
    let start = plain(&model, &space, Demand::Relative(1.0)).unwrap();
    let bits = start.precision.unwrap().relative_bits;
    let asked = |more: f64| Demand::Relative(bits + more);
    let with = |more| exceptions(&model, &space, asked(more), &start, &Journal::new());
    let better = with(1.0).unwrap();
    assert!(asked(1.0).is_met(&better.precision.unwrap()));
    assert!(better.latency_ms > start.latency_ms);
    let chosen = Activations::from(&better.configuration);
    assert_eq!(chosen.exceptions.len(), 1, "{chosen}");
    check_clear(&model, &better, &images(&model)[1]);
    assert!(
        encrypted(&model, &better.configuration, &images(&model)[1]).relative_bits
            > bits + 1.0 - UNCERTAIN_BITS
    );
    // More than any mixture has.
    assert_eq!(with(60.0), None);
}
