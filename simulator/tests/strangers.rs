//! Small networks of any kind: every configuration that a search returns computes them, and encrypted they are as precise
//! as was predicted.

#![allow(clippy::unwrap_used)]

mod common;

use common::found::{check_clear, encrypted, search, search_into, space};
use common::image;
use common::layers::{act, add, conv, fc, norm, pool, random};
use simulator::Error;
use simulator::fold::ActivationMethod;
use simulator::network::{LayerParameters, Model};
use simulator::precision::Demand;
use simulator::search::{Journal, Obstacle, Space};

/// Bits that a measured precision may lie below the predicted one: three of four runs are no less precise than predicted, and
/// one with a single image and a few results differs from the others by some half a bit.
const UNCERTAIN_BITS: f64 = 1.5;

/// Searches, checks the best few in the clear and the best encrypted.
#[track_caller]
fn check(model: &Model, space: &Space, demand: Demand) {
    let images: Vec<Vec<f64>> = (0..2).map(|seed| image(&model.network, seed)).collect();
    let outcome = search(model, space, demand, &images).unwrap();
    let found: Vec<_> =
        outcome.all.iter().filter(|e| demand.is_met(&e.precision.unwrap())).collect();
    assert!(!found.is_empty(), "{:?}", outcome.obstacles);
    for e in found.iter().take(4) {
        check_clear(model, e, &images[1]);
    }
    let (predicted, measured) =
        (found[0].precision.unwrap(), encrypted(model, &found[0].configuration, &images[1]));
    assert!(
        measured.relative_bits > predicted.relative_bits - UNCERTAIN_BITS,
        "{predicted:?} {measured:?}"
    );
}

const BITS: Demand = Demand::Relative(10.0);

/// Odd sizes, strides, groups, depthwise and 1x1 kernels, pools of all kinds.
#[test]
fn layers_of_all_shapes() {
    let cases: Vec<((usize, usize, usize), Vec<String>)> = vec![
        ((1, 9, 7), vec![conv("c", 3, 3, "stride = 2"), act("a"), fc("f", 4)]),
        (
            (2, 8, 8),
            vec![
                conv("c", 4, 3, "stride = 2|padding = 1"),
                act("a"),
                conv("d", 4, 3, "stride = 2|padding = 1"),
                act("b"),
                fc("f", 3),
            ],
        ),
        (
            (6, 6, 6),
            vec![
                conv("c", 6, 3, "groups = 3|padding = 1"),
                act("a"),
                conv("d", 6, 1, "groups = 6"),
                fc("f", 5),
            ],
        ),
        (
            (5, 5, 5),
            vec![
                conv("c", 10, 3, "groups = 5|padding = 1"),
                act("a"),
                conv("d", 5, 2, "stride = 3"),
                fc("f", 2),
            ],
        ),
        (
            (4, 7, 7),
            vec![
                conv("c", 4, 3, "groups = 4|padding = 1"),
                act("a"),
                conv("d", 8, 1, ""),
                act("b"),
                pool("p", 3, 2),
                fc("f", 4),
            ],
        ),
        ((3, 8, 8), vec![conv("c", 8, 1, "stride = 2"), act("a"), pool("p", 2, 1), fc("f", 4)]),
        (
            (1, 10, 10),
            vec![
                conv("c", 4, 3, ""),
                act("a"),
                pool("p", 2, 2),
                conv("d", 4, 3, ""),
                act("b"),
                pool("q", 2, 2),
                fc("f", 4),
            ],
        ),
        (
            (2, 6, 6),
            vec![conv("c", 3, 5, "padding = 2|stride = 3"), norm("n"), act("a"), fc("f", 1)],
        ),
    ];
    for (k, (shape, layers)) in cases.into_iter().enumerate() {
        check(&random(shape, &layers, k as u64), &space(ActivationMethod::PairedSquare), BITS);
    }
}

