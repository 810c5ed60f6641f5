//! MNIST in IDX files: big-endian header (two zero bytes, type 8, number of dimensions, the dimensions), then bytes.

use std::path::Path;

use super::{DataError, Images, Split, files};

/// Channels, rows, columns.
pub const SHAPE: (usize, usize, usize) = (1, 28, 28);

/// More images than any data set of this form has; a header that claims more is wrong.
const MOST_IMAGES: usize = 10_000_000;

pub fn load(folder: &Path, split: Split, limit: Option<usize>) -> Result<Images, DataError> {
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let find = |rest: &str| {
        // Some distributions write a dot where the original has a hyphen.
        let names = [
            format!("{prefix}-{rest}-ubyte"),
            format!("{prefix}-{}-ubyte", rest.replace('-', ".")),
        ];
        files::find(folder, &["mnist"], &[&names[0], &names[1]])
    };
    let (images, labels) = (find("images-idx3")?, find("labels-idx1")?);
    let (counts, pixels) = read_idx(&images, &[28, 28], limit)?;
    let (label_counts, labels_read) = read_idx(&labels, &[], limit)?;
    if counts != label_counts {
        return Err(DataError::format(
            &labels,
            "number of labels",
            label_counts,
            format!("{counts}, one per image"),
        ));
    }
    if let Some(bad) = labels_read.iter().find(|l| **l > 9) {
        return Err(DataError::format(&labels, "a label", bad, "a digit from 0 to 9"));
    }
    Ok(Images {
        source: images.display().to_string(),
        shape: SHAPE,
        pixels,
        labels: Some(labels_read),
    })
}

/// The number of records that the file has, and the bytes of the first `limit` of them. `extents` are those of
/// one record.
fn read_idx(
    path: &Path,
    extents: &[usize],
    limit: Option<usize>,
) -> Result<(usize, Vec<u8>), DataError> {
    let dimensions = extents.len() + 1;
    let header_len = 4 + 4 * dimensions;
    let mut file = files::Contents::open(path)?;
    let mut header = Vec::with_capacity(header_len);
    file.append(header_len, &mut header)?;
    let magic = [0, 0, 8, dimensions as u8];
    if header.len() >= 4 && header[..4] != magic {
        return Err(DataError::format(
            path,
            "start of the file",
            format!("{:?}", &header[..4]),
            format!("{magic:?} (IDX, unsigned bytes, {dimensions} dimensions)"),
        ));
    }
    if header.len() < header_len {
        return Err(DataError::format(
            path,
            "length",
            header.len(),
            format!("a header of {header_len} bytes"),
        ));
    }
    let claimed: Vec<usize> = header[4..]
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
        .collect();
    if claimed[1..] != *extents {
        return Err(DataError::format(
            path,
            "extent of a record",
            format!("{:?}", &claimed[1..]),
            format!("{extents:?}"),
        ));
    }
    let count = claimed[0];
    if !(1..=MOST_IMAGES).contains(&count) {
        return Err(DataError::format(
            path,
            "number of records",
            count,
            format!("1 to {MOST_IMAGES}"),
        ));
    }
    let record: usize = extents.iter().product();
    let wanted = limit.unwrap_or(count).min(count) * record;
    let mut bytes = Vec::new();
    let there = file.append(wanted, &mut bytes)?;
    // A file that is too long is noticed when everything is read.
    let longer = wanted == count * record && !file.at_end()?;
    if there != wanted || longer {
        let found = if longer { format!("over {wanted} bytes") } else { format!("{there} bytes") };
        return Err(DataError::format(
            path,
            "data after the header",
            found,
            format!("{wanted} bytes"),
        ));
    }
    Ok((count, bytes))
}
