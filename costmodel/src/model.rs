//! Predictions.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::error::{Error, Result};
use crate::fit::{Fit, Spread};
use crate::machine::Caches;
use crate::operation::{Client, Operation, Residency};
use crate::primitive::{Primitive, Setting};
use crate::profile::Profile;
use crate::work::{Class, Feature, Work};

/// Share of measurements that an interval is meant to cover.
pub const COVERAGE: f64 = 0.9;

/// Deviation added for each doubling of the ring degree beyond those measured.
const PER_RING_STEP: f64 = 0.10;

/// Deviation added for each doubling of the thread count beyond those measured.
const PER_THREAD_STEP: f64 = 0.15;

/// Smallest relative deviation claimed.
const MIN_DEVIATION: f64 = 0.01;

/// Points from which on Student's distribution is taken to be as it is with so many: it is the normal one but for a
/// thousandth, and its quantiles take the longer to compute the more there are.
const MANY: usize = 1000;

/// A predicted time.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Expected median, in milliseconds.
    pub median_ms: f64,
    /// Lower end of the interval, in milliseconds.
    pub low_ms: f64,
    /// Upper end of the interval, in milliseconds.
    pub high_ms: f64,
    /// What it is made of, in milliseconds, largest first; zeros are left out.
    pub terms: Vec<(&'static str, f64)>,
}

/// Unit costs of one machine, for any thread count.
#[derive(Debug, Clone)]
pub struct CostModel {
    caches: Caches,
    /// By thread count, not empty.
    fits: Vec<Unit>,
}

/// A fit, ready for use.
#[derive(Debug, Clone)]
struct Unit {
    fit: Fit,
    costs: [f64; Feature::COUNT],
}

impl CostModel {
    /// The model of a profile.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when the profile has no fit.
    pub fn from_profile(profile: &Profile) -> Result<Self> {
        Self::from_fits(&profile.fits, &profile.machine.caches)
    }

    /// The model of some fits.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when there are none.
    pub fn from_fits(fits: &[Fit], caches: &Caches) -> Result<Self> {
        let mut fits: Vec<Unit> =
            fits.iter().map(|f| Unit { fit: f.clone(), costs: f.vector() }).collect();
        fits.sort_by_key(|unit| unit.fit.threads);
        if fits.is_empty() {
            return Err(Error::Inconsistent("no fit to predict from".into()));
        }
        Ok(Self { caches: *caches, fits })
    }

    /// Thread counts that were measured.
    pub fn thread_counts(&self) -> Vec<usize> {
        self.fits.iter().map(|unit| unit.fit.threads).collect()
    }

    /// Time of an instruction within a program, see [`Primitive::residency`].
    pub fn predict(&self, primitive: &Primitive, setting: &Setting) -> Prediction {
        self.predict_operation(&(*primitive).into(), setting, primitive.residency())
    }

    /// Time to encode one plaintext, with limbs for the special primes if `extended`.
    pub fn predict_encode(&self, setting: &Setting, extended: bool) -> Prediction {
        self.predict_operation(&Client::Encode { extended }.into(), setting, Residency::Warm)
    }

    /// Time to encrypt one encoded plaintext under the public key.
    pub fn predict_encrypt(&self, setting: &Setting) -> Prediction {
        self.predict_operation(&Client::Encrypt.into(), setting, Residency::Warm)
    }

    /// Time to decrypt one ciphertext, without decoding it.
    pub fn predict_decrypt(&self, setting: &Setting) -> Prediction {
        self.predict_operation(&Client::Decrypt.into(), setting, Residency::Warm)
    }

    /// Time to decode one decrypted plaintext.
    pub fn predict_decode(&self, setting: &Setting) -> Prediction {
        self.predict_operation(&Client::Decode.into(), setting, Residency::Warm)
    }

    /// Time of anything, with keys and plaintexts in memory or in the caches.
    pub fn predict_operation(
        &self,
        operation: &Operation,
        setting: &Setting,
        residency: Residency,
    ) -> Prediction {
        let (costs, l3_bytes) = self.costs(setting.threads);
        self.price(operation, setting, residency, &costs, l3_bytes)
    }

    /// Time of anything on one of `at_once` threads that do the like at the same time, each by itself: its setting has one
    /// thread.
    ///
    /// A core is as fast as it was with so many threads at work; each has its share of the last-level cache; and what all read
    /// from memory goes through one bandwidth, which was measured with so many, so that each waits for the bytes of all.
    /// Nobody waits for other threads. Two threads that each read what one alone reads in 1 ms, at 1.5 times the bandwidth of
    /// one, take `2 / 1.5 = 1.33` ms.
    pub fn predict_at_once(
        &self,
        operation: &Operation,
        setting: &Setting,
        residency: Residency,
        at_once: usize,
    ) -> Prediction {
        let at_once = at_once.max(1);
        let (alone, _) = self.costs(1);
        let (together, l3_bytes) = self.costs(at_once);
        let costs = std::array::from_fn(|i| match Feature::ALL[i] {
            Feature::Phases | Feature::Tasks => alone[i],
            f if f.class() == Class::Bandwidth => at_once as f64 * together[i],
            _ => together[i],
        });
        let share = (l3_bytes / at_once as u64).max(self.caches.l2_bytes);
        self.price(operation, &Setting { threads: 1, ..*setting }, residency, &costs, share)
    }

