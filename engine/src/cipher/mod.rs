//! Plaintexts and ciphertexts.

use crate::params::Parameters;
use crate::poly::{Form, RnsPoly};

/// An encoded message: one polynomial in NTT form.
#[derive(Clone, Debug)]
pub struct Plaintext {
    /// The polynomial, in NTT form.
    pub poly: RnsPoly,
    /// Scale of the encoding.
    pub scale: f64,
}

impl Plaintext {
    /// Level.
    pub fn level(&self) -> usize {
        self.poly.level()
    }
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
        let poly = || RnsPoly::zero(params, level, false, Form::Ntt);
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
