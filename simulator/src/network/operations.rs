//! Plain convolution, pooling and shortcuts, on which every forward pass here rests.

mod patches;

use std::ops::Range;

use super::{Shape, Window};

/// Shape of a convolution with zero padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Input map.
    pub input: Shape,
    /// Output map.
    pub output: Shape,
    /// Kernel rows and columns.
    pub kernel: (usize, usize),
    /// Stride, down and across.
    pub stride: (usize, usize),
    /// Zeros above and to the left. Below and to the right there are as many as the last windows reach into.
    pub padding: (usize, usize),
    /// Channel groups.
    pub groups: usize,
}

impl ConvGeometry {
    /// Number of weights: `out * in / groups * kernel rows * kernel columns`.
    pub fn weights(&self) -> usize {
        self.output.channels * self.fan_in()
    }

    /// Weights of one output channel.
    pub fn fan_in(&self) -> usize {
        self.input.channels / self.groups * self.kernel.0 * self.kernel.1
    }

    /// Input channel number `k` of those that output channel `o` reads.
    pub fn input_channel(&self, o: usize, k: usize) -> usize {
        let group = o / (self.output.channels / self.groups);
        group * (self.input.channels / self.groups) + k
    }

    /// This convolution as one of a 1x1 kernel over patches: every (channel, kernel position) is an input channel, in the
    /// order of the weights.
    pub fn over_patches(&self) -> Self {
        let channels = self.input.channels * self.kernel.0 * self.kernel.1;
        let input = Shape::new(channels, self.output.height, self.output.width);
        Self { input, kernel: (1, 1), stride: (1, 1), padding: (0, 0), ..*self }
    }

    /// Input row for an output row and a row of the kernel; negative or too large in the padding.
    pub fn input_row(&self, out: usize, kernel: usize) -> isize {
        self.rows().input(out, kernel)
    }

    /// Input column for an output column and a column of the kernel; negative or too large in the padding.
    pub fn input_col(&self, out: usize, kernel: usize) -> isize {
        self.cols().input(out, kernel)
    }

    /// How many rows and columns below and to the right of the map the last windows reach.
    pub fn beyond(&self) -> (usize, usize) {
        (self.rows().beyond(), self.cols().beyond())
    }

    /// Whether any window reaches outside of the map.
    pub fn is_padded(&self) -> bool {
        self.padding != (0, 0) || self.beyond() != (0, 0)
    }

    pub(crate) fn rows(&self) -> Axis {
        Axis {
            input: self.input.height,
            output: self.output.height,
            kernel: self.kernel.0,
            stride: self.stride.0,
            padding: self.padding.0,
        }
    }

    pub(crate) fn cols(&self) -> Axis {
        Axis {
            input: self.input.width,
            output: self.output.width,
            kernel: self.kernel.1,
            stride: self.stride.1,
            padding: self.padding.1,
        }
    }

    /// Products of a weight that is not zero and an input that is not padding, over all outputs but those of some channels.
    /// `weights` is `[out][in / groups][kernel rows][kernel columns]`.
    pub fn products(&self, weights: &[f64], without: &[usize]) -> usize {
        let area = self.kernel.0 * self.kernel.1;
        let mut present = vec![0; area];
        let channels = weights.chunks(self.fan_in()).enumerate();
        let kept = channels.filter(|(channel, _)| !without.contains(channel));
        for kernel in kept.flat_map(|(_, weights)| weights.chunks(area)) {
            present.iter_mut().zip(kernel).for_each(|(n, w)| *n += usize::from(*w != 0.0));
        }
        let places = |at: usize| {
            let rows = self.rows().inside(at / self.kernel.1);
            rows.len() * self.cols().inside(at % self.kernel.1).len()
        };
        present.iter().enumerate().map(|(at, n)| n * places(at)).sum()
    }
}

/// Convolution without bias. `weights` is `[out][in / groups][kernel rows][kernel columns]`, `x` is
/// `[in][row][column]`; lengths must fit the geometry.
pub fn convolve(g: &ConvGeometry, weights: &[f64], x: &[f64]) -> Vec<f64> {
    if g.output.area() == 1 && g.padding == (0, 0) && g.kernel == (g.input.height, g.input.width) {
        // The kernel is the whole map, as folding makes it of a fully connected layer: each result is a dot product.
        let per_group = g.output.channels / g.groups * g.fan_in();
        return weights
            .chunks_exact(per_group)
            .zip(x.chunks_exact(g.fan_in()))
            .flat_map(|(rows, x)| rows.chunks_exact(g.fan_in()).map(move |row| dot(row, x)))
            .collect();
    }
    match patches::pays(g, weights, x) {
        true => patches::convolve(g, weights, x),
        false => weight_by_weight(g, weights, x),
    }
}