    /// Time of anything at some unit costs, with so much of the last-level cache.
    fn price(
        &self,
        operation: &Operation,
        setting: &Setting,
        residency: Residency,
        costs: &[f64; Feature::COUNT],
        l3_bytes: u64,
    ) -> Prediction {
        let caches = Caches { l3_bytes, ..self.caches };
        // A machine that was calibrated reading masks is taken to read them.
        let keys = if self.makes_masks() { setting.keys } else { setting.keys.stored() };
        let work = Work::count(operation, &Setting { keys, ..*setting }, &caches, residency);
        let mut terms: Vec<(&'static str, f64)> = Feature::ALL
            .into_iter()
            .map(|f| (f.label(), work.get(f) * costs[f.index()] / 1e6))
            .filter(|&(_, ms)| ms > 0.0)
            .collect();
        terms.sort_by(|a, b| b.1.total_cmp(&a.1));
        let median_ms: f64 = terms.iter().map(|(_, ms)| ms).sum();
        let factor = self.interval_factor(operation.family(), setting);
        Prediction { median_ms, low_ms: median_ms / factor, high_ms: median_ms * factor, terms }
    }

    /// Whether the machine made masks of keys when it was calibrated.
    fn makes_masks(&self) -> bool {
        let name = Feature::MaskWords.unit_name();
        self.fits.iter().any(|unit| unit.fit.unit_costs.contains_key(name))
    }

    /// Unit costs for a thread count, and the size of the last-level cache.
    ///
    /// Between measured counts, a core's unit costs are interpolated linearly, and of bandwidths the inverse is: the
    /// bandwidth itself grows linearly. Beyond the largest count measured, a core is as fast as there (its share of the
    /// work still shrinks with the number of threads), and the shared bandwidth does not grow any more.
    fn costs(&self, threads: usize) -> ([f64; Feature::COUNT], u64) {
        let after = self.fits.partition_point(|unit| unit.fit.threads < threads);
        let above = &self.fits[after.min(self.fits.len() - 1)];
        let below = &self.fits[after.saturating_sub(1).min(self.fits.len() - 1)];
        let (low, high) = (below.fit.threads as f64, above.fit.threads as f64);
        if high <= low || above.fit.threads <= threads {
            return (above.costs, above.fit.last_level_bytes);
        }
        let share = (threads as f64 - low) / (high - low);
        let costs = std::array::from_fn(|i| {
            let (a, b) = (below.costs[i], above.costs[i]);
            match Feature::ALL[i].class() {
                Class::Bandwidth if a > 0.0 && b > 0.0 => 1.0 / ((1.0 - share) / a + share / b),
                _ => (1.0 - share) * a + share * b,
            }
        });
        (costs, above.fit.last_level_bytes)
    }

    /// Ratio of an interval's upper end to the prediction: Student's t for the residuals of the operation's family, wider
    /// beyond what was measured.
    fn interval_factor(&self, family: &str, setting: &Setting) -> f64 {
        let threads = setting.threads.max(1);
        let nearest = self.fits.iter().min_by_key(|unit| unit.fit.threads.abs_diff(threads));
        let Some(Unit { fit, .. }) = nearest else { return f64::INFINITY };
        let widest = || {
            let all = fit.families.values().copied();
            all.max_by(|a, b| a.relative_deviation.total_cmp(&b.relative_deviation))
        };
        let spread = fit.families.get(family).copied().filter(|s| s.points >= 3).or_else(widest);
        let spread = spread.unwrap_or(Spread { points: 2, relative_deviation: 0.3 });
        let ring = fit.min_log_n.saturating_sub(setting.log_n)
            + setting.log_n.saturating_sub(fit.max_log_n);
        let beyond = self
            .fits
            .last()
            .map_or(0.0, |last| (threads as f64 / last.fit.threads as f64).log2().max(0.0));
        let deviation = [
            spread.relative_deviation.max(MIN_DEVIATION),
            PER_RING_STEP * f64::from(ring),
            PER_THREAD_STEP * beyond,
        ];
        let deviation = deviation.iter().map(|d| d * d).sum::<f64>().sqrt();
        let points = spread.points.clamp(2, MANY) as f64;
        let quantile = StudentsT::new(0.0, 1.0, points - 1.0)
            .map_or(2.0, |t| t.inverse_cdf(0.5 + COVERAGE / 2.0));
        (quantile * deviation * (1.0 + 1.0 / points).sqrt()).exp()
    }
}

#[cfg(test)]
mod tests;
