//! The client: holds the secret key, encrypts and decrypts.

use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::keys::{EvaluationKeys, SecretKey};
use engine::params::Parameters;
use engine::sampling::WideGaussian;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::program::{Program, ValueInfo};

/// The party that owns the data.
pub struct Client {
    secret: SecretKey,
    encoder: Encoder,
}

impl Client {
    /// A client with a fresh secret key.
    pub fn new(params: &Parameters) -> Self {
        Self::with_secret(SecretKey::generate(params))
    }

    /// A client with a secret key that there is already.
    pub fn with_secret(secret: SecretKey) -> Self {
        let encoder = Encoder::new(secret.params());
        Self { secret, encoder }
    }

    /// The secret key.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The evaluation keys a program needs, and no others.
    ///
    /// # Errors
    /// Whatever the engine says of the specification.
    pub fn evaluation_keys(&self, program: &Program) -> Result<EvaluationKeys> {
        Ok(EvaluationKeys::generate(&self.secret, &program.keys())?)
    }

    /// Encrypts one vector of slots per input of `program`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a wrong number of vectors; engine errors.
    pub fn encrypt(&self, program: &Program, slots: &[Vec<f64>]) -> Result<Vec<Ciphertext>> {
        if slots.len() != program.inputs {
            return Err(Error::argument("number of input vectors", slots.len(), program.inputs));
        }
        let inputs = slots.par_iter().zip(&program.values);
        inputs.map(|(slots, fresh)| self.encrypt_slots(slots, *fresh)).collect()
    }

    /// Encodes a vector of slots.
    ///
    /// # Errors
    /// Engine errors.
    pub fn encode(&self, slots: &[f64], fresh: ValueInfo) -> Result<Plaintext> {
        Ok(self.encoder.encode(slots, fresh.level, fresh.scale, false)?)
    }

    /// Encrypts a vector of slots.
    ///
    /// # Errors
    /// Engine errors.
    pub fn encrypt_slots(&self, slots: &[f64], fresh: ValueInfo) -> Result<Ciphertext> {
        Ok(self.secret.encrypt(&self.encode(slots, fresh)?)?)
    }

    /// Decrypts and decodes results.
    ///
    /// # Errors
    /// Engine errors.
    pub fn decrypt(&self, results: &[Ciphertext]) -> Result<Vec<Vec<f64>>> {
        results.iter().map(|ct| Ok(self.encoder.decode(&self.secret.decrypt(ct)?)?)).collect()
    }

    /// The same with noise, so that others may see the results: [`SecretKey::decrypt_to_share`] says when.
    ///
    /// # Errors
    /// Engine errors.
    pub fn decrypt_to_share(
        &self,
        results: &[Ciphertext],
        noise: &WideGaussian,
    ) -> Result<Vec<Vec<f64>>> {
        let one =
            |ct: &Ciphertext| Ok(self.encoder.decode(&self.secret.decrypt_to_share(ct, noise)?)?);
        results.iter().map(one).collect()
    }
}
