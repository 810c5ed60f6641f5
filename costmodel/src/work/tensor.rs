//! Products of ciphertexts.

use super::{Counter, Feature, TASK, reductions};

impl Counter {
    /// A product with `products` multiplications a word in its tensor, in sums of `terms`, and `operands` polynomials to read:
    /// tensor, decomposition of the third component, key product with `P (c0, c1)` added, mod-down.
    pub(super) fn product(&mut self, products: f64, terms: f64, operands: f64, rescale: bool) {
        let (n, limbs, special) = (self.n, self.limbs, self.special);
        let all = limbs + special;
        self.polynomials(operands * limbs, 1.0);
        self.polynomials(3.0 * limbs, 1.0);
        self.phase();
        let reduced = 3.0 * limbs * n * reductions(terms, self.sum_terms.pairs);
        self.parallel(
            limbs,
            &[(Feature::DotProducts, products * limbs * n), (Feature::Reductions, reduced)],
        );
        self.decompose(1.0);
        self.phase();
        self.mod_up(1.0);
        let tasks = all * (n / TASK).ceil();
        let [key_bytes, masks] = self.keys(1.0);
        let [near, far] = self.digit_bytes(1.0, 1.0);
        let [products_with_key, unpacked] = self.key_products(1.0);
        self.parallel(
            tasks,
            &[
                products_with_key,
                unpacked,
                key_bytes,
                near,
                far,
                masks,
                (Feature::Reductions, self.key_reductions(all)),
                // P c1 on the level's own limbs.
                (Feature::ElementwiseWords, limbs * n),
            ],
        );
        let rescaled = f64::from(u8::from(rescale));
        // The other two parts of the product are read again, piece by piece.
        self.pieces(2.0 * limbs);
        self.passing(2.0, limbs - rescaled);
        self.divide(2.0, special + rescaled, limbs - rescaled);
    }
}
