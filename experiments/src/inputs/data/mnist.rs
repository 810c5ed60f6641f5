//! MNIST in IDX files.

use std::path::Path;

use super::{DataError, Images, Split, array, files, idx};

/// Channels, rows, columns.
pub const SHAPE: (usize, usize, usize) = (1, 28, 28);

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
    let pixels = idx::read(&images, Some(&[28, 28]), limit)?;
    let classes = idx::read(&labels, Some(&[]), None)?;
    if pixels.shape[0] != classes.shape[0] {
        let expected = format!("{}, one per image", pixels.shape[0]);
        return Err(DataError::format(&labels, "number of labels", classes.shape[0], expected));
    }
    let found = array::images(&images, pixels, Some(classes), SHAPE, limit)?;
    if let Some(bad) = found.labels.iter().flatten().find(|l| **l > 9) {
        return Err(DataError::format(&labels, "a label", bad, "a digit from 0 to 9"));
    }
    Ok(found)
}
