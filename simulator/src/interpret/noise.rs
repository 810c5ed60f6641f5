//! Noise of the engine's operations, in slot units, and its simulation on plain slots.
//!
//! Slots are real parts. A polynomial error with independent coefficients of variance `v` shows in the real part of each slot
//! with variance `N v / 2`; the imaginary part, as large, never comes back in full: a program multiplies by real slots only.
//! - Fresh ciphertexts: one error of standard deviation [`SIGMA`], and the rounding of the encoding.
//! - Encodings: coefficients are rounded, of variance 1/12 each. Real slots are those of a polynomial that conjugation leaves
//!   as it is, and so is its rounding: no part is imaginary, and `m` coefficients give a slot `m / 12`. Slots of period `T` have
//!   `2T` coefficients, one of which is zero. The error is of the period of the slots; it multiplies the message of the
//!   ciphertext.
//! - Key switches: products of digits, uniform modulo the digit's size `Q_d` and centred, with key errors: a variance
//!   of `N sigma^2 Q_d^2 / 12` for each digit, divided by `P^2`. In a linear combination they come before its plaintexts,
//!   one for every rotated source.
//! - Divisions (mod-down, rescale, or both at once) round both parts to nearest: `(1 + |s_j|^2) N / 24` in slot `j`, where `s_j`
//!   is the secret's slot, the same in all divisions. The ternary secret has `|s_j|^2 = 2N / 3` in the mean, but it is
//!   distributed like an exponential: largest errors are well above those of a Gaussian of that size.
//!
//! Everything after an error (plaintexts, squares, sums) acts on it as on the message: it is in the slots from then on.

use engine::params::Parameters;
use engine::sampling::SIGMA;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};

use crate::chain::Chain;
use crate::program::{Facts, PlaintextId, PlaintextSpec, ValueId, ValueInfo};

/// Variance of what is rounded off to an integer.
const ROUNDED_OFF: f64 = 1.0 / 12.0;

/// Variance of a coefficient of a secret, uniform on -1, 0, 1.
const SECRET: f64 = 2.0 / 3.0;

/// Noise of a parameter set.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseModel {
    chain: Chain,
    /// Base-2 logarithm of the product of the special primes.
    log_p: f64,
}

impl NoiseModel {
    /// The model of a chain.
    pub fn new(chain: &Chain) -> Self {
        let log_p = chain.special_moduli.iter().map(|p| p.log2()).sum();
        Self { chain: chain.clone(), log_p }
    }

    fn n(&self) -> f64 {
        2.0 * self.chain.slots as f64
    }

    /// Variance of a slot's real part, from that of a polynomial's coefficients.
    fn slot(&self, coefficient: f64) -> f64 {
        self.n() / 2.0 * coefficient
    }

    /// Modulus of a ciphertext, in units of its values: what is half as large or more wraps.
    pub(crate) fn modulus(&self, info: &ValueInfo) -> f64 {
        self.chain.modulus_bits(info.level).exp2() / info.scale
    }

    /// Standard deviation of a fresh ciphertext, in slots.
    pub fn fresh(&self, info: &ValueInfo) -> f64 {
        let encoding = encoding(self.chain.slots, info.scale);
        (self.slot(SIGMA * SIGMA) / info.scale.powi(2) + encoding).sqrt()
    }

    /// Variance of a key switch of a value, before the division.
    pub(crate) fn switch(&self, info: &ValueInfo) -> f64 {
        let digits = self.chain.moduli[..=info.level].chunks(self.chain.alpha.max(1));
        let ratios = digits.map(|digit| {
            let log_size: f64 = digit.iter().map(|q| q.log2()).sum();
            (2.0 * (log_size - self.log_p)).exp2()
        });
        let coefficient = self.n() * SIGMA * SIGMA * ROUNDED_OFF * ratios.sum::<f64>();
        self.slot(coefficient) / info.scale.powi(2)
    }
}

impl From<&Parameters> for NoiseModel {
    fn from(params: &Parameters) -> Self {
        Self::new(&Chain::from(params))
    }
}

/// Variance of the rounding of an encoding, for slots of such a period.
fn encoding(period: usize, scale: f64) -> f64 {
    (2 * period).saturating_sub(1) as f64 * ROUNDED_OFF / scale.powi(2)
}

/// Noise for one run of a program: one secret, and errors that a seed determines.
pub(crate) struct Noise<'a> {
    pub(crate) model: &'a NoiseModel,
    seed: u64,
    /// Variance of a division's rounding in each slot, at scale 1.
    rounding: Vec<f64>,
}

/// What is drawn, each from a stream of its own.
enum Stream {
    Secret,
    Value(ValueId),
    Plaintext(PlaintextId),
}

impl<'a> Noise<'a> {
    /// Draws a secret.
    pub(crate) fn new(model: &'a NoiseModel, seed: u64) -> Self {
        let mut rng = stream(seed, Stream::Secret);
        let (rounded, secret) = (model.slot(ROUNDED_OFF), model.n() * SECRET);
        // The squared magnitude of a complex Gaussian is distributed exponentially.
        let spread = (&mut rng).sample_iter::<f64, _>(Exp1).take(model.chain.slots);
        let rounding = spread.map(|s| rounded * (1.0 + secret * s)).collect();
        Self { model, seed, rounding }
    }

    /// Disturbs an input.
    pub(crate) fn encrypt(&self, v: ValueId, info: &ValueInfo, slots: &mut [f64]) {
        let std = self.model.fresh(info);
        disturb(&mut stream(self.seed, Stream::Value(v)), slots, |_| std);
    }

    /// Encodes a plaintext: gives the variance of each slot by that; but disturbs the `slots`, whole periods, of one of a
    /// subring at once, and gives zero. There, slots that repeat have the same error, which may add up over all of them.
    pub(crate) fn encode(
        &self,
        (p, spec, subring): (PlaintextId, &PlaintextSpec, bool),
        slots: &mut [f64],
    ) -> f64 {
        let variance = encoding(spec.period, spec.scale);
        if !subring {
            return variance;
        }
        let std = variance.sqrt();
        let mut errors = vec![0.0; spec.period];
        disturb(&mut stream(self.seed, Stream::Plaintext(p)), &mut errors, |_| std);
        for slots in slots.chunks_mut(spec.period) {
            slots.iter_mut().zip(&errors).for_each(|(slot, error)| *slot += error);
        }
        0.0
    }

    /// Disturbs a result: by the variances given for each slot, and by the rounding if anything was divided.
    pub(crate) fn disturb(
        &self,
        facts: &Facts,
        (v, info): (ValueId, &ValueInfo),
        variance: impl Fn(usize) -> f64,
        slots: &mut [f64],
    ) {
        let divides = facts.decomposed > 0 || facts.rescale;
        let rounding = if divides { info.scale.powi(-2) } else { 0.0 };
        let mut rng = stream(self.seed, Stream::Value(v));
        disturb(&mut rng, slots, |j| (variance(j) + rounding * self.rounding[j]).sqrt());
    }
}

fn stream(seed: u64, what: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(match what {
        Stream::Secret => 0,
        Stream::Value(v) => 2 * v as u64 + 1,
        Stream::Plaintext(p) => 2 * p as u64 + 2,
    });
    rng
}

/// Adds Gaussian noise of a standard deviation for each slot.
fn disturb(rng: &mut ChaCha8Rng, slots: &mut [f64], std: impl Fn(usize) -> f64) {
    for (j, slot) in slots.iter_mut().enumerate() {
        let std = std(j);
        if std != 0.0 {
            let unit: f64 = rng.sample(StandardNormal);
            *slot += std * unit;
        }
    }
}
