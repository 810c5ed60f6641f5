//! Stages of the owner of the images.

use std::fmt::Write as _;
use std::io::BufRead as _;

use anyhow::{Context, Result, bail};
use engine::serial;
use experiments::process::files::{self, Readers};
use experiments::process::output::note;
use experiments::runs::execute::timed;
use experiments::runs::key_files::MadeKeys;
use experiments::runs::statistics::argmax;
use rayon::prelude::*;
use runtime::client::{Client, ClientSpec};

use crate::folders::{Build, Instance, open};
use crate::pixels;

/// Makes a secret key, and evaluation keys for the server.
///
/// # Errors
/// What cannot be read or written.
pub fn generate_keys() -> Result<()> {
    let instance = Instance::of_this_process()?;
    let keys = MadeKeys::new(specification()?)?;
    keys.write_secret(&instance.secret_key())?;
    keys.write_evaluation(&instance.evaluation_keys())?;
    tell(format!("keys made in {:.1} ms", keys.took_ms));
    Ok(())
}

/// Checks the pixels of all images and writes them as numbers.
///
/// # Errors
/// What is no image of the network; what cannot be read or written.
pub fn preprocess() -> Result<()> {
    let instance = Instance::of_this_process()?;
    let shape = specification()?.normalisation.shape;
    let path = instance.pixels();
    let from = open(&path)?;
    files::write_streaming(&instance.images(), Readers::All, |out| {
        let images = pixels::copy(from, out, shape.len());
        match images.with_context(|| path.display().to_string())? {
            0 => bail!("{}: no image", path.display()),
            _ => Ok(()),
        }
    })
}

/// Encrypts all images, as many at a time as there are threads.
///
/// # Errors
/// What cannot be read, encrypted or written.
pub fn encrypt() -> Result<()> {
    let instance = Instance::of_this_process()?;
    let client = client(&instance)?;
    let pixels = client.spec().normalisation.shape.len();
    let path = instance.images();
    let what = || path.display().to_string();
    let mut from = open(&path)?;
    let bytes = from.get_ref().metadata().with_context(what)?.len();
    let images = pixels::images(bytes, pixels).with_context(what)?;
    let (done, took_ms) = timed(|| {
        files::write_streaming(&instance.upload(), Readers::All, |out| {
            let mut left = images;
            while left > 0 {
                // In each message those that share a ciphertext.
                let together = client.spec().images;
                let some = left.min((rayon::current_num_threads() * together) as u64);
                let read = |_| pixels::read(&mut from, pixels).with_context(what);
                let some = (0..some).map(read).collect::<Result<Vec<_>>>()?;
                left -= some.len() as u64;
                let messages = some.par_chunks(together).map(|images| {
                    let mut message = Vec::new();
                    client.write_images(&mut message, images.iter().cloned())?;
                    anyhow::Ok(message)
                });
                for message in messages.collect::<Result<Vec<_>>>()? {
                    out.write_all(&message)?;
                }
            }
            Ok(())
        })
    });
    done?;
    tell(format!("{images} images encrypted in {took_ms:.1} ms"));
    Ok(())
}

/// Decrypts all results to logits.
///
/// # Errors
/// What cannot be read, decrypted or written.
pub fn decrypt() -> Result<()> {
    let instance = Instance::of_this_process()?;
    let client = client(&instance)?;
    let path = instance.download();
    let (mut lines, mut images) = (String::new(), 0);
    let (done, took_ms) = timed(|| {
        client.read_results(open(&path)?, |logits| {
            images += 1;
            let logits: Vec<String> = logits.iter().map(f64::to_string).collect();
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{}", logits.join(" "));
        })?;
        anyhow::Ok(())
    });
    done.with_context(|| path.display().to_string())?;
    files::write_atomically(&instance.logits(), lines.as_bytes())?;
    tell(format!("{images} results decrypted in {took_ms:.1} ms"));
    Ok(())
}

/// Writes the class of every image: where its largest logit is.
///
/// # Errors
/// What cannot be read or written.
pub fn postprocess() -> Result<()> {
    let instance = Instance::of_this_process()?;
    let path = instance.logits();
    let from = open(&path)?;
    files::write_streaming(&instance.predictions(), Readers::All, |out| {
        for (k, line) in from.lines().enumerate() {
            let logits =
                line?.split_ascii_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
            let logits = logits.ok().filter(|all| !all.is_empty());
            let logits =
                logits.with_context(|| format!("{}, line {}: no logits", path.display(), k + 1))?;
            writeln!(out, "{}", argmax(&logits))?;
        }
        Ok(())
    })
}

/// What the server tells of the network.
fn specification() -> Result<ClientSpec> {
    let path = Build::of_this_process()?.client();
    ClientSpec::read(open(&path)?, false).with_context(|| path.display().to_string())
}

/// The owner of the secret key that was made before.
fn client(instance: &Instance) -> Result<Client> {
    let spec = specification()?;
    let path = instance.secret_key();
    let secret = serial::read_secret_key_unprotected(open(&path)?, &spec.params);
    Ok(Client::with_secret(spec, secret.with_context(|| path.display().to_string())?)?)
}

fn tell(what: String) {
    note(format_args!("         [client] {what}"));
}
