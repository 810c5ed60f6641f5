//! How the program ends.

use std::process::ExitCode;

use crate::output::note;

/// A check failed: wrong classes, too little precision, or values beyond their bounds.
pub const CHECK_FAILED: u8 = 1;
/// Wrong usage or input, or something that could not be done.
pub const USAGE: u8 = 2;
/// Stopped by Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = 130;

/// Failures with an exit code of their own; every other error is one of usage or input.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The work was done, but its result is not what it must be.
    #[error("check failed: {0}")]
    Check(String),
    /// The user stopped it.
    #[error("interrupted; what was finished has been kept")]
    Interrupted,
}

/// The exit code for a result, after printing its error with all its causes.
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    note(format_args!("error: {error:#}"));
    ExitCode::from(match error.downcast_ref::<Failure>() {
        Some(Failure::Check(_)) => CHECK_FAILED,
        Some(Failure::Interrupted) => INTERRUPTED,
        None => USAGE,
    })
}
