//! How precise a network's results will be, by simulated noise.

use rayon::prelude::*;

use super::clear::run_noisy;
use super::noise::NoiseModel;
use crate::lowering::Lowered;
use crate::precision::Precision;
use crate::{Error, Result};

/// Simulations of every image, at least and at most.
const RUNS: [usize; 2] = [5, 20];

/// Errors that all simulations are to give together: one of a network with a single result says little.
const ERRORS: usize = 40;

/// Of the simulations' precisions, the one predicted: three quarters of runs are to be that precise or more. The largest of a
/// few errors differs by some 0.4 bits from one key to the next, so few runs are a bit less precise.
const SHARE: f64 = 0.25;

/// The precision to expect of a lowered network's results on normalised images, over all of them, by simulations that each
/// have a secret and errors of their own. `exact` are the results of the images without noise.
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
    let slots = images.iter().map(|image| lowered.encode(image)).collect::<Result<Vec<_>>>()?;
    let errors: usize = exact.iter().map(Vec::len).sum();
    let runs = ERRORS.div_ceil(errors.max(1)).clamp(RUNS[0], RUNS[1]) as u64;
    let simulation = |run: u64| {
        let mut worst = Precision::EXACT;
        for (k, (slots, exact)) in (0..).zip(slots.iter().zip(exact)) {
            let seed = seed.wrapping_add(runs * k + run);
            let noisy = run_noisy(&lowered.program, slots, model, seed)?;
            worst = worst.least(Precision::of(&lowered.decode(&noisy)?, exact));
        }
        Ok(worst)
    };
    let worst = (0..runs).into_par_iter().map(simulation).collect::<Result<Vec<_>>>()?;
    Ok(Precision::quantile(&worst, SHARE).unwrap_or(Precision::EXACT))
}
