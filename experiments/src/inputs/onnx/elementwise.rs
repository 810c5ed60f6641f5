//! Sums, products and powers: quadratics of one map, and sums of two.

use simulator::network::LayerKind;

use super::activations;
use super::error::Result;
use super::import::{Importer, Known};
use super::map::Map;
use super::messages::Node;
use super::operators::{Inputs, map, needed};
use super::tensor::{Constant, MOST_REPEATED, common};

/// The two inputs of a node, of which one at least is a map.
enum Pair<'i> {
    /// A map and a constant, and whether the constant comes first.
    One(Map, &'i Constant, bool),
    Two(Map, Map),
}

fn pair<'i>(node: &Node, inputs: &'i Inputs) -> Result<Pair<'i>> {
    match inputs {
        [Some(Known::Map(map)), Some(Known::Constant(c))] => Ok(Pair::One(map.clone(), c, false)),
        [Some(Known::Constant(c)), Some(Known::Map(map))] => Ok(Pair::One(map.clone(), c, true)),
        [Some(Known::Map(a)), Some(Known::Map(b))] => Ok(Pair::Two(a.clone(), b.clone())),
        _ => Err(node.refuse("two inputs were expected")),
    }
}

/// Whether two tensors have the values of one map in the same places, or those of two alike ones.
fn alike(a: &Map, b: &Map) -> bool {
    let axes = |map: &Map| (0..map.dims.len()).map(|k| map.axes_of(k)).collect::<Vec<_>>();
    a.shape == b.shape && a.order == b.order && a.padding == b.padding && axes(a) == axes(b)
}

impl<'a> Importer<'a> {
    /// The numbers of a constant for each channel of a map, which is flattened if they differ by value.
    fn by_channel(
        &mut self,
        node: &'a Node,
        (map, input): (Map, usize),
        constant: &Constant,
    ) -> Result<(Map, Vec<f64>)> {
        let map = if map.padding.is_none() { map } else { self.settle(node, input, map)? };
        let numbers = constant.numbers().ok_or_else(|| {
            node.refuse(format!("a constant of shape {:?} is too large for one", constant.shape))
        })?;
        if let [one] = numbers[..]
            && constant.shape.len() <= map.dims.len() + 1
        {
            return Ok((map.clone(), vec![one; map.shape.channels]));
        }
        let shape: Vec<usize> = std::iter::once(1).chain(map.extents()).collect();
        let refuse =
            || node.refuse(format!("a constant of shape {:?} for {shape:?}", constant.shape));
        if common(&constant.shape, &shape).as_deref() != Some(&shape) {
            return Err(refuse());
        }
        // Where nothing differs from position to position, the map's own size does not matter.
        if numbers.len() > 1 && numbers.iter().all(|v| *v == numbers[0]) {
            let channels = map.shape.channels;
            return Ok((map, vec![numbers[0]; channels]));
        }
        let missing = shape.len() - constant.shape.len();
        let differs =
            |k: &usize| *k > 0 && constant.shape.get(*k - missing).is_some_and(|e| *e > 1);
        let mut dimensions = (missing..shape.len()).filter(differs);
        if map.order.is_none() && dimensions.all(|k| map.axes_of(k - 1) == [0]) {
            return Ok((map, numbers.to_vec()));
        }
        let most = constant.len().max(MOST_REPEATED);
        let all =
            constant.broadcast(&shape, most).and_then(|all| all.numbers()).ok_or_else(refuse)?;
        let mut placed = vec![0.0; all.len()];
        map.places().iter().zip(all.iter()).for_each(|(to, v)| placed[*to] = *v);
        let each = placed.chunks_exact(map.shape.area().max(1));
        let same = |list: &[f64]| list.iter().all(|v| *v == list[0]).then(|| list[0]);
        if let Some(channels) = each.map(same).collect::<Option<Vec<f64>>>() {
            return Ok((map, channels));
        }
        if !map.is_flat() {
            return Err(node.refuse(
                "a constant that differs from position to position of a map: one for each channel can be used, or one for \
                 each value after a flatten",
            ));
        }
        Ok((self.flattened(map)?, placed))
    }

