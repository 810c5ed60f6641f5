//! Making the keys of a client, and writing them.

use std::path::Path;

use anyhow::Result;
use engine::keys::EvaluationKeys;
use engine::serial;
use runtime::client::{Client, ClientSpec};

use super::execute::timed;
use crate::process::files::{self, Readers};

/// A client and the evaluation keys of its server.
pub struct MadeKeys {
    /// Has the secret key.
    pub client: Client,
    /// For the server.
    pub evaluation: EvaluationKeys,
    /// How long both took to make.
    pub took_ms: f64,
}

impl MadeKeys {
    /// Makes the keys that a specification asks for.
    ///
    /// # Errors
    /// Those of [`Client::generate`] and of the engine.
    pub fn new(spec: ClientSpec) -> Result<Self> {
        let (made, took_ms) = timed(|| -> Result<_> {
            let client = Client::generate(spec)?;
            let evaluation = client.evaluation_keys()?;
            Ok((client, evaluation))
        });
        let (client, evaluation) = made?;
        Ok(Self { client, evaluation, took_ms })
    }

    /// Writes the secret key, for the eyes of the file's owner alone.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn write_secret(&self, path: &Path) -> Result<()> {
        files::write_streaming(path, Readers::Owner, |out| {
            Ok(serial::write_secret_key_unprotected(out, self.client.secret())?)
        })
    }

    /// Writes the evaluation keys.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn write_evaluation(&self, path: &Path) -> Result<()> {
        files::write_streaming(path, Readers::All, |out| {
            let params = &self.client.spec().params;
            Ok(serial::write_evaluation_keys(out, params, &self.evaluation)?)
        })
    }
}
