//! Linear stages: sums of convolutions, each of its own source, and a bias map.

use std::ops::{Deref, DerefMut};

use crate::network::{ConvGeometry, Shape, convolve};

/// A convolution of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearPart {
    /// Shape of the convolution.
    pub geometry: ConvGeometry,
    /// `[out][in / groups][kernel rows][kernel columns]`.
    pub weights: Vec<f64>,
    /// `[row][column]` of the output: what all sums at a position are multiplied by. Empty where that is one everywhere.
    ///
    /// Only means of windows that reach into a padding that does not count have any, as those have fewer values. Of a row of
    /// four values, windows of three with padding one have weights of 1/3 and these gains:
    ///
    /// ```text
    ///   0 [a  b  c  d] 0
    ///   (a + b) / 2     (a + b + c) / 3     (b + c + d) / 3     (c + d) / 2
    ///      3/2                 1                   1               3/2
    /// ```
    pub gains: Vec<f64>,
}

/// A linear stage: a convolution, or the sum of several of one output shape, and a bias map.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearStage {
    /// The convolution of the first source. It is what a stage is as long as it has no shortcut.
    pub main: LinearPart,
    /// Those of further sources: the shortcuts of residual blocks.
    pub shortcuts: Vec<LinearPart>,
    /// `[out][row][column]` of the output.
    pub bias: Vec<f64>,
}

impl Deref for LinearStage {
    type Target = LinearPart;

    fn deref(&self) -> &LinearPart {
        &self.main
    }
}

impl DerefMut for LinearStage {
    fn deref_mut(&mut self) -> &mut LinearPart {
        &mut self.main
    }
}

impl LinearStage {
    /// All parts, in the order of the stage's sources.
    pub fn parts(&self) -> impl Iterator<Item = &LinearPart> {
        std::iter::once(&self.main).chain(&self.shortcuts)
    }

    pub(super) fn parts_mut(&mut self) -> impl Iterator<Item = &mut LinearPart> {
        std::iter::once(&mut self.main).chain(&mut self.shortcuts)
    }

    /// The stage on plain maps (`[channel][row][column]`), one for each part.
    pub fn apply(&self, maps: &[&[f64]]) -> Vec<f64> {
        let mut y = self.bias.clone();
        for (part, map) in self.parts().zip(maps) {
            let mut sum = convolve(&part.geometry, &part.weights, map);
            part.gain(&mut sum);
            y.iter_mut().zip(sum).for_each(|(y, v)| *y += v);
        }
        y
    }
}

impl LinearPart {
    /// A convolution alike at all positions. `weights` is `[out][in / groups][kernel rows][kernel columns]`.
    pub fn new(geometry: ConvGeometry, weights: Vec<f64>) -> Self {
        Self { geometry, weights, gains: Vec::new() }
    }

    /// The most groups that the channels can be cut into with all weights between groups zero: those of the geometry, or more
    /// where weights were removed.
    ///
    /// Four channels to four, one group by the geometry and two by the weights:
    ///
    /// ```text
    ///   w w . .
    ///   w w . .
    ///   . . w w
    ///   . . . w
    /// ```
    pub fn channel_groups(&self) -> usize {
        let g = &self.geometry;
        let (outs, ins) = (g.output.channels, g.input.channels);
        let (area, per_out) = (g.kernel.0 * g.kernel.1, ins / g.groups);
        let apart = |groups: usize| {
            let (outs, ins) = (outs / groups, ins / groups);
            let inside = |pair: usize| {
                let (o, k) = (pair / per_out, pair % per_out);
                g.input_channel(o, k) / ins == o / outs
            };
            let mut weights = self.weights.chunks_exact(area).enumerate();
            weights.all(|(pair, weights)| inside(pair) || weights.iter().all(|w| *w == 0.0))
        };
        let divides = |n: &usize| {
            [outs, ins].iter().all(|all| all.is_multiple_of(*n)) && n.is_multiple_of(g.groups)
        };
        let mut more = (g.groups + 1..=outs.min(ins)).rev().filter(divides);
        more.find(|groups| apart(*groups)).unwrap_or(g.groups)
    }

    /// Multiplies sums at each position (`[out][row][column]`) by its gain.
    pub(super) fn gain(&self, sums: &mut [f64]) {
        for map in sums.chunks_exact_mut(self.gains.len().max(1)) {
            map.iter_mut().zip(&self.gains).for_each(|(y, gain)| *y *= gain);
        }
    }

    /// Multiplies the weights of output channel `o` by `factors[o]`.
    pub(super) fn scale_outputs(&mut self, factors: &[f64]) {
        let fan_in = self.geometry.fan_in();
        for (row, factor) in self.weights.chunks_exact_mut(fan_in.max(1)).zip(factors) {
            row.iter_mut().for_each(|w| *w *= factor);
        }
    }

    /// The same with one group: weights between channels of different groups are zero.
    pub fn ungrouped(self) -> Self {
        let g = self.geometry;
        if g.groups == 1 {
            return self;
        }
        let area = g.kernel.0 * g.kernel.1;
        let per_out = g.input.channels / g.groups;
        let mut weights = vec![0.0; g.output.channels * g.input.channels * area];
        for o in 0..g.output.channels {
            for k in 0..per_out {
                let to = (o * g.input.channels + g.input_channel(o, k)) * area;
                weights[to..][..area]
                    .copy_from_slice(&self.weights[(o * per_out + k) * area..][..area]);
            }
        }
        Self { geometry: ConvGeometry { groups: 1, ..g }, weights, ..self }
    }

    /// The part whose output channel `k` is channel `rows[k].0` of this one times `rows[k].1`.
    pub(super) fn with_outputs(self, rows: &[(usize, f64)]) -> Self {
        let straight = rows.len() == self.geometry.output.channels
            && rows.iter().enumerate().all(|(k, row)| row.0 == k);
        let mut part = if straight { self } else { self.ungrouped() };
        if !straight {
            let fan_in = part.geometry.fan_in();
            part.weights = rows
                .iter()
                .flat_map(|row| &part.weights[row.0 * fan_in..][..fan_in])
                .copied()
                .collect();
            part.geometry.output.channels = rows.len();
        }
        part.scale_outputs(&rows.iter().map(|row| row.1).collect::<Vec<_>>());
        part
    }
}

/// A linear stage that copies a map: one group per channel, 1x1 kernel of one.
pub fn depthwise_identity(shape: Shape) -> LinearStage {
    let geometry = ConvGeometry {
        input: shape,
        output: shape,
        kernel: (1, 1),
        stride: (1, 1),
        padding: (0, 0),
        groups: shape.channels,
    };
    LinearStage {
        main: LinearPart::new(geometry, vec![1.0; shape.channels]),
        shortcuts: Vec::new(),
        bias: vec![0.0; shape.len()],
    }
}
