//! Something to time, and what is reported of its times.

use engine::Result;
use engine::cipher::{Ciphertext, Plaintext};

use crate::sets::Set;
use crate::work::{Shape, Work};

/// What a primitive gives, so that it can be checked.
#[allow(dead_code, reason = "the benches drop it, the example primitive_times decrypts it")]
pub enum Outcome {
    /// A plaintext.
    Plaintext(Plaintext),
    /// A ciphertext.
    Ciphertext(Ciphertext),
    /// A ciphertext for each output.
    Ciphertexts(Vec<Ciphertext>),
    /// A number for each slot.
    Values(Vec<f64>),
}

impl From<Plaintext> for Outcome {
    fn from(plaintext: Plaintext) -> Self {
        Self::Plaintext(plaintext)
    }
}

impl From<Ciphertext> for Outcome {
    fn from(ciphertext: Ciphertext) -> Self {
        Self::Ciphertext(ciphertext)
    }
}

impl From<Vec<Ciphertext>> for Outcome {
    fn from(ciphertexts: Vec<Ciphertext>) -> Self {
        Self::Ciphertexts(ciphertexts)
    }
}

impl From<Vec<f64>> for Outcome {
    fn from(values: Vec<f64>) -> Self {
        Self::Values(values)
    }
}

/// Something to time.
pub struct Part<'a> {
    /// Name of what is reported.
    pub name: String,
    /// Work in what is reported.
    pub work: Work,
    /// One run.
    pub run: Box<dyn FnMut() -> Result<Outcome> + 'a>,
}

/// What is reported of the times of a primitive's parts.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// The time of each part divided by this.
    Share(usize),
    /// Of two parts with one and this many results: what is done once, and each further result. Differences show the noise
    /// of a busy machine most of all times.
    Marginal(usize),
}

/// A primitive ready to run. Its parts are timed in turn, so that the time of day is not what they differ by.
pub struct Primitive<'a> {
    /// The parts.
    pub parts: Vec<Part<'a>>,
    /// How their times are reported.
    pub report: Report,
}

impl Report {
    /// Results of one run of the longest part.
    pub fn count(self) -> usize {
        let (Self::Share(count) | Self::Marginal(count)) = self;
        count
    }

    /// What to report of the parts' times (minima, or medians).
    pub fn apply(self, times: &[f64]) -> Vec<f64> {
        match (self, times) {
            (Self::Marginal(count), &[first, all]) => {
                let each = (all - first) / (count - 1) as f64;
                vec![first - each, each]
            }
            (Self::Share(count) | Self::Marginal(count), times) => {
                times.iter().map(|time| time / count as f64).collect()
            }
        }
    }
}

/// A part that runs this.
pub fn part<'a, T: Into<Outcome>>(
    name: &str,
    work: Work,
    mut run: impl FnMut() -> Result<T> + 'a,
) -> Part<'a> {
    Part { name: name.to_owned(), work, run: Box::new(move || run().map(T::into)) }
}

/// A primitive of one part, reported as it is.
pub fn one<'a, T: Into<Outcome>>(
    name: &str,
    work: Work,
    run: impl FnMut() -> Result<T> + 'a,
) -> Result<Primitive<'a>> {
    Ok(Primitive { parts: vec![part(name, work, run)], report: Report::Share(1) })
}

/// The shape of a set's operands.
pub fn shape(set: &Set<'_>) -> Shape {
    Shape::new(&set.keys.params, set.level)
}
