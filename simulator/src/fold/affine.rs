//! Values between stages: what a layer's result is, in terms of what the stages so far give.

use super::Origin;
use super::linear::LinearPart;
use crate::network::{ConvGeometry, Shape};

/// For each channel, a combination of the channels of what a stage gives, and a constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Affine {
    /// For each channel, (channel of the source, factor).
    pub(super) terms: Vec<Vec<(usize, f64)>>,
    /// For each channel, the constant.
    pub(super) shift: Vec<f64>,
    /// Channels of the source.
    pub(super) from: usize,
}

impl Affine {
    pub(super) fn identity(channels: usize) -> Self {
        Self {
            terms: (0..channels).map(|k| vec![(k, 1.0)]).collect(),
            shift: vec![0.0; channels],
            from: channels,
        }
    }

    pub(super) fn is_identity(&self) -> bool {
        *self == Self::identity(self.from)
    }

    /// The factors, if every channel is a multiple of the channel of its number.
    pub(super) fn diagonal(&self) -> Option<Vec<f64>> {
        if self.terms.len() != self.from {
            return None;
        }
        let factor = |(k, list): (usize, &Vec<(usize, f64)>)| match list[..] {
            [] => Some(0.0),
            [(from, factor)] if from == k => Some(factor),
            _ => None,
        };
        self.terms.iter().enumerate().map(factor).collect()
    }

    /// Channel `k` is channel `rows[k].0` of this one times `rows[k].1`, plus `shift[k]`.
    pub(super) fn then(&self, rows: &[(usize, f64)], shift: &[f64]) -> Self {
        let terms = rows.iter().map(|&(channel, factor)| {
            self.terms[channel].iter().map(|(from, f)| (*from, f * factor)).collect()
        });
        let shift = rows.iter().zip(shift).map(|(row, s)| self.shift[row.0] * row.1 + s);
        Self { terms: terms.collect(), shift: shift.collect(), from: self.from }
    }

    /// `part(this)` as a part of the source, and the bias map that comes of the constants, which do not reach the zero
    /// padding.
    pub(super) fn before(&self, part: LinearPart) -> (LinearPart, Vec<f64>) {
        let bias = self.bias_before(&part);
        (self.weights_before(part), bias)
    }

    fn weights_before(&self, part: LinearPart) -> LinearPart {
        let diagonal = self.diagonal();
        let mut part = if diagonal.is_some() { part } else { part.ungrouped() };
        let g = part.geometry;
        let area = g.kernel.0 * g.kernel.1;
        let per_out = g.input.channels / g.groups;
        if let Some(factors) = diagonal {
            for (pair, kernel) in part.weights.chunks_exact_mut(area).enumerate() {
                let factor = factors[g.input_channel(pair / per_out, pair % per_out)];
                kernel.iter_mut().for_each(|w| *w *= factor);
            }
            return part;
        }
        let mut weights = vec![0.0; g.output.channels * self.from * area];
        for (pair, kernel) in part.weights.chunks_exact(area).enumerate() {
            let (o, i) = (pair / per_out, pair % per_out);
            for &(from, factor) in &self.terms[i] {
                let to = &mut weights[(o * self.from + from) * area..][..area];
                to.iter_mut().zip(kernel).for_each(|(y, w)| *y += w * factor);
            }
        }
        let input = Shape { channels: self.from, ..g.input };
        LinearPart { geometry: ConvGeometry { input, ..g }, weights, ..part }
    }

    fn bias_before(&self, part: &LinearPart) -> Vec<f64> {
        let g = part.geometry;
        let mut bias = vec![0.0; g.output.len()];
        if self.shift.iter().all(|s| *s == 0.0) {
            return bias;
        }
        let (kh, kw) = g.kernel;
        let per_out = g.input.channels / g.groups;
        let inside = |at: isize, extent: usize| (0..extent as isize).contains(&at);
        for o in 0..g.output.channels {
            let mut constant = vec![0.0; kh * kw];
            for k in 0..per_out {
                let shift = self.shift[g.input_channel(o, k)];
                let kernel = &part.weights[(o * per_out + k) * kh * kw..][..kh * kw];
                constant.iter_mut().zip(kernel).for_each(|(sum, w)| *sum += w * shift);
            }
            for y in 0..g.output.height {
                let rows: Vec<usize> =
                    (0..kh).filter(|ky| inside(g.input_row(y, *ky), g.input.height)).collect();
                for x in 0..g.output.width {
                    let cols = (0..kw).filter(|kx| inside(g.input_col(x, *kx), g.input.width));
                    bias[(o * g.output.height + y) * g.output.width + x] = cols
                        .map(|kx| rows.iter().map(|ky| constant[ky * kw + kx]).sum::<f64>())
                        .sum();
                }
            }
        }
        part.gain(&mut bias);
        bias
    }
}

/// A sum of convolutions that is not a stage yet: factors can still go into its weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sum {
    /// Name of the layer that it is mainly.
    pub(super) name: String,
    /// The parts and what they read, the deepest first.
    pub(super) parts: Vec<(Origin, LinearPart)>,
    /// Bias map.
    pub(super) bias: Vec<f64>,
}

impl Sum {
    pub(super) fn output(&self) -> Shape {
        self.parts[0].1.geometry.output
    }

    /// Channel `k` is channel `rows[k].0` of this one times `rows[k].1`, plus `shift[k]`.
    pub(super) fn then(&mut self, rows: &[(usize, f64)], shift: &[f64]) {
        let area = self.output().area();
        let parts = std::mem::take(&mut self.parts).into_iter();
        self.parts = parts.map(|(origin, part)| (origin, part.with_outputs(rows))).collect();
        self.bias = rows
            .iter()
            .zip(shift)
            .flat_map(|(&(channel, factor), shift)| {
                self.bias[channel * area..][..area].iter().map(move |b| b * factor + shift)
            })
            .collect();
    }
}

/// What a layer gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A combination of channels of what a stage gives, position by position.
    Affine(Origin, Affine),
    /// Something linear that is no stage yet.
    Sum(Sum),
    /// Sums over windows of the image itself, times a factor: the next convolution can do them as well.
    Pooled {
        /// Window extent: rows, columns.
        kernel: (usize, usize),
        /// Stride, down and across.
        stride: (usize, usize),
        /// Name of the layer.
        name: String,
    },
}
