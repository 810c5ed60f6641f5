//! Bounds of values: read, carried through folding, and kept to by lowering and search.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use simulator::Error;
use simulator::config::Configuration;
use simulator::fold::{ActivationMethod, Folded};
use simulator::lowering::lower;
use simulator::network::{LayerParameters, Model, Weights};
use simulator::precision::Demand;
use simulator::search::{Candidate, Journal, Limits, Search, Space, Watch, WorkPricer};

/// LeNet's layers 1, 4 and 8 are activations; here `0.25 x^2 + 0.5 x + 0.125`, that is `(0.5 x + 0.5)^2 - 0.125`.
fn bounded(bounds: &[(usize, f64)], output: Option<f64>) -> Model {
    let mut m = model(lenet(8, 8, 8, 1));
    for parameters in &mut m.parameters {
        if let LayerParameters::Activation { a, b, c } = parameters {
            (*a, *b, *c) = (vec![0.25; a.len()], vec![0.5; a.len()], vec![0.125; a.len()]);
        }
    }
    m.bounds.activations = bounds.iter().copied().collect();
    m.bounds.output = output;
    m
}

fn attempt(m: &Model, c: &Configuration) -> simulator::Result<()> {
    let folded = Folded::new(m, c)?;
    lower(&folded, c, &c.parameters.ideal_chain().unwrap(), false).map(|_| ())
}

