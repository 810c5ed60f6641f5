//! Errors of the simulator: what was found, what was expected, what to do.

use std::path::PathBuf;

use costmodel::lines::LinesError;

/// Result of a fallible simulator operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a network file and a lowered program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that could not be read or written.
    #[error("file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A network description that cannot be understood.
    #[error("network description: {0}")]
    Description(String),
    /// A layer that does not fit what comes before it.
    #[error("layer {layer}: {what} is {found}, expected {expected}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// The quantity in question.
        what: &'static str,
        /// Value found.
        found: String,
        /// Value expected, and what to do.
        expected: String,
    },
    /// A weight tensor that is missing or has the wrong shape or type.
    #[error("weight tensor {name}: found {found}, expected {expected}")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The modulus chain has too few levels.
    #[error(
        "layer {layer} needs level {needed} and has {available}: add {missing} level(s) to the \
         parameters, or remove a repack or an activation of two levels"
    )]
    Depth {
        /// The layer that runs out.
        layer: String,
        /// Level it needs on entry.
        needed: usize,
        /// Level it would have.
        available: usize,
        /// Levels to add for the whole network.
        missing: usize,
    },
    /// Values that the modulus of their level has no room for.
    #[error(
        "layer {layer}: values of up to {bound:.4} need {needed_bits:.2} bits, and level {level} has {available_bits:.2}: \
         use a larger first prime or a smaller scale, or train the network with smaller values"
    )]
    Room {
        /// The layer whose results they are.
        layer: String,
        /// The most that they are in absolute value.
        bound: f64,
        /// Level of the ciphertexts that hold them.
        level: usize,
        /// Base-2 logarithm of twice the bound times the scale.
        needed_bits: f64,
        /// Base-2 logarithm of the level's modulus.
        available_bits: f64,
    },
    /// Values that are larger than the weights say.
    #[error(
        "layer {layer}: on {image} values reach {found:.6}, and the weights say at most {bound:.6} (`{layer}.bound`): \
         measure the bounds again (`spencnn evaluate --write`), or check that images are normalised as in training"
    )]
    Bound {
        /// The activation whose inputs they are, or `output`.
        layer: String,
        /// The image.
        image: String,
        /// The largest in absolute value; not a number where one was not.
        found: f64,
        /// The bound.
        bound: f64,
    },
    /// A layout that cannot hold what it should.
    #[error("layout: {what} is {found}, expected {expected}")]
    Layout {
        /// The quantity in question.
        what: &'static str,
        /// Value found.
        found: String,
        /// Value expected, and what to do.
        expected: String,
    },
    /// A layer that the lowering cannot express under the chosen configuration.
    #[error("layer {layer} cannot be lowered: {reason}")]
    Unsupported {
        /// Name of the layer.
        layer: String,
        /// Why, and what to do instead.
        reason: String,
    },
    /// A configuration that does not fit the network or the parameters.
    #[error("configuration: {0}")]
    Configuration(String),
    /// An argument of the wrong length or range.
    #[error("{what} is {found}, expected {expected}")]
    Argument {
        /// What the argument is.
        what: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// An instruction that the engine executed and that is not the program's.
    #[error(
        "instruction {instruction}, layer {layer}: the engine executed {found}, the program has {expected}; prepare the \
         session from the program that was priced"
    )]
    Executed {
        /// Number of the instruction.
        instruction: usize,
        /// Name of its layer.
        layer: String,
        /// What the engine did.
        found: String,
        /// What the program says.
        expected: String,
    },
    /// Something the engine refused.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The cost model refused an instruction.
    #[error(transparent)]
    Measure(#[from] costmodel::Error),
    /// A search that was asked to stop.
    #[error("the search was stopped; points that were finished are in its journal")]
    Stopped,
    /// A search journal that cannot be read.
    #[error("journal {path}, line {line}: {reason}; remove the line to evaluate that point again")]
    Journal {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

impl From<LinesError> for Error {
    fn from(error: LinesError) -> Self {
        match error {
            LinesError::Io { path, source } => Self::Io { path, source },
            LinesError::Line { path, line, reason } => Self::Journal { path, line, reason },
        }
    }
}

impl Error {
    /// An [`Error::Layer`] from displayable parts.
    pub fn layer(
        layer: &str,
        what: &'static str,
        found: impl ToString,
        expected: impl ToString,
    ) -> Self {
        Self::Layer {
            layer: layer.to_owned(),
            what,
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    /// An [`Error::Layout`] from displayable parts.
    pub fn layout(what: &'static str, found: impl ToString, expected: impl ToString) -> Self {
        Self::Layout { what, found: found.to_string(), expected: expected.to_string() }
    }

    /// The same error with the layer that it is about, where it does not name one.
    pub fn of_layer(self, layer: &str) -> Self {
        match self {
            Self::Layout { what, found, expected } => Self::layer(layer, what, found, expected),
            other => other,
        }
    }

    /// The same error, where a layout does not fit, with what room an image has if it shares a ciphertext with others.
    pub(crate) fn of_images(mut self, images: usize, slots: usize) -> Self {
        if let Self::Layer { expected, .. } | Self::Layout { expected, .. } = &mut self
            && images > 1
        {
            *expected +=
                &format!(" (with {images} images in a ciphertext, each has {slots} slots)");
        }
        self
    }

    /// An [`Error::Argument`] from displayable parts.
    pub fn argument(what: &'static str, found: impl ToString, expected: impl ToString) -> Self {
        Self::Argument { what, found: found.to_string(), expected: expected.to_string() }
    }

    /// An [`Error::Unsupported`].
    pub fn unsupported(layer: &str, reason: impl Into<String>) -> Self {
        Self::Unsupported { layer: layer.to_owned(), reason: reason.into() }
    }
}
