//! The public key: encryption by anybody.

use rayon::prelude::*;
use zeroize::Zeroize;

use super::SecretKey;
use super::secret::{checked_level, expand, small_poly};
use crate::Result;
use crate::cipher::{Ciphertext, Plaintext};
use crate::kernels::kernels;
use crate::params::Parameters;
use crate::poly::RnsPoly;
use crate::sampling::{self, Seed};

/// An encryption of zero, `(e - a s, a)`, at the highest level.
pub struct PublicKey {
    params: Parameters,
    pub(crate) b: RnsPoly,
    pub(crate) a: RnsPoly,
    /// What `a` expands from.
    pub(crate) seed: Seed,
}

impl PublicKey {
    /// The public key of a secret key.
    pub fn generate(secret: &SecretKey) -> Self {
        let params = secret.params();
        let mut rng = sampling::os_rng();
        let seed = sampling::fresh_seed(&mut rng);
        let a = expand(params, &seed, params.max_level());
        let mut error = sampling::gaussian(&mut rng, params.n());
        let mut b = small_poly(params, &error, params.max_level(), false);
        error.zeroize();
        b.par_limbs_mut().enumerate().for_each(|(i, limb)| {
            let mut product = vec![0; limb.len()];
            (kernels().mul)(&mut product, a.limb(i), secret.poly().limb(i), params.modulus(i));
            (kernels().sub)(limb, &product, params.modulus(i));
        });
        Self { params: params.clone(), b, a, seed }
    }

    /// Reassembles a public key from its stored half.
    pub(crate) fn from_parts(params: &Parameters, b: RnsPoly, seed: Seed) -> Self {
        let a = expand(params, &seed, params.max_level());
        Self { params: params.clone(), b, a, seed }
    }

    /// The parameters of this key.
    pub fn params(&self) -> &Parameters {
        &self.params
    }

    /// Encrypts: `(b u + e0 + m, a u + e1)` with ternary `u`.
    ///
    /// # Errors
    /// [`crate::Error::Level`] when the plaintext's level is above the parameters'.
    pub fn encrypt(&self, plaintext: &Plaintext) -> Result<Ciphertext> {
        let params = &self.params;
        let level = checked_level(params, plaintext, "encrypt")?;
        let mut rng = sampling::os_rng();
        let mut secrets = [
            sampling::ternary(&mut rng, params.n()),
            sampling::gaussian(&mut rng, params.n()),
            sampling::gaussian(&mut rng, params.n()),
        ];
        let mut u = small_poly(params, &secrets[0], level, false);
        let masked = |key: &RnsPoly, error: &[i8], message: Option<&RnsPoly>| {
            let mut c = small_poly(params, error, level, false);
            c.par_limbs_mut().enumerate().for_each(|(i, limb)| {
                let modulus = params.modulus(i);
                let mut product = vec![0; limb.len()];
                (kernels().mul)(&mut product, key.limb(i), u.limb(i), modulus);
                (kernels().add)(limb, &product, modulus);
                if let Some(message) = message {
                    (kernels().add)(limb, message.limb(i), modulus);
                }
            });
            c
        };
        let c0 = masked(&self.b, &secrets[1], Some(&plaintext.poly));
        let c1 = masked(&self.a, &secrets[2], None);
        u.zeroize();
        secrets.iter_mut().for_each(Zeroize::zeroize);
        Ok(Ciphertext { c0, c1, scale: plaintext.scale })
    }
}
