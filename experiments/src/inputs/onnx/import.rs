//! Importing a model: its nodes in order, each either a constant or a layer of the network.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use simulator::network::{LayerKind, Network, NetworkBuilder, Source, Weights};

use super::Options;
use super::constants;
use super::error::{OnnxError, Result};
use super::inputs;
use super::map::{Map, Polynomial};
use super::messages::{Attribute, Model, Node, Tensor};
use super::tensor::{Constant, Data};
use super::weights::Store;
use super::wire::Reader;

/// Numbers of a constant that are looked at before the network is known: those of shapes, of channels.
const SMALL: usize = 1 << 16;

/// Numbers that a graph may compute of constants: so many, and for each number of a weight so many more. Nodes that only
/// double what they read would fill any memory.
const COMPUTED: usize = 1 << 20;
const COMPUTED_EACH: usize = 8;

/// What a tensor of the graph is.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Numbers.
    Constant(Constant),
    /// A map of the network.
    Map(Map),
}

/// A network under construction.
pub(super) struct Importer<'a> {
    pub(super) options: &'a Options,
    model: &'a Model,
    store: Store,
    pub(super) builder: NetworkBuilder,
    /// Weights of the layers so far; none where only the network is wanted.
    pub(super) weights: Option<Weights>,
    /// Extent of the first dimension of every map.
    pub(super) batch: usize,
    known: HashMap<&'a str, Known>,
    /// Numbers of the initializers by name.
    stored: HashMap<&'a str, usize>,
    /// How many inputs of nodes, and results, a tensor is: in all, and of nodes that are still to come.
    readers: HashMap<&'a str, usize>,
    left: HashMap<&'a str, usize>,
    /// The nodes that read a tensor, and the one that gives it.
    consumers: HashMap<&'a str, Vec<&'a Node>>,
    producers: HashMap<&'a str, &'a Node>,
    pub(super) counts: HashMap<&'static str, usize>,
    /// Numbers that the graph may still compute of constants.
    computable: usize,
    /// Convolutions and fully connected layers: their names.
    pub(super) linear: HashMap<usize, String>,
    /// Polynomials of layers that are layers already: the layer read, the polynomial, and its layer. Exporters compute one
    /// in two forms, with a transpose between.
    pub(super) done: HashMap<Option<usize>, Vec<(Polynomial, Source)>>,
}

