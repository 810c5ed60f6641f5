//! Layers after a flatten. The map stays what it was, so that a layer by channel there is one by value here.

use super::build::Builder;
use super::linear::LinearPart;
use crate::network::{Layer, Shape};
use crate::{Error, Result};

/// For each value of a map, in the order of a flatten, a factor and a constant that are still to be applied. The fully
/// connected layer after it does.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ByValue {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl ByValue {
    /// `scale x + shift`, after what is to be done before it.
    pub(super) fn new(scale: &[f64], shift: &[f64], before: Option<&Self>) -> Self {
        let (mut scale, mut shift) = (scale.to_vec(), shift.to_vec());
        if let Some(before) = before {
            let known = before.scale.iter().zip(&before.shift);
            for ((s, t), (scale, shift)) in scale.iter_mut().zip(&mut shift).zip(known) {
                (*s, *t) = (*s * scale, *s * shift + *t);
            }
        }
        Self { scale, shift }
    }

    /// The fully connected layer that does it too, and its bias.
    pub(super) fn into_layer(self, part: &mut LinearPart, bias: &mut [f64]) {
        for (row, b) in part.weights.chunks_exact_mut(self.scale.len()).zip(bias) {
            *b += row.iter().zip(&self.shift).map(|(w, s)| w * s).sum::<f64>();
            row.iter_mut().zip(&self.scale).for_each(|(w, s)| *w *= s);
        }
    }
}

/// Numbers by channel for the map of this shape, of numbers for each channel of a layer: after a flatten, each value is a
/// channel, and those of one channel of the map must be alike. None if they are not.
pub(super) fn by_channel(numbers: &[f64], shape: Shape) -> Option<Vec<f64>> {
    if numbers.len() == shape.channels {
        return Some(numbers.to_vec());
    }
    let channels = numbers.chunks_exact(shape.area().max(1));
    channels.map(|list| list.iter().all(|v| *v == list[0]).then(|| list[0])).collect()
}

impl Builder<'_> {
    /// An error if what a layer reads has been flattened and is not what the layer takes it for.
    pub(super) fn check_map(&self, layer: &Layer, read: usize) -> Result<()> {
        let known = &self.known[read];
        if known.shape == layer.input && known.by_value.is_none() {
            return Ok(());
        }
        Err(Error::layer(
            &layer.name,
            "position",
            format!("after a flatten of {}", known.shape),
            "before it: flatten just before the fully connected layer",
        ))
    }

    /// An error if a batch norm after a flatten is still to be done on what a layer reads.
    pub(super) fn check_done(&self, layer: &str, read: usize) -> Result<()> {
        if self.known[read].by_value.is_none() {
            return Ok(());
        }
        Err(Error::layer(
            layer,
            "input",
            "a batch norm by value after a flatten",
            "a fully connected layer between; or put the batch norm before the flatten",
        ))
    }
}

/// The error of an activation whose coefficients differ within a channel of the map.
pub(super) fn differ_within(layer: &Layer) -> Error {
    Error::layer(
        &layer.name,
        "position",
        "after a flatten, with coefficients that differ within a channel",
        "before it: flatten just before the fully connected layer",
    )
}
