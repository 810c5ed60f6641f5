//! A folded network with the patterns of a plan: its weights outside of them removed.

use std::collections::BTreeMap;

use super::Importance;
use crate::config::Configuration;
use crate::fold::{Folded, LinearPart, StageKind};
use crate::lowering::lower;
use crate::network::ConvGeometry;
use crate::pattern::{Family, Grouping, Pattern, PatternChoice, UnitMap};
use crate::{Error, Result};

/// The pattern of each layer that has one.
pub type Patterns = BTreeMap<String, PatternChoice>;

/// Values for the weights of a convolution of one group, in the form that the weights of a grouping have: cut to the groups, or
/// zero outside of them where these are shuffled.
///
/// # Errors
/// [`Error::Argument`] for another number of values than the convolution has weights.
pub fn cut_to_groups(g: &ConvGeometry, grouping: Grouping, dense: &[f64]) -> Result<Vec<f64>> {
    let (ins, outs, area) = (g.input.channels, g.output.channels, g.kernel.0 * g.kernel.1);
    if dense.len() != ins * outs * area {
        return Err(Error::argument("number of values", dense.len(), ins * outs * area));
    }
    let mut cut = Vec::new();
    for o in 0..outs {
        let row = &dense[o * ins * area..][..ins * area];
        if grouping.shuffled {
            let mut kept = vec![0.0; row.len()];
            for i in grouping.reads((ins, outs), o) {
                kept[i * area..][..area].copy_from_slice(&row[i * area..][..area]);
            }
            cut.extend(kept);
        } else {
            grouping.reads((ins, outs), o).for_each(|i| cut.extend(&row[i * area..][..area]));
        }
    }
    Ok(cut)
}

/// The network with the groups of its patterns, every unit kept.
///
/// # Errors
/// Those of [`cut_to_groups`].
pub fn grouped(folded: &Folded, patterns: &Patterns) -> Result<Folded> {
    let mut grouped = folded.clone();
    for stage in &mut grouped.stages {
        let Some(choice) = patterns.get(&stage.name) else { continue };
        if let StageKind::Linear(linear) = &mut stage.kind {
            let g = linear.geometry;
            let weights = cut_to_groups(&g, choice.grouping, &linear.weights)?;
            let groups = if choice.grouping.shuffled { 1 } else { choice.grouping.groups };
            linear.main = LinearPart::new(ConvGeometry { groups, ..g }, weights);
        }
    }
    Ok(grouped)
}

/// The units of a layer under its pattern.
#[derive(Debug, Clone)]
pub struct PatternUnits {
    /// Name of the layer.
    pub layer: String,
    /// Its convolution, with its groups; those of a shuffled one are zeros among the weights of one group.
    pub geometry: ConvGeometry,
    /// The unit of each weight.
    pub map: UnitMap,
    /// The units within the groups, and those of them that are kept.
    pub present: Pattern,
    /// Those kept.
    pub kept: Pattern,
}

/// The units of every layer that has a pattern, under a configuration of the network: the least important ones go.
///
/// # Errors
/// A configuration that does not fit the network, importance of another number of weights, and layers whose weights belong
/// to no one unit.
pub fn pattern_units(
    folded: &Folded,
    configuration: &Configuration,
    patterns: &Patterns,
    importance: &Importance,
) -> Result<Vec<PatternUnits>> {
    let grouped = grouped(folded, patterns)?;
    let chain = configuration.parameters.ideal_chain()?;
    let placed = lower(&grouped, configuration, &chain, false)?.linear;
    let mut found = Vec::new();
    for (stage, dense) in grouped.stages.iter().zip(&folded.stages) {
        let Some(choice) = patterns.get(&stage.name) else { continue };
        let (StageKind::Linear(linear), StageKind::Linear(dense)) = (&stage.kind, &dense.kind)
        else {
            continue;
        };
        let (placed, scores) = placed
            .iter()
            .find(|p| p.layer == stage.name)
            .zip(importance.get(&stage.name))
            .ok_or_else(|| Error::unsupported(&stage.name, "its importance is not known"))?;
        let map = UnitMap::placed(placed)?;
        let scores = cut_to_groups(&dense.geometry, choice.grouping, scores)?;
        let present = Pattern::from_scores(&map, &linear.weights, &scores)?;
        let kept = match choice.family {
            Family::Dense => present.clone(),
            family => present.prune(family, choice.keep())?,
        };
        let (layer, geometry) = (stage.name.clone(), linear.geometry);
        found.push(PatternUnits { layer, geometry, map, present, kept });
    }
    Ok(found)
}

/// The network with its patterns: the weights of units that are not kept are zero.
///
/// # Errors
/// Those of [`pattern_units`].
pub fn pruned(
    folded: &Folded,
    configuration: &Configuration,
    patterns: &Patterns,
    importance: &Importance,
) -> Result<Folded> {
    let mut pruned = grouped(folded, patterns)?;
    for units in pattern_units(folded, configuration, patterns, importance)? {
        let keep = units.keep();
        let stage = pruned.stages.iter_mut().find(|stage| stage.name == units.layer);
        if let Some(StageKind::Linear(linear)) = stage.map(|stage| &mut stage.kind) {
            for (weight, unit) in linear.weights.iter_mut().zip(&units.map.of_weight) {
                if !keep[*unit as usize] {
                    *weight = 0.0;
                }
            }
        }
    }
    Ok(pruned)
}

impl PatternUnits {
    /// For each unit of the map, whether it is kept.
    pub fn keep(&self) -> Vec<bool> {
        self.map.units.iter().map(|unit| self.kept.units.contains_key(unit)).collect()
    }
}
