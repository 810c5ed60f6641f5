//! Parts of key switching, and division by primes.

use super::{Counter, Feature, WORD, reductions};

impl Counter {
    /// Lengths of the digits: all `alpha` but the last.
    fn digit_lengths(&self) -> impl Iterator<Item = f64> + use<> {
        let (limbs, alpha) = (self.limbs, self.switch.digit_limbs as f64);
        (0..self.switch.digits()).map(move |d| alpha.min(limbs - d as f64 * alpha))
    }

    /// Conversion of so many target limbs from a basis of `len` limbs. A single limb is lifted, one comparison a word;
    /// from several, a word takes a product for each and one for their quotient.
    fn conversion(&self, len: f64, targets: f64) -> [(Feature, f64); 2] {
        let (lifted, products) =
            if len > 1.0 { (0.0, self.converted(len + 1.0) * targets) } else { (targets, 0.0) };
        [(Feature::ElementwiseWords, lifted * self.n), (Feature::Conversions, products * self.n)]
    }

    /// Products of a word that is converted from so many rows, the quotient's included, and as much as one whenever their sum is
    /// reduced.
    pub(super) fn converted(&self, rows: f64) -> f64 {
        rows + reductions(rows, self.sum_terms.conversions)
    }

    /// Preparation of `sources` polynomials for mod-up: `l1` inverse NTTs each, scaled where a digit has more than one
    /// limb; then the quotient of every such digit, one product a limb.
    pub(super) fn decompose(&mut self, sources: f64) {
        let limbs = sources * self.limbs;
        let several = || self.digit_lengths().filter(|&len| len > 1.0);
        let (scaled, quotients) =
            (sources * several().sum::<f64>(), sources * several().count() as f64);
        let [butterflies, near, far, wide] = self.ntts(Feature::InverseButterflies, limbs);
        self.phase();
        self.parallel(
            limbs,
            &[butterflies, near, far, wide, (Feature::ElementwiseWords, (limbs + scaled) * self.n)],
        );
        self.phase();
        self.parallel(quotients, &[(Feature::Conversions, scaled * self.n)]);
        // The source once; prepared limbs and quotients are written, and read at least once.
        self.polynomials(limbs, 1.0);
        self.polynomials(limbs + quotients, 2.0);
    }

    /// Digits of `sources` decomposed polynomials brought to every limb of the extended basis: for every limb outside
    /// the digit, a conversion and one forward NTT. That is `beta (l1 + k) - l1` NTTs a source.
    pub(super) fn mod_up(&mut self, sources: f64) {
        let targets = self.limbs + self.special;
        let conversions: f64 = self.digit_lengths().map(|len| targets - len).sum();
        let [butterflies, near, far, wide] =
            self.ntts(Feature::ForwardButterflies, sources * conversions);
        let mut totals = vec![butterflies, near, far, wide];
        let mut reads = 0.0;
        for len in self.digit_lengths() {
            totals.extend(self.conversion(len, sources * (targets - len)));
            // From several limbs two targets are made in one pass.
            reads += (targets - len) * if len > 1.0 { (len + 1.0) / 2.0 } else { 1.0 };
        }
        // Every conversion reads the prepared limbs and the quotients of its digit, which together are larger
        // than the second level sees before it comes back to them.
        let window = (self.limbs + self.digits()) * self.limb_bytes();
        let (near, far) = self.beyond(window, sources * window);
        let bytes = sources * reads * self.limb_bytes();
        totals.push((Feature::CachedBytes, bytes * near));
        // Those of hundreds of sources are read from memory, and so many digits of one limb are written there.
        let made = sources * conversions * self.limb_bytes();
        let written = made * self.spill(sources * self.digits() * self.limb_bytes());
        totals.push((Feature::SpilledBytes, bytes * far + written));
        self.parallel(sources * self.digits() * targets, &totals);
    }

