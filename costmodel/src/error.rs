//! Errors of the cost model: what was found, what was expected, what to do.

use std::path::PathBuf;

use crate::lines::LinesError;

/// Result of a fallible cost-model operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong while measuring, fitting, storing or predicting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A profile or journal that is not one, or is damaged.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A profile of another format version.
    #[error("{}: profile version {found}, this program reads version {expected}: calibrate again{}", path.display(),
        if *refits { ", or fit its measurements again (`spencnn calibrate --refit`)" } else { "" })]
    Version {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Version expected.
        expected: u32,
        /// Whether its measurements can be fitted again.
        refits: bool,
    },
    /// A profile or fit whose parts contradict each other.
    #[error("profile: {0}")]
    Inconsistent(String),
    /// Measurements that no model can be fitted to.
    #[error("fit: {0}")]
    Fit(String),
    /// A table of latencies that cannot be made.
    #[error("latency table: {0}")]
    Table(String),
    /// A measurement plan that cannot be run.
    #[error("measurement plan: {0}")]
    Plan(String),
    /// The measurement was cancelled.
    #[error("the measurement was cancelled")]
    Cancelled,
    /// The engine refused an operation.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A thread pool could not be started.
    #[error("starting {threads} threads: {reason}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the system says.
        reason: String,
    },
}

impl From<LinesError> for Error {
    fn from(error: LinesError) -> Self {
        match error {
            LinesError::Io { path, source } => Self::Io { path, source },
            LinesError::Line { path, line, reason } => {
                Self::Format { path, reason: format!("line {line}: {reason}") }
            }
        }
    }
}

impl Error {
    /// An [`Error::Io`] for a path.
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }
}
