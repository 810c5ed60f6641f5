//! Importance of the weights that a plan may remove.

use std::path::Path;

use anyhow::{Context, Result};
use simulator::fold::LinearPart;
use simulator::network::{ConvGeometry, Layer, LayerKind, LayerParameters, Model, Weights};
use simulator::search::Importance;

use crate::inputs::networks::Source;
use crate::inputs::units::{scores_of, shape};

/// Importance of the weights of all convolutions and fully connected layers but the first and the last layer, which stay dense:
/// their squares.
pub(super) fn squares(model: &Model) -> Importance {
    let values = |(layer, _, weight): (&Layer, ConvGeometry, &[f64])| {
        (layer.name.clone(), weight.iter().map(|w| w * w).collect())
    };
    prunable(model).map(values).collect()
}

/// Importance of the same weights by scores.
///
/// # Errors
/// Scores that are missing, or neither of the shape of the weights nor of those of a group convolution.
pub(super) fn scored(model: &Model, scores: &Weights) -> Result<Importance> {
    let values = |(layer, g, _): (&Layer, ConvGeometry, &[f64])| {
        Ok((layer.name.clone(), dense(layer, &g, scores)?))
    };
    prunable(model).map(values).collect()
}

/// Whether scores are of a network that has groups already.
pub(super) fn has_groups(model: &Model, scores: &Weights) -> bool {
    prunable(model).any(|(layer, g, _)| groups(&g, scores, &scores_of(layer)) > 1)
}

/// The convolutions of one group and fully connected layers between the first and the last one: name, geometry and weights.
fn prunable(model: &Model) -> impl Iterator<Item = (&Layer, ConvGeometry, &[f64])> {
    let layers = model.network.layers.iter().zip(&model.parameters).skip(1);
    let last = layers.clone().rposition(|(_, p)| matches!(p, LayerParameters::Linear { .. }));
    layers.enumerate().filter_map(move |(k, (layer, parameters))| {
        let LayerParameters::Linear { weight, .. } = parameters else { return None };
        let is_classifier = Some(k) == last && matches!(layer.kind, LayerKind::Fc { .. });
        let g = layer.as_convolution().filter(|g| g.groups == 1 && !is_classifier)?;
        Some((layer, g, &weight[..]))
    })
}

/// How many groups the scores of a convolution of one group are of, by their shape.
fn groups(g: &ConvGeometry, file: &Weights, name: &str) -> usize {
    let ins = g.input.channels;
    let divides = |per_out: &usize| *per_out > 0 && ins.is_multiple_of(*per_out);
    let per_out = file.get(name).and_then(|tensor| tensor.shape.get(1).copied());
    ins / per_out.filter(divides).unwrap_or(ins)
}

/// Scores of a layer whose weights are those of a convolution of one group, `[out][in][kernel row][kernel column]`. Of those of a
/// group convolution, weights outside of the groups have none: zero.
fn dense(layer: &Layer, g: &ConvGeometry, file: &Weights) -> Result<Vec<f64>> {
    let name = scores_of(layer);
    let groups = groups(g, file, &name);
    if !g.output.channels.is_multiple_of(groups) {
        file.expect_shape(&name, &shape(layer, g))?;
    }
    let grouped = ConvGeometry { groups, ..*g };
    let scores = file.expect_shape(&name, &shape(layer, &grouped))?.to_vec();
    Ok(LinearPart::new(grouped, scores).ungrouped().weights)
}

/// Reads scores of a network's weights.
///
/// # Errors
/// A file that cannot be read.
pub fn read_scores(source: &Source, path: &Path) -> Result<Weights> {
    Weights::read_for(&source.network, path)
        .with_context(|| format!("reading scores {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulator::network::Network;

    #[test]
    fn scores_may_be_of_a_group_convolution() {
        let network = Network::from_toml(
            "name = \"n\"\n[input]\nchannels = 1\nheight = 4\nwidth = 4\n\
             [[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 4\nkernel = 1\n\
             [[layer]]\nname = \"d\"\nkind = \"conv\"\nout = 6\nkernel = 1\n",
        );
        let model = Model::random(network.unwrap(), 1);
        let with = |shape: &[usize]| {
            let mut scores = Weights::default();
            let count = shape.iter().product::<usize>();
            let data = (1..=count).map(|k| k as f64).collect();
            scores.insert("d.taylor", shape, data).unwrap();
            scored(&model, &scores).map(|found| found["d"].clone())
        };
        let groups = |shape: &[usize]| {
            let mut scores = Weights::default();
            scores.insert("d.taylor", shape, vec![1.0; shape.iter().product()]).unwrap();
            has_groups(&model, &scores)
        };
        assert!(!groups(&[6, 4, 1, 1]) && groups(&[6, 2, 1, 1]) && groups(&[6, 1, 1, 1]));
        let dense: Vec<f64> = (1..=24).map(f64::from).collect();
        assert_eq!(with(&[6, 4, 1, 1]).unwrap(), dense);
        let halves: Vec<f64> = (0..24)
            .map(|k| {
                let (o, i) = (k / 4, k % 4);
                if i / 2 == o / 3 { (o * 2 + i % 2 + 1) as f64 } else { 0.0 }
            })
            .collect();
        assert_eq!(with(&[6, 2, 1, 1]).unwrap(), halves);
        // Four groups do not divide six outputs, and three inputs no four.
        for shape in [[6, 1, 1, 1], [6, 3, 1, 1], [4, 6, 1, 1]] {
            let error = with(&shape).unwrap_err().to_string();
            assert!(error.contains("d.taylor"), "{error}");
        }
        assert_eq!(squares(&model).keys().collect::<Vec<_>>(), ["d"]);
    }
}
