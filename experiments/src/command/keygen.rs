//! `spencnn keygen`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use engine::serial;
use simulator::chain::Chain;

use super::parties::{ClientArgs, KEYS, SECRET, note_written};
use crate::machine::memory::{self, show_bytes};
use crate::process::files::{self, Readers};
use crate::process::output::note;
use crate::runs::key_files::MadeKeys;

/// Make a secret key, and the evaluation keys that a server needs for one model
///
/// The secret key decrypts everything that is encrypted with it. It lies in its file as it is, without a passphrase, for its
/// owner alone (mode 0600): never send it to the server. Evaluation keys let a server compute and decrypt nothing. A public
/// key lets others encrypt images.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn keygen
  spencnn keygen --client mine.client --secret mine.secret --keys mine.keys --public-key mine.public")]
pub struct KeygenArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Secret key to write: keep it
    #[arg(long, value_name = "FILE", default_value = SECRET)]
    secret: PathBuf,
    /// Evaluation keys to write: send them to the server
    #[arg(long, value_name = "FILE", default_value = KEYS)]
    keys: PathBuf,
    /// Public key to write, for others who encrypt images
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Replace a secret key that is there: what was encrypted with it can then not be decrypted any more
    #[arg(long)]
    force: bool,
}

impl KeygenArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        if self.secret.exists() && !self.force {
            bail!(
                "{} is there already; what was encrypted with it could not be decrypted any more: name another file, or say \
                 --force",
                self.secret.display()
            );
        }
        for path in [&self.secret, &self.keys].into_iter().chain(&self.public_key) {
            files::check_writable(path)?;
        }
        let spec = self.client.read()?;
        let sizes = spec.sizes()?;
        memory::reserve("making keys", Chain::from(&spec.params).keys_bytes(&spec.keys))?;
        let made = MadeKeys::new(spec)?;
        note(format_args!(
            "keys made in {:.1} ms; the evaluation keys have {}",
            made.took_ms,
            show_bytes(sizes.evaluation_keys)
        ));
        // Keys of two clients give results that mean nothing, without a word: the old ones end before the new secret key begins.
        for path in std::iter::once(&self.keys).chain(&self.public_key) {
            files::remove_old(path)?;
        }
        made.write_secret(&self.secret)?;
        note_written(&self.secret, "the secret key, for its owner alone; never send it");
        made.write_evaluation(&self.keys)?;
        note_written(&self.keys, "evaluation keys, for the server");
        if let Some(path) = &self.public_key {
            let key = made.client.public_key();
            files::write_streaming(path, Readers::All, |out| {
                Ok(serial::write_public_key(out, &key)?)
            })?;
            note_written(path, "a public key, for whoever encrypts images");
        }
        Ok(())
    }
}
