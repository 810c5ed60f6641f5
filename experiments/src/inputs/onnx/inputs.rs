//! What a model reads and which of its nodes are needed.

use std::collections::{HashMap, HashSet};

use simulator::network::{NetworkBuilder, Shape, Source};

use super::error::{OnnxError, Result};
use super::map::Map;
use super::messages::{Attribute, Model, Node};

/// Most channels of an image whose channels come last.
const FEW_CHANNELS: i64 = 4;

/// The image as the graph reads it.
pub(super) struct Image<'a> {
    pub(super) name: &'a str,
    pub(super) map: Map,
    /// Images of a batch, as the model has it; one, if it leaves that open.
    pub(super) batch: usize,
}

/// The nodes that the result depends on, in order.
pub(super) fn needed(model: &Model) -> Result<Vec<&Node>> {
    let graph = &model.graph;
    let [output] = &graph.outputs[..] else {
        let names = graph.outputs.join(", ");
        return Err(OnnxError::Model(format!(
            "the model has {} results ({names}), expected one: export the logits alone",
            graph.outputs.len()
        )));
    };
    let mut wanted: HashSet<&str> = HashSet::from([output.as_str()]);
    let mut nodes: Vec<&Node> = Vec::new();
    for node in graph.nodes.iter().rev() {
        if node.outputs.iter().any(|name| wanted.contains(name.as_str())) {
            wanted.extend(node.inputs.iter().map(String::as_str));
            nodes.push(node);
        }
    }
    nodes.reverse();
    Ok(nodes)
}

/// How many inputs of nodes each tensor is, and results of the graph.
pub(super) fn readers<'a>(model: &'a Model, nodes: &[&'a Node]) -> HashMap<&'a str, usize> {
    let mut readers = HashMap::new();
    let inputs = nodes.iter().flat_map(|node| &node.inputs);
    for name in inputs.chain(&model.graph.outputs) {
        *readers.entry(name.as_str()).or_default() += 1;
    }
    readers
}

/// The one input that is no weight.
pub(super) fn image<'a>(model: &'a Model, nodes: &[&Node]) -> Result<Image<'a>> {
    let graph = &model.graph;
    let stored: HashSet<&str> = graph.initializers.iter().map(|t| t.name.as_str()).collect();
    let inputs: Vec<_> =
        graph.inputs.iter().filter(|input| !stored.contains(input.name.as_str())).collect();
    let fault = |reason: String| Err(OnnxError::Model(reason));
    let [input] = inputs[..] else {
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        return fault(format!(
            "the model has {} inputs ({}), expected one: the image",
            names.len(),
            names.join(", ")
        ));
    };
    let Some(shape) = &input.shape else {
        return fault(format!("input {:?} has no shape; export with one", input.name));
    };
    let mut extents = Vec::new();
    for extent in shape.iter().skip(1) {
        match extent {
            Some(extent) if *extent > 0 => extents.push(*extent),
            _ => {
                let shown: Vec<String> =
                    shape.iter().map(|e| e.map_or("?".into(), |e| e.to_string())).collect();
                return fault(format!(
                    "input {:?} has shape [{}]; export with fixed extents of an image (only the batch may be open)",
                    input.name,
                    shown.join(", ")
                ));
            }
        }
    }
    let size = |extent: i64| usize::try_from(extent).unwrap_or(usize::MAX);
    let (shape_of, dims) = match extents[..] {
        [values] => ([values, 1, 1], vec![vec![0]]),
        [rows, cols] => ([1, rows, cols], vec![vec![1], vec![2]]),
        [a, b, c] if channels_last(nodes, &input.name, [a, b, c]) => {
            ([c, a, b], vec![vec![1], vec![2], vec![0]])
        }
        [a, b, c] => ([a, b, c], vec![vec![0], vec![1], vec![2]]),
        _ => {
            return fault(format!(
                "input {:?} has {} dimensions, expected two to four: batch, channels, rows, columns",
                input.name,
                shape.len()
            ));
        }
    };
    let [channels, height, width] = shape_of.map(size);
    // Checks the extents, before anything has as many numbers as there are channels.
    let shape_of = Shape::new(channels, height, width);
    NetworkBuilder::new("image", shape_of)?;
    let map = Map { dims, ..Map::of(Source::Input, shape_of) };
    let batch = match shape.first() {
        Some(Some(batch)) if *batch > 0 => size(*batch),
        _ => 1,
    };
    Ok(Image { name: &input.name, map, batch })
}

/// Whether an image of three extents has its channels last: as the first convolution or transpose has it, or else where
/// the last extent is that of channels rather than the first.
fn channels_last(nodes: &[&Node], input: &str, [a, _, c]: [i64; 3]) -> bool {
    let mut name = input;
    for node in nodes {
        if !node.inputs.iter().any(|n| n == name) {
            continue;
        }
        match node.operator.as_str() {
            "Transpose" => {
                let perm = node.attributes.iter().find(|(name, _)| name == "perm");
                return matches!(perm, Some((_, Attribute::Integers(list))) if list[..] == [0, 3, 1, 2]);
            }
            "Conv" | "AveragePool" | "GlobalAveragePool" | "BatchNormalization" => return false,
            "Sub" | "Mul" | "Add" | "Div" | "Cast" | "Identity" | "Pow" | "Neg" => {
                name = node.outputs.first().map_or("", String::as_str);
            }
            _ => break,
        }
    }
    c <= FEW_CHANNELS && a > FEW_CHANNELS
}
