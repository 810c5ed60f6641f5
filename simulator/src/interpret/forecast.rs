//! How precise a network's results will be, by simulated noise.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
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
/// have a secret and errors of their own. `exact` are the results without noise, of those images and of any more that are to
/// be counted as well: each of these gets the errors of one simulated, at random. A single image with small results is less
/// precise than others, relative to them, and among many there is one.
///
/// # Errors
/// [`Error::Argument`] for fewer exact results than images, images that do not fit, and a program without values.
pub fn predict_precision(
    lowered: &Lowered,
    model: &NoiseModel,
    images: &[Vec<f64>],
    exact: &[Vec<f64>],
    seed: u64,
) -> Result<Precision> {
    let Some((own, more)) = exact.split_at_checked(images.len()) else {
        return Err(Error::argument("number of exact results", exact.len(), images.len()));
    };
    let simulated = simulate(lowered, model, images, own, seed)?;
    let worst = least_precise(&simulated, own, more, &mut ChaCha8Rng::seed_from_u64(seed));
    Ok(Precision::quantile(&worst, SHARE).unwrap_or(Precision::EXACT))
}

/// Of every simulation, the least precise of the images with exact results `own`, and of `more` with errors of any.
fn least_precise(
    simulated: &[Vec<Vec<f64>>],
    own: &[Vec<f64>],
    more: &[Vec<f64>],
    rng: &mut impl Rng,
) -> Vec<Precision> {
    let mut of_run = |run: &Vec<Vec<f64>>| {
        let each = run.iter().zip(own).map(|(results, exact)| Precision::of(results, exact));
        let least = each.fold(Precision::EXACT, Precision::least);
        if run.is_empty() {
            return least;
        }
        let of = |exact: &Vec<f64>| {
            let (of, image) =
                (rng.random_range(0..simulated.len()), rng.random_range(0..run.len()));
            let errors = simulated[of][image].iter().zip(&own[image]).map(|(result, e)| result - e);
            let results: Vec<f64> = exact.iter().zip(errors).map(|(e, error)| e + error).collect();
            Precision::of(&results, exact)
        };
        more.iter().map(of).fold(least, Precision::least)
    };
    simulated.iter().map(&mut of_run).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_were_not_simulated_have_the_errors_of_others() {
        // Two simulations of an image with two results.
        let own = [vec![8.0, -1.0]];
        let simulated = [vec![vec![8.125, -1.0]], vec![vec![8.0, -0.75]]];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let bits = |all: &[Precision]| all.iter().map(|p| p.relative_bits).collect::<Vec<_>>();
        assert_eq!(bits(&least_precise(&simulated, &own, &[], &mut rng)), [6.0, 5.0]);
        // An eighth or a quarter, of one; many have both.
        let small = [vec![0.5, -1.0]];
        for bits in bits(&least_precise(&simulated, &own, &small, &mut rng)) {
            assert!(bits == 3.0 || bits == 2.0, "{bits}");
        }
        let many = vec![vec![1.0, 0.0]; 40];
        assert_eq!(bits(&least_precise(&simulated, &own, &many, &mut rng)), [2.0, 2.0]);
        // Larger results change nothing.
        let large = vec![vec![64.0, 0.0]; 40];
        assert_eq!(bits(&least_precise(&simulated, &own, &large, &mut rng)), [6.0, 5.0]);
    }
}
