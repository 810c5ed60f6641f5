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

/// Averages over windows, whose padding counts: a kernel of equal weights for each channel.
pub(super) fn averaging(input: Shape, output: Shape, window: &Window) -> LinearPart {
    let geometry = ConvGeometry {
        input,
        output,
        kernel: window.kernel,
        stride: window.stride,
        padding: window.before(),
        groups: input.channels,
    };
    LinearPart { geometry, weights: vec![1.0 / window.area() as f64; geometry.weights()] }
}

/// The shortcut without weights: every `stride`-th row and column, `(out - in) / 2` channels of zeros before.
pub(super) fn subsample(input: Shape, output: Shape, stride: usize) -> LinearPart {
    let before = (output.channels - input.channels) / 2;
    let (kernel, stride, padding) = ((1, 1), (stride, stride), (0, 0));
    let geometry = ConvGeometry { input, output, kernel, stride, padding, groups: 1 };
    let mut weights = vec![0.0; geometry.weights()];
    (0..input.channels).for_each(|c| weights[(before + c) * input.channels + c] = 1.0);
    LinearPart { geometry, weights }
}

/// A factor for every channel as a convolution of its own.
pub(super) fn pointwise(shape: Shape) -> LinearPart {
    depthwise_identity(shape).main
}
