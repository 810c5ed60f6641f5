//! How large the values of a folded network are, over a few images.

use serde::{Deserialize, Serialize};

use super::Folded;
use crate::{Error, Result};

/// Sizes of the values that one stage produces.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueSize {
    /// Root mean square.
    pub rms: f64,
    /// Largest magnitude.
    pub max: f64,
}

/// Sizes of all values of a network: the image's, then every stage's, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Of the normalised image.
    pub image: ValueSize,
    /// Of each stage's result.
    pub stages: Vec<ValueSize>,
}

impl Statistics {
    /// Measures over `images` (normalised, `[channel][row][column]`).
    ///
    /// # Errors
    /// [`Error::Argument`] without images or for one of a wrong size.
    pub fn measure(folded: &Folded, images: &[Vec<f64>]) -> Result<Self> {
        if images.is_empty() {
            return Err(Error::argument(
                "number of images to measure values with",
                0,
                "at least 1",
            ));
        }
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); folded.stages.len()];
        for image in images {
            for (all, result) in values.iter_mut().zip(folded.forward_all(image)?) {
                all.extend(result);
            }
        }
        Ok(Self { image: size(&images.concat()), stages: values.iter().map(|v| size(v)).collect() })
    }
}

fn size(values: &[f64]) -> ValueSize {
    let mean = values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64;
    ValueSize { rms: mean.sqrt(), max: values.iter().fold(0.0, |m, v| v.abs().max(m)) }
}
