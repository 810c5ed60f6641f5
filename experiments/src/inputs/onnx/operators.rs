//! Which operator is what, and those that change the form of a tensor only.

use super::activations;
use super::constants;
use super::error::Result;
use super::import::{Importer, Known};
use super::map::Map;
use super::messages::Node;
use super::tensor::{Constant, Data};

/// What a node reads; none where an input is left out.
pub(super) type Inputs = [Option<Known>];

/// A map among the inputs.
pub(super) fn map(node: &Node, inputs: &Inputs, k: usize) -> Result<Map> {
    match inputs.get(k) {
        Some(Some(Known::Map(map))) => Ok(map.clone()),
        Some(Some(Known::Constant(_))) => {
            Err(node.refuse(format!("input {k} is a constant, and the image was expected there")))
        }
        _ => Err(node.refuse(format!("input {k} is missing"))),
    }
}

/// A constant among the inputs, taken out of them but for its shape: a weight may be large, and is not kept twice.
fn taken(inputs: &mut Inputs, k: usize) -> Constant {
    let none = Constant { shape: Vec::new(), data: Data::Later };
    match inputs.get_mut(k) {
        Some(Some(Known::Constant(value))) => {
            let shell = Constant { shape: value.shape.clone(), data: Data::Later };
            std::mem::replace(value, shell)
        }
        _ => none,
    }
}

/// A constant among the inputs; none if it is left out.
pub(super) fn constant<'i>(
    node: &Node,
    inputs: &'i Inputs,
    k: usize,
) -> Result<Option<&'i Constant>> {
    match inputs.get(k) {
        Some(Some(Known::Constant(value))) => Ok(Some(value)),
        Some(Some(Known::Map(_))) => Err(node
            .refuse(format!("input {k} depends on the image, and a constant was expected there"))),
        _ => Ok(None),
    }
}

/// The same, if it may not be left out.
pub(super) fn needed<'i>(node: &Node, inputs: &'i Inputs, k: usize) -> Result<&'i Constant> {
    constant(node, inputs, k)?.ok_or_else(|| node.refuse(format!("input {k} is missing")))
}

impl<'a> Importer<'a> {
    /// What a node with a map among its inputs gives.
    pub(super) fn operator(&mut self, node: &'a Node, inputs: &mut Inputs) -> Result<Known> {
        let result = match node.operator.as_str() {
            "Conv" => {
                let weight = taken(inputs, 1);
                self.convolution(node, inputs, weight)?
            }
            "Gemm" => {
                let weight = taken(inputs, 1);
                self.gemm(node, inputs, weight)?
            }
            "MatMul" => {
                let weight = taken(inputs, 1);
                self.matmul(node, inputs, weight)?
            }
            "BatchNormalization" => self.batch_norm(node, inputs)?,
            "AveragePool" => self.average_pool(node, inputs)?,
            "GlobalAveragePool" => self.global_pool(node, inputs)?,
            "ReduceMean" => self.reduced(node, inputs, false)?,
            "ReduceSum" => self.reduced(node, inputs, true)?,
            "Pad" => self.pad(node, inputs)?,
            "Add" => self.sum(node, inputs, 1.0)?,
            "Sub" => self.sum(node, inputs, -1.0)?,
            "Mul" => self.product(node, inputs)?,
            "Div" => self.quotient(node, inputs)?,
            "Pow" => self.power(node, inputs)?,
            "Neg" => self.negative(node, inputs)?,
            "Identity" => map(node, inputs, 0)?,
            "Cast" => self.cast(node, inputs)?,
            "Dropout" => self.dropout(node, inputs)?,
            "Flatten" => {
                let value = map(node, inputs, 0)?;
                let axis = node.axis(node.integer("axis", 1)?, value.dims.len() + 2)?;
                if axis != 1 {
                    return Err(node.refuse(format!("axis {axis}, expected 1: the batch is kept")));
                }
                let count = value.len();
                self.formed(node, value, &[count])?
            }
            "Reshape" => {
                let value = map(node, inputs, 0)?;
                let wanted = needed(node, inputs, 1)?.whole(node.title())?;
                let shape = constants::target(node, &wanted, &self.extents(&value))?;
                self.with_batch(node, value, &shape)?
            }
            "Squeeze" | "Unsqueeze" => self.squeezed(node, inputs)?,
            "Transpose" => self.transpose(node, inputs)?,
            "Shape" => {
                let value = map(node, inputs, 0)?;
                return Ok(Known::Constant(constants::shape(node, &self.extents(&value))?));
            }
            "Size" => {
                let count = self.extents(&map(node, inputs, 0)?).iter().product();
                return Ok(Known::Constant(Constant::integers(vec![], vec![count])));
            }
            _ => self.activation(node, inputs)?,
        };
        Ok(Known::Map(result))
    }

