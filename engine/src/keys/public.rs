//! The public key: encryption by anybody.

use rayon::prelude::*;

use super::SecretKey;
use super::secret::{checked_level, expand};
use crate::Result;
use crate::buffer::SecretScratch;
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
        let error = sampling::gaussian(&mut rng, params.n());
        let level = params.max_level();
        let mut b = RnsPoly::zero(params, level, false);
        let mut a = RnsPoly::zero(params, level, false);
        b.par_limbs_mut().zip(a.par_limbs_mut()).enumerate().for_each(|(i, (b, a))| {
            let modulus = params.modulus(i);
            sampling::uniform(a, &seed, i as u64, modulus);
            error.transform(b, params.table(i));
            (kernels().mul_sub)(b, a, secret.poly().limb(i), None, modulus);
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

    /// Encrypts: `(m + e0 - b u, e1 - a u)` with ternary `u`.
    ///
    /// # Errors
    /// [`crate::Error::Level`] when the plaintext's level is above the parameters'.
    pub fn encrypt(&self, plaintext: &Plaintext) -> Result<Ciphertext> {
        let params = &self.params;
        let level = checked_level(params, plaintext, "encrypt")?;
        let mut rng = sampling::os_rng();
        let u = sampling::ternary(&mut rng, params.n());
        let errors = [(); 2].map(|()| sampling::gaussian(&mut rng, params.n()));
        // Every word is written before anybody sees it, and none is secret in the end.
        let mut c0 = RnsPoly::scratch(params, level, false);
        let mut c1 = RnsPoly::scratch(params, level, false);
        c0.par_limbs_mut().zip(c1.par_limbs_mut()).enumerate().for_each_init(
            || SecretScratch::new(params.n()),
            |transformed, (i, (c0, c1))| {
                let (modulus, table) = (params.modulus(i), params.table(i));
                u.transform(transformed, table);
                errors[0].transform(c0, table);
                let message = plaintext.limb(i);
                (kernels().mul_sub)(c0, transformed, self.b.limb(i), Some(&message), modulus);
                errors[1].transform(c1, table);
                (kernels().mul_sub)(c1, transformed, self.a.limb(i), None, modulus);
            },
        );
        Ok(Ciphertext { c0, c1, scale: plaintext.scale })
    }
}
