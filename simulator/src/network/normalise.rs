//! What is done to an image before a network sees it.

use super::Shape;
use crate::{Error, Result};

/// How raw images are normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    /// Shape of an image.
    pub shape: Shape,
    /// Mean of each channel.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, positive.
    pub std: Vec<f64>,
    /// Largest contrast, see [`super::Network::contrast`].
    pub contrast: Option<f64>,
}

impl Normalisation {
    /// Checks that there is an image, a finite mean and a positive standard deviation for each channel, and that a largest
    /// contrast is positive.
    ///
    /// # Errors
    /// [`Error::Argument`] for the first that is not so.
    pub fn check(&self) -> Result<()> {
        let Self { shape, mean, std, contrast } = self;
        for (what, list) in [("number of means", mean), ("number of standard deviations", std)] {
            if list.len() != shape.channels {
                return Err(Error::argument(what, list.len(), shape.channels));
            }
        }
        if shape.is_empty() {
            return Err(Error::argument("shape of an image", shape, "at least one value"));
        }
        if let Some(bad) = mean.iter().find(|v| !v.is_finite()) {
            return Err(Error::argument("a mean", bad, "a finite number"));
        }
        let positive = |v: &f64| v.is_finite() && *v > 0.0;
        if let Some(bad) = std.iter().find(|v| !positive(v)) {
            return Err(Error::argument("a standard deviation", bad, "a positive number"));
        }
        match contrast {
            Some(bad) if !positive(bad) => {
                Err(Error::argument("the largest contrast", bad, "a positive number"))
            }
            _ => Ok(()),
        }
    }

    /// The most that pixels from 0 to 1 become in absolute value; none where nothing is done to them, so that they may have
    /// been normalised before.
    pub fn largest(&self) -> Option<f64> {
        let channels = self.mean.iter().zip(&self.std);
        let of = |(mean, std): (&f64, &f64)| mean.abs().max((1.0 - mean).abs()) / std;
        let untouched = self.mean.iter().all(|m| *m == 0.0) && self.std.iter().all(|s| *s == 1.0);
        (!untouched).then(|| channels.map(of).fold(0.0, f64::max))
    }

    /// A raw image (`[channel][row][column]`, 0 to 1) normalised: first its contrast is limited, then mean and standard
    /// deviation are applied by channel.
    ///
    /// # Errors
    /// [`Error::Argument`] for an image of another length.
    pub fn apply(&self, raw: &[f64]) -> Result<Vec<f64>> {
        if raw.len() != self.shape.len() {
            return Err(Error::argument("length of an image", raw.len(), self.shape.len()));
        }
        let count = raw.len() as f64;
        let middle = raw.iter().sum::<f64>() / count;
        let factor = self.contrast.and_then(|limit| {
            let square = raw.iter().map(|v| (v - middle).powi(2)).sum::<f64>() / count;
            (square.sqrt() > limit).then(|| limit / square.sqrt())
        });
        let area = self.shape.area();
        Ok(raw
            .iter()
            .enumerate()
            .map(|(k, &v)| {
                let limited = factor.map_or(v, |f| middle + (v - middle) * f);
                (limited - self.mean[k / area]) / self.std[k / area]
            })
            .collect())
    }
}
