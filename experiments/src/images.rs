//! The images of a run: from a data set, or made up.

use std::path::Path;

use anyhow::Result;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::network::Network;

use crate::data::{self, Images, Split};
use crate::sample;

/// The first `count` test images of the data set in `folder`; without a folder, generated digits where the network
/// takes those, and unlabelled smooth noise where it does not.
pub fn load(network: &Network, folder: Option<&Path>, count: usize, seed: u64) -> Result<Images> {
    let shape = (network.input.channels, network.input.height, network.input.width);
    match folder {
        Some(folder) => Ok(data::load(folder, shape, Split::Test, Some(count))?),
        None if shape == (1, 28, 28) => Ok(sample::digits(count, seed)),
        None => Ok(noise(shape, count, seed)),
    }
}

/// Images without meaning, for networks that no data set is known for: each pixel is random.
fn noise(shape: (usize, usize, usize), count: usize, seed: u64) -> Images {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let pixels = (0..count * shape.0 * shape.1 * shape.2).map(|_| rng.random()).collect();
    Images { source: format!("random pixels, seed {seed}"), shape, pixels, labels: None }
}
