//! Small networks and helpers that several tests share.
#![allow(dead_code, clippy::unwrap_used)]

pub mod found;
pub mod layers;
pub mod lowered;
pub mod ops;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::config::*;
use simulator::fold::ActivationMethod;
use simulator::layout::{ChannelOrder, LayoutSpec};
use simulator::network::{Model, Network};

/// LeNet's shape with fewer channels: 1x28x28, two convolutions, a global pool, two dense layers.
pub fn lenet(c1: usize, c2: usize, units: usize, groups: usize) -> Network {
    Network::from_toml(&format!(
        r#"
name = "lenet"
[input]
channels = 1
height = 28
width = 28
[[layer]]
name = "conv1"
kind = "conv"
out = {c1}
kernel = 5
padding = 2
[[layer]]
name = "act1"
kind = "activation"
[[layer]]
name = "pool1"
kind = "avgpool"
kernel = 2
[[layer]]
name = "conv2"
kind = "conv"
out = {c2}
kernel = 5
groups = {groups}
[[layer]]
name = "act2"
kind = "activation"
[[layer]]
name = "pool2"
kind = "avgpool"
kernel = 10
[[layer]]
name = "flatten"
kind = "flatten"
[[layer]]
name = "fc1"
kind = "fc"
out = {units}
[[layer]]
name = "act3"
kind = "activation"
[[layer]]
name = "fc2"
kind = "fc"
out = 10
"#
    ))
    .unwrap()
}

/// A random image for a network.
pub fn image(network: &Network, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..network.input.len()).map(|_| rng.random::<f64>() * 2.0 - 1.0).collect()
}

/// Largest absolute difference.
pub fn difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// The model with random weights.
pub fn model(network: Network) -> Model {
    Model::random(network, 7)
}

pub fn choice(layer: &str, layout: LayoutSpec) -> LinearChoice {
    LinearChoice { layer: layer.into(), layout, schedule: Schedule::DIRECT, fold: 0, radix: 2 }
}

pub fn pool(layer: &str, method: PoolMethod) -> PoolChoice {
    PoolChoice { layer: layer.into(), method }
}

pub fn spec(
    order: ChannelOrder,
    phases: usize,
    row: usize,
    tile: usize,
    blocks: usize,
) -> LayoutSpec {
    LayoutSpec { order, phases, row, col: 1, tile, blocks }
}

/// A configuration in HEAR's manner: raster tiles of 1024 slots, pools by rotation.
pub fn raster(log_n: u32, activations: ActivationMethod) -> Configuration {
    let slots = 1usize << (log_n - 1);
    let blocks = slots / 1024;
    let map = |row| spec(ChannelOrder::Sequential, 1, row, 1024, blocks);
    let gapped = LayoutSpec { row: 64, col: 2, ..map(64) };
    Configuration {
        network: "lenet".into(),
        variant: "random".into(),
        images: 1,
        activations,
        activation_exceptions: vec![],
        parameters: ParameterChoice {
            log_n,
            scale_bits: Some(32),
            prime_bits: 32,
            top_bits: None,
            first_bits: 42,
            special_bits: 42,
            special: 1,
            alpha: 1,
            levels: match activations {
                ActivationMethod::Square => 7,
                ActivationMethod::PairedSquare => 4,
                ActivationMethod::Quadratic => 10,
            },
        },
        scales: None,
        input: InputPacking {
            patches: false,
            padded: false,
            layout: spec(ChannelOrder::Sequential, 1, 32, 1024, 1),
        },
        linear: vec![
            choice("conv1", map(32)),
            choice("conv2", gapped),
            choice("fc1", LayoutSpec::units(1024, blocks)),
            choice("fc2", LayoutSpec::units(1024, blocks)),
        ],
        pools: vec![pool("pool1", PoolMethod::Rotate), pool("pool2", PoolMethod::Rotate)],
        repacks: vec![],
    }
}

/// A configuration with phase-split maps: four planes of the padded image, squares summed over phases.
pub fn phased(log_n: u32, units: usize) -> Configuration {
    let slots = 1usize << (log_n - 1);
    let blocks = slots / 256;
    let mut c = raster(log_n, ActivationMethod::Square);
    c.input = InputPacking {
        patches: false,
        padded: true,
        layout: spec(ChannelOrder::Sequential, 2, 16, 256, 1),
    };
    c.linear = vec![
        choice("conv1", spec(ChannelOrder::Sequential, 2, 16, 256, blocks)),
        choice("conv2", spec(ChannelOrder::Sequential, 1, 16, 256, blocks)),
        choice("fc1", LayoutSpec::units(256, blocks)),
        choice("fc2", LayoutSpec::units(1, units.next_power_of_two().max(16))),
    ];
    c.linear[2].fold = 0;
    c.linear[3].layout = LayoutSpec::units(256, blocks);
    c.pools = vec![pool("pool1", PoolMethod::Phases), pool("pool2", PoolMethod::Fold { radix: 4 })];
    c
}
