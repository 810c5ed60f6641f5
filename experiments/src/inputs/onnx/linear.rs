//! Convolutions, fully connected layers and batch norms.

use std::rc::Rc;

use simulator::network::{LayerKind, Padding, Window};

use super::error::Result;
use super::import::Importer;
use super::map::Map;
use super::messages::Node;
use super::operators::{Inputs, constant, map, needed};
use super::tensor::{Constant, MOST_REPEATED};

impl<'a> Importer<'a> {
    /// Input number `k` with nothing left to be done but a padding, and that padding.
    pub(super) fn ready(
        &mut self,
        node: &'a Node,
        inputs: &Inputs,
        k: usize,
    ) -> Result<(Map, Padding)> {
        let map = map(node, inputs, k)?;
        let padding = map.padding;
        let map = Map { padding: Padding::default(), ..map };
        match padding.is_none() {
            true => Ok((self.settle(node, k, map)?, padding)),
            false => Ok((self.materialised(map)?, padding)),
        }
    }

    pub(super) fn convolution(
        &mut self,
        node: &'a Node,
        inputs: &Inputs,
        weight: Constant,
    ) -> Result<Map> {
        needed(node, inputs, 1)?;
        let [out, per_group, rows, cols] = weight.shape[..] else {
            let rank = weight.shape.len().saturating_sub(2);
            return Err(node.refuse(format!("a convolution of {rank} dimensions, expected two")));
        };
        if rows * cols == 0 {
            return Err(node.refuse(format!("a kernel of {rows}x{cols}")));
        }
        if let Some(kernel) = node.integers("kernel_shape")?
            && kernel != [rows as i64, cols as i64]
        {
            return Err(node.refuse(format!("kernel_shape {kernel:?} of weights {rows}x{cols}")));
        }
        let bias = constant(node, inputs, 2)?;
        let (value, before) = self.ready(node, inputs, 0)?;
        check_order(node, &value)?;
        let groups = usize::try_from(node.integer("group", 1)?).unwrap_or(0);
        if per_group.checked_mul(groups) != Some(value.shape.channels) {
            return Err(node.refuse(format!(
                "weights of {groups} groups of {per_group} channels, and there are {}",
                value.shape.channels
            )));
        }
        let stride = node.sizes("strides", 1, 1)?;
        let dilation = node.sizes("dilations", 1, 1)?;
        let mut window = Window {
            kernel: (rows, cols),
            stride: stride.into(),
            padding: Padding::default(),
            dilation: dilation.into(),
        };
        window.padding = self.padding(node, &window, (&value, before))?;
        let name = self.name("conv");
        let kind = LayerKind::Conv { out, window, groups, bias: true };
        let done = self.layer(&name, kind, &[value.source])?;
        let shape = weight.shape.clone();
        if let Some(numbers) = self.wanted(weight) {
            self.weight(format!("{name}.weight"), &shape, numbers)?;
        }
        self.bias(node, &name, out, bias, 1.0)?;
        Ok(done)
    }

