//! Results that others may see: how much noise they need, and what precision that leaves.
//!
//! A decrypted result has the noise of its ciphertext, and that depends on the secret key: whoever sees both can solve for it
//! (Li, Micciancio, EUROCRYPT 2021). A Gaussian added to the result hides it. For the notion of IND-CPA-D security with `s` bits of
//! statistical security beside the scheme's own computational ones, Li, Micciancio, Schultz and Sorrell (CRYPTO 2022) bound the
//! Kullback-Leibler divergence between a result with and without the ciphertext's noise. With
//!
//! `d = sqrt(12 q) 2^(s/2) t`
//!
//! where `q` results are shown, Gaussians of deviation `d` whose centres are `t` apart have the divergence `t^2 / (2 d^2)`, or
//! `2^-s / (24 q)`. The formula is the one that OpenFHE documents for its noise flooding; it leaves out a factor `sqrt(2 N)` of the
//! paper's second corollary, which that documentation takes for a mistake of the paper's.
//!
//! `t` is the length of the vector of errors in all numbers that are shown: here, the network's results. It is estimated by
//! simulations ([`super::predict_precision`]), not proven: the length expected, and, as errors have tails like `exp(-sqrt(2) |x|)`
//! (see the noise model), as many deviations of the largest of them as are exceeded with probability `2^-s`. The
//! simulations know the program and typical images. Who shows results of a ciphertext that came from somewhere else, or of images
//! made to overflow, has no such estimate, and no protection.
//!
//! Noise is added to coefficients. In any slots it is Gaussian too, and independent of that in all others: what is shown
//! must be the results, and nothing else that was decrypted.

use engine::sampling::WideGaussian;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::forecast::{SHARE, simulate};
use super::noise::NoiseModel;
use crate::lowering::Lowered;
use crate::precision::{Demand, Precision};
use crate::program::ValueInfo;
use crate::{Error, Result};

/// Most bits of statistical security that can be asked for.
const MOST_BITS: f64 = 128.0;
/// Most results that can be shown.
const MOST_QUERIES: u64 = 1 << 40;
/// Parts of a deviation to which shown results are rounded.
const ROUNDED_TO: f64 = 16.0;
/// Numbers drawn to know how large the largest of some Gaussian ones is.
const DRAWN: usize = 20_000;

/// How safe it is to be to show results.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sharing {
    /// Bits `s` of statistical security: from all results together, nobody gains more than about `2^-s`.
    pub statistical_bits: f64,
    /// Results that will ever be shown under one key; one is all numbers that an inference gives.
    pub queries: u64,
}

impl Default for Sharing {
    /// One result, and 30 bits: one in a billion.
    fn default() -> Self {
        Self { statistical_bits: 30.0, queries: 1 }
    }
}

/// Errors in the numbers that an inference gives, in units of these.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultErrors {
    /// How many numbers there are.
    pub count: usize,
    /// Root mean square of the length of the vector of all errors, of the image where it is largest.
    pub length: f64,
    /// The largest root mean square of the error of a single number.
    pub largest: f64,
    /// The largest absolute value of any of the numbers, of the image where it is smallest.
    pub size: f64,
}

/// Noise that lets results be shown, and what it leaves of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharedResults {
    /// Standard deviation of the noise in each number.
    pub deviation: f64,
    /// Precision without it.
    pub before: Precision,
    /// Precision with it: three of four results are so precise or more.
    pub precision: Precision,
}

/// Errors in the results of a lowered network, by simulations on normalised images; `exact` are the results without noise.
///
/// # Errors
/// Those of [`super::predict_precision`].
pub fn predict_errors(
    lowered: &Lowered,
    model: &NoiseModel,
    images: &[Vec<f64>],
    exact: &[Vec<f64>],
    seed: u64,
) -> Result<ResultErrors> {
    Ok(errors(&simulate(lowered, model, images, exact, seed)?, exact))
}

