//! The programme's prices are those of the lowered programs, and its bound loses nothing.

use super::*;
use crate::config::Configuration;
use crate::fold::ActivationMethod;
use crate::network::{LayerParameters, Model, Network};
use crate::search::problem::blocks;
use crate::search::space::Layouts;
use crate::search::{WorkPricer, evaluate};

const NETWORK: &str = r#"
name = "small"
[input]
channels = 2
height = 8
width = 8
[[layer]]
name = "c1"
kind = "conv"
out = 4
kernel = 3
padding = 1
[[layer]]
name = "a1"
kind = "activation"
[[layer]]
name = "p1"
kind = "avgpool"
kernel = 2
[[layer]]
name = "c2"
kind = "conv"
out = 4
kernel = 3
groups = 2
[[layer]]
name = "a2"
kind = "activation"
[[layer]]
name = "p2"
kind = "avgpool"
kernel = 2
[[layer]]
name = "fc"
kind = "fc"
out = 5
"#;

fn space() -> Space {
    Space {
        log_n: vec![10],
        special: vec![1, 2],
        max_inputs: 4,
        max_ciphertexts: 8,
        keep: 4,
        ..Space::default()
    }
}

fn with(space: &Space, check: impl Fn(&mut LayoutSearch<'_>, &Folded)) {
    with_network(NETWORK, space, check);
}

fn with_network(network: &str, space: &Space, check: impl Fn(&mut LayoutSearch<'_>, &Folded)) {
    let model = Model::random(Network::from_toml(network).unwrap(), 3);
    with_model(&model, space, check);
}

fn with_model(model: &Model, space: &Space, check: impl Fn(&mut LayoutSearch<'_>, &Folded)) {
    let folded = Folded::new(model, space.activations).unwrap();
    let blocks = blocks(&folded).unwrap();
    let memo = Memo::new(&WorkPricer);
    let mut programme = LayoutSearch::new(&folded, &blocks, space, &memo, Watch::default(), 10);
    check(&mut programme, &folded);
}

/// What the programme adds up is what the lowered program costs.
#[track_caller]
fn prices_are_exact(space: &Space) {
    let model = Model::random(Network::from_toml(NETWORK).unwrap(), 3);
    prices_of_a_model_are_exact(&model, space);
}

#[track_caller]
fn prices_of_a_model_are_exact(model: &Model, space: &Space) {
    with_model(model, space, |programme, folded| {
        for (k, special) in space.special.iter().enumerate() {
            for repacks in 0..=space.repacks {
                let paths = programme.solve(k, repacks, None).unwrap();
                assert!(!paths.is_empty());
                for path in paths {
                    let levels = folded.levels() + repacks;
                    let configuration = Configuration {
                        network: "small".into(),
                        variant: "random".into(),
                        images: space.images,
                        activations: space.activations,
                        activation_exceptions: Vec::new(),
                        parameters: crate::config::ParameterChoice {
                            log_n: 10,
                            scale_bits: Some(30),
                            prime_bits: 30,
                            top_bits: None,
                            first_bits: 40,
                            special_bits: 40,
                            special: *special,
                            alpha: *special,
                            levels,
                        },
                        scales: None,
                        input: path.input,
                        linear: path.linear,
                        pools: path.pools,
                        repacks: path.repacks,
                    };
                    let e = evaluate(folded, &configuration, space.threads, &WorkPricer).unwrap();
                    assert!((e.latency_ms / path.cost - 1.0).abs() < 1e-9, "{configuration:?}");
                }
            }
        }
    });
}

#[test]
fn prices_are_exact_with_everything_allowed() {
    prices_are_exact(&Space { repacks: 1, ..space() });
}

/// With plaintexts of a subring, which are longer for more images, too.
#[test]
fn prices_are_exact_for_several_images() {
    for images in [2, 8] {
        prices_are_exact(&Space { images, ..space() });
    }
    let method = ActivationMethod::Quadratic;
    let unfused = Space { double_hoisting: false, activations: method, ..space() };
    prices_are_exact(&Space { images: 2, layouts: Layouts::Paper, ..unfused });
}

#[test]
fn prices_are_exact_for_the_paper_and_its_baseline() {
    prices_are_exact(&Space { layouts: Layouts::Paper, patches: false, ..space() });
    prices_are_exact(&Space {
        layouts: Layouts::Paper,
        patches: false,
        double_hoisting: false,
        activations: ActivationMethod::Quadratic,
        ..space()
    });
}

/// Of each group of c2, the first input channel is read by no output: of c1 and what follows it, half the ciphertexts are not
/// there where a ciphertext holds one or two channels.
#[test]
fn prices_are_exact_where_channels_are_unread() {
    let mut model = Model::random(Network::from_toml(NETWORK).unwrap(), 3);
    let c2 = model.network.layers.iter().position(|l| l.name == "c2").unwrap();
    let LayerParameters::Linear { weight, .. } = &mut model.parameters[c2] else { unreachable!() };
    weight.chunks_exact_mut(2 * 9).for_each(|pair| pair[..9].fill(0.0));
    let folded = Folded::new(&model, space().activations).unwrap();
    assert_eq!(folded.unread()[0], [0, 2]);
    let few = Space { max_ciphertexts: 64, ..space() };
    prices_of_a_model_are_exact(&model, &few);
    prices_of_a_model_are_exact(&model, &Space { repacks: 1, ..few.clone() });
    let method = ActivationMethod::Quadratic;
    prices_of_a_model_are_exact(
        &model,
        &Space { double_hoisting: false, activations: method, ..few },
    );
}

#[test]
fn cutting_by_a_bound_loses_nothing() {
    let space = space();
    with(&space, |programme, _| {
        let quick = programme.solve(0, 0, None).unwrap();
        programme.edges.clear();
        let full = programme.walk(0, 0, None, 1e9).unwrap();
        assert!((quick[0].cost / full[0].cost - 1.0).abs() < 1e-12);
        // The cheapest few are distinct, ascending, and the same.
        assert!(quick.windows(2).all(|w| w[0].cost < w[1].cost));
        let near = full.iter().filter(|p| p.cost <= quick[0].cost * SLACK);
        for (a, b) in quick.iter().zip(near) {
            assert!((a.cost / b.cost - 1.0).abs() < 1e-12);
        }
    });
}

/// A way that is known makes a search shorter; even a bad one, or the best, changes nothing.
#[test]
fn what_is_known_changes_nothing() {
    let space = space();
    with(&space, |programme, _| {
        let alone = programme.solve(0, 0, None).unwrap();
        for known in [alone[0].cost, 1.02 * alone[0].cost, 2.0 * alone[0].cost] {
            programme.edges.clear();
            assert_eq!(programme.solve(0, 0, Some(known)).unwrap(), alone);
            // With what has been looked at by then.
            assert_eq!(programme.solve(0, 0, Some(known)).unwrap(), alone);
        }
    });
}

#[test]
fn a_quick_search_finds_ways_that_are_no_better() {
    let space = space();
    with(&space, |programme, _| {
        let best = programme.solve(0, 0, None).unwrap()[0].cost;
        let quick = Space { quick: true, ..space.clone() };
        with(&quick, |programme, _| {
            let ways = programme.solve(0, 0, None).unwrap();
            assert!(!ways.is_empty());
            assert!(ways.iter().all(|way| way.cost >= best * (1.0 - 1e-12)));
        });
    });
}

/// What the blocks to come must cost at least is less than what they do cost.
#[test]
fn reserves_are_below_every_way() {
    with(&space(), |programme, _| {
        let reserves = programme.reserves(1);
        assert!(reserves.windows(2).all(|w| w[0] > w[1]));
        let ways = programme.solve(1, 0, None).unwrap();
        assert!(ways.iter().all(|way| way.cost > reserves[0]), "{reserves:?}");
    });
}

/// Two pools, and most weights after them: the layout of the image decides whether their maps are dense.
const TWO_POOLS: &str = r#"
name = "two pools"
[input]
channels = 3
height = 16
width = 16
[[layer]]
name = "c1"
kind = "conv"
out = 16
kernel = 3
padding = 1
[[layer]]
name = "a1"
kind = "activation"
[[layer]]
name = "p1"
kind = "avgpool"
kernel = 2
[[layer]]
name = "c2"
kind = "conv"
out = 32
kernel = 3
padding = 1
groups = 8
[[layer]]
name = "a2"
kind = "activation"
[[layer]]
name = "p2"
kind = "avgpool"
kernel = 2
[[layer]]
name = "fc1"
kind = "fc"
out = 1024
[[layer]]
name = "a3"
kind = "activation"
[[layer]]
name = "fc2"
kind = "fc"
out = 5
"#;

#[test]
fn a_quick_search_sees_that_gaps_cost_later() {
    let space = Space { max_inputs: 16, special: vec![1], quick: true, ..space() };
    for network in [TWO_POOLS.to_owned(), TWO_POOLS.replace("groups = 8", "groups = 1")] {
        with_network(&network, &space, |programme, _| {
            let quick = programme.solve(0, 0, None).unwrap()[0].cost;
            let best = programme.walk(0, 0, None, quick).unwrap()[0].cost;
            assert!(quick <= 1.1 * best, "{quick} ms found, {best} ms possible");
        });
    }
}
