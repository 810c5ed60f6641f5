//! Arrays: NumPy's, alone and in archives, and IDX.

use std::io::{Cursor, Read as _, Write as _};

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::bytes::{change, edge, few};
use super::{Format, MOST_BYTES, Rng};

/// A NumPy array.
#[derive(Debug, Clone, Copy)]
pub struct Npy;

/// An archive of NumPy arrays.
#[derive(Debug, Clone, Copy)]
pub struct Npz;

/// An IDX file.
#[derive(Debug, Clone, Copy)]
pub struct Idx;

/// Words of a header, for each other.
const TYPES: [&str; 14] = [
    "'|u1'", "'|b1'", "'<i2'", "'>i2'", "'<f4'", "'>f4'", "'<f8'", "'<f2'", "'>u8'", "'<i8'",
    "'<c8'", "'|O'", "''", "'",
];
const EXTENTS: [&str; 8] =
    ["0", "1", "2", "3", "12", "10000000", "4611686018427387904", "18446744073709551615"];

impl Format for Npy {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let length = input.get(8..10).map(|b| usize::from(b[0]) | usize::from(b[1]) << 8);
        let header = length.and_then(|n| std::str::from_utf8(input.get(10..10 + n)?).ok());
        let Some(header) = header.filter(|_| rng.random_range(0..8) > 0) else {
            let mut bytes = input.to_vec();
            change(&mut bytes, other, rng);
            return bytes;
        };
        let mut data = input[10 + header.len()..].to_vec();
        let mut header = header.to_owned();
        for _ in 0..few(rng) {
            match rng.random_range(0..4) {
                0 => header = with_word(&header, rng),
                1 => {
                    let mut bytes = header.into_bytes();
                    change(&mut bytes, other, rng);
                    header = String::from_utf8_lossy(&bytes).into_owned();
                }
                2 => data.resize(data.len() * 2 % MOST_BYTES, 1),
                _ => change(&mut data, other, rng),
            }
        }
        // Data of the size that the header says, as far as that is possible.
        if rng.random_range(0..4) > 0
            && let Some(size) = size(&header)
        {
            data.resize(size, 0);
        }
        let length = (header.len().min(65535) as u16).to_le_bytes();
        [&input[..8], &length, header.as_bytes(), &data].concat()
    }
}

/// Another type, order or extent in a header.
fn with_word(header: &str, rng: &mut Rng) -> String {
    let between = |from: char, to: char| {
        let start = header.find(from)?;
        Some((start, start + header[start..].find(to)?))
    };
    match rng.random_range(0..4) {
        0 => {
            let kind = TYPES.choose(rng).copied().unwrap_or("''");
            TYPES.iter().fold(header.to_owned(), |text, old| match text.contains(old) {
                true if old.len() > 2 => text.replacen(old, kind, 1),
                _ => text,
            })
        }
        1 if header.contains("False") => header.replacen("False", "True", 1),
        1 => header.replacen("True", "False", 1),
        _ => {
            let Some((open, close)) = between('(', ')') else { return header.to_owned() };
            let mut extents: Vec<&str> =
                header[open + 1..close].split(',').map(str::trim).collect();
            let at = rng.random_range(0..extents.len());
            match rng.random_range(0..4) {
                0 => drop(extents.remove(at)),
                1 => extents.insert(at, "1"),
                _ => extents[at] = EXTENTS.choose(rng).copied().unwrap_or("1"),
            }
            format!("{}{}{}", &header[..=open], extents.join(", "), &header[close..])
        }
    }
}

/// Bytes of an array by its header, at most [`MOST_BYTES`].
fn size(header: &str) -> Option<usize> {
    let kind = header.find(['<', '>', '|']).and_then(|at| header.get(at + 2..at + 3))?;
    let each: usize = kind.parse().ok()?;
    let shape = header.split_once('(')?.1.split_once(')')?.0;
    let extents = shape.split(',').map(str::trim).filter(|e| !e.is_empty());
    extents
        .map(|e| e.parse::<usize>().ok())
        .try_fold(each, |product, e| product.checked_mul(e?))
        .filter(|size| *size <= MOST_BYTES)
}

impl Format for Npz {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let entries = entries(input).filter(|_| rng.random_range(0..4) > 0);
        let Some(mut entries) = entries.filter(|list| !list.is_empty()) else {
            let mut bytes = input.to_vec();
            change(&mut bytes, other, rng);
            return bytes;
        };
        let at = rng.random_range(0..entries.len());
        match rng.random_range(0..8) {
            0 => drop(entries.remove(at)),
            1 => {
                entries[at].0 =
                    ["images.npy", "labels.npy", "x.npy", "y.npy", "../x.npy", ".npy", ""]
                        .choose(rng)
                        .copied()
                        .unwrap_or("")
                        .to_owned()
            }
            _ => entries[at].1 = Npy.change(&entries[at].1, other, rng),
        }
        archive(&entries, rng.random()).unwrap_or_default()
    }
}

/// Names and contents of an archive.
fn entries(input: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(Cursor::new(input)).ok()?;
    let count = archive.len().min(8);
    let mut entry = |k: usize| {
        let entry = archive.by_index(k).ok()?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let mut bytes = Vec::new();
        entry.take(MOST_BYTES as u64).read_to_end(&mut bytes).ok()?;
        Some((name, bytes))
    };
    (0..count).map(&mut entry).collect()
}

/// An archive of files, with right checksums.
pub(crate) fn archive(entries: &[(String, Vec<u8>)], deflated: bool) -> Option<Vec<u8>> {
    let method = if deflated { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let options = SimpleFileOptions::default().compression_method(method);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(name.as_str(), options).ok()?;
        writer.write_all(bytes).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}

impl Format for Idx {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..few(rng) {
            if rng.random() && bytes.len() >= 8 {
                // An extent, or type and number of dimensions.
                let word = 4 * rng.random_range(0..(bytes.len() / 4).min(5));
                let at = if word == 0 { rng.random_range(2..4) } else { word + 3 };
                bytes[at] = edge(rng) as u8;
            } else {
                change(&mut bytes, other, rng);
            }
        }
        if rng.random_range(0..4) > 0
            && let Some(size) = idx_size(&bytes)
        {
            bytes.resize(size, 0);
        }
        bytes
    }
}

/// Bytes of an IDX file by its header, at most [`MOST_BYTES`].
fn idx_size(bytes: &[u8]) -> Option<usize> {
    let (start, extents) = bytes.split_first_chunk::<4>()?;
    let each = match start[2] {
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        _ => 1,
    };
    let header = 4 + 4 * usize::from(start[3]);
    let extents = extents.as_chunks::<4>().0.get(..usize::from(start[3]))?;
    let mut extents = extents.iter().map(|e| u32::from_be_bytes(*e) as usize);
    let size = extents.try_fold(each, |product: usize, e| product.checked_mul(e))?;
    size.checked_add(header).filter(|size| *size <= MOST_BYTES)
}