/// The same of results of every simulation, of every image.
fn errors(simulated: &[Vec<Vec<f64>>], exact: &[Vec<f64>]) -> ResultErrors {
    let runs = simulated.len().max(1) as f64;
    let mut squares: Vec<Vec<f64>> = exact.iter().map(|image| vec![0.0; image.len()]).collect();
    for run in simulated {
        for ((squares, results), exact) in squares.iter_mut().zip(run).zip(exact) {
            for ((square, result), exact) in squares.iter_mut().zip(results).zip(exact) {
                *square += (result - exact).powi(2) / runs;
            }
        }
    }
    let length = squares.iter().map(|image| image.iter().sum::<f64>().sqrt()).fold(0.0, f64::max);
    // Of one number over all images, as there are few simulations of each.
    let images = squares.len().max(1) as f64;
    let count = squares.iter().map(Vec::len).max().unwrap_or(0);
    let single = |j: usize| {
        let sum: f64 = squares.iter().filter_map(|image| image.get(j)).sum();
        (sum / images).sqrt()
    };
    let largest = (0..count).map(single).fold(0.0, f64::max);
    let sizes = exact.iter().map(|image| image.iter().fold(0.0f64, |m, v| v.abs().max(m)));
    ResultErrors { count, length, largest, size: sizes.fold(f64::INFINITY, f64::min) }
}

impl ResultErrors {
    /// The precision of results with Gaussian noise of a deviation beside their errors.
    fn precision(&self, deviation: f64) -> Precision {
        let own = self.length / (self.count.max(1) as f64).sqrt();
        let error = largest_of(self.count) * deviation.hypot(own);
        Precision {
            absolute_bits: Precision::of(&[error], &[0.0]).absolute_bits,
            relative_bits: Precision::of(&[self.size + error], &[self.size]).relative_bits,
        }
    }
}

/// What the largest size of so many Gaussian numbers of deviation 1 does not exceed in all but a share [`SHARE`] of cases.
fn largest_of(count: usize) -> f64 {
    let count = count.max(1);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut one =
        || (0..count).map(|_| rng.sample::<f64, _>(StandardNormal).abs()).fold(0.0, f64::max);
    let mut all: Vec<f64> = (0..DRAWN.div_ceil(count).max(200)).map(|_| one()).collect();
    all.sort_by(f64::total_cmp);
    all.get(((1.0 - SHARE) * all.len() as f64) as usize).copied().unwrap_or(0.0)
}

impl Sharing {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] for bits outside of 1 to 128, and for no result or more than `2^40`.
    pub fn check(&self) -> Result<()> {
        let (bits, queries) = (self.statistical_bits, self.queries);
        if !(1.0..=MOST_BITS).contains(&bits) {
            let expected = format!("1 to {MOST_BITS}");
            return Err(Error::argument("bits of statistical security", bits, expected));
        }
        if !(1..=MOST_QUERIES).contains(&queries) {
            let expected = format!("1 to {MOST_QUERIES}");
            return Err(Error::argument("number of results to be shown", queries, expected));
        }
        Ok(())
    }

    /// The standard deviation that noise in each number needs, in units of the numbers.
    pub fn deviation(&self, errors: &ResultErrors) -> f64 {
        let exceeded = self.statistical_bits * std::f64::consts::LN_2 / std::f64::consts::SQRT_2;
        let length = errors.length + exceeded * errors.largest;
        (12.0 * self.queries as f64).sqrt() * (self.statistical_bits / 2.0).exp2() * length
    }

    /// Noise for results with such errors, and what it leaves of their precision.
    ///
    /// # Errors
    /// Those of [`Self::check`]; [`Error::Argument`] where less precision would be left than is demanded, with what would do.
    pub fn share(&self, errors: &ResultErrors, demand: Demand) -> Result<SharedResults> {
        self.check()?;
        let deviation = self.deviation(errors);
        let (before, precision) = (errors.precision(0.0), errors.precision(deviation));
        if demand.is_met(&precision) {
            return Ok(SharedResults { deviation, before, precision });
        }
        let taken = demand.found(&before) - demand.found(&precision);
        let expected = format!(
            "at least {}: for {} bits of statistical security and {} results shown, noise takes {taken:.1} bits; ask for less, \
             or search with --min-precision {:.0}",
            demand.bits(),
            self.statistical_bits,
            self.queries,
            (demand.bits() + taken).ceil()
        );
        let found = format!("{:.1} bits {}", demand.found(&precision), demand.kind());
        Err(Error::argument("precision of results that may be shown", found, expected))
    }
}

