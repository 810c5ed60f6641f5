//! Layers whose weights are not those of the products, as beside an activation that was split into two squares, have no
//! units, and say why.

#![allow(clippy::unwrap_used)]

use experiments::inputs::units::{NetworkUnits, find};
use simulator::config::{Configuration, InputPacking, LinearChoice, ParameterChoice, Schedule};
use simulator::fold::{ActivationMethod, Folded};
use simulator::layout::{ChannelOrder, LayoutSpec};
use simulator::network::{LayerParameters, Model, Network};

/// A network of 2 channels of 8 x 8 with random weights, its layers as TOML lines separated by `|`.
fn model(layers: &[&str]) -> Model {
    let head = "name = \"n\"\n[input]\nchannels = 2\nheight = 8\nwidth = 8\n";
    let layer = |text: &&str| format!("[[layer]]\n{}\n", text.replace('|', "\n"));
    let text = head.to_owned() + &layers.iter().map(layer).collect::<String>();
    Model::random(Network::from_toml(&text).unwrap(), 3)
}

/// Units with maps of 8 x 8 in rows and completed squares.
fn units(model: &Model) -> NetworkUnits {
    let folded = Folded::new(model, ActivationMethod::Square).unwrap();
    let layout = LayoutSpec {
        order: ChannelOrder::Sequential,
        phases: 1,
        row: 8,
        col: 1,
        tile: 64,
        blocks: 16,
    };
    let linear = |(name, _): (&str, _)| LinearChoice {
        layer: name.into(),
        layout,
        schedule: Schedule::DIRECT,
        fold: 0,
        radix: 2,
    };
    let configuration = Configuration {
        network: "n".into(),
        variant: "v".into(),
        images: 1,
        activations: ActivationMethod::Square,
        activation_exceptions: Vec::new(),
        parameters: ParameterChoice {
            log_n: 11,
            scale_bits: Some(30),
            prime_bits: 30,
            top_bits: None,
            first_bits: 40,
            special_bits: 40,
            special: 1,
            alpha: 1,
            levels: folded.levels(),
        },
        scales: None,
        input: InputPacking { patches: false, padded: false, layout },
        linear: folded.linear().map(linear).collect(),
        pools: Vec::new(),
        repacks: Vec::new(),
    };
    find(model, &configuration, &[], None, None).unwrap()
}

/// Names of the layers that have units, and of those that have none.
fn names(found: &NetworkUnits) -> (Vec<&str>, Vec<&str>) {
    let with = found.layers.iter().map(|l| &l.layer[..]);
    (with.collect(), found.without.iter().map(|w| &w.layer[..]).collect())
}

const CONV: &str = "name = \"conv\"|kind = \"conv\"|out = 4|kernel = 3|padding = 1";
const ACT: &str = "name = \"act\"|kind = \"activation\"";
const MID: &str = "name = \"mid\"|kind = \"conv\"|out = 4|kernel = 3|padding = 1|groups = 2";
const LAST: &str = "name = \"last\"|kind = \"activation\"";
const FC: &str = "name = \"fc\"|kind = \"fc\"|out = 3";

#[test]
fn layers_beside_a_split_activation_have_no_units() {
    let plain = model(&[CONV, ACT, MID, LAST, FC]);
    let all = units(&plain);
    assert_eq!(names(&all), (vec!["conv", "mid", "fc"], vec![]));
    let split = |layer: usize, channel: usize| {
        let mut model = plain.clone();
        let LayerParameters::Activation { a, .. } = &mut model.parameters[layer] else {
            unreachable!()
        };
        a[channel] = 0.0;
        units(&model)
    };
    // Where a map is flattened, too.
    assert_eq!(names(&split(3, 1)), (vec!["conv"], vec!["mid", "fc"]));
    let found = split(1, 2);
    assert_eq!(names(&found), (vec!["fc"], vec!["conv", "mid"]));
    for without in &found.without {
        assert!(without.reason.contains("two squares"), "{}", without.reason);
    }
    let shapes = &found.without[1].reason;
    assert!(shapes.contains("5x8x8") && shapes.contains("2 groups"), "{shapes}");
    // What has units has those that it had before.
    let bytes = |found: &NetworkUnits| {
        let file = found.to_safetensors("n", "v").unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
        tensors.tensor("fc.units").unwrap().data().to_vec()
    };
    assert_eq!(bytes(&found), bytes(&all));
}

/// A pool of the image is done by the first layer, whose kernel is then larger.
#[test]
fn a_layer_that_pools_the_image_has_no_units() {
    let pool = "name = \"pool\"|kind = \"avgpool\"|kernel = 2";
    let found = units(&model(&[pool, CONV, ACT, FC]));
    assert_eq!(names(&found), (vec!["fc"], vec!["conv"]));
    assert!(found.without[0].reason.contains("kernel 6x6"), "{}", found.without[0].reason);
}

/// The convolution of a shortcut is a part of the sum, which goes by the name of the block's last convolution.
#[test]
fn the_shortcut_of_a_block_has_no_units() {
    let back = "name = \"back\"|kind = \"conv\"|out = 4|kernel = 3|padding = 1";
    let shortcut = "name = \"short\"|kind = \"conv\"|out = 4|kernel = 1|input = \"act\"";
    let add = "name = \"sum\"|kind = \"add\"|input = [\"back\", \"short\"]";
    let found = units(&model(&[CONV, ACT, MID, LAST, back, shortcut, add, FC]));
    assert_eq!(names(&found), (vec!["conv", "mid", "back", "fc"], vec!["short"]));
    assert!(found.without[0].reason.contains("a part of another layer"));
}
