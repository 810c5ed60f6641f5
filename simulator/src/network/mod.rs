//! Networks: the description a person writes, its shapes, its weights, and the plain forward pass.

mod builder;
mod check;
mod describe;
mod forward;
mod model;
mod normalise;
mod operations;
mod random;
mod ranges;
mod size;
mod weights;
mod window;

use serde::{Deserialize, Serialize};

pub use builder::NetworkBuilder;
pub use check::{OUTPUT, larger, largest};
pub use model::{Bounds, LayerParameters, Model};
pub use normalise::Normalisation;
pub use operations::{ConvGeometry, convolve, shortcut, sum_pool};
pub use random::UNTRAINED;
pub use size::{MOST_LAYERS, MOST_NUMBERS, MOST_VALUES};
pub use weights::{Tensor, Weights};
pub use window::{Padding, Window};

/// Shape of a feature map: channels, height, width. Flattened in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// A shape from its three extents.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Positions of one channel.
    pub fn area(&self) -> usize {
        self.height * self.width
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// What a layer reads: the network's input or an earlier layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The image.
    Input,
    /// The result of layer number `.0`.
    Layer(usize),
}

/// What a layer computes.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerKind {
    /// Two-dimensional convolution with zero padding. Weights `[out][in / groups][kernel rows][kernel columns]`.
    Conv {
        /// Output channels.
        out: usize,
        /// Kernel, stride, padding and dilation.
        window: Window,
        /// Channel groups.
        groups: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// Fully connected over the flattened input. Weights `[out][in]`.
    Fc {
        /// Output units.
        out: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// Average over windows.
    AvgPool {
        /// Kernel, stride and padding; no dilation.
        window: Window,
        /// Whether zeros of the padding count as values that the average is taken of.
        count_include_pad: bool,
    },
    /// `a x^2 + b x + c`, with coefficients per layer or per channel.
    Activation,
    /// Batch normalisation with running statistics.
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
        /// Whether it has a weight and a bias; else they are one and zero.
        affine: bool,
    },
    /// Change of shape only: `C x H x W` to `CHW x 1 x 1`.
    Flatten,
    /// Sum of two maps of one shape.
    Add,
    /// Every `stride`-th row and column, from the first, with channels of zeros on both sides: `(out - in) / 2` before
    /// and as many after. It is what a residual block adds where its shape changes (He et al. 2016, option A).
    Shortcut {
        /// Output channels, as many as the input's or an even number more.
        out: usize,
        /// Stride, both ways.
        stride: usize,
    },
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Unique name; weights are found by it.
    pub name: String,
    /// What it computes.
    pub kind: LayerKind,
    /// What it reads: two sources for an addition, one otherwise.
    pub sources: Vec<Source>,
    /// Shape of what it reads (of the first source).
    pub input: Shape,
    /// Shape of its result.
    pub output: Shape,
}

impl Layer {
    /// Shape of the convolution that it is, if it is one. A dilated kernel is one with zeros between its values.
    pub fn convolution(&self) -> Option<ConvGeometry> {
        let LayerKind::Conv { window, groups, .. } = self.kind else {
            return None;
        };
        Some(ConvGeometry {
            input: self.input,
            output: self.output,
            kernel: window.extent(),
            stride: window.stride,
            padding: window.before(),
            groups,
        })
    }

    /// Shape of the convolution that has its weights in the same order: its own, or for a fully connected layer one that reads
    /// every value of the map as a channel; none for a layer without weights.
    pub fn as_convolution(&self) -> Option<ConvGeometry> {
        self.convolution_of(Shape::new(self.input.len(), 1, 1))
    }

    /// The same for a fully connected layer that reads a map which has not been flattened: its kernel is all of `map`.
    pub fn convolution_of(&self, map: Shape) -> Option<ConvGeometry> {
        match self.kind {
            LayerKind::Fc { .. } => Some(ConvGeometry {
                input: map,
                output: self.output,
                kernel: (map.height, map.width),
                stride: (1, 1),
                padding: (0, 0),
                groups: 1,
            }),
            _ => self.convolution(),
        }
    }
}

/// A trained set of weights of a network, with its group counts and its accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Unique name.
    pub name: String,
    /// Weight file, relative to the description.
    pub weights: String,
    /// Group counts of layers, where they differ from the description.
    #[serde(default)]
    pub groups: std::collections::BTreeMap<String, usize>,
    /// Measured test accuracy, 0 to 1.
    #[serde(default)]
    pub accuracy: Option<f64>,
    /// How its weights were pruned, in words.
    #[serde(default)]
    pub pattern: Option<String>,
}

/// A network whose shapes have been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Name.
    pub name: String,
    /// Shape of the image.
    pub input: Shape,
    /// Mean per channel that a raw image is normalised with.
    pub mean: Vec<f64>,
    /// Standard deviation per channel that a raw image is normalised with.
    pub std: Vec<f64>,
    /// Largest contrast, the root mean square deviation of all pixels (0 to 1) from their mean: the client brings
    /// images of more down to it. Quadratic networks amplify contrast at every layer.
    pub contrast: Option<f64>,
    /// Layers, in order; the last one's result is the network's.
    pub layers: Vec<Layer>,
    /// Trained variants.
    pub variants: Vec<Variant>,
    /// Name of the variant that speed-ups and accuracy drops refer to, perhaps [`UNTRAINED`].
    pub baseline: Option<String>,
}

impl Network {
    /// Shape of the result.
    pub fn output(&self) -> Shape {
        self.layers.last().map_or(self.input, |layer| layer.output)
    }

    /// The variant of that name.
    pub fn variant(&self, name: &str) -> crate::Result<&Variant> {
        self.variants.iter().find(|v| v.name == name).ok_or_else(|| {
            let known: Vec<_> = self.variants.iter().map(|v| v.name.as_str()).collect();
            crate::Error::Description(format!(
                "no variant {name:?} in network {}; there are {known:?}",
                self.name
            ))
        })
    }

    /// A raw image (`[channel][row][column]`, 0 to 1) normalised in the way the network was trained with: first its
    /// contrast is limited, then mean and standard deviation are applied by channel.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] for an image of another length.
    pub fn normalise(&self, raw: &[f64]) -> crate::Result<Vec<f64>> {
        self.normalisation().apply(raw)
    }

    /// How raw images are normalised.
    pub fn normalisation(&self) -> Normalisation {
        Normalisation {
            shape: self.input,
            mean: self.mean.clone(),
            std: self.std.clone(),
            contrast: self.contrast,
        }
    }
}
