//! What the training of a plan starts from: the dense network, or a variant of it with groups.

use anyhow::{Result, bail};
use simulator::fold::LinearPart;
use simulator::network::{LayerParameters, Model, Network};

use crate::inputs::networks::Source;

/// The weights of a variant in the dense network.
///
/// # Errors
/// A variant that is not there, and those of [`regrouped`].
pub(super) fn begun(source: &Source, start: &str) -> Result<Model> {
    let model = source.model(start)?;
    if start == source.baseline() {
        return Ok(model);
    }
    let dense = source.network.variant(source.baseline())?;
    regrouped(model, &source.network.with_groups(&dense.groups)?)
}

/// A model of a network with the groups of another: where that has one, weights between the model's groups are zero.
///
/// # Errors
/// Where both have several groups, and not the same.
fn regrouped(model: Model, dense: &Network) -> Result<Model> {
    let Model { network, mut parameters, bounds } = model;
    let layers = network.layers.iter().zip(&dense.layers).zip(&mut parameters);
    for ((layer, wanted), parameters) in layers {
        let LayerParameters::Linear { weight, .. } = parameters else { continue };
        let (Some(own), Some(wanted)) = (layer.as_convolution(), wanted.as_convolution()) else {
            continue;
        };
        match wanted.groups {
            groups if groups == own.groups => {}
            1 => *weight = LinearPart::new(own, std::mem::take(weight)).ungrouped().weights,
            expected => bail!(
                "layer {} has {} groups in what training would start from, and {expected} in the dense network",
                layer.name,
                own.groups
            ),
        }
    }
    Ok(Model { network: dense.clone(), parameters, bounds })
}

/// What a variant has lost against the dense one, in points.
///
/// # Errors
/// If it is not trained, and if that is more than the largest loss, a fraction.
pub(super) fn lost(
    source: &Source,
    start: &str,
    dense_accuracy: f64,
    max_drop: f64,
) -> Result<f64> {
    let Some(accuracy) = source.accuracy(start)? else {
        bail!(
            "variant {start} of network {} is not trained, and training cannot start from it",
            source.network.name
        );
    };
    let lost = dense_accuracy - accuracy;
    if lost > max_drop {
        bail!(
            "variant {start} has lost {:.2} points against the dense network, and --max-drop allows {:.2}; start from another one or allow more",
            100.0 * lost,
            100.0 * max_drop
        );
    }
    Ok(100.0 * lost)
}

#[cfg(test)]
mod tests {
    use super::super::importance::squares;
    use super::*;

    #[test]
    fn only_layers_of_one_group_are_filled_up() {
        let text = "name = \"n\"\n[input]\nchannels = 1\nheight = 4\nwidth = 4\n\
             [[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 4\nkernel = 1\n\
             [[layer]]\nname = \"e\"\nkind = \"conv\"\nout = 4\nkernel = 1\ngroups = 4\n\
             [[layer]]\nname = \"d\"\nkind = \"conv\"\nout = 6\nkernel = 1\n";
        let dense = Network::from_toml(text).unwrap();
        let with = |name: &str, groups| {
            let network = dense.with_groups(&[(name.to_owned(), groups)].into()).unwrap();
            regrouped(Model::random(network, 1), &dense)
        };
        // Of two groups, half of the dense weights are zeros; the depthwise layer stays as it is.
        let model = with("d", 2).unwrap();
        assert_eq!(model.network, dense);
        let own = squares(&model);
        assert_eq!(own.keys().collect::<Vec<_>>(), ["d"]);
        let is_within = |k: usize| k % 4 / 2 == k / 4 / 3;
        assert_eq!(own["d"].len(), 24);
        assert!(own["d"].iter().enumerate().all(|(k, square)| (*square > 0.0) == is_within(k)));
        let is_own = |weight: &[f64]| weight.len() == 4 && weight.iter().all(|w| *w != 0.0);
        assert!(
            matches!(&model.parameters[1], LayerParameters::Linear { weight, .. } if is_own(weight))
        );
        let refused = with("e", 2).unwrap_err().to_string();
        assert!(
            refused.contains("layer e has 2 groups") && refused.contains("4 in the dense"),
            "{refused}"
        );
    }
}
