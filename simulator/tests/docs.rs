//! `docs/networks.md` is right: its example is read, its tensors fit, and it leaves out no field and no kind of layer.

#![allow(clippy::unwrap_used)]

use simulator::network::{Model, Network, Weights};

const PAGE: &str = include_str!("../../docs/networks.md");

fn example() -> &'static str {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0
}

/// Words in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_example_is_read_and_computes() {
    let network = Network::from_toml(example()).unwrap();
    assert_eq!(network.variants.len(), 2);
    let mut weights = Weights::default();
    let table = PAGE.split_once("has these tensors:\n").unwrap().1.split_once("\n## ").unwrap().0;
    for row in table.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let shape: Vec<usize> = cells[2].split(", ").map(|n| n.parse().unwrap()).collect();
        let data = vec![0.5; shape.iter().product()];
        weights.insert(cells[1].trim_matches('`'), &shape, data).unwrap();
    }
    let groups = &network.variant("dense").unwrap().groups;
    let model = Model::new(network.with_groups(groups).unwrap(), &weights).unwrap();
    assert_eq!(model.forward(&[0.1; 784]).unwrap().len(), 10);
    assert_eq!((model.bounds.activations.len(), model.bounds.output), (1, Some(0.5)));
    // No tensor of the table can be left out, but for the bounds.
    for name in weights.names().filter(|n| !n.ends_with(".bound")) {
        let mut fewer = Weights::default();
        for other in weights.names().filter(|other| *other != name) {
            let tensor = weights.get(other).unwrap();
            fewer.insert(other, &tensor.shape, tensor.data.clone()).unwrap();
        }
        let error = Model::new(network.with_groups(groups).unwrap(), &fewer).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn every_field_and_kind_is_told() {
    let page = quoted(PAGE);
    let example_fields: Vec<&str> =
        example().lines().filter_map(|l| Some(l.split_once(" = ")?.0)).collect();
    let head = "name = \"n\"\n[input]\nchannels = 1\nheight = 4\nwidth = 4\n";
    let layer = "[[layer]]\nname = \"f\"\nkind = \"flatten\"\n";
    let mut told = 0;
    for text in [
        format!("{head}zzz = 1\n{layer}"),
        format!("{head}{layer}zzz = 1\n"),
        format!("{head}{layer}[[variant]]\nname = \"v\"\nweights = \"w\"\nzzz = 1\n"),
        format!("{head}{layer}").replace("flatten", "zzz"),
    ] {
        let error = Network::from_toml(&text).unwrap_err().to_string();
        let (_, expected) = error.split_once("zzz`, expected one of ").unwrap();
        for name in quoted(expected) {
            assert!(page.contains(&name) || example_fields.contains(&name), "{name}");
            told += 1;
        }
    }
    assert!(told > 25, "{told}");
}