    /// Extents of a map's tensor, the batch first.
    pub(super) fn extents(&self, map: &Map) -> Vec<i64> {
        let mut extents = vec![self.batch as i64];
        extents.extend(map.extents().into_iter().map(|extent| extent as i64));
        extents
    }

    /// The same values with other dimensions after the batch.
    fn formed(&mut self, node: &'a Node, map: Map, extents: &[usize]) -> Result<Map> {
        // Zeros that are not there yet have no place in another form.
        let map = if map.padding.is_none() { map } else { self.settle(node, 0, map)? };
        if extents == map.extents() {
            return Ok(map);
        }
        map.reshaped(extents).filter(|formed| map.order.is_none() || formed.is_flat()).ok_or_else(
            || {
                node.refuse(format!(
                    "{:?} to {extents:?} takes channels, rows or columns apart: only whole ones can be put together",
                    map.extents()
                ))
            },
        )
    }

    /// The same for a shape whose first extent is the batch.
    fn with_batch(&mut self, node: &'a Node, map: Map, shape: &[usize]) -> Result<Map> {
        match shape.split_first() {
            Some((batch, rest)) if *batch == self.batch => self.formed(node, map, rest),
            _ => Err(node.refuse(format!(
                "{:?} to {shape:?} moves the first dimension, the batch of {}",
                self.extents(&map),
                self.batch
            ))),
        }
    }

    fn squeezed(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let value = map(node, inputs, 0)?;
        // On whole numbers, a constant of the same shape gives the shape of the result.
        let extents: Vec<usize> = std::iter::once(self.batch).chain(value.extents()).collect();
        let stand_in = Constant { shape: extents, data: Data::Later };
        let mut all = vec![stand_in];
        all.extend(constant(node, inputs, 1)?.cloned());
        if node.operator == "Squeeze" && all.len() == 1 && node.integers("axes")?.is_none() {
            return Err(node.refuse("no axes are named, and the batch could be one of them"));
        }
        let shape = constants::fold(node, &all)?.map(|formed| formed.shape);
        self.with_batch(node, value, &shape.unwrap_or_default())
    }

    fn transpose(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let value = map(node, inputs, 0)?;
        let order = constants::permutation(node, value.dims.len() + 1)?;
        if order[0] != 0 {
            return Err(node.refuse(format!("perm {order:?} moves the first dimension, the batch")));
        }
        let value = if value.padding.is_none() { value } else { self.settle(node, 0, value)? };
        let order: Vec<usize> = order[1..].iter().map(|k| k - 1).collect();
        Ok(value.transposed(&order))
    }

    fn cast(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        match node.integer("to", 1)? {
            1 | 10 | 11 | 16 => Ok(map(node, inputs, 0)?),
            _ => Err(node.refuse("values of the image are cut to whole numbers: export without")),
        }
    }

    fn dropout(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let training = match constant(node, inputs, 2)? {
            Some(value) => value.numbers().is_none_or(|list| list.iter().any(|v| *v != 0.0)),
            None => false,
        };
        if training {
            return Err(
                node.refuse("it is live, as in training: export for inference (model.eval())")
            );
        }
        map(node, inputs, 0)
    }

    fn activation(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let value = map(node, inputs, 0)?;
        let gate = activations::gate(
            node,
            self.readers_of(node.outputs.first().map_or("", String::as_str)),
        );
        let operator = gate.unwrap_or(&node.operator);
        match self.options.activations.of(node.title(), operator) {
            Some(_) if gate.is_some() => {
                // The product with its input, just after it, is what is replaced.
                Ok(value)
            }
            Some([a, b, c]) => {
                let mut map = self.settle(node, 0, value)?;
                let p = &mut map.polynomial;
                (p.a, p.b, p.c) = (vec![a; p.a.len()], vec![b; p.b.len()], vec![c; p.c.len()]);
                Ok(map)
            }
            None => Err(node.refuse(activations::advice(operator))),
        }
    }
}
