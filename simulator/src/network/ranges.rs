//! How large the inputs of layers are, where the weights do not say.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Model, largest};
use crate::Result;

/// Seed of the image that is looked at.
const SEED: u64 = 1;

impl Model {
    /// The largest absolute value that each layer reads, over one raw image of random pixels that is always the same: a
    /// size to go by, no bound. Never zero.
    ///
    /// # Errors
    /// What [`super::Network::normalise`] says.
    pub fn ranges(&self) -> Result<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let raw: Vec<f64> = (0..self.network.input.len()).map(|_| rng.random()).collect();
        let image = self.network.normalise(&raw)?;
        let mut ranges = vec![1.0; self.network.layers.len()];
        self.forward_observed(&image, |k, input| {
            let found = largest(input);
            if found > 0.0 && found.is_finite() {
                ranges[k] = found;
            }
        })?;
        Ok(ranges)
    }
}
