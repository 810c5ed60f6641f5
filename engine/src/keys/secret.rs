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
use crate::poly::{Form, RnsPoly};
use crate::sampling::{self, Seed};

/// A uniform ternary secret. Zeroised when dropped; never printed.
pub struct SecretKey {
    params: Parameters,
    coefficients: Vec<i8>,
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
    pub(crate) fn from_coefficients(params: &Parameters, coefficients: Vec<i8>) -> Self {
        let poly = small_poly(params, &coefficients, params.max_level(), true);
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
        let c1 = expand(params, &seed, level);
        let mut error = sampling::gaussian(rng, params.n());
        let mut c0 = small_poly(params, &error, level, false);
        error.zeroize();
        c0.par_limbs_mut().enumerate().for_each(|(i, limb)| {
            let modulus = params.modulus(i);
            (kernels().add)(limb, plaintext.poly.limb(i), modulus);
            let mut product = vec![0; limb.len()];
            (kernels().mul)(&mut product, c1.limb(i), self.poly.limb(i), modulus);
            (kernels().sub)(limb, &product, modulus);
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
        let mut poly = RnsPoly::zero(&self.params, level, false, Form::Ntt);
        poly.par_limbs_mut().enumerate().for_each(|(i, limb)| {
            let modulus = self.params.modulus(i);
            (kernels().mul)(limb, ciphertext.c1.limb(i), self.poly.limb(i), modulus);
            (kernels().add)(limb, ciphertext.c0.limb(i), modulus);
        });
        Ok(Plaintext { poly, scale: ciphertext.scale })
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.coefficients.zeroize();
        self.poly.zeroize();
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A small polynomial in NTT form.
pub(crate) fn small_poly(
    params: &Parameters,
    coefficients: &[i8],
    level: usize,
    extended: bool,
) -> RnsPoly {
    let mut poly = RnsPoly::zero(params, level, extended, Form::Coefficient);
    poly.par_limbs_mut().enumerate().for_each(|(position, limb)| {
        let index = params.limb_index(level, position);
        sampling::small_residues(limb, coefficients, params.modulus(index));
    });
    poly.to_ntt(params);
    poly
}

/// The uniform polynomial that `seed` stands for, in NTT form.
pub(crate) fn expand(params: &Parameters, seed: &Seed, level: usize) -> RnsPoly {
    let mut poly = RnsPoly::zero(params, level, false, Form::Ntt);
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
    plaintext.poly.check(params, what)?;
    Ok(plaintext.level())
}
