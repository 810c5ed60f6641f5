//! Operations without key switching.

use rayon::prelude::*;

use super::mod_down::rescale;
use super::{Evaluator, rescalable, same_level, same_scale};
use crate::cipher::{Ciphertext, Plaintext};
use crate::kernels::kernels;
use crate::modulus::Modulus;
use crate::poly::RnsPoly;
use crate::{Error, Result};

impl Evaluator {
    /// `a + b`.
    ///
    /// # Errors
    /// [`Error::Level`] or [`Error::Scale`] when the operands' differ.
    pub fn add(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.combine("add", a, b, kernels().add)
    }

    /// `a - b`.
    ///
    /// # Errors
    /// As for [`Self::add`].
    pub fn sub(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.combine("subtract", a, b, kernels().sub)
    }

    fn combine(
        &self,
        what: &'static str,
        a: &Ciphertext,
        b: &Ciphertext,
        kernel: fn(&mut [u64], &[u64], &Modulus),
    ) -> Result<Ciphertext> {
        a.c0.check(&self.params, what)?;
        b.c0.check(&self.params, what)?;
        same_level(what, b.level(), a.level())?;
        same_scale(what, b.scale, a.scale)?;
        let combined = |a: &RnsPoly, b: &RnsPoly| {
            let mut out = RnsPoly::scratch(&self.params, a.level(), false);
            out.par_limbs_mut().enumerate().for_each(|(i, limb)| {
                limb.copy_from_slice(a.limb(i));
                kernel(limb, b.limb(i), self.params.modulus(i));
            });
            out
        };
        Ok(Ciphertext { c0: combined(&a.c0, &b.c0), c1: combined(&a.c1, &b.c1), scale: a.scale })
    }

    /// `ciphertext + plaintext`; the plaintext's level may be higher.
    ///
    /// # Errors
    /// [`Error::Level`] when the plaintext's level is lower, [`Error::Scale`] when the scales differ.
    pub fn add_plain(&self, ciphertext: &Ciphertext, plaintext: &Plaintext) -> Result<Ciphertext> {
        let mut out = ciphertext.clone();
        self.add_plain_assign(&mut out, plaintext)?;
        Ok(out)
    }

    /// `ciphertext += plaintext`; the plaintext's level may be higher.
    ///
    /// # Errors
    /// As for [`Self::add_plain`]; the ciphertext is then unchanged.
    pub fn add_plain_assign(
        &self,
        ciphertext: &mut Ciphertext,
        plaintext: &Plaintext,
    ) -> Result<()> {
        let what = "add plaintext: encode it at the ciphertext's level";
        self.check_plaintext(what, plaintext, ciphertext.level())?;
        same_scale("add plaintext", plaintext.scale, ciphertext.scale)?;
        ciphertext.c0.par_limbs_mut().enumerate().for_each(|(i, limb)| {
            (kernels().add)(limb, &plaintext.limb(i), self.params.modulus(i));
        });
        Ok(())
    }

    /// `ciphertext * plaintext`, not rescaled; the plaintext's level may be higher.
    ///
    /// # Errors
    /// [`Error::Level`] when the plaintext's level is lower.
    pub fn mul_plain(&self, ciphertext: &Ciphertext, plaintext: &Plaintext) -> Result<Ciphertext> {
        let level = ciphertext.level();
        self.check_plaintext(
            "multiply plaintext: encode it at the ciphertext's level",
            plaintext,
            level,
        )?;
        let component = || RnsPoly::scratch(&self.params, level, false);
        let (mut c0, mut c1) = (component(), component());
        let limbs = c0.par_limbs_mut().zip(c1.par_limbs_mut()).enumerate();
        limbs.for_each(|(i, (out0, out1))| {
            let (factor, modulus) = (plaintext.limb(i), self.params.modulus(i));
            (kernels().mul)(out0, ciphertext.c0.limb(i), &factor, modulus);
            (kernels().mul)(out1, ciphertext.c1.limb(i), &factor, modulus);
        });
        Ok(Ciphertext { c0, c1, scale: ciphertext.scale * plaintext.scale })
    }

    /// Divides by the last prime of the level and goes one level down.
    ///
    /// # Errors
    /// [`Error::Level`] at level 0.
    pub fn rescale(&self, ciphertext: &Ciphertext) -> Result<Ciphertext> {
        let level = ciphertext.level();
        ciphertext.c0.check(&self.params, "rescale")?;
        rescalable("rescale: no level is left; add depth", level)?;
        let [c0, c1] = rescale(&self.params, [&ciphertext.c0, &ciphertext.c1]);
        let scale = ciphertext.scale / self.params.modulus(level).value() as f64;
        Ok(Ciphertext { c0, c1, scale })
    }

    /// The same message at a lower level (or the same), with the same scale.
    ///
    /// # Errors
    /// [`Error::Level`] when `level` is above the ciphertext's.
    pub fn drop_level(&self, ciphertext: &Ciphertext, level: usize) -> Result<Ciphertext> {
        if level > ciphertext.level() {
            let expected = ciphertext.level();
            return Err(Error::Level {
                what: "drop level: a level cannot be raised",
                found: level,
                expected,
            });
        }
        let (c0, c1) = (ciphertext.c0.truncated(level), ciphertext.c1.truncated(level));
        Ok(Ciphertext { c0, c1, scale: ciphertext.scale })
    }

    /// Checks that a plaintext has the limbs that a value at `level` needs.
    pub(super) fn check_plaintext(
        &self,
        what: &'static str,
        plaintext: &Plaintext,
        level: usize,
    ) -> Result<()> {
        plaintext.check(&self.params, what)?;
        if plaintext.level() < level {
            return Err(Error::Level { what, found: plaintext.level(), expected: level });
        }
        Ok(())
    }
}
