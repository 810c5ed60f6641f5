//! Units of a network's layers under a configuration: which weights go together, and which units to keep.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use simulator::Error;
use simulator::config::Configuration;
use simulator::fold::Folded;
use simulator::lowering::{Placed, lower};
use simulator::network::{
    ConvGeometry, Layer, LayerKind, LayerParameters, Model, Network, Weights,
};
use simulator::pattern::{Family, Pattern, UnitMap};
use simulator::search::PatternUnits;

use crate::inputs::tensors;

/// Ending of the name of a layer's scores in a file of importance.
const TAYLOR: &str = ".taylor";

/// How to choose the units to keep.
#[derive(Debug, Clone, Copy)]
pub struct Pruning {
    /// Share of the present units to keep, 0 to 1.
    pub keep: f64,
    /// Which units go together.
    pub family: Family,
}

/// The units of one layer.
#[derive(Debug, Clone, Serialize)]
pub struct LayerUnits {
    /// Name of the layer.
    pub layer: String,
    /// Units that have a weight.
    pub units: usize,
    /// Those of which a weight is not zero.
    pub present: usize,
    /// Those kept: all that are present, unless pruned.
    pub kept: usize,
    /// Share of the importance of what is present that the kept ones have.
    pub kept_importance: f64,
    /// For each weight, its unit.
    #[serde(skip)]
    of_weight: Vec<u32>,
    /// Shape of the weights.
    #[serde(skip)]
    shape: Vec<usize>,
    /// For each unit, whether it is kept.
    #[serde(skip)]
    keep: Vec<bool>,
}

/// A layer without units.
#[derive(Debug, Clone, Serialize)]
pub struct Without {
    /// Name of the layer.
    pub layer: String,
    /// Why.
    pub reason: String,
}

/// The units of a network.
#[derive(Debug, Clone, Serialize)]
pub struct NetworkUnits {
    /// Layers that have units, in order.
    pub layers: Vec<LayerUnits>,
    /// Layers that have none.
    pub without: Vec<Without>,
    #[serde(skip)]
    pruned: bool,
}

/// Finds the units of the convolutions and fully connected layers of a model (of those named, if any are). The importance
/// of a unit is the sum of the squares of its weights, or of its weights' scores if `importance` has them.
///
/// # Errors
/// A configuration that does not fit the model, a name that is no such layer, and scores that are missing, of another
/// shape than the weights, or negative.
pub fn find(
    model: &Model,
    configuration: &Configuration,
    only: &[String],
    pruning: Option<Pruning>,
    importance: Option<&Weights>,
) -> Result<NetworkUnits> {
    let folded = Folded::new(model, configuration)?;
    let chain = configuration.parameters.ideal_chain()?;
    let placed = lower(&folded, configuration, &chain, false)?.linear;
    let linear = |l: &Layer| matches!(l.kind, LayerKind::Conv { .. } | LayerKind::Fc { .. });
    if let Some(unknown) =
        only.iter().find(|name| !model.network.layers.iter().any(|l| l.name == **name && linear(l)))
    {
        bail!("{unknown:?} is no convolution or fully connected layer of {}", model.network.name);
    }
    let mut found =
        NetworkUnits { layers: Vec::new(), without: Vec::new(), pruned: pruning.is_some() };
    for (layer, parameters) in model.network.layers.iter().zip(&model.parameters) {
        let wanted = only.is_empty() || only.contains(&layer.name);
        let LayerParameters::Linear { weight, .. } = parameters else { continue };
        if !wanted {
            continue;
        }
        let (placed, map) = match own(layer, &placed).and_then(|p| Ok((p, UnitMap::placed(p)?))) {
            Ok(found) => found,
            Err(Error::Unsupported { reason, .. }) => {
                found.without.push(Without { layer: layer.name.clone(), reason });
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let what = || format!("units of layer {}", layer.name);
        let scores = scores(layer, placed, weight, importance).with_context(what)?;
        let units = of_layer(layer, placed, map, (weight, &scores), pruning);
        found.layers.push(units.with_context(what)?);
    }
    Ok(found)
}

/// Where a layer is placed, if it is computed with just its own weights. Folding changes a layer's convolution where it
/// splits an activation beside it into two squares, or where the layer does a pool of the image; the sum of a residual
/// block is one layer, by the name of its last convolution.
fn own<'a>(layer: &Layer, placed: &'a [Placed]) -> simulator::Result<&'a Placed> {
    let Some(found) = placed.iter().find(|p| p.layer == layer.name) else {
        return Err(Error::unsupported(
            &layer.name,
            "it is computed as a part of another layer: of a sum, or not at all where nothing reads it",
        ));
    };
    if let LayerKind::Conv { window, .. } = layer.kind
        && window.dilation != (1, 1)
    {
        return Err(Error::unsupported(
            &layer.name,
            "its kernel is dilated: the products have zeros between its weights, which are units too",
        ));
    }
    let g = &found.geometry;
    let Some(own) = layer.convolution_of(g.input) else {
        return Err(Error::unsupported(
            &layer.name,
            "it is no convolution or fully connected layer",
        ));
    };
    if *g == own && g.input.len() == layer.input.len() {
        return Ok(found);
    }
    let show = |g: &ConvGeometry| {
        let (height, width) = g.kernel;
        format!("{} to {}, kernel {height}x{width}, {} groups", g.input, g.output, g.groups)
    };
    Err(Error::unsupported(
        &layer.name,
        format!(
            "it is computed as another convolution ({}) than its own ({}), as an activation beside it takes two squares a \
             channel, or a pool before it is done with it; its weights are not those of the products",
            show(g),
            show(&ConvGeometry { input: layer.input, ..own })
        ),
    ))
}

