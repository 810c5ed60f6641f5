//! `spencnn encrypt`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use engine::serial;
use runtime::client::{Client, ClientSpec, Encryptor};

use super::parties::{ClientArgs, SECRET, check_writable, note_written, read_whole, write};
use crate::inputs::images::{self, Pictures};
use crate::process::cancel;
use crate::process::output::note;
use crate::runs::execute::timed;

/// Encrypt images for a server
///
/// Under the secret key by default, in half the bytes of a public key's. All images go into one file, or each into one of its
/// own. Without --data, images are generated.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn encrypt --out digit.images                                      a generated digit
  spencnn encrypt --data ~/data --images 100 --out test.images            the first 100, in one file
  spencnn encrypt --data ~/data --image-index 8 --out eighth.images       the eighth
  spencnn encrypt --data ~/data --images 100 --split --out images/        a file for each
  spencnn encrypt --public-key public.key --out digit.images              by somebody who cannot decrypt")]
pub struct EncryptArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Secret key to encrypt with [default: secret.key]
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
    /// Public key to encrypt with instead
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    public_key: Option<PathBuf>,
    /// Images
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: u32,
    /// Number of the first of them, from 1
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    image_index: u32,
    /// Images: a folder (MNIST, CIFAR-10, PNG files, arrays) or a file of arrays (.npy, .npz, .safetensors, IDX) [default:
    /// generated ones]
    #[arg(long, value_name = "PATH", env = "SPENCNN_DATA")]
    data: Option<PathBuf>,
    /// Seed of generated images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File to write, or - for standard output; a folder with --split
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write a file for each image, `image-000001.images` and so on, into a folder
    #[arg(long)]
    split: bool,
}

/// With which key.
enum Sealer {
    Secret(Client),
    Public(Encryptor),
}

impl Sealer {
    fn write(
        &self,
        out: impl Write,
        images: impl ExactSizeIterator<Item = Vec<f64>>,
    ) -> Result<()> {
        match self {
            Self::Secret(client) => client.write_images(out, images)?,
            Self::Public(encryptor) => encryptor.write_images(out, images)?,
        }
        Ok(())
    }
}

impl EncryptArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        let (first, count) = (self.image_index as usize - 1, self.images as usize);
        let file = |k: usize| self.out.join(format!("image-{:06}.images", k + 1));
        check_writable(&if self.split { file(first) } else { self.out.clone() })?;
        let spec = self.client.read()?;
        let shape = spec.normalisation.shape;
        let images = images::load_shape(shape, self.data.as_deref(), first + count, self.seed)?;
        let end = images.len().min(first + count);
        if first >= end {
            bail!("image {} is asked for, and there are {}", first + 1, images.len());
        }
        if end < first + count {
            note(format_args!("there are only {} images: {} are taken", images.len(), end - first));
        }
        let sealer = self.sealer(spec)?;
        let (done, took_ms) = timed(|| match self.split {
            false => seal(&sealer, &images, first, end, &self.out),
            true => (first..end).try_for_each(|k| seal(&sealer, &images, k, k + 1, &file(k))),
        });
        done?;
        note(format_args!("{} images encrypted in {took_ms:.1} ms", end - first));
        Ok(())
    }

    fn sealer(&self, spec: ClientSpec) -> Result<Sealer> {
        if let Some(path) = &self.public_key {
            let params = spec.params.clone();
            let key = read_whole(path, |reader| Ok(serial::read_public_key(reader, &params)?));
            return Ok(Sealer::Public(Encryptor::new(spec, self.client.beside(key)?)?));
        }
        let path = self.secret.as_deref().unwrap_or(Path::new(SECRET));
        let secret = self.client.secret(&spec, path)?;
        Ok(Sealer::Secret(Client::with_secret(spec, secret)?))
    }
}

/// Encrypts images number `first` up to `end`, which is none of them, into a file.
fn seal(sealer: &Sealer, images: &Pictures, first: usize, end: usize, path: &Path) -> Result<()> {
    cancel::check()?;
    let all = (first..end).map(|k| images.image(k).context("an image is missing"));
    let all = all.collect::<Result<Vec<_>>>()?;
    write(path, |out| sealer.write(out, all.into_iter()))?;
    note_written(path, "encrypted, for the server");
    Ok(())
}
