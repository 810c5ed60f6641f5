//! How the program ends.

use std::process::ExitCode;

use crate::process::output::note;

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
    note(format_args!("error: {}", causes(&error)));
    ExitCode::from(match error.downcast_ref::<Failure>() {
        Some(Failure::Check(_)) => CHECK_FAILED,
        Some(Failure::Interrupted) => INTERRUPTED,
        None => USAGE,
    })
}

/// An error and its causes, but for those that what comes before tells already.
fn causes(error: &anyhow::Error) -> String {
    let mut all = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if all.is_empty() {
            all = cause;
        } else if !all.contains(&cause) {
            all = format!("{all}: {cause}");
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::causes;

    #[test]
    fn causes_are_told_once() {
        let error =
            Err::<(), _>(anyhow!("disk full")).context("file a: disk full").context("saving");
        assert_eq!(causes(&error.unwrap_err()), "saving: file a: disk full");
        assert_eq!(causes(&anyhow!("alone")), "alone");
    }
}
