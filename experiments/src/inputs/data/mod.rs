//! Images that a user keeps: MNIST (IDX) and CIFAR-10 (binary records) under their usual names, plain or compressed, and
//! images of any shape as arrays (NumPy, safetensors, IDX) or PNG files.
//!
//! Headers and lengths are checked before memory is taken, and no more is decompressed than the images asked for.

mod array;
mod cifar;
mod error;
mod files;
mod idx;
mod mnist;
mod npy;
mod pictures;
mod tensors;

use std::path::{Path, PathBuf};

pub use error::DataError;

/// Which of the two sets of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Training images.
    Train,
    /// Test images.
    Test,
}

/// Values of images, `[image][channel][row][column]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// From 0 to 255, which stand for 0 to 1.
    Bytes(Vec<u8>),
    /// As they are to be normalised.
    Floats(Vec<f32>),
}

/// Images of one shape, with labels where they are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// Where they come from, for reports.
    pub source: String,
    /// Channels, rows, columns.
    pub shape: (usize, usize, usize),
    /// Values.
    pub pixels: Pixels,
    /// One label per image, or none at all.
    pub labels: Option<Vec<u8>>,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        let values = match &self.pixels {
            Pixels::Bytes(list) => list.len(),
            Pixels::Floats(list) => list.len(),
        };
        values.checked_div(self.image_len()).unwrap_or(0)
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Image number `k` as `[channel][row][column]`, bytes as values from 0 to 1; none beyond the end.
    pub fn image(&self, k: usize) -> Option<Vec<f64>> {
        let length = self.image_len();
        let from = k.checked_mul(length)?;
        match &self.pixels {
            Pixels::Bytes(list) => list.get(from..from + length).map(values),
            Pixels::Floats(list) => list
                .get(from..from + length)
                .map(|list| list.iter().copied().map(f64::from).collect()),
        }
    }

    /// Label of image number `k`, where it is known.
    pub fn label(&self, k: usize) -> Option<usize> {
        self.labels.as_ref()?.get(k).map(|l| usize::from(*l))
    }

    fn image_len(&self) -> usize {
        self.shape.0 * self.shape.1 * self.shape.2
    }
}

/// Values from 0 to 1 of pixels of 8 bits.
pub fn values(pixels: &[u8]) -> Vec<f64> {
    pixels.iter().map(|v| f64::from(*v) / 255.0).collect()
}

/// The first `limit` images (all, if none) of `place`, whose images have `shape` (channels, rows, columns): a file of
/// arrays, or a folder. In a folder, files of arrays are looked for first (`images` or `x_test` and `labels` or `y_test`), then
/// MNIST or CIFAR-10 where the shape is theirs (in the folder itself, in `mnist` and in `cifar10`), then PNG files.
///
/// # Errors
/// [`DataError`]: what was found, and what was expected.
pub fn load(
    place: &Path,
    shape: (usize, usize, usize),
    split: Split,
    limit: Option<usize>,
) -> Result<Images, DataError> {
    if place.is_file() {
        return load_file(place, None, shape, limit);
    }
    if !place.is_dir() {
        return Err(DataError::NoFolder { folder: place.to_owned() });
    }
    if let Some((images, labels)) = arrays(place) {
        return load_file(&images, labels.as_deref(), shape, limit);
    }
    let known = match shape {
        mnist::SHAPE => mnist::load(place, split, limit),
        cifar::SHAPE => cifar::load(place, split, limit),
        _ => Err(DataError::Shape { channels: shape.0, height: shape.1, width: shape.2 }),
    };
    match known {
        Err(DataError::NoFile { .. } | DataError::Shape { .. }) if pictures::are_in(place)? => {
            pictures::load(place, shape, limit)
        }
        known => known,
    }
}

/// Files of arrays in a folder: of images, and of labels if these are in another one.
fn arrays(folder: &Path) -> Option<(PathBuf, Option<PathBuf>)> {
    let find = |stems: &[&str], endings: &[&str]| {
        let names =
            stems.iter().flat_map(|stem| endings.iter().map(move |e| format!("{stem}.{e}")));
        names.map(|name| folder.join(name)).find(|path| path.is_file())
    };
    let together = find(&["images", "test", "data"], &["npz", "safetensors"]);
    if let Some(file) = together {
        return Some((file, None));
    }
    let images = find(&["images", "x_test", "x"], &["npy"])?;
    Some((images, find(&["labels", "y_test", "y"], &["npy"])))
}

/// The images of a file by its ending; what has no known one is IDX.
fn load_file(
    path: &Path,
    labels: Option<&Path>,
    shape: (usize, usize, usize),
    limit: Option<usize>,
) -> Result<Images, DataError> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("npy") => npy::load(path, labels, shape, limit),
        Some("npz") => npy::load_archive(path, shape, limit),
        Some("safetensors") => tensors::load(path, shape, limit),
        _ => array::images(path, idx::read(path, None, limit)?, None, shape, limit),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod formats;
