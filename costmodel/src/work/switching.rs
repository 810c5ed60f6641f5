//! Parts of key switching, and division by primes.

use super::{Counter, Feature};

impl Counter {
    /// Lengths of the digits: all `alpha` but the last.
    fn digit_lengths(&self) -> impl Iterator<Item = f64> + use<> {
        let (limbs, alpha, count) = (self.limbs, self.alpha, self.digits() as usize);
        (0..count).map(move |d| alpha.min(limbs - d as f64 * alpha))
    }

    /// Preparation of `sources` polynomials for mod-up: `l1` inverse NTTs each, scaled where a digit has more than one
    /// limb; then the quotient of every digit, one product a limb.
    pub(super) fn decompose(&mut self, sources: f64) {
        let limbs = sources * self.limbs;
        let scaled = sources * self.digit_lengths().filter(|&len| len > 1.0).sum::<f64>();
        let [butterflies, far, wide] = self.ntts(Feature::InverseButterflies, limbs);
        self.phase();
        self.parallel(
            limbs,
            &[butterflies, far, wide, (Feature::ElementwiseWords, (limbs + scaled) * self.n)],
        );
        let digits = sources * self.digits();
        self.phase();
        self.parallel(digits, &[(Feature::Conversions, limbs * self.n)]);
        // The source once; prepared limbs and quotients are written, and read at least once.
        self.polynomials(limbs, 1.0);
        self.polynomials(limbs + digits, 2.0);
    }

    /// Digits of `sources` decomposed polynomials brought to every limb of the extended basis: for every limb outside the digit, `len + 1` products a coefficient and one forward NTT. That is
    /// `beta (l1 + k) - l1` NTTs a source.
    pub(super) fn mod_up(&mut self, sources: f64) {
        let targets = self.limbs + self.special;
        let conversions: f64 = self.digit_lengths().map(|len| targets - len).sum();
        let products: f64 = self.digit_lengths().map(|len| (len + 1.0) * (targets - len)).sum();
        let [butterflies, far, wide] =
            self.ntts(Feature::ForwardButterflies, sources * conversions);
        // Every conversion reads the prepared limbs and the quotients of its digit, which together are larger
        // than the second level sees before it comes back to them.
        let window = (self.limbs + self.digits()) * self.limb_bytes();
        let far_reads = products * self.limb_bytes() * self.overflow(window);
        self.parallel(
            sources * self.digits() * targets,
            &[
                butterflies,
                far,
                wide,
                (Feature::Conversions, sources * products * self.n),
                (Feature::Reductions, sources * conversions * self.n),
                (Feature::CachedBytes, sources * far_reads),
            ],
        );
    }

    /// Bytes of one key for all limbs at this level: two components of every digit.
    pub(super) fn key_bytes(&self) -> f64 {
        2.0 * self.digits() * (self.limbs + self.special) * self.limb_bytes()
    }

    /// Products of one ciphertext with one key over all limbs: two a digit and word, and `P c0`.
    pub(super) fn key_products(&self) -> f64 {
        (2.0 * self.digits() * (self.limbs + self.special) + self.limbs) * self.n
    }

    /// Division, in place, of `polys` polynomials by `removed` primes, leaving `kept` limbs: an inverse NTT for each removed limb,
    /// the quotient, and for each kept limb a conversion with `removed + 1` products, a forward NTT, and one
    /// subtraction with scaling.
    pub(super) fn divide(&mut self, polys: f64, removed: f64, kept: f64) {
        let n = self.n;
        let scaled = if removed > 1.0 { removed } else { 0.0 };
        let [butterflies, far, wide] = self.ntts(Feature::InverseButterflies, polys * removed);
        self.phase();
        self.parallel(
            polys * removed,
            &[butterflies, far, wide, (Feature::ElementwiseWords, polys * scaled * n)],
        );
        self.phase();
        self.parallel(2.0 * polys, &[(Feature::Conversions, polys * removed * n)]);
        let [butterflies, far, wide] = self.ntts(Feature::ForwardButterflies, polys * kept);
        self.phase();
        self.parallel(
            polys * kept,
            &[
                butterflies,
                far,
                wide,
                (Feature::Conversions, polys * kept * (removed + 1.0) * n),
                (Feature::Reductions, polys * kept * n),
                (Feature::ElementwiseWords, polys * kept * n),
            ],
        );
        // The polynomials are there already: read and written once more.
        self.traffic += 2.0 * polys * (removed + kept) * self.limb_bytes();
    }
}
