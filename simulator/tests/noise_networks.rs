//! Predicted precision against that of encrypted runs: random networks whose values are large, small, or of order one.

#![allow(clippy::unwrap_used)]

mod common;

use common::found::{encrypted_images, search, space};
use common::image;
use common::layers::{act, add, conv, fc, norm, pool, random};
use simulator::fold::ActivationMethod;
use simulator::network::{LayerParameters, Model};
use simulator::precision::{Demand, Precision};
use simulator::search::Space;

/// Networks, each with the shape of its input.
fn networks() -> Vec<((usize, usize, usize), Vec<String>)> {
    let padded = "padding = 1";
    vec![
        ((1, 8, 8), vec![conv("c", 4, 3, padded), act("a"), fc("f", 10)]),
        (
            (2, 6, 6),
            vec![conv("c", 6, 3, "groups = 2"), act("a"), conv("d", 4, 3, padded), fc("f", 10)],
        ),
        (
            (1, 12, 12),
            vec![
                conv("c", 4, 3, ""),
                act("a"),
                pool("p", 2, 2),
                conv("d", 8, 3, ""),
                norm("n"),
                act("b"),
                pool("q", 3, 3),
                fc("f", 10),
            ],
        ),
        ((4, 5, 5), vec![fc("f", 24), act("a"), fc("g", 12), act("b"), fc("h", 10)]),
        (
            (3, 8, 8),
            vec![
                conv("c", 8, 3, padded),
                act("a"),
                conv("d", 8, 3, padded),
                add("s", "d", "a"),
                act("b"),
                pool("p", 4, 4),
                fc("f", 10),
            ],
        ),
    ]
}

/// The network with its first layer's weights times `factor`, so that the values that are squared are larger by that.
fn scaled(shape: (usize, usize, usize), layers: &[String], seed: u64, factor: f64) -> Model {
    let mut model = random(shape, layers, seed);
    let LayerParameters::Linear { weight, bias } = &mut model.parameters[0] else { unreachable!() };
    weight.iter_mut().chain(bias).for_each(|w| *w *= factor);
    model
}

/// Keys that each network is run under: the median of the precisions found is compared with the one predicted.
const KEYS: usize = 5;

/// Below, whole weights are lost when they are encoded, which is not noise; no precision that is of any use is as low.
const LEAST_BITS: f64 = 4.0;

#[test]
fn predicted_precision_is_that_of_encrypted_runs() {
    let mut differences = Vec::new();
    for (k, (shape, layers)) in networks().into_iter().enumerate() {
        for factor in [0.01, 1.0, 100.0] {
            let model = scaled(shape, &layers, k as u64, factor);
            let images: Vec<Vec<f64>> = (0..4).map(|seed| image(&model.network, seed)).collect();
            for method in [ActivationMethod::PairedSquare, ActivationMethod::Square] {
                let space = Space { quick: true, keep: 1, ..space(method) };
                let any = Demand::Relative(LEAST_BITS);
                let outcome = search(&model, &space, any, &images).unwrap();
                let Some(found) = outcome.best else { continue };
                let predicted = found.precision.unwrap();
                let run = |_| encrypted_images(&model, &found.configuration, &images);
                let measured: Vec<Precision> = (0..KEYS).map(run).collect();
                let measured = Precision::quantile(&measured, 0.5).unwrap();
                let difference = measured.relative_bits - predicted.relative_bits;
                let what = format!("network {k}, values of {factor}, {method:?}");
                assert!(difference > -1.0, "{what}: {predicted:?}, {measured:?}");
                println!("{what}: {difference:.2}");
                differences.push(difference.abs());
            }
        }
    }
    differences.sort_by(f64::total_cmp);
    assert!(differences.len() > 20, "{}", differences.len());
    let median = differences[differences.len() / 2];
    assert!(median < 0.5, "{median}: {differences:.2?}");
}
