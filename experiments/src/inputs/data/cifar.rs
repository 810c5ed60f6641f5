//! CIFAR-10 in its binary form: records of one label byte and 3 x 32 x 32 pixel bytes.

use std::path::Path;

use super::{DataError, Images, Pixels, Split, files};

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
    let (mut source, mut pixels, mut labels) = (String::new(), Vec::new(), Vec::new());
    let mut missing = limit.unwrap_or(usize::MAX);
    for name in &names {
        if missing == 0 {
            break;
        }
        let path = files::find(folder, &SUBFOLDERS, &[name])?;
        if source.is_empty() {
            source = path.display().to_string();
        }
        missing -= append(&path, missing, &mut pixels, &mut labels)?;
    }
    Ok(Images { source, shape: SHAPE, pixels: Pixels::Bytes(pixels), labels: Some(labels) })
}

/// Adds the first `limit` records of a file; returns how many.
fn append(
    path: &Path,
    limit: usize,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u8>,
) -> Result<usize, DataError> {
    let wanted = limit.min(RECORDS);
    let fault = |length: usize| {
        let expected = format!("1 to {RECORDS} records of {RECORD} bytes");
        DataError::format(path, "length", format!("{length} bytes"), expected)
    };
    let mut file = files::Contents::open(path)?;
    let mut label = Vec::with_capacity(1);
    for k in 0..wanted {
        label.clear();
        let there = file.append(1, &mut label)? + file.append(RECORD - 1, pixels)?;
        if there == 0 && k > 0 {
            return Ok(k);
        }
        if there < RECORD {
            return Err(fault(k * RECORD + there));
        }
        if label[0] > 9 {
            return Err(DataError::format(path, "a label", label[0], "a class from 0 to 9"));
        }
        labels.push(label[0]);
    }
    if wanted == RECORDS && !file.at_end()? {
        return Err(fault(RECORDS * RECORD + 1));
    }
    Ok(wanted)
}
