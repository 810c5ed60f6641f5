//! A plan before its training: the weights that it starts from, cut to its groups and units.

use anyhow::{Context, Result, bail};
use simulator::network::{Bounds, LayerParameters, Model};
use simulator::search::cut_to_groups;

use super::PlanFolder;
use super::folder::UNITS;
use super::start;
use crate::inputs::networks::Source;
use crate::inputs::units::kept_weights;

impl PlanFolder {
    /// The weights of the variant that a plan starts from, of which only those are left that it keeps.
    ///
    /// # Errors
    /// A plan of another network, and units that do not fit it.
    pub fn untrained(&self, source: &Source) -> Result<Model> {
        let (planned, name) = (&self.plan.evaluated.configuration.network, &source.network.name);
        if planned != name {
            bail!(
                "the plan is of network {planned:?}, and the network is {name:?}; name the right one with --network"
            );
        }
        let path = self.folder.join(UNITS);
        let what = || format!("reading {}; `search --patterns --out` writes it", path.display());
        let units = std::fs::read(&path).with_context(what)?;
        let start = self.start.as_deref().unwrap_or(source.baseline());
        let mut model = start::begun(source, start)?;
        model.network = model.network.with_groups(&self.groups())?;
        model.bounds = Bounds::default();
        let Model { network, parameters, .. } = &mut model;
        for planned in &self.plan.layers {
            let what = || format!("layer {} of the plan", planned.layer);
            let found = source.network.layers.iter().position(|l| l.name == planned.layer);
            let place =
                found.with_context(|| format!("network {} has no such layer", network.name));
            let place = place.with_context(what)?;
            let geometry = source.network.layers[place].as_convolution();
            let (Some(geometry), LayerParameters::Linear { weight, .. }) =
                (geometry, &mut parameters[place])
            else {
                bail!(
                    "layer {} of the plan is no convolution or fully connected layer of {name}",
                    planned.layer
                );
            };
            let grouping = planned.choice.grouping;
            if geometry.input.channels % grouping.groups != 0 {
                bail!(
                    "layer {} has {} channels, and the plan divides them into {} groups",
                    planned.layer,
                    geometry.input.channels,
                    grouping.groups
                );
            }
            *weight = cut_to_groups(&geometry, grouping, weight).with_context(what)?;
            let kept = kept_weights(&units, &planned.layer, weight.len()).with_context(what)?;
            for (weight, _) in weight.iter_mut().zip(kept).filter(|(_, kept)| !kept) {
                *weight = 0.0;
            }
        }
        Ok(model)
    }
}