/// Name of a layer's scores in a file.
pub fn scores_of(layer: &Layer) -> String {
    format!("{}{TAYLOR}", layer.name)
}

/// Shape of a layer's weights in a file, `g` being its convolution.
pub fn shape(layer: &Layer, g: &ConvGeometry) -> Vec<usize> {
    match layer.kind {
        LayerKind::Fc { out, .. } => vec![out, layer.input.len()],
        _ => vec![g.output.channels, g.input.channels / g.groups, g.kernel.0, g.kernel.1],
    }
}

fn scores(
    layer: &Layer,
    placed: &Placed,
    weight: &[f64],
    importance: Option<&Weights>,
) -> Result<Vec<f64>> {
    let Some(file) = importance else { return Ok(weight.iter().map(|w| w * w).collect()) };
    Ok(file.expect_shape(&scores_of(layer), &shape(layer, &placed.geometry))?.to_vec())
}

fn of_layer(
    layer: &Layer,
    placed: &Placed,
    map: UnitMap,
    (weight, scores): (&[f64], &[f64]),
    pruning: Option<Pruning>,
) -> Result<LayerUnits> {
    let all = Pattern::from_scores(&map, weight, scores)?;
    let kept = match pruning {
        Some(Pruning { keep, family }) => all.prune(family, keep)?,
        None => all.clone(),
    };
    Ok(LayerUnits {
        layer: layer.name.clone(),
        units: map.units.len(),
        present: all.units.len(),
        kept: kept.units.len(),
        kept_importance: kept.kept_energy(&all),
        keep: map.units.iter().map(|u| kept.units.contains_key(u)).collect(),
        of_weight: map.of_weight,
        shape: shape(layer, &placed.geometry),
    })
}

/// For each of so many weights of a layer, whether a file of [`NetworkUnits::to_safetensors`] keeps its unit.
///
/// # Errors
/// A file that does not have the layer, or says something else about it.
pub fn kept_weights(file: &[u8], layer: &str, weights: usize) -> Result<Vec<bool>> {
    let file = SafeTensors::deserialize(file).context("units (safetensors)")?;
    let tensor = |part: &str, dtype: Dtype| {
        let name = format!("{layer}.{part}");
        let tensor = file.tensor(&name).with_context(|| name.clone())?;
        if tensor.dtype() != dtype {
            bail!("{name} has elements of type {:?}, expected {dtype:?}", tensor.dtype());
        }
        Ok(tensor)
    };
    let (units, keep) = (tensor("units", Dtype::I32)?, tensor("keep", Dtype::U8)?);
    let units: Vec<&[u8]> = units.data().chunks_exact(size_of::<i32>()).collect();
    if units.len() != weights {
        bail!("{layer}.units has {} elements, the layer {weights} weights", units.len());
    }
    let of = |word: &[u8]| {
        let unit = word.try_into().map(i32::from_le_bytes).context("a unit's number")?;
        let keep = usize::try_from(unit).ok().and_then(|unit| keep.data().get(unit));
        let keep = keep.with_context(|| format!("{layer}.keep has no unit {unit}"))?;
        Ok(*keep != 0)
    };
    units.into_iter().map(of).collect()
}

impl NetworkUnits {
    /// The units of a plan's layers, with those that it keeps.
    ///
    /// # Errors
    /// A layer that the network does not have.
    pub fn planned(network: &Network, layers: Vec<PatternUnits>) -> Result<Self> {
        let of_layer = |units: PatternUnits| {
            let layer = network.layers.iter().find(|layer| layer.name == units.layer);
            let layer = layer.with_context(|| format!("there is no layer {}", units.layer))?;
            Ok(LayerUnits {
                units: units.map.units.len(),
                present: units.present.units.len(),
                kept: units.kept.units.len(),
                kept_importance: units.kept.kept_energy(&units.present),
                keep: units.keep(),
                shape: shape(layer, &units.geometry),
                of_weight: units.map.of_weight,
                layer: units.layer,
            })
        };
        Ok(Self {
            layers: layers.into_iter().map(of_layer).collect::<Result<_>>()?,
            without: Vec::new(),
            pruned: true,
        })
    }

    /// A safetensors file: for each layer `<layer>.units` (I32, of its weights' shape: the number of each weight's unit)
    /// and, where units were chosen, `<layer>.keep` (U8, one for each unit: 1 if it is kept). Its metadata has `network`,
    /// `variant`, for each layer `<layer>.units`, the number of units, and for each layer without them
    /// `<layer>.without`, the reason.
    ///
    /// # Errors
    /// A number that the format has no room for.
    pub fn to_safetensors(&self, network: &str, variant: &str) -> Result<Vec<u8>> {
        let mut metadata = HashMap::from([
            ("network".to_owned(), network.to_owned()),
            ("variant".to_owned(), variant.to_owned()),
        ]);
        for without in &self.without {
            metadata.insert(format!("{}.without", without.layer), without.reason.clone());
        }
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for l in &self.layers {
            metadata.insert(format!("{}.units", l.layer), l.units.to_string());
            i32::try_from(l.units).with_context(|| format!("units of layer {}", l.layer))?;
            let numbers = l.of_weight.iter().flat_map(|n| n.to_le_bytes()).collect();
            tensors.push((format!("{}.units", l.layer), Dtype::I32, l.shape.clone(), numbers));
            if self.pruned {
                let keep = l.keep.iter().map(|k| u8::from(*k)).collect();
                tensors.push((format!("{}.keep", l.layer), Dtype::U8, vec![l.units], keep));
            }
        }
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>>>()?;
        tensors::serialize(views, Some(metadata))
    }
}
