//! The secret key: encryption and decryption by its owner.

use std::fmt;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Result;
use crate::cipher::{Ciphertext, Plaintext};
use crate::kernels::kernels;
use crate::params::Parameters;
use crate::poly::RnsPoly;
use crate::sampling::{self, Seed, Small};

/// A uniform ternary secret. Zeroised when dropped; never printed.
pub struct SecretKey {
    params: Parameters,
    coefficients: Small,
    /// NTT form over every limb, special ones included.
    poly: RnsPoly,
}

impl SecretKey {
    /// A fresh secret from the operating system's randomness.
    pub fn generate(params: &Parameters) -> Self {
        Self::from_rng(params, &mut sampling::os_rng())
    }

    /// A repeatable secret, for tests and measurements only: whoever knows the seed knows the key.
    pub fn from_seed(params: &Parameters, seed: Seed) -> Self {
        Self::from_rng(params, &mut ChaCha20Rng::from_seed(seed))
    }

    fn from_rng(params: &Parameters, rng: &mut ChaCha20Rng) -> Self {
        Self::from_coefficients(params, sampling::ternary(rng, params.n()))
    }

    /// The secret with the given ternary coefficients (N of them).
    pub(crate) fn from_coefficients(params: &Parameters, coefficients: Small) -> Self {
        let level = params.max_level();
        // Not from the pool: the words of a secret are cleared, whereas recycled memory need not be.
        let mut poly = RnsPoly::zero(params, level, true);
        poly.par_limbs_mut().enumerate().for_each(|(position, limb)| {
            coefficients.transform(limb, params.table(params.limb_index(level, position)));
        });
        Self { params: params.clone(), coefficients, poly }
    }

    /// Ternary coefficients, for the writer of secret key files.
    pub(crate) fn coefficients(&self) -> &[i8] {
        &self.coefficients
    }

    /// The parameters of this key.
    pub fn params(&self) -> &Parameters {
        &self.params
    }

    /// NTT form over every limb.
    pub(crate) fn poly(&self) -> &RnsPoly {
        &self.poly
    }

    /// Encrypts under the secret key: `c1` is uniform (and public), `c0 = m + e - c1 s`. The noise is that of
    /// one error polynomial, much below public-key encryption's.
    ///
    /// # Errors
    /// [`crate::Error::Level`] when the plaintext's level is above the parameters'.
    pub fn encrypt(&self, plaintext: &Plaintext) -> Result<Ciphertext> {
        let mut rng = sampling::os_rng();
        let seed = sampling::fresh_seed(&mut rng);
        self.encrypt_seeded(plaintext, seed, &mut rng)
    }

    /// Encryption whose `c1` expands from `seed`; errors come from `rng`.
    pub(crate) fn encrypt_seeded(
        &self,
        plaintext: &Plaintext,
        seed: Seed,
        rng: &mut ChaCha20Rng,
    ) -> Result<Ciphertext> {
        let params = &self.params;
        let level = checked_level(params, plaintext, "encrypt")?;
        let error = sampling::gaussian(rng, params.n());
        // Every word is written before anybody sees it, and none is secret in the end.
        let mut c0 = RnsPoly::scratch(params, level, false);
        let mut c1 = RnsPoly::scratch(params, level, false);
        c0.par_limbs_mut().zip(c1.par_limbs_mut()).enumerate().for_each(|(i, (c0, c1))| {
            let modulus = params.modulus(i);
            sampling::uniform(c1, &seed, i as u64, modulus);
            error.transform(c0, params.table(i));
            let message = plaintext.limb(i);
            (kernels().mul_sub)(c0, c1, self.poly.limb(i), Some(&message), modulus);
        });
        Ok(Ciphertext { c0, c1, scale: plaintext.scale })
    }

    /// Decrypts to `c0 + c1 s`, message and noise together.
    ///
    /// # Errors
    /// [`crate::Error::Level`] when the ciphertext's level is above the parameters'.
    pub fn decrypt(&self, ciphertext: &Ciphertext) -> Result<Plaintext> {
        let level = ciphertext.level();
        ciphertext.c0.check(&self.params, "decrypt")?;
        // Every word is written. Like any plaintext, it is not cleared when dropped.
        let mut poly = RnsPoly::scratch(&self.params, level, false);
        poly.par_limbs_mut().enumerate().for_each(|(i, limb)| {
            let (c0, c1) = (ciphertext.c0.limb(i), ciphertext.c1.limb(i));
            (kernels().mul_add)(limb, c1, self.poly.limb(i), c0, self.params.modulus(i));
        });
        Ok(Plaintext::new(poly, ciphertext.scale))
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        // The coefficients clear themselves.
        self.poly.zeroize();
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The uniform polynomial that `seed` stands for, in NTT form.
pub(crate) fn expand(params: &Parameters, seed: &Seed, level: usize) -> RnsPoly {
    let mut poly = RnsPoly::scratch(params, level, false);
    poly.par_limbs_mut().enumerate().for_each(|(i, limb)| {
        sampling::uniform(limb, seed, i as u64, params.modulus(i));
    });
    poly
}

pub(crate) fn checked_level(
    params: &Parameters,
    plaintext: &Plaintext,
    what: &'static str,
) -> Result<usize> {
    plaintext.check(params, what)?;
    Ok(plaintext.level())
}
