//! `spencnn decrypt`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use runtime::client::Client;
use serde::Serialize;

use super::parties::{ClientArgs, SECRET, read};
use crate::process::files;
use crate::process::output::{self, note};
use crate::report::csv;
use crate::runs::execute::timed;
use crate::runs::image_result::ImageResult;

/// Decrypt results: logits and classes
///
/// As with all of CKKS, do not give decrypted logits to those who hold the ciphertexts: together they tell of the key.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn decrypt digit.results
  spencnn decrypt results/*.results --logits logits.csv
  spencnn decrypt digit.results --json")]
pub struct DecryptArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Secret key, from `keygen`
    #[arg(long, value_name = "FILE", default_value = SECRET)]
    secret: PathBuf,
    /// Encrypted results; - for standard input
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
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
        let client = Client::with_secret(spec, secret)?;
        let (files, decrypt_ms) = timed(|| {
            let one = |path: &PathBuf| -> Result<FileResults> {
                let mut images = Vec::new();
                let found = read(path, |reader| {
                    Ok(client.read_results(reader, |logits| {
                        images.push(ImageResult::new(images.len(), None, &logits, None));
                    })?)
                });
                self.client.beside(found)?;
                Ok(FileResults { file: path.display().to_string(), images })
            };
            self.results.iter().map(one).collect::<Result<Vec<_>>>()
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
