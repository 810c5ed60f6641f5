//! Finding a data file under its usual names, and reading it whether or not it is compressed.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

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

/// Reads at most `most` bytes of what the file holds, decompressed if its name says that it is compressed.
/// Memory grows with what is really there, never with what a header claims.
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, DataError> {
    let failed =
        |reason: io::Error| DataError::Read { path: path.to_owned(), reason: reason.to_string() };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let mut bytes = Vec::new();
    match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => {
            flate2::bufread::MultiGzDecoder::new(file)
                .take(most as u64)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
        }
        Some("xz") => {
            let mut file = file;
            let mut sink = Bounded { bytes, most };
            let result = lzma_rs::xz_decompress(&mut file, &mut sink);
            bytes = sink.bytes;
            if let Err(error) = result
                && bytes.len() < most
            {
                return Err(DataError::Read {
                    path: path.to_owned(),
                    reason: format!("xz: {error:?}"),
                });
            }
        }
        _ => {
            file.take(most as u64).read_to_end(&mut bytes).map_err(failed)?;
        }
    }
    Ok(bytes)
}

/// Keeps the first `most` bytes and then refuses more, which ends a decompression early.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let room = self.most - self.bytes.len();
        if room == 0 && !data.is_empty() {
            return Err(io::Error::other("enough"));
        }
        let taken = room.min(data.len());
        self.bytes.extend_from_slice(&data[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
