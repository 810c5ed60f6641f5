//! The fused linear operation, and rotations, which are a case of it.

use super::{CHUNK, Counter, Feature, WORD};
use crate::primitive::LinearShape;

/// Chunks that one task takes within a limb, as in the engine.
const CHUNKS_PER_TASK: f64 = 4.0;

/// Distinct shifts of a shape: each has one key, read from memory once however many sources it rotates,
/// because the engine takes all rotations by one shift together.
///
/// The shape does not tell. Where every rotated source is rotated once, they are taken to differ (partial sums rotated
/// into place); otherwise all sources are taken to share their shifts (inputs rotated by kernel offsets).
pub fn distinct_shifts(shape: &LinearShape) -> usize {
    if shape.rotations <= shape.decomposed {
        shape.rotations
    } else {
        shape.rotations.div_ceil(shape.decomposed.max(1))
    }
}

/// Whether every output is one rotation, which is then written in place.
fn is_direct(shape: &LinearShape) -> bool {
    shape.plaintexts == 0
        && shape.unrotated == 0
        && shape.rotations == shape.outputs
        && shape.terms == shape.outputs
}

impl Counter {
    /// Rotations (or conjugation) of one ciphertext: a linear operation of one term an output, without plaintexts.
    pub(super) fn automorphisms(&mut self, rotations: usize) {
        self.linear(&LinearShape {
            sources: 1,
            decomposed: 1,
            rotations,
            unrotated: 0,
            terms: rotations,
            plaintexts: 0,
            plaintext_words: 0,
            outputs: rotations,
            rescale: false,
        });
    }

    /// The fused linear operation.
    pub(super) fn linear(&mut self, shape: &LinearShape) {
        let extended = shape.decomposed > 0;
        let special = if extended { self.special } else { 0.0 };
        let limbs = self.limbs + special;
        let outputs = shape.outputs as f64;
        if extended {
            self.decompose(shape.decomposed as f64);
        }
        self.phase();
        if extended {
            self.mod_up(shape.decomposed as f64);
        }
        self.chunks(shape, special);
        let rescaled = f64::from(u8::from(shape.rescale));
        let removed = special + rescaled;
        if removed > 0.0 {
            self.passing(2.0 * outputs, self.limbs - rescaled);
            self.divide(2.0 * outputs, removed, self.limbs - rescaled);
        } else {
            self.polynomials(2.0 * outputs * limbs, 1.0);
        }
    }

    /// Rotations and sums, chunk by chunk.
    fn chunks(&mut self, shape: &LinearShape, special: f64) {
        let (n, limbs) = (self.n, self.limbs + special);
        let rotations = shape.rotations as f64;
        let unrotated = shape.unrotated as f64;
        let rotated = rotations + unrotated;
        let (terms, plaintexts) = (shape.terms as f64, shape.plaintexts as f64);
        let tasks = limbs * (n / (CHUNK * CHUNKS_PER_TASK)).ceil();
        // Terms and plaintexts of unrotated sources are absent from the special limbs. The shape does not tell
        // how many they are: all pairs of source and shift are taken to occur equally often.
        let present = self.limbs + special * if rotated > 0.0 { rotations / rotated } else { 0.0 };
        let groups = engine::eval::groups_of(shape.rotations + shape.unrotated) as f64;
        let mut totals = Vec::with_capacity(12);

        // Rotations: key products, reduced and permuted, two words each.
        totals.push((Feature::KeyProducts, rotations * self.key_products()));
        totals.push((Feature::Reductions, 2.0 * rotations * limbs * n));
        totals.push((Feature::ElementwiseWords, 2.0 * rotations * limbs * n));
        let digit_reads = rotations * self.digits() * limbs * self.limb_bytes();
        let scratch = shape.decomposed as f64 * self.digits() * self.limb_bytes();
        totals.push((Feature::DigitBytes, digit_reads * self.overflow(scratch)));
        let shifts = distinct_shifts(shape) as f64;
        totals.extend(self.keys(shifts));
        // Unrotated sources are copied, and scaled by P where there are special limbs.
        let passes = if special > 0.0 { 2.0 } else { 1.0 };
        totals.push((Feature::ElementwiseWords, 2.0 * passes * unrotated * self.limbs * n));
        // Decomposition has read the second components of what is rotated, as a whole; the rest is read by chunks.
        self.pieces((shape.decomposed as f64 + 2.0 * unrotated) * self.limbs);

        // Sums.
        if shape.plaintexts > 0 {
            totals.push((Feature::DotProducts, 2.0 * terms * present * n));
            let sums = 2.0 * shape.outputs as f64 * limbs * n;
            totals.push((Feature::Reductions, groups * sums));
            if groups > 1.0 {
                // Cleared at first, as every group adds to them.
                totals.push((Feature::ElementwiseWords, sums));
            }
            // A plaintext of fewer words is read over and over, by then from the nearest cache.
            let share = shape.plaintext_share(n);
            let limb_bytes = share * self.limb_bytes();
            totals.push((Feature::PlaintextBytes, plaintexts * present * limb_bytes));
            let again = (terms - plaintexts).max(0.0) * present * limb_bytes;
            let buffer = plaintexts * share * CHUNK * WORD;
            totals.push((Feature::CachedBytes, again * self.overflow(buffer)));
        } else if !is_direct(shape) {
            totals.push((Feature::ElementwiseWords, 2.0 * terms * present * n));
        }
        let buffer = 2.0 * (rotated / groups).ceil() * CHUNK * WORD;
        let reads = if is_direct(shape) { 0.0 } else { 2.0 * terms * present };
        let buffer_reads = reads * self.limb_bytes();
        totals.push((Feature::CachedBytes, buffer_reads * self.overflow(buffer)));
        self.parallel(tasks, &totals);
    }
}
