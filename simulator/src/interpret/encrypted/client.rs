//! The client: holds the secret key, encrypts and decrypts.

use engine::cipher::Ciphertext;
use engine::encoding::Encoder;
use engine::keys::{EvaluationKeys, SecretKey};
use engine::params::Parameters;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::program::Program;

/// The party that owns the data.
pub struct Client {
    secret: SecretKey,
    encoder: Encoder,
}

impl Client {
    /// A client with a fresh secret key.
    pub fn new(params: &Parameters) -> Self {
        Self { secret: SecretKey::generate(params), encoder: Encoder::new(params) }
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
        slots
            .par_iter()
            .zip(&program.values)
            .map(|(slots, info)| {
                let plaintext = self.encoder.encode(slots, info.level, info.scale, false)?;
                Ok(self.secret.encrypt(&plaintext)?)
            })
            .collect()
    }

    /// Decrypts and decodes results.
    ///
    /// # Errors
    /// Engine errors.
    pub fn decrypt(&self, results: &[Ciphertext]) -> Result<Vec<Vec<f64>>> {
        results.iter().map(|ct| Ok(self.encoder.decode(&self.secret.decrypt(ct)?)?)).collect()
    }
}
