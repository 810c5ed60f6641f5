//! Units where an activation was split into two squares: layers beside it have none, and are not indexed wrongly.

#![allow(clippy::unwrap_used)]

use experiments::units::find;
use simulator::config::{Configuration, InputPacking, LinearChoice, ParameterChoice, Schedule};
use simulator::fold::ActivationMethod;
use simulator::layout::{ChannelOrder, LayoutSpec};
use simulator::network::{LayerParameters, Model, Network};

#[test]
fn layers_beside_a_split_activation_have_no_units() {
    let network = Network::from_toml(
        "name = \"n\"\n[input]\nchannels = 1\nheight = 8\nwidth = 8\n\
         [[layer]]\nname = \"conv\"\nkind = \"conv\"\nout = 4\nkernel = 3\npadding = 1\n\
         [[layer]]\nname = \"act\"\nkind = \"activation\"\n\
         [[layer]]\nname = \"mid\"\nkind = \"conv\"\nout = 4\nkernel = 3\npadding = 1\ngroups = 2\n\
         [[layer]]\nname = \"last\"\nkind = \"activation\"\n\
         [[layer]]\nname = \"fc\"\nkind = \"fc\"\nout = 3\n",
    );
    let mut model = Model::random(network.unwrap(), 3);
    let map = |tile, blocks| LayoutSpec {
        order: ChannelOrder::Sequential,
        phases: 1,
        row: 8,
        col: 1,
        tile,
        blocks,
    };
    let linear = |layer: &str, layout| LinearChoice {
        layer: layer.into(),
        layout,
        schedule: Schedule::DIRECT,
        fold: 0,
        radix: 2,
    };
    let configuration = Configuration {
        network: "n".into(),
        variant: "v".into(),
        activations: ActivationMethod::Square,
        parameters: ParameterChoice {
            log_n: 11,
            scale_bits: Some(30),
            prime_bits: 30,
            first_bits: 40,
            special_bits: 40,
            special: 1,
            alpha: 1,
            levels: 5,
        },
        scales: None,
        input: InputPacking { patches: false, padded: false, layout: map(64, 1) },
        linear: vec![
            linear("conv", map(64, 8)),
            linear("mid", map(64, 8)),
            linear("fc", LayoutSpec::units(64, 8)),
        ],
        pools: Vec::new(),
        repacks: Vec::new(),
    };
    let names = |model: &Model| -> (Vec<String>, Vec<String>) {
        let found = find(model, &configuration, &[], None, None).unwrap();
        let with = found.layers.iter().map(|l| l.layer.clone()).collect();
        (with, found.without.iter().map(|w| w.layer.clone()).collect())
    };
    let all = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&model), (all(&["conv", "mid", "fc"]), all(&[])));
    let LayerParameters::Activation { a, .. } = &mut model.parameters[1] else { unreachable!() };
    a[2] = 0.0;
    assert_eq!(names(&model), (all(&["fc"]), all(&["conv", "mid"])));
}