    /// The padding of a window: what the node says, and what was padded before.
    pub(super) fn padding(
        &self,
        node: &Node,
        window: &Window,
        (map, before): (&Map, Padding),
    ) -> Result<Padding> {
        let [top, left, bottom, right] = match node.text("auto_pad")? {
            "" | "NOTSET" => node.sizes("pads", 0, 0)?,
            "VALID" => [0; 4],
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                let extent = window.extent();
                let side = |map: usize, extent: usize, stride: usize| {
                    let windows = map.div_ceil(stride);
                    let all = ((windows - 1) * stride + extent).saturating_sub(map);
                    let less = all / 2;
                    if same == "SAME_UPPER" { (less, all - less) } else { (all - less, less) }
                };
                let height = map.shape.height + before.top + before.bottom;
                let width = map.shape.width + before.left + before.right;
                let (top, bottom) = side(height, extent.0, window.stride.0);
                let (left, right) = side(width, extent.1, window.stride.1);
                [top, left, bottom, right]
            }
            other => return Err(node.refuse(format!("auto_pad {other:?}"))),
        };
        let sum = |a: usize, b: usize| {
            a.checked_add(b).ok_or_else(|| node.refuse("a padding that cannot be counted"))
        };
        Ok(Padding {
            top: sum(top, before.top)?,
            left: sum(left, before.left)?,
            bottom: sum(bottom, before.bottom)?,
            right: sum(right, before.right)?,
        })
    }

    /// The numbers of a weight, if weights are wanted.
    fn wanted(&self, weight: Constant) -> Option<Vec<f64>> {
        self.weights.as_ref()?;
        let numbers = weight.numbers()?;
        drop(weight);
        Some(Rc::try_unwrap(numbers).unwrap_or_else(|shared| shared.to_vec()))
    }

    /// Notes a bias, zeros if there is none.
    fn bias(
        &mut self,
        node: &Node,
        name: &str,
        out: usize,
        bias: Option<&Constant>,
        factor: f64,
    ) -> Result<()> {
        let zeros = Constant::floats(vec![1], vec![0.0]);
        let all = bias.unwrap_or(&zeros);
        let flat = all.reshaped(vec![all.len()]);
        let flat = flat.broadcast(&[out], MOST_REPEATED).ok_or_else(|| {
            node.refuse(format!("a bias of shape {:?} for {out} channels", all.shape))
        })?;
        match self.wanted(flat) {
            Some(numbers) => {
                let numbers = numbers.into_iter().map(|b| b * factor).collect();
                self.weight(format!("{name}.bias"), &[out], numbers)
            }
            None => Ok(()),
        }
    }

    pub(super) fn gemm(
        &mut self,
        node: &'a Node,
        inputs: &Inputs,
        weight: Constant,
    ) -> Result<Map> {
        if node.integer("transA", 0)? != 0 {
            return Err(node.refuse("transA is set: the image's values would be weights"));
        }
        let weight = matrix(node, inputs, weight, node.integer("transB", 0)? != 0)?;
        let bias = constant(node, inputs, 2)?;
        let (value, padding) = self.ready(node, inputs, 0)?;
        if value.dims.len() != 1 || !padding.is_none() {
            return Err(node.refuse("its input has more than two dimensions: flatten it before"));
        }
        let factors = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        self.fully_connected(node, value, weight, bias, factors)
    }

    pub(super) fn matmul(
        &mut self,
        node: &'a Node,
        inputs: &Inputs,
        weight: Constant,
    ) -> Result<Map> {
        let weight = matrix(node, inputs, weight, false)?;
        let value = map(node, inputs, 0)?;
        let value = self.settle(node, 0, value)?;
        let last = value.dims.len() - 1;
        let others = (0..last).all(|k| value.axes_of(k).is_empty());
        if others {
            return self.fully_connected(node, value, weight, None, (1.0, 1.0));
        }
        let channels = match value.axes_of(last)[..] {
            [0] => true,
            [] => value.shape.channels == 1,
            _ => false,
        };
        if !channels || value.order.is_some() {
            return Err(node.refuse(
                "a product over rows or columns of a map: only channels, or all values, can be mixed by a matrix",
            ));
        }
        // At each position, the channels: a convolution.
        let [out, fan_in] = weight.shape[..] else { unreachable_matrix(node)? };
        check_inputs(node, fan_in, value.shape.channels)?;
        let name = self.name("conv");
        let window = Window::square(1, 1, 0);
        let kind = LayerKind::Conv { out, window, groups: 1, bias: true };
        let done = self.layer(&name, kind, &[value.source])?;
        if let Some(numbers) = self.wanted(weight) {
            self.weight(format!("{name}.weight"), &[out, fan_in, 1, 1], numbers)?;
        }
        self.bias(node, &name, out, None, 1.0)?;
        let mut dims = value.dims;
        dims.iter_mut().for_each(|axes| axes.retain(|axis| *axis != 0));
        dims[last] = vec![0];
        Ok(Map { dims, ..done })
    }

    /// A fully connected layer with weights `[out][in]`, whose columns go where the values of the map are.
    fn fully_connected(
        &mut self,
        node: &Node,
        value: Map,
        weight: Constant,
        bias: Option<&Constant>,
        (alpha, beta): (f64, f64),
    ) -> Result<Map> {
        let [out, fan_in] = weight.shape[..] else { unreachable_matrix(node)? };
        check_inputs(node, fan_in, value.len())?;
        let name = self.name("fc");
        let kind = LayerKind::Fc { out, bias: true };
        let done = self.layer(&name, kind, &[value.source])?;
        if let Some(mut numbers) = self.wanted(weight) {
            if alpha != 1.0 {
                numbers.iter_mut().for_each(|w| *w *= alpha);
            }
            if !value.is_straight() {
                let places = value.places();
                let mut row = vec![0.0; fan_in];
                for list in numbers.chunks_exact_mut(fan_in.max(1)) {
                    places.iter().zip(&*list).for_each(|(to, w)| row[*to] = *w);
                    list.copy_from_slice(&row);
                }
            }
            self.weight(format!("{name}.weight"), &[out, fan_in], numbers)?;
        }
        self.bias(node, &name, out, bias, beta)?;
        let mut dims = vec![Vec::new(); value.dims.len()];
        if let Some(last) = dims.last_mut() {
            *last = vec![0];
        }
        Ok(Map { dims, ..done })
    }

    pub(super) fn batch_norm(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let live = node.integer("training_mode", 0)? != 0 || node.integer("is_test", 1)? == 0;
        if live {
            return Err(
                node.refuse("it is live, as in training: export for inference (model.eval())")
            );
        }
        let (mut value, padding) = self.ready(node, inputs, 0)?;
        if !padding.is_none() {
            value = self.materialised(Map { padding, ..value })?;
        }
        let count = value.extents().first().copied().unwrap_or(0);
        let mut tensors = Vec::new();
        let names = ["weight", "bias", "running_mean", "running_var"];
        for (k, name) in names.into_iter().enumerate() {
            let constant = needed(node, inputs, k + 1)?;
            if constant.len() != count {
                return Err(node.refuse(format!(
                    "{name} has {} numbers for {count} channels",
                    constant.len()
                )));
            }
            tensors.push((name, constant.clone()));
        }
        let channels = match value.axes_of(0)[..] {
            [0] => true,
            [] => value.shape.channels == 1,
            _ => false,
        };
        if !channels || value.order.is_some() {
            if !value.is_flat() || value.dims.len() != 1 {
                return Err(node.refuse(
                    "it is one by rows, as channels do not come first: export with channels first",
                ));
            }
            if value.order.is_none() {
                value = self.flattened(value)?;
            }
        }
        let name = self.name("norm");
        let kind = LayerKind::BatchNorm { epsilon: node.float("epsilon", 1e-5)?, affine: true };
        let done = self.layer(&name, kind, &[value.source])?;
        for (what, constant) in tensors {
            if let Some(mut numbers) = self.wanted(constant) {
                if let Some(order) = &value.order {
                    let given = numbers.clone();
                    order.iter().zip(given).for_each(|(to, v)| numbers[*to] = v);
                }
                self.weight(format!("{name}.{what}"), &[count], numbers)?;
            }
        }
        Ok(Map { source: done.source, alone: true, ..value })
    }
}

