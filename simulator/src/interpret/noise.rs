//! Standard deviations of CKKS noise, in slot units.
//!
//! A polynomial error whose coefficients have standard deviation `s` shows in each slot with about
//! `sqrt(N) s / scale`. With ternary secrets of variance 2/3:
//! - fresh symmetric encryption: `s = sigma`, sigma = 3.2;
//! - rescaling: rounding both parts, `s^2 = (2N/3 + 1) / 12`;
//! - key switching: `digits` products of a digit, uniform modulo its size `q_digit`, with key noise:
//!   `s^2 = digits * N * (q_digit / P)^2 / 12 * sigma^2`, and the rounding of the division by `P`. The digit
//!   is as wide as the special primes or narrower, so `q_digit / P` is at most about one.
//!
//! A rescale merged into a key switch's division rounds once. Noise of rotated inputs within a linear
//! combination is multiplied by its plaintexts: the model takes their root mean square, or one without values.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::chain::Chain;
use crate::program::{Instruction, Op, Program, ValueId, ValueInfo};

/// Standard deviation of encryption and key noise.
const SIGMA: f64 = 3.2;

/// Noise of a parameter set.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseModel {
    chain: Chain,
    /// Ratio of the largest digit's modulus to the product of the special primes.
    digit_ratio: f64,
}

/// Noise that an instruction adds.
pub(crate) struct Added {
    /// Variance of one key switch, in coefficient units at the scale before any rescale.
    switch: f64,
    /// Variance of one final rounding, in coefficient units of the result.
    rounding: f64,
    /// `sqrt(N)`.
    root_n: f64,
    /// What the result is divided by.
    divisor: f64,
}

impl NoiseModel {
    /// The model of a chain whose special primes have `special_bits` bits each.
    pub fn new(chain: &Chain, special_bits: f64) -> Self {
        let log_p = special_bits * chain.special as f64;
        let widest = chain
            .moduli
            .chunks(chain.alpha.max(1))
            .map(|digit| digit.iter().map(|q| q.log2()).sum::<f64>())
            .fold(0.0, f64::max);
        Self { chain: chain.clone(), digit_ratio: (widest - log_p).exp2() }
    }

    fn n(&self) -> f64 {
        2.0 * self.chain.slots as f64
    }

    /// Modulus of a ciphertext, in units of its values: what is half as large or more wraps.
    pub(crate) fn modulus(&self, info: &ValueInfo) -> f64 {
        self.chain.modulus_bits(info.level).exp2() / info.scale
    }

    /// Variance of a rounding, in coefficients.
    fn rounding(&self) -> f64 {
        (2.0 * self.n() / 3.0 + 1.0) / 12.0
    }

    /// Standard deviation of a fresh ciphertext, in slots.
    pub fn fresh(&self, info: &ValueInfo) -> f64 {
        self.n().sqrt() * SIGMA / info.scale
    }

    /// Variance of a key switch at a level before its final rounding, in coefficients.
    fn switch(&self, level: usize) -> f64 {
        let digits = self.chain.digits(level) as f64;
        digits * self.n() / 12.0 * (SIGMA * self.digit_ratio).powi(2)
    }

    /// Noise that an instruction adds to each result.
    pub(crate) fn instruction(&self, program: &Program, instruction: &Instruction) -> Added {
        let level = program.facts(instruction).operand.level;
        let modulus = self.chain.moduli[level];
        let (switch, rounds, rescale) = match &instruction.op {
            Op::RotateHoisted { .. } | Op::Conjugate { .. } => (1.0, 1.0, false),
            Op::Linear { terms, rescale, .. } => {
                let rotates = terms.iter().any(|t| t.shift != 0);
                (1.0, f64::from(u8::from(rotates || *rescale)), *rescale)
            }
            Op::SumSquares { rescale, .. } | Op::Multiply { rescale, .. } => (1.0, 1.0, *rescale),
            Op::Rescale { .. } => (0.0, 1.0, true),
            Op::AddPlain { .. } => (0.0, 1.0 / self.rounding() / 12.0, false),
            Op::Add { .. } | Op::Sub { .. } | Op::DropLevel { .. } => (0.0, 0.0, false),
        };
        Added {
            switch: switch * self.switch(level),
            rounding: rounds * self.rounding(),
            root_n: self.n().sqrt(),
            divisor: if rescale { modulus } else { 1.0 },
        }
    }

    /// Adds Gaussian noise of a standard deviation to every slot.
    pub(crate) fn add(&self, rng: &mut ChaCha8Rng, std: f64, slots: &mut [f64]) {
        if std == 0.0 {
            return;
        }
        for pair in slots.chunks_mut(2) {
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            let radius = std * (-2.0 * (1.0 - u).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
            pair.iter_mut().zip([radius * cos, radius * sin]).for_each(|(s, n)| *s += n);
        }
    }
}

impl Added {
    /// Standard deviation in slots of one destination.
    pub(crate) fn for_destination(
        &self,
        program: &Program,
        instruction: &Instruction,
        dst: ValueId,
    ) -> f64 {
        let scale = program.values[dst].scale;
        // Factors of a key switch's noise: plaintexts, as encoded, times the number of rotated terms; and the
        // rounding of encoded plaintexts, which the ciphertext's message multiplies (values of order one).
        let (mut switches, mut encoding) = (1.0, 0.0);
        if let Op::Linear { terms, .. } = &instruction.op {
            let index = instruction.dsts.iter().position(|d| *d == dst).unwrap_or(0) as u32;
            let mine = terms.iter().filter(|t| t.dst == index);
            switches = 0.0;
            for t in mine {
                let spec = t.plaintext.map(|p| &program.plaintexts[p]);
                let square = spec.map_or(1.0, |p| {
                    let mean = p.slot_values(program.slots).map_or(1.0, |v| {
                        v.iter().map(|x| x * x).sum::<f64>() / v.len().max(1) as f64
                    });
                    mean * p.scale * p.scale
                });
                if t.shift != 0 {
                    switches += square;
                }
                if spec.is_some() {
                    let source = instruction.op.operands()[t.src as usize];
                    encoding += program.values[source].scale.powi(2) / 12.0;
                }
            }
        }
        let variance = (self.switch * switches + encoding) / self.divisor.powi(2) + self.rounding;
        self.root_n * variance.sqrt() / scale
    }
}
