//! `spencnn decrypt`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use runtime::client::{Client, ClientSpec};
use serde::Serialize;
use simulator::interpret::{SharedResults, Sharing};

use super::options::{PrecisionArgs, finite};
use super::parties::{ClientArgs, SECRET, read};
use crate::process::files;
use crate::process::output::{self, note};
use crate::report::csv;
use crate::runs::execute::timed;
use crate::runs::image_result::ImageResult;

/// Decrypt results: logits and classes
///
/// As with all of CKKS, do not give decrypted logits to those who hold the ciphertexts: together they tell of the key. With
/// --share-safe they have noise that hides it, wide enough for so many results in the whole life of the key, each decrypted once; the
/// precision that is left is told, and nothing is decrypted where it is too little. docs/sharing.md tells who may see what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn decrypt digit.results
  spencnn decrypt results/*.results --logits logits.csv
  spencnn decrypt digit.results --json
  spencnn decrypt digit.results --share-safe --statistical-bits 20     after a search with --min-precision 24, say")]
pub struct DecryptArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Secret key, from `keygen`
    #[arg(long, value_name = "FILE", default_value = SECRET)]
    secret: PathBuf,
    /// Encrypted results; - for standard input
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// Add noise, so that the server may see the results
    #[arg(long)]
    share_safe: bool,
    /// Bits of statistical security of that noise
    #[arg(long, value_name = "BITS", default_value_t = 30.0, requires = "share_safe", value_parser = finite)]
    statistical_bits: f64,
    /// Results that will ever be shown under this key, those of this call and of all others
    #[arg(long, value_name = "N", default_value_t = 1, requires = "share_safe")]
    queries: u64,
    /// Fewest bits of precision that noise must leave
    #[command(flatten)]
    precision: PrecisionArgs,
    /// Write logits, class and margin of every image (CSV)
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The results, file by file.
#[derive(Debug, Serialize)]
struct Decrypted {
    /// Name of the network.
    network: String,
    /// Decrypting and decoding all of them.
    decrypt_ms: f64,
    /// Every file.
    files: Vec<FileResults>,
}

/// The results of a file.
#[derive(Debug, Serialize)]
struct FileResults {
    /// Its name.
    file: String,
    /// Every image, in order.
    images: Vec<ImageResult>,
}

impl DecryptArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        self.logits.as_deref().map_or(Ok(()), files::check_writable)?;
        let spec = self.client.read()?;
        let network = spec.network.clone();
        let secret = self.client.secret(&spec, &self.secret)?;
        let shared = if self.share_safe { Some(self.noise(&spec)?) } else { None };
        let client = Client::with_secret(spec, secret)?;
        let mut left = self.queries;
        let (files, decrypt_ms) = timed(|| {
            let mut one = |path: &PathBuf| -> Result<FileResults> {
                let mut images = Vec::new();
                let found = read(path, |reader| {
                    let keep = |logits: Vec<f64>| {
                        images.push(ImageResult::new(images.len(), None, &logits, None));
                    };
                    match &shared {
                        None => client.read_results(reader, keep)?,
                        Some(shared) => client.share_results(reader, shared, left, keep)?,
                    }
                    Ok(())
                });
                self.client.beside(found)?;
                left = left.saturating_sub(images.len() as u64);
                Ok(FileResults { file: path.display().to_string(), images })
            };
            self.results.iter().map(&mut one).collect::<Result<Vec<_>>>()
        });
        let found = Decrypted { network, decrypt_ms, files: files? };
        let text = if self.json { output::json(&found)? } else { text(&found) };
        let printed = output::results(&text);
        if let Some(path) = &self.logits {
            let lines = found
                .files
                .iter()
                .flat_map(|f| f.images.iter().map(move |image| (f.file.as_str(), image)));
            files::write_atomically(path, csv(&lines.collect::<Vec<_>>()).as_bytes())?;
        }
        note(format_args!("decrypted in {decrypt_ms:.1} ms"));
        printed
    }
}

impl DecryptArgs {
    /// The noise that lets results be shown.
    fn noise(&self, spec: &ClientSpec) -> Result<SharedResults> {
        let errors = spec
            .errors
            .context("the client file does not say which errors results have: compile it again")?;
        let sharing = Sharing { statistical_bits: self.statistical_bits, queries: self.queries };
        let shared = sharing.share(&errors, self.precision.demand())?;
        note(format_args!(
            "noise of deviation {:.3e} in every logit: {} bits of statistical security for {} results; {:.1} bits of precision are \
             left of {:.1}, relative to the largest logit",
            shared.deviation,
            self.statistical_bits,
            self.queries,
            shared.precision.relative_bits,
            shared.before.relative_bits
        ));
        Ok(shared)
    }
}

fn text(found: &Decrypted) -> String {
    let mut text = String::new();
    for file in &found.files {
        for image in &file.images {
            let margin = image.margin.map_or(String::new(), |m| format!(", {m:.4} above the next"));
            let logits: Vec<String> = image.logits.iter().map(|v| format!("{v:.4}")).collect();
            text += &format!(
                "{}, image {}: class {}{margin}; logits {}\n",
                file.file,
                image.image,
                image.class,
                logits.join(" ")
            );
        }
    }
    text
}