#[test]
fn weight_files_may_hold_bounds() {
    let network = || {
        simulator::network::Network::from_toml(
            "name = \"n\"\n[input]\nchannels = 1\nheight = 2\nwidth = 2\n\
             [[layer]]\nname = \"fc\"\nkind = \"fc\"\nout = 2\nbias = false\n\
             [[layer]]\nname = \"act\"\nkind = \"activation\"\n",
        )
        .unwrap()
    };
    let with = |bounds: &[(&str, &[f64])]| {
        let mut w = Weights::default();
        w.insert("fc.weight", &[2, 4], vec![1.0; 8]).unwrap();
        w.insert("act.coeffs", &[3], vec![1.0; 3]).unwrap();
        bounds.iter().for_each(|(name, v)| w.insert(name, &[v.len()], v.to_vec()).unwrap());
        Model::new(network(), &w)
    };
    let m = with(&[("act.bound", &[3.5]), ("output.bound", &[20.0])]).unwrap();
    assert_eq!((m.bounds.activations[&1], m.bounds.output), (3.5, Some(20.0)));
    assert_eq!(with(&[]).unwrap().bounds, Default::default());
    for (name, value, expected) in [
        ("act.bound", &[0.0][..], "act.bound: found a bound 0"),
        ("act.bound", &[-1.0], "a bound -1"),
        ("act.bound", &[1.0, 2.0], "expected shape [1]"),
        ("fc.bound", &[1.0], "bound of fc, which is no activation"),
        ("act2.bound", &[1.0], "bound of act2"),
    ] {
        let error = with(&[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} does not say {expected:?}");
    }
}

#[test]
fn folding_carries_bounds_to_inputs_squares_and_window_sums() {
    let m = bounded(&[(1, 7.0), (8, 3.0)], Some(5.0));
    let bounds = |method| -> Vec<Option<f64>> {
        Folded::new(&m, method).unwrap().stages.iter().map(|s| s.bound).collect()
    };
    // conv1, act1, pool1, conv2, act2, pool2, fc1, act3, fc2: 0.5 * 7 + 0.5 = 4, its square, four of them; nothing of
    // the second activation; 0.5 * 3 + 0.5 = 2.
    let squares =
        vec![Some(4.0), Some(16.0), Some(64.0), None, None, None, Some(2.0), Some(4.0), Some(5.0)];
    assert_eq!(bounds(ActivationMethod::Square), squares);
    assert_eq!(bounds(ActivationMethod::PairedSquare), squares);
    // 0.25 * 49 + 0.5 * 7 + 0.125 and 0.25 * 9 + 0.5 * 3 + 0.125.
    let kept = vec![
        Some(7.0),
        Some(15.875),
        Some(63.5),
        None,
        None,
        None,
        Some(3.0),
        Some(3.875),
        Some(5.0),
    ];
    assert_eq!(bounds(ActivationMethod::Quadratic), kept);
}

#[test]
fn folded_values_keep_to_bounds_that_the_network_keeps_to() {
    let mut m = model(lenet(8, 8, 8, 1));
    let image = image(&m.network, 5);
    let mut seen: Vec<(usize, f64)> = Vec::new();
    let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let y = m.forward_observed(&image, |k, x| seen.push((k, largest(x)))).unwrap();
    m.bounds.activations = seen.into_iter().filter(|(k, _)| [1, 4, 8].contains(k)).collect();
    m.bounds.output = Some(largest(&y));
    for method in
        [ActivationMethod::Square, ActivationMethod::PairedSquare, ActivationMethod::Quadratic]
    {
        let folded = Folded::new(&m, method).unwrap();
        let results = folded.forward_all(&image).unwrap();
        let mut compared = 0;
        for (stage, values) in folded.stages.iter().zip(&results) {
            let Some(bound) = stage.bound else { continue };
            // The tolerance is of rounding: the bound is met by the very values that it was taken from.
            assert!(largest(values) <= bound * (1.0 + 1e-12), "{}", stage.name);
            compared += 1;
        }
        assert_eq!(compared, 9);
    }
}

/// Checks that a model whose one bound is `threshold(just below one)` is lowered, and at just above one is not.
#[track_caller]
fn check_threshold(
    c: &Configuration,
    bounded: impl Fn(f64) -> Model,
    (layer, level, available): (&str, usize, f64),
) {
    // Far above the rounding of logarithms of a hundred bits, far below any bit that could be missed.
    let little = 1e-9;
    attempt(&bounded(1.0 - little), c).unwrap();
    let error = attempt(&bounded(1.0 + little), c).unwrap_err();
    let Error::Room { layer: l, level: n, needed_bits, available_bits, .. } = error else {
        unreachable!("{error}")
    };
    assert_eq!((l.as_str(), n, available_bits), (layer, level, available));
    assert!((needed_bits - available_bits).abs() < 1e-6);
}

#[test]
fn results_need_room_in_the_first_prime() {
    // Scale 2^32, first prime 2^42: results of less than 2^9.
    for activations in [ActivationMethod::Square, ActivationMethod::Quadratic] {
        let c = raster(13, activations);
        check_threshold(&c, |x| bounded(&[], Some(512.0 * x)), ("fc2", 0, 42.0));
    }
    let error = attempt(&bounded(&[], Some(1000.0)), &raster(13, ActivationMethod::Square));
    let text = error.unwrap_err().to_string();
    for part in ["fc2", "1000", "42.97 bits", "level 0 has 42.00", "first prime", "smaller scale"] {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

#[test]
fn squares_and_window_sums_need_room_at_their_level() {
    // An input of at most r has a root of 0.5 r + 0.5.
    let input = |root: f64| 2.0 * root - 1.0;
    // The last activation's square, rescaled to level 1 of 42 + 32 bits at scale 2^32.
    let c = phased(13, 8);
    check_threshold(
        &c,
        |x| bounded(&[(8, input((41f64.exp2() * x).sqrt()))], None),
        ("act3", 1, 74.0),
    );
    // Not rescaled: level 1 of 42 + 46 bits at scale 2^50; at level 3 four squares are summed.
    let mut c = phased(13, 8);
    c.activations = ActivationMethod::PairedSquare;
    (c.parameters.scale_bits, c.parameters.prime_bits, c.parameters.levels) = (Some(25), 46, 4);
    check_threshold(
        &c,
        |x| bounded(&[(8, input((37f64.exp2() * x).sqrt()))], None),
        ("act3", 1, 88.0),
    );
    check_threshold(
        &c,
        |x| bounded(&[(1, input((127f64.exp2() * x).sqrt()))], None),
        ("pool1", 3, 180.0),
    );
    // Kept as it is: the result, at level 1 of 42 + 32 bits.
    let c = raster(13, ActivationMethod::Quadratic);
    let largest = |x: f64| 2.0 * (41f64.exp2() * x + 0.125).sqrt() - 1.0;
    check_threshold(&c, |x| bounded(&[(8, largest(x))], None), ("act3", 1, 74.0));
    // Or, where a small coefficient makes that small, the square within it, at level 3 and twice the scale.
    let flat = |r: f64| {
        let mut m = bounded(&[(8, r)], None);
        let LayerParameters::Activation { a, .. } = &mut m.parameters[8] else { unreachable!() };
        a.fill((-40f64).exp2());
        m
    };
    check_threshold(&c, |x| flat((73f64.exp2() * x).sqrt()), ("act3", 3, 138.0));
}

#[test]
fn merged_pools_keep_the_check() {
    let mut c = phased(13, 8);
    c.pools[0].method = simulator::config::PoolMethod::Merge;
    c.linear[0].layout.phases = 1;
    c.linear[0].layout.row = 32;
    c.linear[0].layout.tile = 1024;
    c.linear[0].layout.blocks = 4;
    c.input.layout.phases = 1;
    c.input.layout.row = 32;
    c.input.layout.tile = 1024;
    c.linear[1].layout = simulator::layout::LayoutSpec { row: 64, col: 2, ..c.linear[0].layout };
    c.pools[1].method = simulator::config::PoolMethod::Merge;
    attempt(&bounded(&[], None), &c).unwrap();
    assert!(matches!(attempt(&bounded(&[], Some(512.0)), &c), Err(Error::Room { level: 0, .. })));
}

#[test]
fn a_search_chooses_nothing_that_has_no_room() {
    let found = |activations, output: f64| {
        let space = Space {
            log_n: vec![14],
            special: vec![1],
            activations,
            min_scale_bits: 20,
            max_ciphertexts: 8,
            max_inputs: 4,
            ..Space::paper()
        };
        let limits = Limits { precision: Demand::Absolute(-100.0), ..Limits::default() };
        let search = Search {
            space: &space,
            limits: &limits,
            pricer: &WorkPricer,
            pricer_name: "work",
            reference_accuracy: None,
            images: &[],
            seed: 1,
            wanted: usize::MAX,
            watch: Watch::default(),
        };
        let m = bounded(&[(1, 10.0), (4, 10.0), (8, 10.0)], Some(output));
        let folded = Folded::new(&m, activations).unwrap();
        let candidate = Candidate { variant: "v".into(), folded: folded.clone(), accuracy: None };
        let journal = Journal::new();
        let outcome = search.run(&[candidate], &journal).unwrap();
        for e in &outcome.all {
            let chain = e.configuration.parameters.ideal_chain().unwrap();
            lower(&folded, &e.configuration, &chain, false).unwrap();
        }
        outcome.all
    };
    // Ten bits are between the scale and the first prime of rescaled squares, one of them for the sign and one to spare:
    // beyond, the scale of the results gives way.
    for (bound, less) in [(255.0, 0.0), (256.0, 0.0), (512.0, 1.0), (1024.0, 2.0)] {
        let all = found(ActivationMethod::Square, bound);
        assert!(!all.is_empty());
        for e in all {
            let nominal = f64::from(e.configuration.parameters.prime_bits);
            let scale = e.configuration.scales.map(|plan| plan.layer("fc2").unwrap().log2());
            assert_eq!(scale, (less > 0.0).then_some(nominal - less), "{bound}");
        }
    }
    // Where squares are not rescaled, the scale of the results follows their bound: a bit to spare, one for the sign.
    for (bound, bits) in [(16.0, 4), (4096.0, 12)] {
        let all = found(ActivationMethod::PairedSquare, bound);
        assert!(!all.is_empty());
        for e in all {
            let scale = e.configuration.scales.unwrap().layer("fc2").unwrap().log2();
            let wanted = e.configuration.parameters.first_bits - 2 - bits;
            assert!((scale - f64::from(wanted)).abs() < 1e-9, "{scale} for {bound}");
        }
    }
}
