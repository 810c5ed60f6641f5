//! What the commands of client and server have in common: their files and streams.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use engine::keys::SecretKey;
use engine::serial;
use runtime::client::ClientSpec;

use crate::files::{self, Readers};
use crate::memory::show_bytes;
use crate::output::note;

/// Names of files unless others are given.
pub(super) const MODEL: &str = "model.spencnn";
pub(super) const CLIENT: &str = "client.spencnn";
pub(super) const SECRET: &str = "secret.key";
pub(super) const KEYS: &str = "evaluation.keys";

/// Stands for standard input or output.
const STREAM: &str = "-";

/// The client file, and permission to go below the security level.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// Client file, from `compile`
    #[arg(long, value_name = "FILE", default_value = CLIENT)]
    pub client: std::path::PathBuf,
    /// Accept parameters below 128-bit security: for experiments, never for real data
    #[arg(long)]
    pub allow_insecure: bool,
}

impl ClientArgs {
    /// Reads the file.
    pub fn read(&self) -> Result<ClientSpec> {
        read_whole(&self.client, |reader| Ok(ClientSpec::read(reader, self.allow_insecure)?))
    }

    /// Reads a secret key that must have been made for it.
    pub fn secret(&self, spec: &ClientSpec, path: &Path) -> Result<SecretKey> {
        warn_of_readers(path);
        let key = |reader: &mut dyn BufRead| {
            Ok(serial::read_secret_key_unprotected(reader, &spec.params)?)
        };
        self.beside(read_whole(path, key))
    }

    /// An error about another file, with the name of the client file that it is to belong to.
    pub fn beside<T>(&self, result: Result<T>) -> Result<T> {
        beside(&self.client, result)
    }
}

/// An error about a file that is to belong to another one, with the name of that.
pub(super) fn beside<T>(other: &Path, result: Result<T>) -> Result<T> {
    result.map_err(|error| match is_foreign(&error) {
        true => anyhow!("{error:#}; it was to belong to {}", other.display()),
        false => error,
    })
}

/// Whether an error is that two files do not belong together.
fn is_foreign(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        use engine::Error::ForeignParameters;
        matches!(cause.downcast_ref(), Some(ForeignParameters { .. }))
            || matches!(
                cause.downcast_ref(),
                Some(
                    runtime::Error::ForeignModel { .. }
                        | runtime::Error::Engine(ForeignParameters { .. })
                )
            )
    })
}

/// Whether a path stands for standard input or output.
pub(super) fn is_stream(path: &Path) -> bool {
    path == Path::new(STREAM)
}

/// Reads a file, or standard input.
pub(super) fn read<T>(path: &Path, read: impl FnOnce(&mut dyn BufRead) -> Result<T>) -> Result<T> {
    if is_stream(path) {
        return read(&mut io::stdin().lock()).context("standard input");
    }
    let what = || path.display().to_string();
    let file = File::open(path).with_context(what)?;
    read(&mut BufReader::new(file)).with_context(what)
}

/// The same for a file that holds one object and nothing after it.
pub(super) fn read_whole<T>(
    path: &Path,
    object: impl FnOnce(&mut dyn BufRead) -> Result<T>,
) -> Result<T> {
    read(path, |reader| {
        let found = object(reader)?;
        match reader.fill_buf()?.is_empty() {
            true => Ok(found),
            false => Err(anyhow!("there is more after its end; it is damaged, or not one file")),
        }
    })
}

/// Writes a file, or standard output.
pub(super) fn write<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    if !is_stream(path) {
        return files::write_streaming(path, Readers::All, write);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let result = write(&mut out).context("standard output")?;
    out.flush().context("standard output")?;
    Ok(result)
}

/// Checks, before any work, that [`write()`] can write.
pub(super) fn check_writable(path: &Path) -> Result<()> {
    if is_stream(path) { Ok(()) } else { files::check_writable(path) }
}

/// Says that a file was written, its size, and what it is.
pub(super) fn note_written(path: &Path, what: &str) {
    if is_stream(path) {
        return;
    }
    let size = std::fs::metadata(path).map_or_else(|_| "?".into(), |m| show_bytes(m.len()));
    note(format_args!("{} ({size}): {what}", path.display()));
}

/// Warns of a secret key that others than its owner can read.
#[cfg(unix)]
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0, |found| found.permissions().mode());
    if mode & 0o077 != 0 {
        let (path, mode) = (path.display(), mode & 0o777);
        note(format_args!(
            "others can read the secret key {path} (mode {mode:o}): chmod 600 {path}"
        ));
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path) {}