/// Networks that begin with each kind of layer, and single ones.
#[test]
fn any_layer_may_be_the_first() {
    let rest = || vec![conv("c", 4, 3, "padding = 1"), act("a"), fc("f", 4)];
    let mut cases: Vec<Vec<String>> = vec![
        vec![fc("f", 4)],
        vec![conv("c", 3, 3, "")],
        vec![act("a")],
        vec![norm("n")],
        vec![pool("p", 2, 2)],
        vec![pool("p", 3, 1), fc("f", 3)],
    ];
    for first in [act("x"), norm("x"), pool("x", 2, 2), pool("x", 3, 2), fc("x", 6)] {
        let after = if first.contains("fc") { vec![act("a"), fc("f", 4)] } else { rest() };
        cases.push([vec![first], after].concat());
    }
    for (k, layers) in cases.into_iter().enumerate() {
        let model = random((2, 8, 8), &layers, k as u64);
        for method in [ActivationMethod::PairedSquare, ActivationMethod::Square] {
            check(&model, &space(method), BITS);
        }
    }
}

/// Residual blocks: the same map, and a smaller one with more channels, by a shortcut without weights or a convolution.
#[test]
fn residual_blocks_of_both_kinds() {
    let block = |name: &str, from: &str, out: usize, stride: usize, shortcut: Option<String>| {
        let n = |part: &str| format!("{name}{part}");
        let first = format!("padding = 1|stride = {stride}|input = \"{from}\"");
        let mut layers = vec![
            conv(&n("c1"), out, 3, &first),
            act(&n("a1")),
            conv(&n("c2"), out, 3, "padding = 1"),
        ];
        let to = match shortcut {
            Some(layer) => {
                layers.push(layer);
                n("s")
            }
            None => from.to_owned(),
        };
        layers.extend([add(&n("sum"), &n("c2"), &to), act(&n("a2"))]);
        layers
    };
    let option_a =
        "name = \"ys\"|kind = \"shortcut\"|out = 8|stride = 2|input = \"xa2\"".to_owned();
    let by_conv = conv("ys", 8, 1, "stride = 2|input = \"xa2\"");
    for (seed, shortcut) in [option_a, by_conv].into_iter().enumerate() {
        let layers = [
            vec![conv("c", 4, 3, "padding = 1"), act("a")],
            block("x", "a", 4, 1, None),
            block("y", "xa2", 8, 2, Some(shortcut)),
            vec![pool("p", 4, 4), fc("f", 5)],
        ];
        let model = random((3, 8, 8), &layers.concat(), seed as u64);
        let space = Space { quick: true, log_n: vec![14], ..space(ActivationMethod::PairedSquare) };
        check(&model, &space, Demand::Relative(5.0));
    }
}

/// A convolution, an activation and a fully connected layer, its activation's coefficients changed.
fn with_coefficients(seed: u64, change: impl Fn(usize, &mut f64)) -> Model {
    let layers = [conv("c", 3, 3, "padding = 1"), act("a"), fc("f", 4)];
    let mut model = random((1, 6, 6), &layers, seed);
    let LayerParameters::Activation { a, .. } = &mut model.parameters[1] else { unreachable!() };
    a.iter_mut().enumerate().for_each(|(k, a)| change(k, a));
    model
}

#[test]
fn quadratics_near_lines_are_precise() {
    for seed in 0..13u64 {
        let model = with_coefficients(seed, |k, a| {
            let exponent = (seed as i32 + 5 * k as i32) % 14;
            *a = if exponent == 13 { 0.0 } else { a.signum() * 10f64.powi(-exponent) };
        });
        check(&model, &space(ActivationMethod::PairedSquare), BITS);
    }
}

#[test]
fn results_may_have_any_size() {
    for exponent in [-3, 0, 3, 6, 9] {
        let mut model = with_coefficients(4, |_, _| {});
        let LayerParameters::Linear { weight, bias } = &mut model.parameters[2] else {
            unreachable!()
        };
        weight.iter_mut().chain(bias).for_each(|w| *w *= 10f64.powi(exponent));
        for method in [ActivationMethod::PairedSquare, ActivationMethod::Square] {
            check(&model, &space(method), BITS);
        }
        // Bits after the binary point are another matter for large ones, and the reason is told.
        let images = [image(&model.network, 0)];
        let space = space(ActivationMethod::PairedSquare);
        let asked = Demand::Absolute(25.0);
        let outcome = search(&model, &space, asked, &images).unwrap();
        let found = outcome.best.is_some();
        assert_eq!(found, exponent < 0, "{exponent}: {:?}", outcome.obstacles);
        let told = outcome.obstacles.iter().any(|o| matches!(o, Obstacle::Precision { .. }));
        assert!(found || told, "{:?}", outcome.obstacles);
    }
}

