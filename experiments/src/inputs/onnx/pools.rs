//! Pools, means and paddings.

use simulator::network::{LayerKind, Padding, Window};

use super::constants;
use super::error::Result;
use super::import::Importer;
use super::linear::check_order;
use super::map::Map;
use super::messages::{Attribute, Node};
use super::operators::{Inputs, constant, map};

impl<'a> Importer<'a> {
    pub(super) fn average_pool(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        if node.integers("kernel_shape")?.is_none() {
            return Err(node.refuse("kernel_shape is missing"));
        }
        let kernel: [usize; 2] = node.sizes("kernel_shape", 1, 1)?;
        let (mut value, mut before) = self.ready(node, inputs, 0)?;
        check_order(node, &value)?;
        let stride: [usize; 2] = node.sizes("strides", 1, 1)?;
        let dilation: [usize; 2] = node.sizes("dilations", 1, 1)?;
        let mut window = Window {
            kernel: kernel.into(),
            stride: stride.into(),
            padding: Padding::default(),
            dilation: dilation.into(),
        };
        let mut own = self.padding(node, &window, (&value, Padding::default()))?;
        if !before.is_none() && (!own.is_none() || node.text("auto_pad")?.starts_with("SAME")) {
            value = self.materialised(Map { padding: before, ..value })?;
            before = Padding::default();
            own = self.padding(node, &window, (&value, before))?;
        }
        // What was padded by itself counts as values.
        let count_include_pad =
            !before.is_none() || own.is_none() || node.integer("count_include_pad", 0)? != 0;
        window.padding = if own.is_none() { before } else { own };
        if node.integer("ceil_mode", 0)? != 0 {
            let p = window.padding;
            let rest = |map: usize, kernel: usize, stride: usize| {
                map.checked_sub(kernel).is_none_or(|rest| !rest.is_multiple_of(stride))
            };
            let (height, width) =
                (value.shape.height + p.top + p.bottom, value.shape.width + p.left + p.right);
            if rest(height, kernel[0], stride[0]) || rest(width, kernel[1], stride[1]) {
                return Err(node.refuse(
                    "with ceil_mode its last windows reach beyond the map: export without it, or pad before",
                ));
            }
        }
        let name = self.name("pool");
        self.layer(&name, LayerKind::AvgPool { window, count_include_pad }, &[value.source])
    }

    pub(super) fn global_pool(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let value = map(node, inputs, 0)?;
        let value = self.settle(node, 0, value)?;
        check_order(node, &value)?;
        self.mean(value, [true, true])
    }

    /// Means over rows, columns, or both.
    fn mean(&mut self, value: Map, [rows, cols]: [bool; 2]) -> Result<Map> {
        let side = |over: bool, extent: usize| if over { extent } else { 1 };
        let kernel = (side(rows, value.shape.height), side(cols, value.shape.width));
        if kernel == (1, 1) {
            return Ok(value);
        }
        let name = self.name("pool");
        let window = Window { kernel, stride: kernel, ..Window::square(1, 1, 0) };
        let kind = LayerKind::AvgPool { window, count_include_pad: true };
        let done = self.layer(&name, kind, &[value.source])?;
        Ok(Map { dims: value.dims, ..done })
    }

    /// Means over rows, columns, or both, or with `sum` their sums.
    pub(super) fn reduced(&mut self, node: &'a Node, inputs: &Inputs, sum: bool) -> Result<Map> {
        let value = map(node, inputs, 0)?;
        let value = self.settle(node, 0, value)?;
        let rank = value.dims.len() + 1;
        let axes = constants::axes(node, constant(node, inputs, 1)?, rank)?.unwrap_or_default();
        if axes.is_empty() && node.integer("noop_with_empty_axes", 0)? != 0 {
            return Ok(value);
        }
        let mut over = [false; 3];
        axes.iter().filter(|k| **k > 0).for_each(|k| {
            value.axes_of(k - 1).iter().for_each(|axis| over[*axis] = true);
        });
        // An axis that is not named, of a dimension that is put together, cannot be left out.
        if axes.is_empty() || axes.contains(&0) || over[0] || value.order.is_some() {
            return Err(node.refuse(format!(
                "over axes {axes:?}, expected rows and columns, of no other dimension"
            )));
        }
        let keep = node.integer("keepdims", 1)? != 0;
        let (area, over) = (value.shape.area(), [over[1], over[2]]);
        let mut done = self.mean(value, over)?;
        if sum {
            let summed = (area / done.shape.area()) as f64;
            done.polynomial.times(&vec![summed; done.shape.channels]);
        }
        // What is kept of rows and columns is one of each.
        let kept = |(k, _): &(usize, &Vec<usize>)| keep || !axes.contains(&(k + 1));
        let dims = done.dims.iter().enumerate().filter(kept).map(|(_, axes)| axes.clone());
        done.dims = dims.collect();
        Ok(done)
    }

    pub(super) fn pad(&mut self, node: &'a Node, inputs: &Inputs) -> Result<Map> {
        let mode = node.text("mode")?;
        if !matches!(mode, "" | "constant") {
            return Err(node.refuse(format!("mode {mode:?}: only zeros can be padded")));
        }
        let value = map(node, inputs, 0)?;
        let filled = match (node.attribute("value"), constant(node, inputs, 2)?) {
            (Some(Attribute::Float(v)), _) => *v != 0.0,
            (_, Some(c)) => c.numbers().is_none_or(|list| list.iter().any(|v| *v != 0.0)),
            _ => false,
        };
        if filled {
            return Err(node.refuse("it pads another number than zero"));
        }
        let pads = match (node.integers("pads")?, constant(node, inputs, 1)?) {
            (Some(list), _) => list.to_vec(),
            (None, Some(list)) => list.whole(node.title())?.to_vec(),
            _ => return Err(node.refuse("its pads are missing")),
        };
        let rank = value.dims.len() + 1;
        let axes = constants::axes(node, constant(node, inputs, 3)?, rank)?;
        let axes = axes.unwrap_or_else(|| (0..rank).collect());
        if pads.len() != 2 * axes.len() {
            return Err(node.refuse(format!("{} pads for {} axes", pads.len(), axes.len())));
        }
        let known = value.padding;
        let mut value = self.materialised(Map { padding: Padding::default(), ..value })?;
        value.padding = known;
        for (k, axis) in axes.iter().enumerate() {
            let (before, after) = (pads[k], pads[k + axes.len()]);
            if (before, after) == (0, 0) {
                continue;
            }
            let (Ok(before), Ok(after)) = (usize::try_from(before), usize::try_from(after)) else {
                return Err(node.refuse(format!("pads {pads:?}: nothing can be cut off a map")));
            };
            let padded = axis.checked_sub(1).map(|k| &value.dims[k][..]);
            let (first, last) = match padded {
                Some([1]) => (&mut value.padding.top, &mut value.padding.bottom),
                Some([2]) => (&mut value.padding.left, &mut value.padding.right),
                _ => {
                    return Err(
                        node.refuse(format!("axis {axis} is padded, expected rows or columns"))
                    );
                }
            };
            let sum = |a: usize, b: usize| {
                a.checked_add(b)
                    .filter(|sum| *sum <= 1 << 16)
                    .ok_or_else(|| node.refuse("over 65536 zeros"))
            };
            (*first, *last) = (sum(*first, before)?, sum(*last, after)?);
        }
        Ok(value)
    }
}