/// The convolution, without looking at weights that are zero.
fn weight_by_weight(g: &ConvGeometry, weights: &[f64], x: &[f64]) -> Vec<f64> {
    let (kh, kw) = g.kernel;
    let per_out = g.input.channels / g.groups;
    let rows: Vec<Range<usize>> = (0..kh).map(|k| g.rows().inside(k)).collect();
    let cols: Vec<Range<usize>> = (0..kw).map(|k| g.cols().inside(k)).collect();
    let mut y = vec![0.0; g.output.len()];
    for (o, out) in y.chunks_exact_mut(g.output.area().max(1)).enumerate() {
        for k in 0..per_out {
            let map = &x[g.input_channel(o, k) * g.input.area()..][..g.input.area()];
            for (ky, rows) in rows.iter().enumerate() {
                for (kx, cols) in cols.iter().enumerate() {
                    let w = weights[((o * per_out + k) * kh + ky) * kw + kx];
                    if w == 0.0 || cols.is_empty() {
                        continue;
                    }
                    let first = cols.start * g.stride.1 + kx - g.padding.1;
                    for oy in rows.clone() {
                        let from = (oy * g.stride.0 + ky - g.padding.0) * g.input.width + first;
                        let line = &mut out[oy * g.output.width..][cols.clone()];
                        add_scaled(line, w, &map[from..], g.stride.1);
                    }
                }
            }
        }
    }
    y
}

/// A convolution or a pool along rows, or along columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Axis {
    /// Input coordinate for an output coordinate and a kernel offset.
    fn input(&self, out: usize, kernel: usize) -> isize {
        (out * self.stride + kernel) as isize - self.padding as isize
    }

    /// How far behind the map the last window reaches.
    fn beyond(&self) -> usize {
        let end = self.output.saturating_sub(1) * self.stride + self.kernel;
        end.saturating_sub(self.padding + self.input)
    }

    /// Whether every window is within the map.
    pub(crate) fn is_within(&self) -> bool {
        self.padding == 0 && self.beyond() == 0
    }

    /// Output coordinates whose input, for a kernel offset, is inside the map.
    fn inside(&self, kernel: usize) -> Range<usize> {
        let Self { input, output, stride, padding, .. } = *self;
        let start = padding.saturating_sub(kernel).div_ceil(stride);
        let end = (input + padding).saturating_sub(kernel).div_ceil(stride).min(output);
        start..end.max(start)
    }

    /// Input coordinates inside the map that a window covers.
    pub(crate) fn covered(&self, out: usize) -> Range<usize> {
        let start = (out * self.stride).saturating_sub(self.padding).min(self.input);
        let end = (out * self.stride + self.kernel).saturating_sub(self.padding);
        start..end.min(self.input).max(start)
    }
}

/// `line_k += w * from[k * stride]`.
fn add_scaled(line: &mut [f64], w: f64, from: &[f64], stride: usize) {
    if stride == 1 {
        line.iter_mut().zip(from).for_each(|(y, x)| *y += w * x);
    } else {
        line.iter_mut().zip(from.iter().step_by(stride)).for_each(|(y, x)| *y += w * x);
    }
}

