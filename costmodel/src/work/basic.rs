//! Operations without key switching, and the client's steps.

use super::{CHUNK, Counter, Feature};

impl Counter {
    /// Addition: one component after the other, a copy and an addition a word.
    pub(super) fn add(&mut self) {
        let (n, limbs) = (self.n, self.limbs);
        for _ in 0..2 {
            self.phase();
            self.parallel(limbs, &[(Feature::ElementwiseWords, 2.0 * limbs * n)]);
        }
        self.polynomials(6.0 * limbs, 1.0);
    }

    /// Addition of a plaintext in place: one addition a word of the first component.
    pub(super) fn add_plain(&mut self) {
        let (n, limbs) = (self.n, self.limbs);
        self.phase();
        self.parallel(
            limbs,
            &[
                (Feature::ElementwiseWords, limbs * n),
                (Feature::PlaintextBytes, limbs * self.limb_bytes()),
            ],
        );
        self.polynomials(limbs, 2.0);
    }

    /// Rescale: the last limbs of both components copied, then division by their prime.
    pub(super) fn rescale(&mut self) {
        let limbs = self.limbs;
        self.copy(2.0);
        self.polynomials(2.0 * (limbs - 1.0), 1.0);
        self.divide(2.0, 1.0, limbs - 1.0);
    }

    /// Drop to a lower level: the limbs that stay are copied by one thread.
    pub(super) fn drop_level(&mut self, to: usize) {
        self.copy(2.0 * (to as f64 + 1.0));
    }

    fn copy(&mut self, limbs: f64) {
        self.serial(&[(Feature::CopiedBytes, limbs * self.limb_bytes())]);
    }

    /// Encoding: an inverse Fourier transform over the slots, rounding into every limb, forward NTTs.
    pub(super) fn encode(&mut self, extended: bool) {
        let limbs = self.limbs + if extended { self.special } else { 0.0 };
        self.fourier();
        let [butterflies, near, far, wide] = self.ntts(Feature::ForwardButterflies, limbs);
        self.phase();
        self.parallel(
            limbs,
            &[
                (Feature::RoundedWords, limbs * self.n),
                butterflies,
                near,
                far,
                wide,
                (Feature::ZeroedBytes, limbs * self.limb_bytes()),
            ],
        );
    }

    /// Decoding: inverse NTTs, recombination of the residues, a Fourier transform over the slots. The engine looks at as
    /// many limbs as hold meaningful coefficients: two for the usual scales.
    pub(super) fn decode(&mut self) {
        let limbs = self.limbs.min(2.0);
        let [butterflies, near, far, wide] = self.ntts(Feature::InverseButterflies, limbs);
        self.phase();
        self.parallel(limbs, &[butterflies, near, far, wide]);
        self.serial(&[(Feature::CopiedBytes, limbs * self.limb_bytes())]);
        self.phase();
        self.parallel(self.n / CHUNK, &[(Feature::RoundedWords, limbs * self.n)]);
        self.fourier();
    }

    /// A Fourier transform of `N/2` complex values.
    pub(super) fn fourier(&mut self) {
        let slots = self.n / 2.0;
        self.serial(&[(Feature::FourierButterflies, slots / 2.0 * (self.log_n - 1.0))]);
    }

    /// Encryption under the public key: three random polynomials, and in every limb their residues and NTTs and two
    /// products with sums.
    pub(super) fn encrypt(&mut self) {
        let (n, limbs) = (self.n, self.limbs);
        self.serial(&[(Feature::Samples, 3.0 * n)]);
        let [butterflies, near, far, wide] = self.ntts(Feature::ForwardButterflies, 3.0 * limbs);
        self.phase();
        self.parallel(
            limbs,
            &[
                butterflies,
                near,
                far,
                wide,
                (Feature::DotProducts, 2.0 * limbs * n),
                (Feature::Reductions, 2.0 * limbs * n),
                (Feature::ElementwiseWords, 3.0 * limbs * n),
            ],
        );
        self.polynomials(5.0 * limbs, 1.0);
    }

    /// Decryption: one product with a sum a word.
    pub(super) fn decrypt(&mut self) {
        let (n, limbs) = (self.n, self.limbs);
        self.phase();
        self.parallel(
            limbs,
            &[(Feature::DotProducts, limbs * n), (Feature::Reductions, limbs * n)],
        );
        self.polynomials(4.0 * limbs, 1.0);
    }
}
