//! What the values of a program reach on images, and how precise its results are: one look for both.

use std::borrow::Cow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Result;
use crate::chain::Chain;
use crate::fold::Folded;
use crate::interpret::{NoiseModel, predict_precision, run_measured};
use crate::lowering::Lowered;
use crate::precision::Precision;
use crate::program::room::MARGIN_BITS;

/// What was seen. It does not depend on scales or primes.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    /// For each value, the largest slot of it, over all images; for results whose size the network bounds, the largest of
    /// the slots that hold none.
    reach: Vec<f64>,
    /// The largest slot of the results that holds none.
    pub(super) beside: f64,
    /// The exact results of each image.
    exact: Vec<Vec<f64>>,
}

/// The images that are looked at: a random one where there are none.
pub(super) fn looked_at<'a>(
    folded: &Folded,
    images: &'a [Vec<f64>],
    seed: u64,
) -> Cow<'a, [Vec<f64>]> {
    match images {
        [] => Cow::Owned(vec![random_image(folded.input.len(), seed)]),
        some => Cow::Borrowed(some),
    }
}

fn random_image(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random::<f64>() * 2.0 - 1.0).collect()
}

impl Survey {
    /// Runs a program, lowered with plaintext values, on plain images.
    pub(super) fn new(lowered: &Lowered, folded: &Folded, images: &[Vec<f64>]) -> Result<Self> {
        let program = &lowered.program;
        let slots = lowered.encode_groups(images)?;
        let slots: Vec<&[Vec<f64>]> = slots.iter().map(Vec::as_slice).collect();
        let (outputs, mut reach) = run_measured(program, &slots)?;
        let (mut beside, mut exact) = (0.0f64, Vec::with_capacity(images.len()));
        for (outputs, some) in outputs.iter().zip(images.chunks(lowered.images)) {
            beside = beside.max(lowered.beside(outputs)?);
            exact.extend(lowered.decode_images(outputs, some.len())?);
        }
        if folded.stages.last().is_some_and(|stage| stage.bound.is_some()) {
            program.outputs.iter().for_each(|v| reach[*v] = beside);
        }
        Ok(Self { reach, beside, exact })
    }

    /// Checks that a program of the same instructions has room for what was seen and some more.
    ///
    /// # Errors
    /// [`crate::Error::Room`].
    pub(super) fn check_room(&self, lowered: &Lowered, chain: &Chain) -> Result<()> {
        lowered.program.check_room(|v| self.reach[v], MARGIN_BITS, chain)
    }

    /// Precision of the results on the images of the survey, with simulated noise.
    pub(super) fn precision(
        &self,
        lowered: &Lowered,
        chain: &Chain,
        images: &[Vec<f64>],
        seed: u64,
    ) -> Result<Precision> {
        let model = NoiseModel::new(chain);
        predict_precision(lowered, &model, images, &self.exact, seed)
    }
}
