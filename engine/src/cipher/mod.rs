//! Plaintexts and ciphertexts.

mod plaintext;

pub use plaintext::Plaintext;
pub(crate) use plaintext::PlaintextPoly;

use crate::params::{Parameters, limits};
use crate::poly::RnsPoly;
use crate::{Error, Result};

/// Least base-2 logarithm of a scale.
const MIN_LOG: f64 = -limits::MAX_LOG_SCALE;
/// Largest base-2 logarithm of a scale: that of a product of two nominal ones.
const MAX_LOG: f64 = 2.0 * limits::MAX_LOG_SCALE;

/// Checks a scale: from 2^-100 to 2^200, and at most the modulus of its level, above which no message fits.
pub(crate) fn check_scale(
    what: &'static str,
    scale: f64,
    params: &Parameters,
    level: usize,
) -> Result<()> {
    let modulus = |i| (params.modulus(i).value() as f64).log2();
    let most = (0..=level.min(params.max_level())).map(modulus).sum::<f64>().min(MAX_LOG);
    // The logarithm of what is negative is not a number, and in no range.
    if (MIN_LOG..=most).contains(&scale.log2()) {
        return Ok(());
    }
    let found = format!("{scale:e}");
    Err(Error::argument(what, found, format!("2^{MIN_LOG} to 2^{most:.1} at level {level}")))
}

/// A ciphertext `(c0, c1)` in NTT form, decrypted as `c0 + c1 s`.
#[derive(Clone, Debug)]
pub struct Ciphertext {
    /// Component that meets 1.
    pub c0: RnsPoly,
    /// Component that meets the secret.
    pub c1: RnsPoly,
    /// Scale of the message.
    pub scale: f64,
}

impl Ciphertext {
    /// A ciphertext of zero, without noise: for use as an accumulator or in tests.
    pub fn zero(params: &Parameters, level: usize, scale: f64) -> Self {
        let poly = || RnsPoly::zero(params, level, false);
        Self { c0: poly(), c1: poly(), scale }
    }

    /// Level: the ciphertext has `level + 1` limbs.
    pub fn level(&self) -> usize {
        self.c0.level()
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.c0.bytes() + self.c1.bytes()
    }
}
