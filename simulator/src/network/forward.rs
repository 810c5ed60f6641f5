//! Plain convolution and pooling, on which every forward pass here rests.

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

    /// Input coordinate for an output coordinate and a kernel offset; negative or too large in the padding.
    pub fn input_coordinate(&self, out: usize, kernel: usize) -> isize {
        (out * self.stride + kernel) as isize - self.padding as isize
    }
}

/// Convolution without bias. `weights` is `[out][in / groups][kernel rows][kernel columns]`, `x` is
/// `[in][row][column]`; lengths must fit the geometry.
pub fn convolve(g: &ConvGeometry, weights: &[f64], x: &[f64]) -> Vec<f64> {
    let (kh, kw) = g.kernel;
    let per_out = g.input.channels / g.groups;
    let mut y = vec![0.0; g.output.len()];
    for o in 0..g.output.channels {
        let out = &mut y[o * g.output.area()..][..g.output.area()];
        for k in 0..per_out {
            let map = &x[g.input_channel(o, k) * g.input.area()..][..g.input.area()];
            for ky in 0..kh {
                for kx in 0..kw {
                    let w = weights[((o * per_out + k) * kh + ky) * kw + kx];
                    if w == 0.0 {
                        continue;
                    }
                    for oy in 0..g.output.height {
                        let iy = g.input_coordinate(oy, ky);
                        if iy < 0 || iy >= g.input.height as isize {
                            continue;
                        }
                        for ox in 0..g.output.width {
                            let ix = g.input_coordinate(ox, kx);
                            if ix >= 0 && ix < g.input.width as isize {
                                out[oy * g.output.width + ox] +=
                                    w * map[iy as usize * g.input.width + ix as usize];
                            }
                        }
                    }
                }
            }
        }
    }
    y
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
