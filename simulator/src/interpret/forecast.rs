//! How precise a network's results will be, by simulated noise.

use super::clear::run_noisy;
use super::noise::NoiseModel;
use crate::lowering::Lowered;
use crate::precision::Precision;
use crate::{Error, Result};

/// Simulations of every image, an odd number. The largest of a few errors is uncertain by some half a bit, and so is what is
/// measured; the median of several is less so.
const RUNS: u64 = 3;

/// The precision to expect of a lowered network's results on normalised images, over all of them: in the median of some
/// simulations, each with a secret and errors of its own. `exact` are the results of the images without noise.
///
/// # Errors
/// [`Error::Argument`] for another number of exact results than images, images that do not fit, and a program without values.
pub fn predict_precision(
    lowered: &Lowered,
    model: &NoiseModel,
    images: &[Vec<f64>],
    exact: &[Vec<f64>],
    seed: u64,
) -> Result<Precision> {
    if images.len() != exact.len() {
        return Err(Error::argument("number of exact results", exact.len(), images.len()));
    }
    let mut worst = [Precision::EXACT; RUNS as usize];
    for (k, (image, exact)) in (0..).zip(images.iter().zip(exact)) {
        let slots = lowered.encode(image)?;
        for (run, worst) in (0..).zip(&mut worst) {
            let seed = seed.wrapping_add(RUNS * k + run);
            let noisy = run_noisy(&lowered.program, &slots, model, seed)?;
            *worst = worst.least(Precision::of(&lowered.decode(&noisy)?, exact));
        }
    }
    Ok(Precision::median(&worst).unwrap_or(Precision::EXACT))
}
