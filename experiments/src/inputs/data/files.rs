//! Finding a data file under its usual names, and reading it whether or not it is compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;

use super::DataError;

/// The first file that exists: in the folder or one of its `subfolders`, under the `name` as it is or
/// with `.gz` or `.xz` behind it.
pub fn find(folder: &Path, subfolders: &[&str], names: &[&str]) -> Result<PathBuf, DataError> {
    let mut tried = Vec::new();
    for sub in std::iter::once("").chain(subfolders.iter().copied()) {
        for name in names {
            for ending in ["", ".gz", ".xz"] {
                let relative = Path::new(sub).join(format!("{name}{ending}"));
                let path = folder.join(&relative);
                if path.is_file() {
                    return Ok(path);
                }
                tried.push(relative.display().to_string());
            }
        }
    }
    Err(DataError::NoFile { folder: folder.to_owned(), tried })
}

/// What a data file holds, decompressed as it is read if its name says that it is compressed. Nothing is decompressed
/// that is not asked for, so that a small file cannot become a large one in memory.
pub struct Contents<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
}

impl<'a> Contents<'a> {
    /// Opens a file.
    pub fn open(path: &'a Path) -> Result<Self, DataError> {
        let file = BufReader::new(File::open(path).map_err(|e| DataError::read(path, &e))?);
        let reader: Box<dyn Read> = match path.extension().and_then(|e| e.to_str()) {
            Some("gz") => Box::new(Members { decoder: Some(GzDecoder::new(file)) }),
            Some("xz") => Box::new(XzReader::new(file, true)),
            _ => Box::new(file),
        };
        Ok(Self { path, reader })
    }

    /// The next `most` bytes behind those in `bytes`, or what is left of them; returns how many. Memory grows with
    /// what is really there, never with what a header claims.
    pub fn append(&mut self, most: usize, bytes: &mut Vec<u8>) -> Result<usize, DataError> {
        let mut part = (&mut self.reader).take(most as u64);
        part.read_to_end(bytes).map_err(|e| DataError::read(self.path, &e))
    }

    /// Whether there is no byte left.
    pub fn at_end(&mut self) -> Result<bool, DataError> {
        Ok(self.append(1, &mut Vec::new())? == 0)
    }
}

/// The members of a gzip file, one after the other. Zeros behind the last one are padding, as for gzip itself.
struct Members<R: BufRead> {
    /// None after the last member.
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty()
            && let Some(decoder) = &mut self.decoder
        {
            let count = decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            let Some(mut rest) = self.decoder.take().map(GzDecoder::into_inner) else { break };
            if skip_zeros(&mut rest)? {
                self.decoder = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Passes over zeros; returns whether there is anything behind them.
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let there = reader.fill_buf()?;
        let (zeros, length) = (there.iter().take_while(|b| **b == 0).count(), there.len());
        reader.consume(zeros);
        if zeros < length || length == 0 {
            return Ok(length > 0);
        }
    }
}
