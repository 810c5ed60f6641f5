//! How precise a network's results will be, by simulated noise.

use rayon::prelude::*;

use super::clear::run_all_noisy;
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
pub(super) const SHARE: f64 = 0.25;

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
    let simulated = simulate(lowered, model, images, exact, seed)?;
    let least = |results: &Vec<Vec<f64>>| {
        let each = results.iter().zip(exact).map(|(results, exact)| Precision::of(results, exact));
        each.fold(Precision::EXACT, Precision::least)
    };
    let worst: Vec<Precision> = simulated.iter().map(least).collect();
    Ok(Precision::quantile(&worst, SHARE).unwrap_or(Precision::EXACT))
}

/// Results with noise: of every simulation, of every image. See [`predict_precision`].
pub(super) fn simulate(
    lowered: &Lowered,
    model: &NoiseModel,
    images: &[Vec<f64>],
    exact: &[Vec<f64>],
    seed: u64,
) -> Result<Vec<Vec<Vec<f64>>>> {
    if images.len() != exact.len() {
        return Err(Error::argument("number of exact results", exact.len(), images.len()));
    }
    let slots = lowered.encode_groups(images)?;
    let errors: usize = exact.iter().map(Vec::len).sum();
    let runs = ERRORS.div_ceil(errors.max(1)).clamp(RUNS[0], RUNS[1]) as u64;
    let simulated = |(k, slots): (u64, &Vec<Vec<f64>>)| {
        let seeds: Vec<u64> = (0..runs).map(|run| seed.wrapping_add(runs * k + run)).collect();
        run_all_noisy(&lowered.program, slots, model, &seeds)
    };
    let numbered: Vec<_> = (0..).zip(&slots).collect();
    let of_groups = numbered.into_par_iter().map(simulated).collect::<Result<Vec<_>>>()?;
    let run = |run: usize| {
        let each = of_groups.iter().zip(images.chunks(lowered.images));
        let each = each.map(|(of, some)| lowered.decode_images(&of[run], some.len()));
        Ok(each.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    (0..runs as usize).map(run).collect()
}
