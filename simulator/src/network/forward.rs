//! The plain forward pass of a model.

use super::operations::{average_pool, convolve, dot, shortcut};
use super::{Layer, LayerKind, LayerParameters, Model, Source};
use crate::{Error, Result};

impl Model {
    /// The plain result for a normalised image (`[channel][row][column]`).
    ///
    /// # Errors
    /// [`Error::Argument`] for an image of another size.
    pub fn forward(&self, image: &[f64]) -> Result<Vec<f64>> {
        self.forward_observed(image, |_, _| {})
    }

    /// The same; before each layer, in order, `observe` is told its number and what it reads (the first map, for an
    /// addition).
    ///
    /// # Errors
    /// [`Error::Argument`] for an image of another size.
    pub fn forward_observed(
        &self,
        image: &[f64],
        mut observe: impl FnMut(usize, &[f64]),
    ) -> Result<Vec<f64>> {
        if image.len() != self.network.input.len() {
            let wanted = self.network.input.len();
            return Err(Error::argument("length of an image", image.len(), wanted));
        }
        let mut results: Vec<Vec<f64>> = Vec::with_capacity(self.network.layers.len());
        for (k, (layer, parameters)) in self.network.layers.iter().zip(&self.parameters).enumerate()
        {
            let read = |source: &Source| match source {
                Source::Input => image,
                Source::Layer(n) => results[*n].as_slice(),
            };
            let maps: Vec<&[f64]> = layer.sources.iter().map(read).collect();
            observe(k, maps[0]);
            let y = apply(layer, parameters, &maps)?;
            results.push(y);
        }
        Ok(results.pop().unwrap_or_else(|| image.to_vec()))
    }
}

/// The result of one layer for the maps that it reads.
fn apply(layer: &Layer, parameters: &LayerParameters, maps: &[&[f64]]) -> Result<Vec<f64>> {
    let x = maps[0];
    let area = layer.input.area();
    let per_channel = |f: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
        x.iter().enumerate().map(|(k, v)| f(k / area, *v)).collect()
    };
    if let (Some(geometry), LayerParameters::Linear { weight, bias }) =
        (layer.convolution(), parameters)
    {
        let mut y = convolve(&geometry, weight, x);
        let area = layer.output.area();
        y.iter_mut().enumerate().for_each(|(k, v)| *v += bias[k / area]);
        return Ok(y);
    }
    Ok(match (&layer.kind, parameters) {
        (LayerKind::Fc { .. }, LayerParameters::Linear { weight, bias }) => {
            bias.iter().zip(weight.chunks_exact(x.len())).map(|(b, row)| b + dot(row, x)).collect()
        }
        (LayerKind::AvgPool { window, count_include_pad }, _) => {
            average_pool(layer.input, layer.output, window, *count_include_pad, x)
        }
        (LayerKind::Activation, LayerParameters::Activation { a, b, c }) => {
            per_channel(&|k, v| a[k] * v * v + b[k] * v + c[k])
        }
        (LayerKind::BatchNorm { .. }, LayerParameters::Affine { scale, shift }) => {
            per_channel(&|k, v| scale[k] * v + shift[k])
        }
        (LayerKind::Flatten, _) => x.to_vec(),
        (LayerKind::Add, _) => x.iter().zip(maps[1]).map(|(a, b)| a + b).collect(),
        (LayerKind::Shortcut { stride, .. }, _) => shortcut(layer.input, layer.output, *stride, x),
        _ => {
            return Err(Error::layer(
                &layer.name,
                "parameters",
                "of another kind of layer",
                "those of its own kind; build the model with Model::new",
            ));
        }
    })
}
