//! What can be wrong with an ONNX model.

use std::path::PathBuf;

/// Result of reading or importing a model.
pub type Result<T> = std::result::Result<T, OnnxError>;

/// Why a model cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// A file that could not be read.
    #[error("file {}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Bytes that are no ONNX model.
    #[error("byte {at} of the model: {reason}; is it a complete ONNX file?")]
    Format {
        /// Where.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Something of the whole model.
    #[error("{0}")]
    Model(String),
    /// A tensor of the model.
    #[error("tensor {name:?}: {what} is {found}, expected {expected}")]
    Tensor {
        /// Its name.
        name: String,
        /// The quantity in question.
        what: &'static str,
        /// Value found.
        found: String,
        /// Value expected, and what to do.
        expected: String,
    },
    /// A node that has no counterpart here, or not in this form.
    #[error("node {node:?} ({operator}): {reason}")]
    Node {
        /// Its name, or that of its result.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A layer that the network refuses.
    #[error(transparent)]
    Network(#[from] simulator::Error),
}

/// An [`OnnxError::Tensor`] from displayable parts.
pub(super) fn tensor(
    name: &str,
    what: &'static str,
    found: impl ToString,
    expected: impl ToString,
) -> OnnxError {
    let (found, expected) = (found.to_string(), expected.to_string());
    OnnxError::Tensor { name: name.to_owned(), what, found, expected }
}
