//! CIFAR-10 in its binary form: records of one label byte and 3 x 32 x 32 pixel bytes.

use std::path::Path;

use super::{DataError, Images, Split, files};

/// Channels, rows, columns.
pub const SHAPE: (usize, usize, usize) = (3, 32, 32);

const RECORD: usize = 1 + 3 * 32 * 32;
/// Records of one file.
const RECORDS: usize = 10_000;
const SUBFOLDERS: [&str; 2] = ["cifar10", "cifar-10-batches-bin"];

pub fn load(folder: &Path, split: Split, limit: Option<usize>) -> Result<Images, DataError> {
    let names: Vec<String> = match split {
        Split::Test => vec!["test_batch.bin".into()],
        Split::Train => (1..=5).map(|k| format!("data_batch_{k}.bin")).collect(),
    };
    let mut images = Images {
        source: String::new(),
        shape: SHAPE,
        pixels: Vec::new(),
        labels: Some(Vec::new()),
    };
    let mut missing = limit.unwrap_or(usize::MAX);
    for name in &names {
        if missing == 0 {
            break;
        }
        let path = files::find(folder, &SUBFOLDERS, &[name])?;
        if images.source.is_empty() {
            images.source = path.display().to_string();
        }
        missing -= append(&path, missing, &mut images)?;
    }
    Ok(images)
}

/// Adds the first `limit` records of a file; returns how many.
fn append(path: &Path, limit: usize, images: &mut Images) -> Result<usize, DataError> {
    let wanted = limit.min(RECORDS);
    // One byte more when a whole file is read, to notice one that is too long.
    let bytes = files::read(path, wanted * RECORD + usize::from(wanted == RECORDS))?;
    if bytes.len() > RECORDS * RECORD || !bytes.len().is_multiple_of(RECORD) || bytes.is_empty() {
        let expected = format!("records of {RECORD} bytes, at most {RECORDS}");
        return Err(DataError::format(path, "length", format!("{} bytes", bytes.len()), expected));
    }
    for record in bytes.chunks_exact(RECORD) {
        if record[0] > 9 {
            return Err(DataError::format(path, "a label", record[0], "a class from 0 to 9"));
        }
        if let Some(labels) = &mut images.labels {
            labels.push(record[0]);
        }
        images.pixels.extend_from_slice(&record[1..]);
    }
    Ok(bytes.len() / RECORD)
}
