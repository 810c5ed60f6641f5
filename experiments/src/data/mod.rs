//! Image data sets that a user keeps in a folder: MNIST (IDX) and CIFAR-10 (binary records), plain or compressed.
//!
//! Headers and lengths are checked before memory is taken, and no more is decompressed than the images asked for.

mod cifar;
mod error;
mod files;
mod mnist;

use std::path::Path;

pub use error::DataError;

/// Which of the two sets of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Training images.
    Train,
    /// Test images.
    Test,
}

/// Images of one shape, 8 bits a value, with labels where they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Where they come from, for reports.
    pub source: String,
    /// Channels, rows, columns.
    pub shape: (usize, usize, usize),
    /// Values, `[image][channel][row][column]`.
    pub pixels: Vec<u8>,
    /// One label per image, or none at all.
    pub labels: Option<Vec<u8>>,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.pixels.len().checked_div(self.image_len()).unwrap_or(0)
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Image number `k` as `[channel][row][column]` with values from 0 to 1; none beyond the end.
    pub fn image(&self, k: usize) -> Option<Vec<f64>> {
        let length = self.image_len();
        let from = k.checked_mul(length)?;
        let bytes = self.pixels.get(from..from + length)?;
        Some(values(bytes))
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

/// The first `limit` images (all, if none) of the data set in `folder` whose images have `shape`
/// (channels, rows, columns). Files are looked for in the folder itself, in `mnist` and in `cifar10`.
pub fn load(
    folder: &Path,
    shape: (usize, usize, usize),
    split: Split,
    limit: Option<usize>,
) -> Result<Images, DataError> {
    if !folder.is_dir() {
        return Err(DataError::NoFolder { folder: folder.to_owned() });
    }
    match shape {
        mnist::SHAPE => mnist::load(folder, split, limit),
        cifar::SHAPE => cifar::load(folder, split, limit),
        _ => Err(DataError::Shape { channels: shape.0, height: shape.1, width: shape.2 }),
    }
}

#[cfg(test)]
mod tests;
