//! Everything that the program says: results on standard output, the rest on standard error. Neither stream can make it
//! panic, as `println!` does where its reader has gone or its disk is full.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use serde::Serialize;

/// Writes results to standard output. That their reader has gone (`| head -1`) is no error: it has what it wanted.
///
/// # Errors
/// Any other failure, such as a full disk.
pub fn results(text: &str) -> Result<()> {
    write_results(&mut io::stdout().lock(), text)
}

fn write_results(out: &mut impl Write, text: &str) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing the results to standard output"),
    }
}

/// A result as one JSON object, with a line end.
///
/// # Errors
/// What cannot be JSON.
pub fn json(report: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

/// Writes a line to standard error. Where that fails there is nowhere left to say so.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
        assert!(write_results(&mut Broken(ErrorKind::BrokenPipe), "x").is_ok());
        let error = write_results(&mut Broken(ErrorKind::StorageFull), "x").unwrap_err();
        assert!(format!("{error:#}").starts_with("writing the results to standard output: "));
    }
}
