//! Plain convolution, pooling and shortcuts, on which every forward pass here rests.

use std::ops::Range;

use super::Shape;

/// Shape of a convolution with zero padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Input map.
    pub input: Shape,
    /// Output map.
    pub output: Shape,
    /// Kernel rows and columns.
    pub kernel: (usize, usize),
    /// Stride, both ways.
    pub stride: usize,
    /// Zero padding on every side.
    pub padding: usize,
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
        Self { input, kernel: (1, 1), stride: 1, padding: 0, ..*self }
    }

    /// Input coordinate for an output coordinate and a kernel offset; negative or too large in the padding.
    pub fn input_coordinate(&self, out: usize, kernel: usize) -> isize {
        (out * self.stride + kernel) as isize - self.padding as isize
    }

    /// Products of a weight that is not zero and an input that is not padding, over all outputs. `weights` is
    /// `[out][in / groups][kernel rows][kernel columns]`.
    pub fn products(&self, weights: &[f64]) -> usize {
        let area = self.kernel.0 * self.kernel.1;
        let mut present = vec![0; area];
        for kernel in weights.chunks(area) {
            present.iter_mut().zip(kernel).for_each(|(n, w)| *n += usize::from(*w != 0.0));
        }
        let places = |at: usize| {
            let rows = inside(self, at / self.kernel.1, self.input.height, self.output.height);
            rows.len() * inside(self, at % self.kernel.1, self.input.width, self.output.width).len()
        };
        present.iter().enumerate().map(|(at, n)| n * places(at)).sum()
    }
}

/// Convolution without bias. `weights` is `[out][in / groups][kernel rows][kernel columns]`, `x` is
/// `[in][row][column]`; lengths must fit the geometry.
pub fn convolve(g: &ConvGeometry, weights: &[f64], x: &[f64]) -> Vec<f64> {
    if g.output.area() == 1 && g.padding == 0 && g.kernel == (g.input.height, g.input.width) {
        // The kernel is the whole map, as folding makes it of a fully connected layer: each result is a dot product.
        let per_group = g.output.channels / g.groups * g.fan_in();
        return weights
            .chunks_exact(per_group)
            .zip(x.chunks_exact(g.fan_in()))
            .flat_map(|(rows, x)| rows.chunks_exact(g.fan_in()).map(move |row| dot(row, x)))
            .collect();
    }
    let (kh, kw) = g.kernel;
    let per_out = g.input.channels / g.groups;
    let rows: Vec<Range<usize>> =
        (0..kh).map(|k| inside(g, k, g.input.height, g.output.height)).collect();
    let cols: Vec<Range<usize>> =
        (0..kw).map(|k| inside(g, k, g.input.width, g.output.width)).collect();
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
                    let first = cols.start * g.stride + kx - g.padding;
                    for oy in rows.clone() {
                        let from = (oy * g.stride + ky - g.padding) * g.input.width + first;
                        let line = &mut out[oy * g.output.width..][cols.clone()];
                        add_scaled(line, w, &map[from..], g.stride);
                    }
                }
            }
        }
    }
    y
}

/// Output coordinates along one axis whose input, for a kernel offset, is inside the map of `input` positions.
fn inside(g: &ConvGeometry, kernel: usize, input: usize, output: usize) -> Range<usize> {
    let start = g.padding.saturating_sub(kernel).div_ceil(g.stride);
    let end = (input + g.padding).saturating_sub(kernel).div_ceil(g.stride).min(output);
    start..end.max(start)
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

/// Sums over windows, channel by channel.
pub fn sum_pool(input: Shape, output: Shape, kernel: usize, stride: usize, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; output.len()];
    for c in 0..output.channels {
        for oy in 0..output.height {
            for ox in 0..output.width {
                let mut sum = 0.0;
                for dy in 0..kernel {
                    for dx in 0..kernel {
                        let (iy, ix) = (oy * stride + dy, ox * stride + dx);
                        sum += x[c * input.area() + iy * input.width + ix];
                    }
                }
                y[c * output.area() + oy * output.width + ox] = sum;
            }
        }
    }
    y
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
    fn products_are_the_results_on_ones() {
        for (stride, padding, groups) in [(1, 0, 1), (1, 1, 2), (2, 1, 1), (2, 2, 2)] {
            let input = Shape::new(4, 7, 6);
            let side = |n: usize| (n + 2 * padding - 3) / stride + 1;
            let output = Shape::new(6, side(input.height), side(input.width));
            let g = ConvGeometry { input, output, kernel: (3, 3), stride, padding, groups };
            let ones = |k: usize| f64::from(u8::from(k % 5 != 2));
            let weights: Vec<f64> = (0..g.weights()).map(ones).collect();
            let sum: f64 = convolve(&g, &weights, &vec![1.0; input.len()]).iter().sum();
            assert_eq!(g.products(&weights), sum as usize);
        }
    }
}
