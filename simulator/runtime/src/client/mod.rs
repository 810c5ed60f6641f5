//! The owner of the images: makes keys, encrypts, decrypts.

mod file;
mod spec;

use std::io::{BufRead, Write};

use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::keys::{EvaluationKeys, PublicKey, SecretKey};
use engine::serial;
use rayon::prelude::*;
use simulator::interpret::{self, SharedResults};

use crate::message::Envelope;
use crate::{Error, Result};

pub use spec::{ClientSpec, Sizes};

/// Who owns the images and the secret key.
pub struct Client {
    spec: ClientSpec,
    owner: interpret::Client,
    images: Envelope,
    results: Envelope,
}

impl Client {
    /// A client with a fresh secret key.
    ///
    /// # Errors
    /// Those of [`ClientSpec::check`].
    pub fn generate(spec: ClientSpec) -> Result<Self> {
        let secret = SecretKey::generate(&spec.params);
        Self::with_secret(spec, secret)
    }

    /// A client with the secret key that it made before.
    ///
    /// # Errors
    /// Those of [`ClientSpec::check`]; the engine's for a key of other parameters.
    pub fn with_secret(spec: ClientSpec, secret: SecretKey) -> Result<Self> {
        spec.check()?;
        secret.params().fingerprint().check(spec.params.fingerprint(), "the secret key")?;
        let (images, results) = (spec.images()?, spec.results()?);
        Ok(Self { spec, owner: interpret::Client::with_secret(secret), images, results })
    }

    /// What it knows of the model.
    pub fn spec(&self) -> &ClientSpec {
        &self.spec
    }

    /// The secret key.
    pub fn secret(&self) -> &SecretKey {
        self.owner.secret()
    }

    /// The evaluation keys that the model needs, and no others.
    ///
    /// # Errors
    /// The engine's.
    pub fn evaluation_keys(&self) -> Result<EvaluationKeys> {
        Ok(EvaluationKeys::generate(self.secret(), &self.spec.keys)?)
    }

    /// A public key: whoever has it can encrypt images for the model, and not decrypt anything.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::generate(self.secret())
    }

    /// Encrypts a raw image (`[channel][row][column]`, 0 to 1), or up to as many as share a ciphertext.
    ///
    /// # Errors
    /// Those of [`ClientSpec::pack`]; the engine's.
    pub fn encrypt<I: AsRef<[f64]>>(&self, images: &[I]) -> Result<Vec<Ciphertext>> {
        let slots = self.spec.pack(images)?;
        let encrypt = |slots: &Vec<f64>| Ok(self.owner.encrypt_slots(slots, self.spec.fresh)?);
        slots.par_iter().map(encrypt).collect()
    }

    /// Encrypts raw images and writes them as one message, their uniform halves as seeds.
    ///
    /// # Errors
    /// Those of [`ClientSpec::pack`]; the engine's.
    pub fn write_images(
        &self,
        mut writer: impl Write,
        images: impl ExactSizeIterator<Item = Vec<f64>>,
    ) -> Result<()> {
        self.images.begin(&mut writer, images.len())?;
        self.spec.each_packed(images, |slots| {
            let plaintext = self.owner.encode(slots, self.spec.fresh)?;
            Ok(serial::write_seeded_ciphertext(&mut writer, self.secret(), &plaintext)?)
        })
    }

    /// Decrypts a result to its logits: those of every image that shares its ciphertexts, zeros encrypted in place of images
    /// included.
    ///
    /// # Errors
    /// [`Error::Argument`] for ciphertexts that are none of the model's results; the engine's.
    pub fn decrypt(&self, result: &[Ciphertext]) -> Result<Vec<Vec<f64>>> {
        result.iter().try_for_each(|ciphertext| self.results.check(ciphertext))?;
        self.spec.unpack(&self.owner.decrypt(result)?, self.spec.images)
    }

    /// Reads all messages of a stream and decrypts the results in them, image by image.
    ///
    /// # Errors
    /// Those of [`Envelope::open`] and [`Envelope::read`]; the engine's.
    pub fn read_results(
        &self,
        reader: impl BufRead,
        mut result: impl FnMut(Vec<f64>),
    ) -> Result<()> {
        self.each_result(reader, |found, count| {
            self.decrypt(found)?.into_iter().take(count).for_each(&mut result);
            Ok(())
        })
    }

    /// The same with noise, so that the server may see the results: [`Sharing`](simulator::interpret::Sharing) says under
    /// which conditions. At most `most` results; what comes after them is not decrypted.
    ///
    /// # Errors
    /// Those of [`Self::read_results`]; [`Error::Argument`] for more results.
    pub fn share_results(
        &self,
        reader: impl BufRead,
        shared: &SharedResults,
        most: u64,
        mut result: impl FnMut(Vec<f64>),
    ) -> Result<()> {
        let noise = shared.noise(&self.spec.result, self.spec.params.slots())?;
        let mut left = most;
        self.each_result(reader, |found, count| {
            // In different slots noise is independent: what each image of a ciphertext shows counts as a result.
            left = left.checked_sub(count as u64).ok_or_else(|| {
                let found = format!("more than {most}");
                Error::argument("results to be shown", found, "as many as noise was chosen for")
            })?;
            found.iter().try_for_each(|ciphertext| self.results.check(ciphertext))?;
            let slots = self.owner.decrypt_to_share(found, &noise)?;
            for logits in self.spec.unpack(&slots, count)? {
                result(logits.into_iter().map(|v| shared.rounded(v)).collect());
            }
            Ok(())
        })
    }

    /// Reads all messages of a stream: the ciphertexts of each image, or of those that share them, and how many these are.
    fn each_result(
        &self,
        mut reader: impl BufRead,
        mut each: impl FnMut(&[Ciphertext], usize) -> Result<()>,
    ) -> Result<()> {
        while let Some(mut left) = self.results.open(&mut reader)? {
            while left > 0 {
                let (ciphertexts, count) = self.results.read(&mut reader, &mut left)?;
                each(&ciphertexts, count)?;
            }
        }
        Ok(())
    }
}

/// Who may encrypt images for a model, and decrypt nothing.
pub struct Encryptor {
    spec: ClientSpec,
    encoder: Encoder,
    key: PublicKey,
    images: Envelope,
}

impl Encryptor {
    /// With a public key of the specification's parameters.
    ///
    /// # Errors
    /// Those of [`ClientSpec::check`]; the engine's for a key of other parameters.
    pub fn new(spec: ClientSpec, key: PublicKey) -> Result<Self> {
        spec.check()?;
        key.params().fingerprint().check(spec.params.fingerprint(), "the public key")?;
        let images = spec.images()?;
        Ok(Self { encoder: Encoder::new(&spec.params), spec, key, images })
    }

    /// Encrypts raw images (`[channel][row][column]`, 0 to 1) and writes them as one message.
    ///
    /// # Errors
    /// Those of [`ClientSpec::pack`]; the engine's.
    pub fn write_images(
        &self,
        mut writer: impl Write,
        images: impl ExactSizeIterator<Item = Vec<f64>>,
    ) -> Result<()> {
        let (params, fresh) = (&self.spec.params, self.spec.fresh);
        self.images.begin(&mut writer, images.len())?;
        self.spec.each_packed(images, |slots| {
            let plaintext: Plaintext =
                self.encoder.encode(slots, fresh.level, fresh.scale, false)?;
            Ok(serial::write_ciphertext(&mut writer, params, &self.key.encrypt(&plaintext)?)?)
        })
    }
}
