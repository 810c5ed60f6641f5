//! Prices bent at random, so that a search finds configurations which the model does not favour.

use costmodel::{CostModel, Primitive, Setting};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::search::Pricer;

/// Prices are up to so many times, or that part, of what the model says.
const MOST: f64 = 3.0;

/// The model's prices, each times a factor that depends on the seed, the kind of instruction and its rough shape.
pub struct Bent<'a> {
    /// The model.
    pub model: &'a CostModel,
    /// Seed of the factors.
    pub seed: u64,
}

impl Bent<'_> {
    /// The factor of an instruction, from a third to three.
    fn factor(&self, primitive: &Primitive) -> f64 {
        let size = |count: usize| u64::from(count.checked_ilog2().map_or(0, |log| log + 1));
        let shape = match primitive {
            Primitive::Linear(s) => [s.rotations, s.terms, s.outputs, s.plaintext_words].map(size),
            Primitive::RotateHoisted { rotations } => [size(*rotations), 0, 0, 0],
            Primitive::SumSquares { terms, .. } => [size(*terms), 0, 0, 0],
            _ => [0; 4],
        };
        // Sizes are below 2^7. The kind is its name's letters.
        let shape = shape.iter().fold(0, |sum, size| sum << 8 | size);
        let kind = primitive.kind().bytes().fold(0_u64, |sum, b| sum.rotate_left(5) ^ u64::from(b));
        let mut seed = [0; 32];
        for (part, word) in seed.chunks_exact_mut(8).zip([self.seed, kind, shape]) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        MOST.powf(ChaCha8Rng::from_seed(seed).random_range(-1.0..1.0))
    }
}

impl Pricer for Bent<'_> {
    fn price_ms(&self, primitive: &Primitive, setting: &Setting) -> f64 {
        self.model.price_ms(primitive, setting) * self.factor(primitive)
    }
}
