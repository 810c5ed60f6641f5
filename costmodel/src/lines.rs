//! Files of JSON lines that several processes append to: the mechanics of journals.
//!
//! Every access holds the file's lock, so that lines never mix. An append is one write of whole lines behind whatever
//! is there, and nothing is ever cut: a process that is killed in the middle of it leaves a line that ends before its
//! JSON does. Readers skip such a line, and the next append starts on a fresh one.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 64 << 20;

/// What can go wrong with such a file.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// It cannot be opened, locked, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line that is none of this file's.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// An open file of JSON lines.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Opens a file, creating it if there is none.
    ///
    /// # Errors
    /// [`LinesError::Io`].
    pub fn open(path: &Path) -> Result<Self, LinesError> {
        Self::with(path, OpenOptions::new().create(true).append(true))
    }

    /// Opens a file that is there, to be read only.
    ///
    /// # Errors
    /// [`LinesError::Io`].
    pub fn open_to_read(path: &Path) -> Result<Self, LinesError> {
        Self::with(path, &mut OpenOptions::new())
    }

    fn with(path: &Path, options: &mut OpenOptions) -> Result<Self, LinesError> {
        let file = options.read(true).open(path);
        let file = file.map_err(|source| LinesError::Io { path: path.into(), source })?;
        Ok(Self { path: path.into(), file })
    }

    /// Waits for other processes to be done with the file, and keeps them off until the result is dropped.
    ///
    /// # Errors
    /// [`LinesError::Io`], on a file system without locks for one.
    pub fn lock(&mut self) -> Result<Locked<'_>, LinesError> {
        if let Err(e) = self.file.lock() {
            let text = format!("it cannot be locked: {e}; keep it on a file system that has locks");
            return Err(self.fault(io::Error::new(e.kind(), text)));
        }
        Ok(Locked { lines: self })
    }

    /// [`Locked::append`] under a lock of its own.
    ///
    /// # Errors
    /// [`LinesError::Io`].
    pub fn append(&mut self, value: &impl Serialize) -> Result<(), LinesError> {
        self.lock()?.append(value)
    }

    fn fault(&self, source: io::Error) -> LinesError {
        LinesError::Io { path: self.path.clone(), source }
    }
}

/// A file that no other process touches meanwhile.
#[derive(Debug)]
pub struct Locked<'a> {
    lines: &'a mut Lines,
}

impl Locked<'_> {
    /// All values, each with the number of its line. Lines that end before their JSON does are skipped.
    ///
    /// # Errors
    /// [`LinesError::Line`] for any other line that is no such value, or longer than 64 MiB; [`LinesError::Io`].
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<Vec<(usize, T)>, LinesError> {
        let Lines { path, file } = &mut *self.lines;
        file.seek(SeekFrom::Start(0))
            .map_err(|source| LinesError::Io { path: path.clone(), source })?;
        let (mut values, mut number) = (Vec::new(), 0);
        for_each(path, BufReader::new(file), |line| {
            number += 1;
            match parse(line) {
                Ok(value) => values.push((number, value)),
                Err(Fault { torn: true, .. }) => {}
                Err(Fault { reason, .. }) => return Err(reason),
            }
            Ok(())
        })?;
        Ok(values)
    }

    /// Adds a line, and waits until it is on the disk.
    ///
    /// # Errors
    /// [`LinesError::Io`].
    pub fn append(&mut self, value: &impl Serialize) -> Result<(), LinesError> {
        self.write(value).map_err(|source| self.lines.fault(source))
    }

    fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        let file = &mut self.lines.file;
        let mut line = Vec::new();
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.push(b'\n');
            }
        }
        serde_json::to_writer(&mut line, value)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // What cannot be unlocked is when the file is closed.
        let _ = self.lines.file.unlock();
    }
}

/// Calls `each` with one line after the other, its end included; what it finds wrong becomes an error with the number of the
/// line.
///
/// # Errors
/// [`LinesError::Line`] for what `each` says, and for a line longer than 64 MiB; [`LinesError::Io`].
pub(crate) fn for_each(
    path: &Path,
    mut reader: impl BufRead,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), LinesError> {
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let count = reader
            .by_ref()
            .take(MAX_LINE)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| LinesError::Io { path: path.into(), source })?;
        let fault = |reason| LinesError::Line { path: path.into(), line, reason };
        match count as u64 {
            0 => break,
            MAX_LINE => return Err(fault(format!("it is longer than {MAX_LINE} bytes"))),
            _ => each(&bytes).map_err(fault)?,
        }
    }
    Ok(())
}

/// Why a line has no value.
pub(crate) struct Fault {
    /// Whether it ends before its JSON does.
    pub torn: bool,
    /// What is wrong, field first.
    pub reason: String,
}

/// The value of a line.
pub(crate) fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, Fault> {
    // The end of the line would go on with a string that ends too early.
    let mut source = serde_json::Deserializer::from_slice(line.trim_ascii_end());
    let value = serde_path_to_error::deserialize(&mut source)
        .map_err(|e| Fault { torn: e.inner().is_eof(), reason: e.to_string() })?;
    source.end().map_err(|e| Fault { torn: false, reason: e.to_string() })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(path: &Path) -> Result<Vec<(usize, Vec<String>)>, LinesError> {
        Lines::open(path)?.lock()?.read()
    }

    #[test]
    fn a_torn_line_is_skipped_and_kept_and_the_next_one_is_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let value = |text: &str| vec![text.to_owned(), "ä\n\"".to_owned()];
        Lines::open(&path).unwrap().append(&value("first")).unwrap();
        let first = fs::read(&path).unwrap();
        for kept in 0..first.len() {
            // Wherever a second line was torn.
            fs::write(&path, [&first[..], &first[..kept]].concat()).unwrap();
            let before = read(&path).unwrap();
            // Only its end of line is missing when it is whole.
            let whole = kept + 1 == first.len();
            assert_eq!(before.len(), 1 + usize::from(whole), "{kept}");
            assert_eq!(fs::read(&path).unwrap().len(), first.len() + kept);
            Lines::open(&path).unwrap().append(&value("next")).unwrap();
            let after = read(&path).unwrap();
            assert_eq!(after[..before.len()], before, "{kept}");
            assert_eq!(after[before.len()..], [(2 + usize::from(kept > 0), value("next"))]);
        }
    }

    #[test]
    fn other_lines_are_errors_with_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        assert!(read(&path).unwrap().is_empty());
        fs::write(&path, "[\"a\"]\n[\"b\n[\"c\"]\n[4]\n").unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, LinesError::Line { line: 4, .. }), "{error}");
        assert!(error.to_string().contains("line 4: [0]: invalid type"), "{error}");
        fs::write(&path, b"\xff\xfe\n").unwrap();
        assert!(matches!(read(&path), Err(LinesError::Line { line: 1, .. })));
    }
}