/// Sum of products, in eight partial sums so that it can use vectors of the CPU.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (whole, rest) = a.as_chunks::<LANES>();
    let (other, other_rest) = b.as_chunks::<LANES>();
    for (a, b) in whole.iter().zip(other) {
        for k in 0..LANES {
            sums[k] += a[k] * b[k];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().zip(other_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// Sums over windows of `(kernel, stride)`, rows and columns, without padding, channel by channel.
pub fn sum_pool(
    input: Shape,
    output: Shape,
    (kernel, stride): ((usize, usize), (usize, usize)),
    x: &[f64],
) -> Vec<f64> {
    let axis = |input, output, kernel, stride| Axis { input, output, kernel, stride, padding: 0 };
    let rows = axis(input.height, output.height, kernel.0, stride.0);
    pool(input, output, (rows, axis(input.width, output.width, kernel.1, stride.1)), x, |_| 1.0)
}

/// Averages over windows, channel by channel: over all values of a window, or only those inside the map.
pub(super) fn average_pool(
    input: Shape,
    output: Shape,
    window: &Window,
    count_include_pad: bool,
    x: &[f64],
) -> Vec<f64> {
    let axis =
        |input, output, kernel, stride, padding| Axis { input, output, kernel, stride, padding };
    let (kernel, stride, (top, left)) = (window.kernel, window.stride, window.before());
    let rows = axis(input.height, output.height, kernel.0, stride.0, top);
    let cols = axis(input.width, output.width, kernel.1, stride.1, left);
    pool(input, output, (rows, cols), x, |inside| {
        (if count_include_pad { window.area() } else { inside }) as f64
    })
}

/// Sums over windows, each divided by `count` of how many values it has inside the map.
fn pool(
    input: Shape,
    output: Shape,
    (rows, cols): (Axis, Axis),
    x: &[f64],
    count: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let mut y = Vec::with_capacity(output.len());
    for map in x.chunks_exact(input.area().max(1)) {
        for oy in 0..output.height {
            let lines = rows.covered(oy);
            for ox in 0..output.width {
                let within = cols.covered(ox);
                let line = |iy: usize| &map[iy * input.width..][within.clone()];
                let sum: f64 = lines.clone().flat_map(line).sum();
                y.push(sum / count(lines.len() * within.len()));
            }
        }
    }
    y
}

/// Weights `[pairs of channels][kernel rows][kernel columns]` with the zeros that a dilation puts between them.
pub(super) fn dilated(window: &Window, weights: Vec<f64>) -> Vec<f64> {
    if window.dilation == (1, 1) {
        return weights;
    }
    let ((rows, cols), (height, width)) = (window.kernel, window.extent());
    let mut wide = vec![0.0; weights.len() / window.area() * height * width];
    for (from, to) in weights.chunks_exact(rows * cols).zip(wide.chunks_exact_mut(height * width)) {
        for (k, w) in from.iter().enumerate() {
            let (y, x) = (k / cols * window.dilation.0, k % cols * window.dilation.1);
            to[y * width + x] = *w;
        }
    }
    wide
}

/// The shortcut of a residual network without weights (He et al. 2016, option A): every `stride`-th row and column, from
/// the first, and channels of zeros before and after, `(out - in) / 2` of them before.
pub fn shortcut(input: Shape, output: Shape, stride: usize, x: &[f64]) -> Vec<f64> {
    let before = (output.channels - input.channels) / 2;
    let mut y = vec![0.0; output.len()];
    for c in 0..input.channels {
        for row in 0..output.height {
            let line =
                &mut y[((before + c) * output.height + row) * output.width..][..output.width];
            let from = &x[(c * input.height + row * stride) * input.width..][..input.width];
            line.iter_mut().zip(from.iter().step_by(stride)).for_each(|(y, x)| *y = *x);
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_convolving_agree() {
        let mut compared = 0;
        for kernel in [(1, 1), (3, 3), (2, 5)] {
            for (stride, padding, groups) in
                [((1, 1), (0, 0), 1), ((1, 1), (1, 2), 2), ((2, 1), (1, 1), 1), ((2, 3), (0, 2), 2)]
            {
                let input = Shape::new(4, 9, 11);
                let side = |n: usize, k: usize, s: usize, p: usize| (n + 2 * p - k) / s + 1;
                let height = side(input.height, kernel.0, stride.0, padding.0);
                let width = side(input.width, kernel.1, stride.1, padding.1);
                let output = Shape::new(8, height, width);
                let g = ConvGeometry { input, output, kernel, stride, padding, groups };
                let value = |k: usize| ((k * 37 + 11) % 101) as f64 / 50.0 - 1.0;
                let x: Vec<f64> = (0..input.len()).map(value).collect();
                let weights: Vec<f64> = (0..g.weights()).map(|k| value(k * 3 + 1)).collect();
                assert!(patches::pays(&g, &weights, &x));
                let (a, b) =
                    (patches::convolve(&g, &weights, &x), weight_by_weight(&g, &weights, &x));
                // Sums of at most 40 products of numbers of at most 1: each rounds 40 times, off what is at most 40.
                assert!(
                    a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 40.0 * 40.0 * f64::EPSILON),
                    "{g:?}"
                );
                compared += a.len();
                let mut not_a_number = x.clone();
                not_a_number[7] = f64::NAN;
                assert!(!patches::pays(&g, &weights, &not_a_number));
            }
        }
        assert!(compared > 1000);
    }

    #[test]
    fn products_are_the_results_on_ones() {
        for (stride, padding, groups) in [(1, 0, 1), (1, 1, 2), (2, 1, 1), (2, 2, 2)] {
            let input = Shape::new(4, 7, 6);
            let side = |n: usize| (n + 2 * padding - 3) / stride + 1;
            let output = Shape::new(6, side(input.height), side(input.width));
            let (stride, padding) = ((stride, stride), (padding, padding));
            let g = ConvGeometry { input, output, kernel: (3, 3), stride, padding, groups };
            let ones = |k: usize| f64::from(u8::from(k % 5 != 2));
            let weights: Vec<f64> = (0..g.weights()).map(ones).collect();
            let all = convolve(&g, &weights, &vec![1.0; input.len()]);
            let sum = |all: &[f64]| all.iter().sum::<f64>() as usize;
            assert_eq!(g.products(&weights, &[]), sum(&all));
            let area = g.output.area();
            assert_eq!(g.products(&weights, &[0, 5]), sum(&all[area..5 * area]));
        }
    }
}
