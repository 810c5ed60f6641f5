//! The messages of an ONNX model, as far as they are of use here.

use std::io::{Read, Seek};
use std::ops::Range;

use super::error::Result;
use super::wire::{Reader, Value};

/// A model.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The program that wrote it.
    pub(super) producer: String,
    pub(super) graph: Graph,
    /// Domains and versions of the operators.
    pub(super) operators: Vec<(String, i64)>,
    pub(super) metadata: Vec<(String, String)>,
    /// Functions of the model's own.
    pub(super) functions: usize,
}

/// A graph.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) name: String,
    pub(super) nodes: Vec<Node>,
    pub(super) initializers: Vec<Tensor>,
    pub(super) sparse: usize,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<String>,
}

/// A node.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) operator: String,
    pub(super) domain: String,
    /// Names of what it reads; empty for what is left out.
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<(String, Attribute)>,
}

/// Value of an attribute.
#[derive(Debug, Clone)]
pub(super) enum Attribute {
    Integer(i64),
    Float(f64),
    Text(String),
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Tensor(Box<Tensor>),
    /// Of a kind that no operator here has.
    Other,
}

/// What a graph reads.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) name: String,
    /// Extents; none for those that are not fixed. None at all where no shape is told.
    pub(super) shape: Option<Vec<Option<i64>>>,
}

/// A tensor whose values are where it says.
#[derive(Debug, Clone, Default)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dims: Vec<i64>,
    pub(super) kind: i64,
    /// Values as bytes of the file.
    pub(super) raw: Option<Range<u64>>,
    /// Values of the lists, those of whole numbers and others.
    pub(super) integers: Vec<i64>,
    pub(super) floats: Vec<f64>,
    /// Whether the values are in another file, and what is said of that.
    pub(super) external: bool,
    pub(super) place: Vec<(String, String)>,
}

type File<'a, R> = &'a mut Reader<R>;

