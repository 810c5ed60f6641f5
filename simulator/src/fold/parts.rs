//! The convolutions that other layers are.

use super::linear::{LinearPart, depthwise_identity};
use crate::network::{ConvGeometry, Shape, Window};

/// A fully connected layer: a convolution whose kernel is the whole map.
pub(super) fn whole(input: Shape, output: Shape) -> ConvGeometry {
    ConvGeometry {
        input,
        output: Shape::new(output.len(), 1, 1),
        kernel: (input.height, input.width),
        stride: (1, 1),
        padding: (0, 0),
        groups: 1,
    }
}

/// Averages over windows: a kernel of equal weights for each channel, and where the padding does not count, gains for windows
/// that reach into it. Each window has a value of the map.
pub(super) fn averaging(
    input: Shape,
    output: Shape,
    window: &Window,
    count_include_pad: bool,
) -> LinearPart {
    let geometry = ConvGeometry {
        input,
        output,
        kernel: window.kernel,
        stride: window.stride,
        padding: window.before(),
        groups: input.channels,
    };
    let weights = vec![1.0 / window.area() as f64; geometry.weights()];
    let mut part = LinearPart::new(geometry, weights);
    if !count_include_pad && geometry.is_padded() {
        let rows = (0..output.height).map(|y| geometry.rows().covered(y).len());
        let cols: Vec<usize> =
            (0..output.width).map(|x| geometry.cols().covered(x).len()).collect();
        let gain = |count: usize| window.area() as f64 / count as f64;
        part.gains = rows.flat_map(|y| cols.iter().map(move |x| gain(y * x))).collect();
    }
    part
}

/// The shortcut without weights: every `stride`-th row and column, `(out - in) / 2` channels of zeros before.
pub(super) fn subsample(input: Shape, output: Shape, stride: usize) -> LinearPart {
    let before = (output.channels - input.channels) / 2;
    let (kernel, stride, padding) = ((1, 1), (stride, stride), (0, 0));
    let geometry = ConvGeometry { input, output, kernel, stride, padding, groups: 1 };
    let mut weights = vec![0.0; geometry.weights()];
    (0..input.channels).for_each(|c| weights[(before + c) * input.channels + c] = 1.0);
    LinearPart::new(geometry, weights)
}

/// A factor for every channel as a convolution of its own.
pub(super) fn pointwise(shape: Shape) -> LinearPart {
    depthwise_identity(shape).main
}