    /// Digits of `sources` decomposed polynomials that so many key products read at every limb, as far as those of a limb are too
    /// many for the second level, or for the last.
    pub(super) fn digit_bytes(&self, products: f64, sources: f64) -> [(Feature, f64); 2] {
        let made = sources * self.digits() * self.limb_bytes();
        let bytes = products * WORD * self.key_words();
        let (near, far) = self.beyond(made, made);
        [(Feature::DigitBytes, bytes * near), (Feature::SpilledBytes, bytes * far)]
    }

    /// The shares, 0 to 1, of accesses that find the last-level cache and that find memory only, where some are to a
    /// working set of the second level before others of a whole come between.
    fn beyond(&self, window: f64, whole: f64) -> (f64, f64) {
        let (near, far) = (self.overflow(window), self.spill(whole));
        ((near - far).max(0.0), far.min(near))
    }

    /// Words of one component of a key for all limbs at this level.
    fn key_words(&self) -> f64 {
        self.digits() * (self.limbs + self.special) * self.n
    }

    /// Reading so many keys, and making what of them is not stored, as totals of a stage.
    pub(super) fn keys(&self, count: f64) -> [(Feature, f64); 2] {
        let words = count * self.key_words();
        let made = if self.keys.masks_made { words } else { 0.0 };
        let bytes = words * f64::from(self.keys.key_pair_bits) / 8.0;
        [(Feature::KeyBytes, bytes), (Feature::MaskWords, made)]
    }

    /// So many products of one ciphertext with one key over all limbs: two a digit and word, and `P c0`; and unpacking the key for
    /// each.
    pub(super) fn key_products(&self, count: f64) -> [(Feature, f64); 2] {
        let products = 2.0 * self.key_words() + self.limbs * self.n;
        let unpacked = self.keys.packed_words() * self.key_words();
        [(Feature::KeyProducts, count * products), (Feature::PackedWords, count * unpacked)]
    }

    /// Words reduced in a product of one ciphertext with one key over so many limbs, of both components.
    pub(super) fn key_reductions(&self, limbs: f64) -> f64 {
        2.0 * limbs * self.n * reductions(self.digits(), self.sum_terms.keys)
    }

    /// Division of `polys` polynomials by `removed` primes, leaving `kept` limbs: an inverse NTT for each removed limb,
    /// the quotient if there are several, and for each kept limb a conversion, a forward NTT, and one subtraction with
    /// scaling.
    pub(super) fn divide(&mut self, polys: f64, removed: f64, kept: f64) {
        let n = self.n;
        let scaled = if removed > 1.0 { removed } else { 0.0 };
        let [butterflies, near, far, wide] =
            self.ntts(Feature::InverseButterflies, polys * removed);
        self.phase();
        self.parallel(
            polys * removed,
            &[butterflies, near, far, wide, (Feature::ElementwiseWords, polys * scaled * n)],
        );
        self.serial(&[(Feature::Conversions, (polys / self.threads).ceil() * scaled * n)]);
        let [butterflies, near, far, wide] = self.ntts(Feature::ForwardButterflies, polys * kept);
        let [lifted, products] = self.conversion(removed, polys * kept);
        self.phase();
        self.parallel(
            polys * kept,
            &[
                butterflies,
                near,
                far,
                wide,
                lifted,
                products,
                (Feature::ElementwiseWords, polys * kept * n),
            ],
        );
        // Removed limbs are written, transformed and read; kept ones are written.
        self.polynomials(polys * removed, 3.0);
        self.polynomials(polys * kept, 1.0);
    }

    /// Limbs of `polys` polynomials that are made one after the other, to be divided at once: in the second level as
    /// far as those of one number fit there.
    pub(super) fn passing(&mut self, polys: f64, kept: f64) {
        let bytes = 2.0 * polys * kept * self.limb_bytes();
        self.add_up(Feature::CachedBytes, bytes * self.overflow(2.0 * polys * self.limb_bytes()));
    }
}