#[test]
fn a_false_bound_is_named() {
    let layers = [conv("c", 4, 3, "padding = 1"), act("a"), fc("x", 5), act("b"), fc("f", 3)];
    let mut model = random((1, 8, 8), &layers, 3);
    let pixels = image(&model.network, 1);
    let mut inputs = std::collections::BTreeMap::new();
    let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, v| v.abs().max(m));
    let results = model.forward_observed(&pixels, |k, x| _ = inputs.insert(k, largest(x))).unwrap();
    let honest: Vec<(usize, f64)> = [1, 3].map(|k| (k, inputs[&k])).to_vec();
    model.bounds.activations = honest.iter().copied().collect();
    model.bounds.output = Some(largest(&results));
    assert_eq!(model.forward_checked(&pixels, "image 1").unwrap(), results);
    for (layer, k) in [("a", Some(1)), ("b", Some(3)), ("output", None)] {
        let mut false_one = model.clone();
        let bound = match k {
            Some(k) => false_one.bounds.activations.get_mut(&k).unwrap(),
            None => false_one.bounds.output.as_mut().unwrap(),
        };
        let real = std::mem::replace(bound, *bound / 100.0);
        let error = false_one.forward_checked(&pixels, "image 1").unwrap_err();
        let text = error.to_string();
        let Error::Bound { layer: l, found, bound, .. } = error else { unreachable!("{text}") };
        assert_eq!((l.as_str(), found, bound), (layer, real, real / 100.0));
        assert!(text.contains("image 1") && text.contains("evaluate --write"), "{text}");
    }
}

/// Nothing fits: every limit is named that is alone in the way.
#[test]
fn what_is_in_the_way_is_told() {
    let model = with_coefficients(1, |_, _| {});
    let images = [image(&model.network, 0)];
    let told = |space: &Space, demand| search(&model, space, demand, &images).unwrap().obstacles;
    let paired = space(ActivationMethod::PairedSquare);
    let none = told(&Space { max_inputs: 0, patches: false, ..paired.clone() }, BITS);
    assert!(matches!(none[..], [Obstacle::Inputs { needed: 1, allowed: 0, .. }]), "{none:?}");
    let deep = Space { log_n: vec![12], ..paired.clone() };
    let security = told(&deep, BITS);
    let [Obstacle::Security { needed_bits, allowed_bits: 106, levels: 2, .. }] = security[..]
    else {
        unreachable!("{security:?}")
    };
    assert!(needed_bits > 106);
    let precise = told(&paired, Demand::Relative(90.0));
    assert!(
        precise.iter().any(|o| matches!(o, Obstacle::Precision { found, .. } if *found < 90.0)),
        "{precise:?}"
    );
}

/// Everything that a point depends on is in its key, the weights of a shortcut included: a journal gives back what belongs
/// to others of them for none.
#[test]
fn points_of_other_shortcuts_are_other_points() {
    let by_conv = conv("s", 4, 1, "input = \"a\"");
    let layers = [
        conv("c", 4, 3, "padding = 1"),
        act("a"),
        conv("d", 4, 3, "padding = 1"),
        by_conv,
        add("t", "d", "s"),
        act("b"),
        fc("f", 2),
    ];
    let mut model = random((1, 4, 4), &layers, 5);
    // No constant reaches the shortcut: only its weights tell the two networks apart.
    let LayerParameters::Activation { b, c, .. } = &mut model.parameters[1] else { unreachable!() };
    b.iter_mut().chain(c).for_each(|v| *v = 0.0);
    let mut other = model.clone();
    let LayerParameters::Linear { weight, .. } = &mut other.parameters[3] else { unreachable!() };
    weight[1] += 0.5;
    let space = Space { quick: true, log_n: vec![14], ..space(ActivationMethod::PairedSquare) };
    let images = [image(&model.network, 0)];
    let journal = Journal::new();
    let resumed = |model| search_into(model, &space, BITS, &images, &journal).unwrap().resumed;
    assert_eq!([resumed(&model), resumed(&model), resumed(&other)], [0, 4, 0]);
}