impl Model {
    pub(super) fn read<R: Read + Seek>(file: File<'_, R>) -> Result<Self> {
        let mut model = Self::default();
        let whole = file.whole();
        file.fields(whole, |file, number, value| {
            match number {
                2 => model.producer = file.text(value)?,
                7 => model.graph = Graph::read(file, value)?,
                8 => {
                    let message = file.message(value)?;
                    let (mut domain, mut version) = (String::new(), 0);
                    file.fields(message, |file, number, value| {
                        match number {
                            1 => domain = file.text(value)?,
                            2 => version = file.integer(value)?,
                            _ => {}
                        }
                        Ok(())
                    })?;
                    model.operators.push((domain, version));
                }
                14 => model.metadata.push(entry(file, value)?),
                25 => model.functions += 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(model)
    }
}

impl Graph {
    fn read<R: Read + Seek>(file: File<'_, R>, value: Value) -> Result<Self> {
        let (mut graph, message) = (Self::default(), file.message(value)?);
        file.fields(message, |file, number, value| {
            match number {
                1 => graph.nodes.push(Node::read(file, value)?),
                2 => graph.name = file.text(value)?,
                5 => graph.initializers.push(Tensor::read(file, value)?),
                11 => graph.inputs.push(Input::read(file, value)?),
                12 => graph.outputs.push(Input::read(file, value)?.name),
                15 => graph.sparse += 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(graph)
    }
}

impl Node {
    fn read<R: Read + Seek>(file: File<'_, R>, value: Value) -> Result<Self> {
        let (mut node, message) = (Self::default(), file.message(value)?);
        file.fields(message, |file, number, value| {
            match number {
                1 => node.inputs.push(file.text(value)?),
                2 => node.outputs.push(file.text(value)?),
                3 => node.name = file.text(value)?,
                4 => node.operator = file.text(value)?,
                5 => node.attributes.push(attribute(file, value)?),
                7 => node.domain = file.text(value)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(node)
    }
}

/// An attribute and its name. Which of its fields counts is told by `type`, or by which is there.
fn attribute<R: Read + Seek>(file: File<'_, R>, value: Value) -> Result<(String, Attribute)> {
    let message = file.message(value)?;
    let (mut name, mut found, mut kind) = (String::new(), Attribute::Other, 0);
    let (mut integers, mut floats) = (Vec::new(), Vec::new());
    file.fields(message, |file, number, value| {
        match number {
            1 => name = file.text(value)?,
            2 => found = Attribute::Float(file.float(value)?),
            3 => found = Attribute::Integer(file.integer(value)?),
            4 => found = Attribute::Text(file.text(value)?),
            5 => found = Attribute::Tensor(Box::new(Tensor::read(file, value)?)),
            7 => file.floats(value, &mut floats)?,
            8 => file.integers(value, &mut integers)?,
            20 => kind = file.integer(value)?,
            _ => {}
        }
        Ok(())
    })?;
    // What is zero, or an empty list, may be left out.
    let value = match (kind, found) {
        (6, _) => Attribute::Floats(floats),
        (7, _) => Attribute::Integers(integers),
        (1, Attribute::Other) => Attribute::Float(0.0),
        (2, Attribute::Other) => Attribute::Integer(0),
        (3, Attribute::Other) => Attribute::Text(String::new()),
        (0, Attribute::Other) if !floats.is_empty() => Attribute::Floats(floats),
        (0, Attribute::Other) if !integers.is_empty() => Attribute::Integers(integers),
        (_, found) => found,
    };
    Ok((name, value))
}

impl Input {
    fn read<R: Read + Seek>(file: File<'_, R>, value: Value) -> Result<Self> {
        let (mut input, message) = (Self::default(), file.message(value)?);
        file.fields(message, |file, number, value| {
            match number {
                1 => input.name = file.text(value)?,
                2 => input.shape = tensor_type(file, value)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(input)
    }
}

/// Shape of a type, if it is a tensor's.
fn tensor_type<R: Read + Seek>(
    file: File<'_, R>,
    value: Value,
) -> Result<Option<Vec<Option<i64>>>> {
    let (mut shape, message) = (None, file.message(value)?);
    file.fields(message, |file, number, value| {
        if number != 1 {
            return Ok(());
        }
        let tensor = file.message(value)?;
        file.fields(tensor, |file, number, value| {
            if number != 2 {
                return Ok(());
            }
            let (mut extents, message) = (Vec::new(), file.message(value)?);
            file.fields(message, |file, number, value| {
                if number == 1 {
                    let (mut extent, message) = (None, file.message(value)?);
                    file.fields(message, |file, number, value| {
                        if number == 1 {
                            extent = Some(file.integer(value)?);
                        }
                        Ok(())
                    })?;
                    extents.push(extent);
                }
                Ok(())
            })?;
            shape = Some(extents);
            Ok(())
        })
    })?;
    Ok(shape)
}

impl Tensor {
    fn read<R: Read + Seek>(file: File<'_, R>, value: Value) -> Result<Self> {
        let (mut tensor, message) = (Self::default(), file.message(value)?);
        file.fields(message, |file, number, value| {
            match number {
                1 => file.integers(value, &mut tensor.dims)?,
                2 => tensor.kind = file.integer(value)?,
                4 => file.floats(value, &mut tensor.floats)?,
                5 | 7 | 11 => file.integers(value, &mut tensor.integers)?,
                8 => tensor.name = file.text(value)?,
                9 => tensor.raw = Some(file.message(value)?),
                10 => file.doubles(value, &mut tensor.floats)?,
                13 => tensor.place.push(entry(file, value)?),
                14 => tensor.external = file.integer(value)? == 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(tensor)
    }
}

/// A key and a value.
fn entry<R: Read + Seek>(file: File<'_, R>, value: Value) -> Result<(String, String)> {
    let (mut key, mut text, message) = (String::new(), String::new(), file.message(value)?);
    file.fields(message, |file, number, value| {
        match number {
            1 => key = file.text(value)?,
            2 => text = file.text(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, text))
}
