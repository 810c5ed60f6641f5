//! Errors of the engine: what was found, what was expected, what to do.

/// Result of a fallible engine operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong in the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter literal that no [`crate::params::Parameters`] can be made from.
    #[error("parameters: {0}")]
    Parameters(String),
    /// The modulus is too large for 128-bit security at this ring degree.
    #[error(
        "log2(QP) = {log_qp:.1} bits, but 128-bit security at N = 2^{log_n} allows {limit}: \
         use fewer or smaller primes, a larger ring, or set allow_insecure"
    )]
    Insecure {
        /// Bits of all primes together, special ones included.
        log_qp: f64,
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// The limit, in bits.
        limit: u32,
    },
    /// An instruction set that is forced and that this processor does not have, or nobody.
    #[error("SPENCNN_ISA is {found:?}, expected one of {expected} on this processor, or unset")]
    Isa {
        /// What the variable says.
        found: String,
        /// What it may say here.
        expected: String,
    },
    /// A value has the wrong level for an operation.
    #[error("{what}: level is {found}, expected {expected}")]
    Level {
        /// The operation, and what to do.
        what: &'static str,
        /// Level found.
        found: usize,
        /// Level expected.
        expected: usize,
    },
    /// Two values that meet in an addition have different scales.
    #[error(
        "{what}: scales 2^{found:.6} and 2^{expected:.6} differ; choose plaintext scales so that they agree"
    )]
    Scale {
        /// The operation.
        what: &'static str,
        /// log2 of the scale found.
        found: f64,
        /// log2 of the scale expected.
        expected: f64,
    },
    /// A rotation or relinearisation without its key.
    #[error("no key for {what} at level {level}; generate it with the key set's specification")]
    MissingKey {
        /// Which key.
        what: String,
        /// Level at which it was wanted.
        level: usize,
    },
    /// An argument outside its range.
    #[error("{what}: found {found}, expected {expected}")]
    Argument {
        /// What the argument is.
        what: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A damaged, truncated or foreign file.
    #[error("decoding {what}: {reason}")]
    Decode {
        /// What was being decoded.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being read or written.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// Objects made under different parameters were mixed.
    #[error("{what} was made under parameters {found}, this evaluator uses {expected}")]
    ForeignParameters {
        /// Which object.
        what: &'static str,
        /// Fingerprint found (hexadecimal, shortened).
        found: String,
        /// Fingerprint expected.
        expected: String,
    },
}

impl Error {
    /// An [`Error::Argument`] from displayable parts.
    pub fn argument(what: &'static str, found: impl ToString, expected: impl ToString) -> Self {
        Self::Argument { what, found: found.to_string(), expected: expected.to_string() }
    }
}
