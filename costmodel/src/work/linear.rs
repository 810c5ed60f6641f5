//! The fused linear operation, and rotations, which are a case of it.

use engine::eval::groups_of;

use super::{CHUNK, Counter, Feature, TASK, WORD, reductions};
use crate::primitive::LinearShape;

/// Least adjacent words that share a factor of a plaintext of a subring, in the engine's inner loops.
const LEAST_RUN: f64 = 8.0;

impl LinearShape {
    /// What its products with plaintexts are.
    fn products(&self, n: f64) -> Feature {
        if self.plaintext_share(n) * LEAST_RUN <= 1.0 {
            Feature::PeriodicProducts
        } else {
            Feature::DotProducts
        }
    }
}

/// What the numbers of a shape do not tell: by the plan, or as it is taken to be.
struct Detail {
    /// Each key is read from memory once however many sources it rotates, as the engine takes all rotations by one shift together.
    keys: f64,
    /// Sums with plaintexts in a limb.
    sums: f64,
    /// Products in a limb of the level, and in a special one; of a plain sum the summands, if anything is summed.
    products: [f64; 2],
    /// Plaintexts in either.
    plaintexts: [f64; 2],
}

impl Detail {
    fn of(shape: &LinearShape) -> Self {
        let plaintexts = shape.plaintexts as f64;
        if let Some(told) = shape.detail {
            return Self {
                keys: told.keys as f64,
                sums: told.sums as f64,
                products: [told.products as f64, told.special_products as f64],
                plaintexts: [plaintexts, told.special_plaintexts as f64],
            };
        }
        let rotated = shape.rotations + shape.unrotated;
        // All pairs of source and shift are taken to occur equally often, and those of no shift are absent from special limbs.
        let share = shape.rotations as f64 / rotated.max(1) as f64;
        let terms = if is_direct(shape) { 0.0 } else { shape.terms as f64 };
        let sums = if shape.plaintexts > 0 { shape.outputs * groups_of(rotated) } else { 0 };
        Self {
            keys: distinct_shifts(shape) as f64,
            sums: sums as f64,
            products: [terms, terms * share],
            plaintexts: [plaintexts, plaintexts * share],
        }
    }
}

/// Distinct shifts that a shape is taken to have. Where every rotated source is rotated once, they are taken to differ (partial
/// sums rotated into place); otherwise all sources are taken to share their shifts (inputs rotated by kernel offsets).
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
            detail: None,
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
        let tasks = limbs * (n / TASK).ceil();
        let detail = Detail::of(shape);
        let own_limbs = self.limbs;
        let in_all = |[own, extra]: [f64; 2]| own_limbs * own + special * extra;
        let (products, plaintexts) = (in_all(detail.products), in_all(detail.plaintexts));
        let groups = groups_of(shape.rotations + shape.unrotated) as f64;
        let mut totals = Vec::with_capacity(12);

        // Rotations: key products, reduced and permuted, two words each.
        totals.extend(self.key_products(rotations));
        totals.push((Feature::Reductions, rotations * self.key_reductions(limbs)));
        totals.push((Feature::ElementwiseWords, 2.0 * rotations * limbs * n));
        totals.extend(self.digit_bytes(rotations, shape.decomposed as f64));
        totals.extend(self.keys(detail.keys));
        // Unrotated sources are copied and scaled by P where there are special limbs, and read where they are otherwise.
        let copied = if special > 0.0 { unrotated } else { 0.0 };
        totals.push((Feature::ElementwiseWords, 4.0 * copied * self.limbs * n));
        // Decomposition has read the second components of what is rotated, as a whole; the rest is read by chunks.
        self.pieces((shape.decomposed as f64 + 2.0 * unrotated) * self.limbs);

        // Sums, of what is buffered of a group.
        let buffer = 2.0 * (rotated / groups).ceil() * CHUNK * WORD;
        if shape.plaintexts > 0 {
            totals.push((shape.products(n), 2.0 * products * n));
            // Sums are taken to have equally many terms.
            let often = detail
                .products
                .map(|products| reductions(products / detail.sums.max(1.0), self.sum_terms.pairs));
            totals.push((Feature::Reductions, 2.0 * detail.sums * in_all(often) * n));
            if groups > 1.0 {
                // Cleared at first, as every group adds to them: reads and writes.
                let words = 2.0 * shape.outputs as f64 * limbs * n;
                totals.push((Feature::ElementwiseWords, words));
                let added = 4.0 * detail.sums * limbs * self.limb_bytes();
                let sums = 2.0 * shape.outputs as f64 * CHUNK * WORD;
                totals.extend(self.rows(added, buffer + sums));
            }
            // A plaintext of fewer words is read over and over, by then from the nearest cache.
            let share = shape.plaintext_share(n);
            let limb_bytes = share * self.limb_bytes();
            totals.push((Feature::PlaintextBytes, plaintexts * limb_bytes));
            let again = (products - plaintexts).max(0.0) * limb_bytes;
            let kept = shape.plaintexts as f64 * share * CHUNK * WORD;
            totals.push((Feature::CachedBytes, again * self.overflow(kept)));
        } else {
            totals.push((Feature::ElementwiseWords, 2.0 * products * n));
        }
        // Destinations that are summed together are taken to use the same sources.
        let together =
            if shape.plaintexts > 0 { shape.outputs.clamp(1, self.sum_terms.outputs) } else { 1 };
        let buffer_reads = 2.0 * products / together as f64 * self.limb_bytes();
        totals.extend(self.rows(buffer_reads, buffer));
        self.parallel(tasks, &totals);
    }
}
