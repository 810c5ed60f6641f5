//! Times of programs, kept from run to run.
//!
//! The file has one JSON object a line, for each program; see [`crate::lines`]. Lines of other machines and other builds
//! of the program stay there and are not used.

use std::collections::BTreeMap;
use std::path::Path;

use engine::params::Parameters;
use serde::{Deserialize, Serialize};
use serde_json::{Value, from_value};

use crate::error::{Error, Result};
use crate::lines::Lines;
use crate::machine::Machine;
use crate::measure::Sequence;
use crate::point::Timing;

/// Where times were measured, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// CPU, kernels and caches.
    machine: String,
    /// Build of the program.
    build: String,
}

impl Origin {
    /// This machine and a build of the program, by a name that another build does not have.
    pub fn new(machine: &Machine, build: String) -> Self {
        let Machine { cpu, isa, threads, caches, .. } = machine;
        let (l2, l3) = (caches.l2_bytes, caches.l3_bytes);
        Self { machine: format!("{cpu}, {isa}, {threads} threads, caches {l2} and {l3}"), build }
    }
}

/// A line.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    origin: Origin,
    /// The sequence's key.
    key: String,
    /// What it is, for those who read the file.
    threads: usize,
    log_n: u32,
    instructions: usize,
    #[serde(flatten)]
    time: Timing,
}

/// Known times of programs, in memory and, if there is one, in a file.
#[derive(Debug)]
pub struct Timings {
    origin: Origin,
    known: BTreeMap<String, Timing>,
    file: Option<Lines>,
}

impl Timings {
    /// Opens a file, creating it and its folder if there is none, and reads the times of this origin.
    ///
    /// # Errors
    /// [`Error::Format`] for a line that is none of such a file, but for those that an interruption cut short; [`Error::Io`].
    pub fn open(path: Option<&Path>, origin: Origin) -> Result<Self> {
        let mut timings = Self { origin, known: BTreeMap::new(), file: None };
        let Some(path) = path else { return Ok(timings) };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        let mut file = Lines::open(path)?;
        for (line, value) in file.lock()?.read::<Value>()? {
            let at = |reason: String| Error::Format {
                path: path.into(),
                reason: format!(
                    "line {line}: {reason}; remove the file, and programs are timed again"
                ),
            };
            let origin: Origin = from_value(value.clone()).map_err(|e| at(e.to_string()))?;
            // Other builds may write other lines.
            if origin != timings.origin {
                continue;
            }
            let record: Record = from_value(value).map_err(|e| at(e.to_string()))?;
            record.time.check().map_err(at)?;
            // Of several processes that timed it, the first one counts, for all that come later.
            timings.known.entry(record.key).or_insert(record.time);
        }
        timings.file = Some(file);
        Ok(timings)
    }

    /// The time of a program, if it is known.
    pub fn get(&self, sequence: &Sequence, params: &Parameters, threads: usize) -> Option<Timing> {
        self.known.get(&sequence.key(params, threads).to_string()).copied()
    }

    /// Adds a time, in the file first; one that is known already stays.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(
        &mut self,
        sequence: &Sequence,
        params: &Parameters,
        threads: usize,
        time: Timing,
    ) -> Result<()> {
        let record = Record {
            origin: self.origin.clone(),
            key: sequence.key(params, threads).to_string(),
            threads,
            log_n: params.log_n(),
            instructions: sequence.instructions().len(),
            time,
        };
        if let Some(file) = &mut self.file {
            file.append(&record)?;
        }
        self.known.entry(record.key).or_insert(time);
        Ok(())
    }
}
