//! How large errors may be, derived.
//!
//! An error polynomial with independent coefficients of variance `v` has slots `sum_k e_k zeta^..`: complex numbers,
//! close to Gaussian, with mean square `V = N v`. `P(|slot| > t sqrt(V)) = exp(-t^2)`: `t = 6` leaves `2e-16`, times
//! the slots of all tests still less than one false alarm in a thousand million runs (it is 8.5 deviations of a real part).
//! A product of two such polynomials, neither of which is known, has slots that are products; then
//! `P(|x y| > t sqrt(V_x V_y))` is about `sqrt(pi t) exp(-2 t)`, and `t = 18` gives the same confidence.
//!
//! With `sigma = 3.19`, a uniform ternary secret `s` (variance 2/3) and `S` the largest `|s_j|^2` over its slots,
//! which a test may look up:
//!
//! | error | polynomial | mean square of a slot |
//! | --- | --- | --- |
//! | encoding | rounding, variance 1/12 | `N / 12` |
//! | secret-key encryption | `e` | `N sigma^2` |
//! | public-key encryption | `e u + e_0 + e_1 s` | `N sigma^2 (2N/3 + 1 + S)`, the first a product |
//! | rescale, mod-down | `r_0 + r_1 s`, roundings | `N (1 + S) / 12` |
//! | key switch, before its mod-down | `sum_d digit_d e_d / P`, `digit_d` uniform below `D_d` | `N^2 sigma^2 sum_d D_d^2 / (12 P^2)`, a product |
//!
//! Bounds of independent parts are added, not their squares: a little too large, never too small.

use engine::params::Parameters;
use engine::sampling::SIGMA;

/// Deviations of a slot that a bound allows.
const SINGLE: f64 = 6.0;
/// The same for a slot that is a product of two unknown ones.
const PRODUCT: f64 = 18.0;

/// Bounds and deviations of the errors in slots, in units of a ciphertext's integers.
pub struct Noise {
    n: f64,
    largest_secret: f64,
    /// `sqrt(sum_d D_d^2) / P` for each level.
    digits: Vec<f64>,
}

impl Noise {
    pub fn new(params: &Parameters, largest_secret: f64) -> Self {
        let log = |primes: &[u64]| primes.iter().map(|&p| (p as f64).log2()).sum::<f64>();
        let (q, log_p) = (params.q(), log(&params.p()));
        let digits = (0..=params.max_level())
            .map(|level| {
                let ranges = params.digits(level).into_iter();
                ranges.map(|d| (2.0 * (log(&q[d]) - log_p)).exp2()).sum::<f64>().sqrt()
            })
            .collect();
        Self { n: params.n() as f64, largest_secret, digits }
    }

    /// Root of the mean square after encoding.
    pub fn encoding_deviation(&self) -> f64 {
        (self.n / 12.0).sqrt()
    }

    /// Root of the mean square after encryption under the secret key.
    pub fn secret_deviation(&self) -> f64 {
        SIGMA * self.n.sqrt()
    }

    /// Root of the mean square after encryption under the public key.
    pub fn public_deviation(&self) -> f64 {
        SIGMA * (self.n * (4.0 * self.n / 3.0 + 1.0)).sqrt()
    }

    /// Root of the mean square after a rescale or mod-down.
    pub fn rounding_deviation(&self) -> f64 {
        (self.n / 12.0 * (1.0 + 2.0 * self.n / 3.0)).sqrt()
    }

    /// Root of the mean square of a key switch before the mod-down, divided by P.
    pub fn switching_deviation(&self, level: usize) -> f64 {
        self.n * SIGMA / 12_f64.sqrt() * self.digits[level]
    }

    pub fn encoding(&self) -> f64 {
        SINGLE * self.encoding_deviation()
    }

    /// Encoding and encryption under the secret key.
    pub fn fresh(&self) -> f64 {
        self.encoding() + SINGLE * self.secret_deviation()
    }

    /// Encoding and encryption under the public key.
    pub fn fresh_public(&self) -> f64 {
        let product = PRODUCT * SIGMA * (self.n * 2.0 * self.n / 3.0).sqrt();
        let rest = SINGLE * self.secret_deviation() * (1.0 + self.largest_secret).sqrt();
        self.encoding() + product + rest
    }

    pub fn rounding(&self) -> f64 {
        SINGLE * (self.n / 12.0 * (1.0 + self.largest_secret)).sqrt()
    }

    /// A key switch before its mod-down, divided by P.
    pub fn switching(&self, level: usize) -> f64 {
        PRODUCT * self.switching_deviation(level)
    }

    /// A rotation: key switch and mod-down.
    pub fn rotation(&self, level: usize) -> f64 {
        self.switching(level) + self.rounding()
    }

    /// A product of values of magnitude below 1 with these scales and errors, without relinearisation.
    pub fn product(&self, scales: [f64; 2], errors: [f64; 2]) -> f64 {
        scales[0] * errors[1] + scales[1] * errors[0] + errors[0] * errors[1]
    }
}
