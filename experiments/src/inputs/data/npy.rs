//! NumPy's files: an array (`.npy`), or several in a ZIP archive (`.npz`).

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::array::{Array, Kind, MOST_IMAGES, pick};
use super::{DataError, Images, array};

/// Longest header.
const MOST_HEADER: usize = 1 << 16;
/// Most arrays of an archive.
const MOST_ARRAYS: usize = 1 << 10;

/// The images of a file of one array, or of several.
pub(super) fn load(
    path: &Path,
    labels: Option<&Path>,
    shape: (usize, usize, usize),
    limit: Option<usize>,
) -> Result<Images, DataError> {
    let open = |path: &Path| {
        let file = File::open(path).map_err(|e| DataError::read(path, &e))?;
        Ok::<_, DataError>(BufReader::new(file))
    };
    let images = read(&mut open(path)?, path, "", limit)?;
    // Labels are read whole: there must be as many.
    let labels = labels.map(|p| read(&mut open(p)?, p, "", None)).transpose()?;
    array::images(path, images, labels, shape, limit)
}

/// The images of an archive.
pub(super) fn load_archive(
    path: &Path,
    shape: (usize, usize, usize),
    limit: Option<usize>,
) -> Result<Images, DataError> {
    let fault = |e: zip::result::ZipError| DataError::read(path, &std::io::Error::other(e));
    let file = File::open(path).map_err(|e| DataError::read(path, &e))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(fault)?;
    if archive.len() > MOST_ARRAYS {
        let expected = format!("at most {MOST_ARRAYS}");
        return Err(DataError::format(path, "number of arrays", archive.len(), expected));
    }
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| {
            let name = name.ok()?;
            Some(name.strip_suffix(".npy").unwrap_or(&name).to_owned())
        })
        .collect();
    let (images, labels) = pick(path, &names)?;
    let mut array = |name: &str, limit| {
        let mut entry = archive.by_name(&format!("{name}.npy")).map_err(fault)?;
        read(&mut entry, path, name, limit)
    };
    let labels = labels.map(|name| array(&name, None)).transpose()?;
    array::images(path, array(&images, limit)?, labels, shape, limit)
}

/// An array, or the first `limit` records of it where its order allows. Memory grows with what is there, never with what a
/// header claims.
fn read(
    file: &mut dyn Read,
    path: &Path,
    name: &str,
    limit: Option<usize>,
) -> Result<Array, DataError> {
    let header = header(file, path)?;
    let (kind, big) = element(path, &header)?;
    let order = field(&header, "fortran_order").unwrap_or_default();
    let fortran = order.starts_with("True");
    let shape = shape(path, &header)?;
    let count = shape.first().copied().unwrap_or(0);
    let kept = if fortran { count } else { limit.unwrap_or(count).min(count) };
    let each = shape.iter().skip(1).try_fold(kind.bytes(), |n, e| n.checked_mul(*e));
    let Some(wanted) = each.and_then(|each| each.checked_mul(kept)) else {
        let expected = "an array that can be counted";
        return Err(DataError::format(path, "shape", format!("{shape:?}"), expected));
    };
    let mut bytes = Vec::new();
    let there =
        file.take(wanted as u64).read_to_end(&mut bytes).map_err(|e| DataError::read(path, &e))?;
    if there != wanted {
        let expected = format!("{wanted} bytes, for shape {shape:?}");
        return Err(DataError::format(
            path,
            "data of an array",
            format!("{there} bytes"),
            expected,
        ));
    }
    if fortran {
        bytes = last_index_fastest(&bytes, kind.bytes(), &shape);
    }
    Ok(Array { name: name.to_owned(), shape, numbers: kind.numbers(bytes, big) })
}

/// The dictionary that describes an array.
fn header(file: &mut dyn Read, path: &Path) -> Result<String, DataError> {
    let mut start = [0; 8];
    let fault = |e: std::io::Error| DataError::read(path, &e);
    file.read_exact(&mut start).map_err(fault)?;
    if start[..6] != *b"\x93NUMPY" {
        let expected = "a NumPy array";
        return Err(DataError::format(path, "start", format!("{:?}", &start[..6]), expected));
    }
    let mut length = [0; 4];
    let bytes = if start[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..bytes]).map_err(fault)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MOST_HEADER {
        let expected = format!("at most {MOST_HEADER} bytes");
        return Err(DataError::format(path, "length of a header", length, expected));
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text).map_err(fault)?;
    String::from_utf8(text)
        .map_err(|_| DataError::format(path, "a header", "no text", "a Python dictionary"))
}

/// What follows a key of the dictionary.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let (_, rest) = quoted.iter().find_map(|key| header.split_once(key.as_str()))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

/// Kind of the numbers, and whether their most significant byte is first.
fn element(path: &Path, header: &str) -> Result<(Kind, bool), DataError> {
    let text = field(header, "descr").unwrap_or_default();
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"')).unwrap_or('\'');
    let name = text.trim_start_matches(quote).split(quote).next().unwrap_or_default();
    let (big, plain) = match name.split_at_checked(1) {
        Some((">", plain)) => (true, plain),
        Some(("<" | "|" | "=", plain)) => (false, plain),
        _ => (false, name),
    };
    let kind = match plain {
        "u1" | "b1" => Kind::Unsigned(1),
        "u2" => Kind::Unsigned(2),
        "u4" => Kind::Unsigned(4),
        "u8" => Kind::Unsigned(8),
        "i1" => Kind::Signed(1),
        "i2" => Kind::Signed(2),
        "i4" => Kind::Signed(4),
        "i8" => Kind::Signed(8),
        "f2" => Kind::F16,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        _ => {
            let expected = "whole or floating-point numbers; convert the array";
            return Err(DataError::format(path, "type of an array", format!("{name:?}"), expected));
        }
    };
    Ok((kind, big))
}

fn shape(path: &Path, header: &str) -> Result<Vec<usize>, DataError> {
    let text = field(header, "shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next());
    let parts = text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
    let extents: Option<Vec<usize>> = parts.map(|part| part.parse().ok()).collect();
    let few = |list: &Vec<usize>| {
        !list.is_empty() && list.len() <= 8 && list.first().is_some_and(|n| *n <= MOST_IMAGES)
    };
    extents.filter(few).ok_or_else(|| {
        let expected = format!("up to eight extents, the first at most {MOST_IMAGES}");
        DataError::format(path, "shape of an array", format!("{text:?}"), expected)
    })
}

/// The bytes of an array whose first index is fastest, in the order of one whose last is.
fn last_index_fastest(bytes: &[u8], size: usize, shape: &[usize]) -> Vec<u8> {
    let mut step = size;
    let mut steps = Vec::with_capacity(shape.len());
    for extent in shape {
        steps.push(step);
        step *= extent;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let (mut index, mut at) = (vec![0; shape.len()], 0);
    // As many numbers as there are, whatever else the extents say: with one of zero there is none.
    while out.len() < bytes.len() {
        out.extend_from_slice(&bytes[at..][..size]);
        for ((index, step), extent) in index.iter_mut().zip(&steps).zip(shape).rev() {
            *index += 1;
            at += step;
            if *index < *extent {
                break;
            }
            at -= *index * step;
            *index = 0;
        }
    }
    out
}