/// Reads a model; its weights too, if they are wanted.
pub(super) fn import(
    path: &Path,
    options: &Options,
    weights: bool,
) -> Result<(Network, Option<Weights>)> {
    let io = |source| OnnxError::Io { file: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut reader = Reader::new(file, length);
    let model = Model::read(&mut reader)?;
    check(&model)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("onnx");
    let nodes = inputs::needed(&model)?;
    let input = inputs::image(&model, &nodes)?;
    let mut builder = NetworkBuilder::new(name, input.map.shape)?;
    let channels = input.map.shape.channels;
    let each = |list: &Option<Vec<f64>>, default: f64| match list.as_deref() {
        None => vec![default; channels],
        Some([one]) => vec![*one; channels],
        Some(list) => list.to_vec(),
    };
    builder.normalise(each(&options.mean, 0.0), each(&options.std, 1.0), None)?;
    let stored = model.graph.initializers.iter().enumerate();
    let readers = inputs::readers(&model, &nodes);
    let mut consumers: HashMap<&str, Vec<&Node>> = HashMap::new();
    for &node in &nodes {
        node.inputs.iter().for_each(|name| consumers.entry(name).or_default().push(node));
    }
    let outputs =
        nodes.iter().flat_map(|node| node.outputs.iter().map(|name| (name.as_str(), *node)));
    let producers = outputs.collect();
    let mut importer = Importer {
        options,
        model: &model,
        store: Store::new(reader, folder),
        builder,
        weights: weights.then(Weights::default),
        batch: input.batch,
        known: HashMap::from([(input.name, Known::Map(input.map))]),
        stored: stored.map(|(k, tensor)| (tensor.name.as_str(), k)).collect(),
        left: readers.clone(),
        consumers,
        producers,
        readers,
        counts: HashMap::new(),
        computable: COMPUTED,
        linear: HashMap::new(),
        done: HashMap::new(),
    };
    for node in &nodes {
        importer.node(node)?;
    }
    importer.finish()
}

/// What a model may not have.
fn check(model: &Model) -> Result<()> {
    if model.graph.nodes.is_empty() {
        return Err(OnnxError::Model("the model has no node; is it an ONNX model?".into()));
    }
    if model.functions > 0 {
        return Err(OnnxError::Model(
            "the model has functions of its own; export it with them inlined (onnx.inliner.inline_local_functions)".into(),
        ));
    }
    if model.graph.sparse > 0 {
        return Err(OnnxError::Model("the model has sparse initializers; store dense ones".into()));
    }
    Ok(())
}

impl<'a> Importer<'a> {
    fn node(&mut self, node: &'a Node) -> Result<()> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(node.refuse(format!(
                "an operator of {:?}, which is no part of ONNX: export without it",
                node.domain
            )));
        }
        if node.operator == "Constant" {
            let value = self.attribute_constant(node)?;
            return self.set(node, Known::Constant(value));
        }
        let mut all = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            all.push(match name.is_empty() {
                true => None,
                false => Some(self.look_up(node, name)?),
            });
        }
        let result = if all.iter().flatten().all(|known| matches!(known, Known::Constant(_))) {
            let constant = |known| match known {
                Known::Constant(value) => Some(value),
                Known::Map(_) => None,
            };
            let constants: Vec<Constant> = all.into_iter().flatten().filter_map(constant).collect();
            match constants::fold(node, &constants)? {
                Some(value) => {
                    self.charge(node, &value)?;
                    Known::Constant(value)
                }
                None => return Err(node.refuse("an operator that is not computed of constants")),
            }
        } else {
            self.operator(node, &mut all)?
        };
        self.forget(node);
        self.set(node, result)
    }

    /// Counts the numbers of a constant that was computed, unless it shares those of another.
    fn charge(&mut self, node: &Node, value: &Constant) -> Result<()> {
        let numbers = if value.is_shared() { 0 } else { value.len() };
        self.computable = self.computable.checked_sub(numbers).ok_or_else(|| {
            node.refuse(
                "the graph computes too many numbers of constants: export a simplified graph",
            )
        })?;
        Ok(())
    }

    /// A stored tensor.
    fn load(&mut self, tensor: &Tensor) -> Result<Constant> {
        let value = self.store.load(tensor)?;
        let more = COMPUTED_EACH.saturating_mul(value.len());
        self.computable = self.computable.saturating_add(more);
        Ok(value)
    }

    /// The value of a constant's node.
    fn attribute_constant(&mut self, node: &Node) -> Result<Constant> {
        for (name, value) in &node.attributes {
            return Ok(match (name.as_str(), value) {
                ("value", Attribute::Tensor(tensor)) => self.load(tensor)?,
                ("value_float", Attribute::Float(v)) => Constant::floats(vec![], vec![*v]),
                ("value_int", Attribute::Integer(v)) => Constant::integers(vec![], vec![*v]),
                ("value_floats", Attribute::Floats(list)) => {
                    Constant::floats(vec![list.len()], list.clone())
                }
                ("value_ints", Attribute::Integers(list)) => Constant::list(list.clone()),
                _ => continue,
            });
        }
        Err(node.refuse("a constant without numbers"))
    }

    fn look_up(&mut self, node: &Node, name: &str) -> Result<Known> {
        match self.known.get(name) {
            // What is read twice may be changed for none of the two.
            Some(Known::Map(map)) => {
                let alone = map.alone && self.is_read_once(name);
                return Ok(Known::Map(Map { alone, ..map.clone() }));
            }
            Some(known) => return Ok(known.clone()),
            None => {}
        }
        let Some(&number) = self.stored.get(name) else {
            return Err(node.refuse(format!(
                "it reads {name:?}, which no node before it gives: nodes must be in order"
            )));
        };
        let tensor = &self.model.graph.initializers[number];
        let shape = Store::shape(tensor)?;
        if self.weights.is_none() && shape.iter().product::<usize>() > SMALL {
            return Ok(Known::Constant(Constant { shape, data: Data::Later }));
        }
        Ok(Known::Constant(self.load(tensor)?))
    }

    fn set(&mut self, node: &'a Node, result: Known) -> Result<()> {
        let Some((first, others)) = node.outputs.split_first() else { return Ok(()) };
        if let Some(other) =
            others.iter().find(|name| self.readers.get(name.as_str()).is_some_and(|n| *n > 0))
        {
            return Err(node.refuse(format!(
                "its further result {other:?} is read, which only a training needs: export for inference (model.eval())"
            )));
        }
        self.known.insert(first, result);
        Ok(())
    }

    /// Forgets constants that nothing reads any more.
    fn forget(&mut self, node: &'a Node) {
        for name in &node.inputs {
            if let Some(left) = self.left.get_mut(name.as_str()) {
                *left = left.saturating_sub(1);
                if *left == 0 && matches!(self.known.get(name.as_str()), Some(Known::Constant(_))) {
                    self.known.remove(name.as_str());
                }
            }
        }
    }

    /// Whether a tensor is read once only.
    pub(super) fn is_read_once(&self, name: &str) -> bool {
        self.readers.get(name).copied().unwrap_or(0) <= 1
    }

    /// The nodes that read a tensor.
    pub(super) fn readers_of(&self, name: &str) -> impl Iterator<Item = &'a Node> {
        self.consumers.get(name).into_iter().flatten().copied()
    }

    /// The node that gives a tensor.
    pub(super) fn made_by(&self, name: &str) -> Option<&'a Node> {
        self.producers.get(name).copied()
    }

    /// Input number `input` with nothing left to be done on it: for what reads it later, too.
    pub(super) fn settle(&mut self, node: &'a Node, input: usize, map: Map) -> Result<Map> {
        let done = self.materialised(map)?;
        if let Some(name) = node.inputs.get(input) {
            self.known.insert(name, Known::Map(done.clone()));
        }
        Ok(done)
    }

    fn finish(mut self) -> Result<(Network, Option<Weights>)> {
        let outputs = &self.model.graph.outputs;
        let fault = |reason: String| Err(OnnxError::Model(reason));
        let name = &outputs[0];
        let Some(Known::Map(map)) = self.known.get(name.as_str()).cloned() else {
            return fault(format!("the result {name:?} does not depend on the image"));
        };
        let alone = map.alone && self.is_read_once(name);
        let done = self.materialised(Map { alone, ..map })?;
        if !done.is_straight() {
            return fault(format!(
                "the result {name:?} has its channels last; export it as channels, rows, columns, or flattened so"
            ));
        }
        if done.source != self.builder.last() || self.builder.last() == Source::Input {
            // The result must be the last layer's.
            let name = self.name("output");
            self.layer(&name, LayerKind::Flatten, &[done.source])?;
        }
        Ok((self.builder.finish()?, self.weights))
    }
}
