//! What processes leave: counters, findings and kept inputs, in a folder from which later ones go on.
//!
//! | file | what |
//! | --- | --- |
//! | `counts/WORKER.json` | inputs of every target by that worker |
//! | `kept/TARGET/HASH` | inputs to which the decoder said something new |
//! | `findings/TARGET-HASH`, `.txt` | an input that shows a fault, and what it is |
//! | `now/WORKER` | target and number of the input that is being decoded, and the input |

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Counters of a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// Inputs decoded.
    pub inputs: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Time that they took, in seconds.
    pub seconds: f64,
}

/// Counters by target.
pub type Counts = BTreeMap<String, Count>;

/// The folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Opens a folder, and makes it if need be.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn open(path: &Path) -> Result<Self> {
        for part in ["counts", "kept", "findings", "now"] {
            let folder = path.join(part);
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        }
        Ok(Self(path.to_owned()))
    }

    /// The folder of a target's kept inputs.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn kept(&self, target: &str) -> Result<PathBuf> {
        let folder = self.0.join("kept").join(target);
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// Counters of a worker; none if it has not run yet.
    ///
    /// # Errors
    /// A damaged file.
    pub fn counts(&self, worker: usize) -> Result<Counts> {
        let path = self.count_path(worker);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("reading {}", path.display())),
            Err(_) => Ok(Counts::new()),
        }
    }

    /// Writes a worker's counters.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn set_counts(&self, worker: usize, counts: &Counts) -> Result<()> {
        experiments::process::files::write_atomically(
            &self.count_path(worker),
            &serde_json::to_vec(counts)?,
        )
    }

    fn count_path(&self, worker: usize) -> PathBuf {
        self.0.join("counts").join(format!("{worker}.json"))
    }

    /// The counters of all workers together.
    ///
    /// # Errors
    /// A damaged file.
    pub fn sum(&self) -> Result<Counts> {
        let mut sum = Counts::new();
        for entry in fs::read_dir(self.0.join("counts"))? {
            let bytes = fs::read(entry?.path())?;
            // A temporary file of a worker that was killed is none.
            let Ok(counts) = serde_json::from_slice::<Counts>(&bytes) else { continue };
            for (target, count) in counts {
                let all = sum.entry(target).or_default();
                all.inputs += count.inputs;
                all.accepted += count.accepted;
                all.seconds += count.seconds;
            }
        }
        Ok(sum)
    }

    /// Keeps an input that shows a fault; false if there is one of that fault already.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn finding(&self, target: &str, fault: &str, input: &[u8]) -> Result<bool> {
        let hash = Sha256::digest(fault.as_bytes());
        let name = format!("{target}-{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3]);
        let path = self.0.join("findings").join(&name);
        if path.exists() {
            return Ok(false);
        }
        fs::write(&path, input)?;
        fs::write(path.with_extension("txt"), format!("{fault}\n"))?;
        Ok(true)
    }

    /// Faults that were found, by file.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn findings(&self) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.0.join("findings"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "txt") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                found.insert(name, fs::read_to_string(&path)?.trim().to_owned());
            }
        }
        Ok(found)
    }

    fn now_path(&self, worker: usize) -> PathBuf {
        self.0.join("now").join(worker.to_string())
    }

    /// What a worker says of the input that it decodes.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn now(&self, worker: usize) -> Result<Now> {
        let mut file = File::create(self.now_path(worker))?;
        file.write_all(&[0; 24])?;
        Ok(Now(file))
    }

    /// Target, number and input that a worker decoded when it ended, if it did not end by itself.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn last(&self, worker: usize) -> Result<Option<(usize, u64, Vec<u8>)>> {
        let bytes = fs::read(self.now_path(worker))?;
        let Some((head, rest)) = bytes.split_first_chunk::<24>() else { return Ok(None) };
        let words = head.as_chunks::<8>().0;
        let word = |k: usize| u64::from_le_bytes(words[k]);
        let input = rest.get(..word(2) as usize).unwrap_or(rest).to_vec();
        Ok((word(0) > 0).then(|| (word(0) as usize - 1, word(1), input)))
    }
}

/// The file of [`Folder::now`].
#[derive(Debug)]
pub struct Now(File);

impl Now {
    /// An input is about to be decoded. A failure is none of the decoder's and is passed over.
    pub fn begin(&self, target: usize, number: u64, input: &[u8]) {
        let head = [target as u64 + 1, number, input.len() as u64].map(u64::to_le_bytes);
        let _ = self.0.write_all_at(&[head.as_flattened(), input].concat(), 0);
    }

    /// None is.
    pub fn end(&self) {
        let _ = self.0.write_all_at(&[0; 8], 0);
    }
}