/// A constant matrix as `[out][in]`; `transposed` if it is that already.
fn matrix(node: &Node, inputs: &Inputs, weight: Constant, transposed: bool) -> Result<Constant> {
    if matches!(inputs.first(), Some(Some(super::import::Known::Constant(_)))) {
        return Err(node.refuse("the image is its second factor: the weights must be the second"));
    }
    needed(node, inputs, 1)?;
    if weight.shape.len() != 2 {
        let shape = &weight.shape;
        return Err(node.refuse(format!("a factor of shape {shape:?}, expected a matrix")));
    }
    Ok(if transposed { weight } else { weight.transposed(&[1, 0]) })
}

fn unreachable_matrix<T>(node: &Node) -> Result<T> {
    Err(node.refuse("a factor that is no matrix"))
}

fn check_inputs(node: &Node, fan_in: usize, found: usize) -> Result<()> {
    match fan_in == found {
        true => Ok(()),
        false => Err(node.refuse(format!("a matrix of {fan_in} inputs, and there are {found}"))),
    }
}

/// An error unless the dimensions are channels, rows and columns.
pub(super) fn check_order(node: &Node, map: &Map) -> Result<()> {
    match map.is_map() {
        true => Ok(()),
        false => Err(node.refuse(
            "its input has its dimensions in another order than batch, channels, rows, columns: export with channels first",
        )),
    }
}
