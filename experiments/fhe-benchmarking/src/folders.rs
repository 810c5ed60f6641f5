//! Where the files are that stages exchange: the harness fixes the folders, below the one that it runs in.

use std::env;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The sizes of the workload, as its folders are called; the harness passes a number from 0.
const INSTANCES: [&str; 4] = ["single", "small", "medium", "large"];

/// What the executables find beside them.
#[derive(Debug, Clone)]
pub struct Build {
    folder: PathBuf,
}

impl Build {
    /// The folder that the executable was started from. If that is a link, it is the link's.
    ///
    /// # Errors
    /// A message when it was started by its name alone.
    pub fn of_this_process() -> Result<Self> {
        let called = env::args_os().next().map(PathBuf::from).unwrap_or_default();
        match called.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => Ok(Self { folder: folder.into() }),
            _ => bail!(
                "started as {}, expected a path: model and client file are looked for beside the executable",
                called.display()
            ),
        }
    }

    /// The server's program and weights.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model.spencnn")
    }

    /// What clients need to know of them.
    pub fn client(&self) -> PathBuf {
        self.folder.join("client.spencnn")
    }
}

/// The folders of one size of the workload.
#[derive(Debug, Clone)]
pub struct Instance {
    size: usize,
    io: PathBuf,
    datasets: PathBuf,
}

impl Instance {
    /// From the argument that the harness passes.
    ///
    /// # Errors
    /// A message for anything but one number from 0 to 3.
    pub fn of_this_process() -> Result<Self> {
        let arguments: Vec<_> = env::args_os().skip(1).collect();
        let [argument] = &arguments[..] else {
            bail!("{} arguments, expected one, the size of the workload: 0 to 3", arguments.len());
        };
        Self::parse(&argument.to_string_lossy())
    }

    fn parse(argument: &str) -> Result<Self> {
        let size = argument.parse().ok().filter(|size| *size < INSTANCES.len());
        let size = size.with_context(|| {
            let names: Vec<String> =
                INSTANCES.iter().enumerate().map(|(k, name)| format!("{k} ({name})")).collect();
            format!(
                "the size of the workload is {argument:?}, expected one of {}",
                names.join(", ")
            )
        })?;
        let below = |folder: &str| Path::new(folder).join(INSTANCES[size]);
        Ok(Self { size, io: below("io"), datasets: below("datasets") })
    }

    /// Whether this is about the latency of a single image.
    pub fn is_single(&self) -> bool {
        self.size == 0
    }

    /// The images, from the harness: a line of pixels for each.
    pub fn pixels(&self) -> PathBuf {
        self.datasets.join("intermediate/test_pixels.txt")
    }

    /// The same, checked, as numbers.
    pub fn images(&self) -> PathBuf {
        self.io.join("intermediate/images.f32")
    }

    /// The secret key.
    pub fn secret_key(&self) -> PathBuf {
        self.io.join("secret_key/secret.key")
    }

    /// Evaluation keys. The harness tells the size of their folder.
    pub fn evaluation_keys(&self) -> PathBuf {
        self.io.join("public_keys/evaluation.keys")
    }

    /// Encrypted images. The harness tells the size of their folder.
    pub fn upload(&self) -> PathBuf {
        self.io.join("ciphertexts_upload/encrypted.images")
    }

    /// Encrypted results. The harness tells the size of their folder.
    pub fn download(&self) -> PathBuf {
        self.io.join("ciphertexts_download/encrypted.results")
    }

    /// Decrypted logits: a line for each image.
    pub fn logits(&self) -> PathBuf {
        self.io.join("intermediate/logits.txt")
    }

    /// The classes, for the harness: a line for each image.
    pub fn predictions(&self) -> PathBuf {
        self.io.join("encrypted_model_predictions.txt")
    }
}

/// Opens a file to read.
pub(crate) fn open(path: &Path) -> Result<BufReader<File>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(BufReader::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_folders() {
        let large = Instance::parse("3").unwrap();
        assert_eq!(large.pixels(), Path::new("datasets/large/intermediate/test_pixels.txt"));
        assert_eq!(large.predictions(), Path::new("io/large/encrypted_model_predictions.txt"));
        assert!(!large.is_single() && Instance::parse("0").unwrap().is_single());
        for bad in ["4", "-1", "single", ""] {
            let error = Instance::parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")) && error.contains("3 (large)"), "{error}");
        }
    }
}
