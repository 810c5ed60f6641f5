//! The images of a run: from a data set, or made up.

use std::path::Path;

use anyhow::Result;
use simulator::network::Network;

use crate::data::{self, Images, Split};
use crate::sample;

/// The first `count` test images of the data set in `folder`; without a folder, generated digits where the network
/// takes those, and unlabelled clouds where it does not.
pub fn load(network: &Network, folder: Option<&Path>, count: usize, seed: u64) -> Result<Images> {
    let shape = (network.input.channels, network.input.height, network.input.width);
    match folder {
        Some(folder) => Ok(data::load(folder, shape, Split::Test, Some(count))?),
        None if shape == (1, 28, 28) => Ok(sample::digits(count, seed)),
        None => Ok(sample::clouds(shape, count, seed)),
    }
}
