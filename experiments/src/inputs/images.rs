//! The images of a run: from a data set, or made up one by one as they are asked for.

use std::path::Path;

use anyhow::Result;
use simulator::network::{Network, Shape};

use crate::inputs::data::{self, Images, Split};
use crate::inputs::sample;

/// Images to run on.
#[derive(Debug, Clone)]
pub enum Pictures {
    /// In memory.
    Stored(Images),
    /// Digits of a generator. A million of them take no more memory than one.
    Digits {
        /// How many.
        count: usize,
        /// Seed of the generator.
        seed: u64,
    },
    /// Clouds of a generator, without labels.
    Clouds {
        /// Channels, rows, columns.
        shape: (usize, usize, usize),
        /// How many.
        count: usize,
        /// Seed of the generator.
        seed: u64,
    },
}

/// The first `count` test images of the data set in `folder`; without a folder, generated digits where the network
/// takes those, and unlabelled clouds where it does not.
///
/// # Errors
/// Those of [`data::load`].
pub fn load(network: &Network, folder: Option<&Path>, count: usize, seed: u64) -> Result<Pictures> {
    load_shape(network.input, folder, count, seed)
}

/// The same for images of a shape.
///
/// # Errors
/// The same.
pub fn load_shape(
    shape: Shape,
    folder: Option<&Path>,
    count: usize,
    seed: u64,
) -> Result<Pictures> {
    let shape = (shape.channels, shape.height, shape.width);
    Ok(match folder {
        Some(folder) => Pictures::Stored(data::load(folder, shape, Split::Test, Some(count))?),
        None if shape == sample::DIGITS => Pictures::Digits { count, seed },
        None => Pictures::Clouds { shape, count, seed },
    })
}

impl Pictures {
    /// Number of images.
    pub fn len(&self) -> usize {
        match self {
            Self::Stored(images) => images.len(),
            Self::Digits { count, .. } | Self::Clouds { count, .. } => *count,
        }
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, rows, columns.
    pub fn shape(&self) -> (usize, usize, usize) {
        match self {
            Self::Stored(images) => images.shape,
            Self::Digits { .. } => sample::DIGITS,
            Self::Clouds { shape, .. } => *shape,
        }
    }

    /// Where they come from, for reports.
    pub fn source(&self) -> String {
        match self {
            Self::Stored(images) => images.source.clone(),
            Self::Digits { seed, .. } => sample::digits(0, *seed).source,
            Self::Clouds { shape, seed, .. } => sample::clouds(*shape, 0, *seed).source,
        }
    }

    /// Image number `k` as `[channel][row][column]` with values from 0 to 1; none beyond the end.
    pub fn image(&self, k: usize) -> Option<Vec<f64>> {
        match self {
            Self::Stored(images) => images.image(k),
            _ if k >= self.len() => None,
            Self::Digits { seed, .. } => Some(data::values(&sample::digit(*seed, k))),
            Self::Clouds { shape, seed, .. } => {
                Some(data::values(&sample::cloud(*shape, *seed, k)))
            }
        }
    }

    /// The images with these numbers, as far as there are any, as [`Self::image`] gives them.
    pub fn range(&self, numbers: std::ops::Range<usize>) -> Vec<Vec<f64>> {
        (numbers.start..numbers.end.min(self.len())).filter_map(|k| self.image(k)).collect()
    }

    /// The first `most` images (all, if there are fewer) as the network reads them: `[channel][row][column]`, normalised.
    ///
    /// # Errors
    /// For images of another shape than the network's.
    pub fn normalised(&self, network: &Network, most: usize) -> Result<Vec<Vec<f64>>> {
        let first = self.range(0..most);
        Ok(first.iter().map(|image| network.normalise(image)).collect::<simulator::Result<_>>()?)
    }

    /// Whether labels are known.
    pub fn labelled(&self) -> bool {
        match self {
            Self::Stored(images) => images.labels.is_some(),
            Self::Digits { .. } => true,
            Self::Clouds { .. } => false,
        }
    }

    /// Label of image number `k`, where it is known.
    pub fn label(&self, k: usize) -> Option<usize> {
        match self {
            Self::Stored(images) => images.label(k),
            Self::Digits { .. } => Some(usize::from(sample::digit_label(k))),
            Self::Clouds { .. } => None,
        }
    }

    /// Labels of the first `count` images, where they are known.
    pub fn labels(&self, count: usize) -> Option<Vec<u8>> {
        match self {
            Self::Stored(images) => images.labels.as_ref().map(|l| l[..count.min(l.len())].into()),
            Self::Digits { .. } => Some((0..count).map(sample::digit_label).collect()),
            Self::Clouds { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_images_are_those_made_together() {
        for (made, together) in [
            (Pictures::Digits { count: 12, seed: 3 }, sample::digits(12, 3)),
            (
                Pictures::Clouds { shape: (2, 5, 9), count: 12, seed: 3 },
                sample::clouds((2, 5, 9), 12, 3),
            ),
        ] {
            let stored = Pictures::Stored(together);
            assert_eq!((made.len(), made.source()), (stored.len(), stored.source()));
            assert_eq!(made.shape(), stored.shape());
            assert_eq!(made.labelled(), stored.labelled());
            assert_eq!(made.labels(5), stored.labels(5));
            for k in [0, 7, 11, 12] {
                assert_eq!(made.image(k), stored.image(k));
            }
            assert_eq!(made.label(7), stored.label(7));
        }
    }

    #[test]
    fn many_images_are_made_one_by_one() {
        // All at once they would be most of a terabyte.
        let images = Pictures::Digits { count: 1 << 30, seed: 1 };
        assert_eq!(images.image(7), sample::digits(8, 1).image(7));
        assert_eq!(images.label((1 << 30) - 1), Some(3));
        assert!(images.image((1 << 30) - 1).is_some() && images.image(1 << 30).is_none());
    }
}
