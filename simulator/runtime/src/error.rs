//! Errors of the runtime: what was found, what was expected, what to do.

use engine::params::Fingerprint;

/// Result of a fallible operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a client and a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something of the engine: a damaged file, other parameters, a key that is missing.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// Something of the program, a layout or an image.
    #[error(transparent)]
    Simulator(#[from] simulator::Error),
    /// What was made for one model was given to another of the same parameters.
    #[error(
        "{what} belong to client specification {found}, expected {expected}: use the files that were compiled together"
    )]
    ForeignModel {
        /// What was given.
        what: &'static str,
        /// Its client specification.
        found: Fingerprint,
        /// The one expected.
        expected: Fingerprint,
    },
    /// An argument of the wrong size or range.
    #[error("{what} is {found}, expected {expected}")]
    Argument {
        /// What the argument is.
        what: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
}

impl Error {
    /// An [`Error::Argument`] from displayable parts.
    pub fn argument(what: &'static str, found: impl ToString, expected: impl ToString) -> Self {
        Self::Argument { what, found: found.to_string(), expected: expected.to_string() }
    }
}
