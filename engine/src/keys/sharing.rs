//! Decryption whose result others may see.

use rayon::prelude::*;
use zeroize::Zeroizing;

use super::SecretKey;
use crate::cipher::{Ciphertext, Plaintext, PlaintextPoly};
use crate::kernels::kernels;
use crate::sampling::{self, WideGaussian, transform_wide};
use crate::{Error, Result};

impl SecretKey {
    /// Decrypts and adds a discrete Gaussian of the given deviation to every coefficient, from the operating system's
    /// randomness.
    ///
    /// What [`Self::decrypt`] returns has the ciphertext's own noise, which depends on the secret and the errors under it:
    /// whoever sees both, the party that computed for one, has linear equations for the secret key (Li, Micciancio, EUROCRYPT
    /// 2021). It is for the owner of the key alone. What this returns may be shown, even to that party, if the deviation is large
    /// enough for the noise that the ciphertext can have, for the number of results that will ever be shown under this key, and
    /// if every ciphertext is decrypted for others once: the engine adds what it is told, and cannot know that.
    ///
    /// # Errors
    /// As [`Self::decrypt`]; [`Error::Argument`] for noise that does not fit half the modulus of the ciphertext's level.
    pub fn decrypt_to_share(
        &self,
        ciphertext: &Ciphertext,
        noise: &WideGaussian,
    ) -> Result<Plaintext> {
        let params = self.params();
        ciphertext.c0.check(params, "decrypt to share")?;
        let level = ciphertext.level();
        let (found, limit) = (noise.bound().log2(), params.log_q(level) - 1.0);
        if found > limit {
            return Err(Error::argument(
                "largest noise of a decryption to share",
                format!("2^{found:.1}"),
                format!("at most 2^{limit:.1}, half the modulus at level {level}"),
            ));
        }
        let mut plaintext = self.decrypt(ciphertext)?;
        let samples = noise.samples(&mut sampling::os_rng(), params.n());
        let PlaintextPoly::Full(poly) = &mut plaintext.poly else {
            unreachable!("what is decrypted has every word")
        };
        poly.par_limbs_mut().enumerate().for_each(|(i, limb)| {
            let mut words = Zeroizing::new(vec![0; limb.len()]);
            transform_wide(&samples, &mut words, params.table(i));
            (kernels().add)(limb, &words, params.modulus(i));
        });
        Ok(plaintext)
    }
}
