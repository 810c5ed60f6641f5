//! What the tests of the whole engine share: parameter sets, keys, messages, and what noise to expect.

#![allow(dead_code)]

pub mod noise;

use std::sync::Arc;

use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::{Complex, Encoder};
use engine::eval::{Evaluator, PlaintextSource};
use engine::keys::{EvaluationKeys, KeySpec, PublicKey, SecretKey};
use engine::params::{Chain, Parameters, ParametersLiteral};

use noise::Noise;

/// Left rotations that every setup has keys for, besides 1 and the largest.
pub const SHIFTS: [usize; 4] = [2, 5, 17, 64];

/// A parameter set with all its keys.
pub struct Setup {
    pub name: &'static str,
    pub params: Parameters,
    pub encoder: Encoder,
    pub secret: SecretKey,
    pub public: PublicKey,
    pub evaluator: Evaluator,
    pub noise: Noise,
}

fn literal(
    log_n: u32,
    log_scale: f64,
    first: u32,
    scale: &[u32],
    special: &[u32],
    digit: usize,
) -> ParametersLiteral {
    ParametersLiteral {
        log_n,
        chain: Chain::Bits { first, scale: scale.to_vec(), special: special.to_vec() },
        log_scale,
        digit_limbs: digit,
        // Small rings are quick to test; their moduli are far too large for them.
        allow_insecure: true,
    }
}

/// Parameter sets of every shape: prime sizes, limbs a digit, special primes, incomplete last digits.
pub fn literals() -> Vec<(&'static str, ParametersLiteral)> {
    vec![
        ("30-bit primes, 1 limb a digit, 1 special", literal(11, 30.0, 36, &[30; 3], &[37], 1)),
        ("20-bit primes, 1 limb a digit, 1 special", literal(11, 20.0, 28, &[20; 4], &[30], 1)),
        ("20-bit primes, 2 limbs a digit, 1 special", literal(11, 20.0, 26, &[20; 3], &[48], 2)),
        (
            "46-bit primes, 2 limbs a digit, 2 special",
            literal(12, 40.0, 46, &[46; 4], &[47, 47], 2),
        ),
        (
            "30-bit primes, 3 limbs a digit, 2 special",
            literal(12, 30.0, 36, &[30; 4], &[50, 50], 3),
        ),
        ("50-bit primes, 3 limbs a digit, 3 special", literal(13, 46.0, 50, &[50; 6], &[50; 3], 3)),
        (
            "mixed primes, 1 limb a digit, 2 special",
            literal(12, 40.0, 50, &[40, 46, 43], &[50, 30], 1),
        ),
    ]
}

impl Setup {
    pub fn new(name: &'static str, literal: &ParametersLiteral) -> Self {
        let params = Parameters::new(literal).unwrap();
        let level = params.max_level();
        let secret = SecretKey::from_seed(&params, [42; 32]);
        let shifts = SHIFTS.into_iter().chain([1, params.slots() - 1]);
        let spec = KeySpec {
            relinearisation: Some(level),
            conjugation: Some(level),
            rotations: shifts.map(|shift| (shift, level)).collect(),
        };
        let keys = Arc::new(EvaluationKeys::generate(&secret, &spec).unwrap());
        let evaluator = Evaluator::new(&params, keys).unwrap();
        let encoder = Encoder::new(&params);
        let noise = Noise::new(&params, largest_slot_of_secret(&params, &encoder, &secret));
        Self {
            name,
            encoder,
            public: PublicKey::generate(&secret),
            secret,
            evaluator,
            noise,
            params,
        }
    }

    /// All of [`literals`].
    pub fn all() -> impl Iterator<Item = Self> {
        literals().into_iter().map(|(name, literal)| Self::new(name, &literal))
    }

    /// A plaintext of a message.
    pub fn encode(
        &self,
        message: &[Complex],
        level: usize,
        scale: f64,
        extended: bool,
    ) -> Plaintext {
        self.encoder.encode_complex(message, level, scale, extended).unwrap()
    }

    /// A fresh ciphertext under the secret key, at the nominal scale.
    pub fn encrypt(&self, message: &[Complex], level: usize) -> Ciphertext {
        let plaintext = self.encode(message, level, self.params.scale(), false);
        self.secret.encrypt(&plaintext).unwrap()
    }