impl SharedResults {
    /// The noise for a ciphertext of results, to be decrypted by [`engine::keys::SecretKey::decrypt_to_share`].
    ///
    /// # Errors
    /// The engine's, for results at a scale that no noise fits.
    pub fn noise(&self, info: &ValueInfo, slots: usize) -> Result<WideGaussian> {
        // A slot's real part has N / 2 times the variance of a coefficient, and N / 2 is the number of slots.
        Ok(WideGaussian::at_least(self.deviation * info.scale / (slots as f64).sqrt())?)
    }

    /// A number as it is to be shown: rounded to a sixteenth of the deviation or less, so that it tells nothing of how it was
    /// computed in double precision.
    pub fn rounded(&self, result: f64) -> f64 {
        let step = (self.deviation / ROUNDED_TO).log2().floor().exp2();
        if step > 0.0 && step.is_finite() {
            (result / step).round_ties_even() * step
        } else {
            result
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviation_by_hand() {
        // Two results with errors of 3 and 4 in every simulation.
        let simulated = vec![vec![vec![3.0, 4.0]]; 2];
        let found = errors(&simulated, &[vec![0.0, 8.0]]);
        assert_eq!(found, ResultErrors { count: 2, length: 5.0, largest: 4.0, size: 8.0 });
        let sharing = Sharing { statistical_bits: 2.0, queries: 3 };
        // sqrt(36) 2 (5 + 4 * 2 ln 2 / sqrt 2)
        let wanted = 12.0 * (5.0 + 8.0 * 2f64.ln() / 2f64.sqrt());
        assert!((sharing.deviation(&found) / wanted - 1.0).abs() < 1e-12);
        // Four times the results, or two bits, need twice as much but for the tail.
        let more = Sharing { queries: 12, ..sharing };
        assert!((more.deviation(&found) / wanted - 2.0).abs() < 1e-12);
        let divergence = found.length.powi(2) / (2.0 * sharing.deviation(&found).powi(2));
        assert!(divergence <= 2f64.powi(-2) / (24.0 * 3.0));
    }

    /// Of one Gaussian number, three quarters are below 1.1503; of `m`, its quantile of `0.75^(1/m)`.
    #[test]
    fn largest_of_some_gaussians() {
        for (count, wanted) in [(1, 1.1503), (10, 2.189), (100, 2.978)] {
            let found = largest_of(count);
            assert!((found / wanted - 1.0f64).abs() < 0.03, "{count}: {found}");
        }
        let errors = ResultErrors { count: 1, length: 3.0, largest: 3.0, size: 1024.0 };
        let precision = errors.precision(4.0);
        assert!((precision.absolute_bits + (1.15f64 * 5.0).log2()).abs() < 0.05, "{precision:?}");
        assert!((precision.relative_bits - precision.absolute_bits - 10.0).abs() < 1e-9);
    }

    #[test]
    fn shown_results_are_multiples_of_a_small_step() {
        let precision = Precision::EXACT;
        let shared = SharedResults { deviation: 0.02, before: precision, precision };
        // 0.02 / 16 = 1.28 * 2^-10
        assert_eq!(shared.rounded(1.2345), (1.2345f64 * 1024.0).round() / 1024.0);
        let none = SharedResults { deviation: 0.0, ..shared };
        assert_eq!(none.rounded(1.2345), 1.2345);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let sharing = Sharing::default();
        sharing.check().unwrap();
        for (bits, queries) in [(0.5, 1), (129.0, 1), (f64::NAN, 1), (30.0, 0), (30.0, 1 << 41)] {
            assert!(Sharing { statistical_bits: bits, queries }.check().is_err());
        }
    }
}
