//! IDX files: a big-endian header (two zero bytes, type, number of dimensions, the dimensions), then the numbers.

use std::path::Path;

use super::array::{Array, Kind, MOST_IMAGES};
use super::{DataError, files};

/// Most dimensions of an array.
const MOST_DIMENSIONS: u8 = 8;

/// An array, or the first `limit` records of it; `record` are the extents that a record must have, if they are known.
pub(super) fn read(
    path: &Path,
    record: Option<&[usize]>,
    limit: Option<usize>,
) -> Result<Array, DataError> {
    let mut file = files::Contents::open(path)?;
    let mut start = Vec::with_capacity(4);
    file.append(4, &mut start)?;
    let (kind, dimensions) = match start[..] {
        [0, 0, kind, dimensions] if fits(dimensions, record) && of(kind).is_some() => {
            (of(kind).unwrap_or(Kind::Unsigned(1)), dimensions)
        }
        [_, _, _, _] => {
            let wanted = record.map_or("1 to 8".into(), |r| (r.len() + 1).to_string());
            return Err(DataError::format(
                path,
                "start of the file",
                format!("{start:?}"),
                format!("[0, 0, type, {wanted}] (IDX, {wanted} dimensions)"),
            ));
        }
        _ => return Err(header(path, start.len(), record)),
    };
    let mut extents = Vec::new();
    let there = file.append(4 * usize::from(dimensions), &mut extents)?;
    if there < 4 * usize::from(dimensions) {
        return Err(header(path, 4 + there, record));
    }
    let big = |b: &[u8; 4]| u32::from_be_bytes(*b) as usize;
    let shape: Vec<usize> = extents.as_chunks::<4>().0.iter().map(big).collect();
    if let Some(record) = record.filter(|record| shape[1..] != **record) {
        let found = format!("{:?}", &shape[1..]);
        return Err(DataError::format(path, "extent of a record", found, format!("{record:?}")));
    }
    let count = shape[0];
    if !(1..=MOST_IMAGES).contains(&count) {
        let expected = format!("1 to {MOST_IMAGES}");
        return Err(DataError::format(path, "number of records", count, expected));
    }
    let size = shape[1..].iter().try_fold(kind.bytes(), |n, e| n.checked_mul(*e));
    let kept = limit.unwrap_or(count).min(count);
    let Some(wanted) = size.and_then(|size| size.checked_mul(kept)) else {
        let expected = "a record that can be counted";
        return Err(DataError::format(path, "shape", format!("{shape:?}"), expected));
    };
    let mut bytes = Vec::new();
    let there = file.append(wanted, &mut bytes)?;
    // A file that is too long is noticed when everything is read.
    let longer = kept == count && there == wanted && !file.at_end()?;
    if there != wanted || longer {
        let found = if longer { format!("over {wanted} bytes") } else { format!("{there} bytes") };
        let expected = format!("{wanted} bytes");
        return Err(DataError::format(path, "data after the header", found, expected));
    }
    Ok(Array { name: String::new(), shape, numbers: kind.numbers(bytes, true) })
}

fn fits(dimensions: u8, record: Option<&[usize]>) -> bool {
    match record {
        Some(record) => usize::from(dimensions) == record.len() + 1,
        None => (1..=MOST_DIMENSIONS).contains(&dimensions),
    }
}

fn of(kind: u8) -> Option<Kind> {
    Some(match kind {
        0x08 => Kind::Unsigned(1),
        0x09 => Kind::Signed(1),
        0x0b => Kind::Signed(2),
        0x0c => Kind::Signed(4),
        0x0d => Kind::F32,
        0x0e => Kind::F64,
        _ => return None,
    })
}

fn header(path: &Path, length: usize, record: Option<&[usize]>) -> DataError {
    let wanted = record.map_or("the extents".into(), |r| format!("{} bytes", 8 + 4 * r.len()));
    DataError::format(path, "length", length, format!("a header of {wanted}"))
}