    /// The message of a ciphertext.
    pub fn decrypt(&self, ciphertext: &Ciphertext) -> Vec<Complex> {
        self.encoder.decode_complex(&self.secret.decrypt(ciphertext).unwrap()).unwrap()
    }

    /// A message, the same for the same seed.
    pub fn message(&self, seed: u64) -> Vec<Complex> {
        message(self.params.slots(), seed)
    }

    /// The prime that a rescale from `level` divides by.
    pub fn prime(&self, level: usize) -> f64 {
        self.params.modulus(level).value() as f64
    }

    /// Asserts that a ciphertext holds `expected` up to `bound` (in units of the ciphertext's integers, not of the
    /// message), and the inaccuracy of double precision.
    pub fn assert_close(
        &self,
        what: &str,
        ciphertext: &Ciphertext,
        expected: &[Complex],
        bound: f64,
    ) {
        let error = distance(&self.decrypt(ciphertext), expected);
        let bound = bound / ciphertext.scale + 1e-13;
        let level = ciphertext.level();
        assert!(
            error < bound,
            "{}: {what} at level {level}: error 2^{:.2}, bound 2^{:.2}",
            self.name,
            error.log2(),
            bound.log2()
        );
    }
}

/// The largest squared magnitude of the slots of the secret: of what a ciphertext (0, 1) decrypts to.
fn largest_slot_of_secret(params: &Parameters, encoder: &Encoder, secret: &SecretKey) -> f64 {
    let mut one = Ciphertext::zero(params, 0, 1.0);
    one.c1.words_mut().fill(1);
    let slots = encoder.decode_complex(&secret.decrypt(&one).unwrap()).unwrap();
    slots.iter().map(|s| s.re * s.re + s.im * s.im).fold(0.0, f64::max)
}

/// Complex numbers of magnitude below 1.
pub fn message(count: usize, mut seed: u64) -> Vec<Complex> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0) * 0.7
    };
    (0..count).map(|_| Complex { re: next(), im: next() }).collect()
}

/// The largest distance between corresponding numbers.
pub fn distance(a: &[Complex], b: &[Complex]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a.re - b.re).hypot(a.im - b.im)).fold(0.0, f64::max)
}

/// The root of the mean squared distance.
pub fn deviation(a: &[Complex], b: &[Complex]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a.re - b.re).powi(2) + (a.im - b.im).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

pub fn zip(a: &[Complex], b: &[Complex], f: impl Fn(Complex, Complex) -> Complex) -> Vec<Complex> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

pub fn plus(a: &[Complex], b: &[Complex]) -> Vec<Complex> {
    zip(a, b, |a, b| Complex::new(a.re + b.re, a.im + b.im))
}

pub fn minus(a: &[Complex], b: &[Complex]) -> Vec<Complex> {
    zip(a, b, |a, b| Complex::new(a.re - b.re, a.im - b.im))
}

pub fn times(a: &[Complex], b: &[Complex]) -> Vec<Complex> {
    zip(a, b, |a, b| Complex::new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re))
}

pub fn conjugate(a: &[Complex]) -> Vec<Complex> {
    a.iter().map(|a| Complex::new(a.re, -a.im)).collect()
}

/// The slots rotated to the left.
pub fn rotated(a: &[Complex], shift: usize) -> Vec<Complex> {
    let mut a = a.to_vec();
    let length = a.len();
    a.rotate_left(shift % length);
    a
}

/// Whether two ciphertexts are the same, word for word.
pub fn identical(a: &Ciphertext, b: &Ciphertext) -> bool {
    a.c0.words() == b.c0.words() && a.c1.words() == b.c1.words() && a.scale == b.scale
}

/// Gives plaintexts that are there, those it has, and remembers the most that it was asked for at once.
pub struct Stock<'a> {
    pub all: &'a [&'a Plaintext],
    pub most: usize,
}

impl<'a> Stock<'a> {
    pub fn of(all: &'a [&'a Plaintext]) -> Self {
        Self { all, most: 0 }
    }
}

impl PlaintextSource for Stock<'_> {
    type Error = engine::Error;

    fn provide(&mut self, numbers: &[usize]) -> engine::Result<Vec<&Plaintext>> {
        assert!(!numbers.is_empty());
        self.most = self.most.max(numbers.len());
        Ok(numbers.iter().filter_map(|&p| self.all.get(p).copied()).collect())
    }
}