    /// The sum of two inputs, or their difference.
    pub(super) fn sum(&mut self, node: &'a Node, inputs: &Inputs, sign: f64) -> Result<Map> {
        match pair(node, inputs)? {
            Pair::One(map, constant, first) => {
                let (mut map, mut numbers) =
                    self.by_channel(node, (map, usize::from(first)), constant)?;
                if first {
                    map.polynomial.times(&vec![sign; numbers.len()]);
                } else {
                    numbers.iter_mut().for_each(|v| *v *= sign);
                }
                map.polynomial.plus(&numbers);
                Ok(map)
            }
            Pair::Two(a, b) if a.source == b.source && alike(&a, &b) => {
                let polynomial = a.polynomial.sum(&b.polynomial, sign);
                Ok(Map { polynomial, alone: false, ..a })
            }
            Pair::Two(a, mut b) => {
                let a = self.settle(node, 0, a)?;
                let b = if sign < 0.0 {
                    b.polynomial.times(&vec![sign; b.shape.channels]);
                    self.materialised(b)?
                } else {
                    self.settle(node, 1, b)?
                };
                if !alike(&a, &b) {
                    return Err(node.refuse(format!(
                        "maps of {:?} and {:?}, expected two that lie alike",
                        self.extents(&a),
                        self.extents(&b)
                    )));
                }
                let name = self.name("add");
                let done = self.layer(&name, LayerKind::Add, &[a.source, b.source])?;
                Ok(Map { source: done.source, alone: true, ..a })
            }
        }
    }

    pub(super) fn product(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        match pair(node, inputs)? {
            Pair::One(map, constant, first) => {
                let (mut map, numbers) =
                    self.by_channel(node, (map, usize::from(first)), constant)?;
                map.polynomial.times(&numbers);
                Ok(map)
            }
            Pair::Two(a, b) => {
                if let Some([p, q, r]) = self.gated(node) {
                    let mut map = self.settle(node, 0, a)?;
                    let n = map.shape.channels;
                    map.polynomial.a = vec![p; n];
                    map.polynomial.b = vec![q; n];
                    map.polynomial.c = vec![r; n];
                    return Ok(map);
                }
                self.of_two(node, a, b)
            }
        }
    }

    /// Coefficients for `x gate(x)`, if that is what a product is.
    fn gated(&self, node: &Node) -> Option<[f64; 3]> {
        let [a, b] = &node.inputs[..] else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(x, gated)| {
            let made = self.made_by(gated)?;
            let name = activations::gate(made, self.readers_of(gated))?;
            let reads = made.inputs.first() == Some(x);
            reads.then(|| self.options.activations.of(made.title(), name)).flatten()
        })
    }

    fn of_two(&mut self, node: &'a Node, a: Map, b: Map) -> Result<Map> {
        let squares = node.inputs.first() == node.inputs.get(1);
        if a.source == b.source && alike(&a, &b) {
            if let Some(polynomial) = a.polynomial.product(&b.polynomial) {
                return Ok(Map { polynomial, alone: false, ..a });
            }
            if squares {
                // Of a higher degree: two activations, one after the other.
                let done = self.settle(node, 0, a)?;
                let square = done.polynomial.product(&done.polynomial);
                return Ok(Map {
                    polynomial: square.unwrap_or(done.polynomial),
                    alone: false,
                    ..done
                });
            }
        }
        Err(node.refuse(
            "a product of two maps: only a map times itself, as a quadratic has it, can be encrypted",
        ))
    }

    pub(super) fn quotient(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        match pair(node, inputs)? {
            Pair::One(map, constant, false) => {
                let (mut map, numbers) = self.by_channel(node, (map, 0), constant)?;
                let inverse: Vec<f64> = numbers.iter().map(|v| v.recip()).collect();
                if inverse.iter().any(|v| !v.is_finite()) {
                    return Err(node.refuse("a division by zero"));
                }
                map.polynomial.times(&inverse);
                Ok(map)
            }
            _ => {
                Err(node
                    .refuse("a division by what depends on the image, which cannot be encrypted"))
            }
        }
    }

    pub(super) fn power(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let value = map(node, inputs, 0)?;
        let exponent = needed(node, inputs, 1)?;
        let numbers = exponent.numbers().unwrap_or_default();
        match numbers[..] {
            [1.0] => Ok(value),
            [2.0] => {
                let square = match value.polynomial.product(&value.polynomial) {
                    Some(polynomial) => return Ok(Map { polynomial, alone: false, ..value }),
                    None => self.settle(node, 0, value)?,
                };
                let polynomial = square.polynomial.product(&square.polynomial);
                let polynomial = polynomial.unwrap_or_else(|| square.polynomial.clone());
                Ok(Map { polynomial, alone: false, ..square })
            }
            _ => Err(node.refuse(format!(
                "an exponent of shape {:?} ({numbers:?}): only 2, which is a square, can be encrypted",
                exponent.shape
            ))),
        }
    }

    pub(super) fn negative(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let mut value = map(node, inputs, 0)?;
        value.polynomial.times(&vec![-1.0; value.shape.channels]);
        Ok(value)
    }
}
