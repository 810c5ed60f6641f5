//! A record of finished measurements, so that a long calibration can go on after an interruption.
//!
//! One JSON object a line: first what is being measured and where, then one line for each finished visit. A last line cut
//! short by an interruption is dropped.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::operation::Operation;
use crate::probe::Probe;

/// What must agree for a journal to be resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    /// The plan and the thread counts, written out.
    plan: String,
    machine: Machine,
    probes: Vec<Probe>,
}

/// The measurements of one visit to a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Visit {
    pub pass: usize,
    pub set: usize,
    /// Time the visit took, in seconds.
    pub seconds: f64,
    /// The cases, as the engine executes them.
    pub operations: Vec<Operation>,
    /// For each thread count and each case, times in nanoseconds.
    pub samples_ns: Vec<Vec<Vec<f64>>>,
}

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// The probes at the start of the calibration.
    pub probes: Vec<Probe>,
    /// Visits finished before.
    pub finished: Vec<Visit>,
}

impl Journal {
    /// Opens a journal, or starts it when there is none. `probe` is called for a new one.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is no journal of this plan on this machine; whatever `probe` says.
    pub fn open(
        path: &Path,
        plan: &Plan,
        threads: &[usize],
        machine: &Machine,
        probe: impl FnOnce() -> Result<Vec<Probe>>,
    ) -> Result<Self> {
        let description = format!("{plan:?} threads {threads:?}");
        if path.exists() {
            let (header, finished, length) = read(path)?;
            if header.plan != description || header.machine != *machine {
                let reason =
                    "this journal belongs to another plan or machine: remove it, or name another"
                        .into();
                return Err(Error::Format { path: path.into(), reason });
            }
            let file = OpenOptions::new().append(true).open(path).map_err(Error::io(path))?;
            file.set_len(length).map_err(Error::io(path))?;
            return Ok(Self { path: path.into(), file, probes: header.probes, finished });
        }
        let file =
            OpenOptions::new().append(true).create_new(true).open(path).map_err(Error::io(path))?;
        let mut journal = Self { path: path.into(), file, probes: probe()?, finished: Vec::new() };
        let header =
            Header { plan: description, machine: machine.clone(), probes: journal.probes.clone() };
        journal.write(&header)?;
        Ok(journal)
    }

    /// Records a finished visit.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, visit: &Visit) -> Result<()> {
        self.write(visit)
    }

    fn write(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(value)
            .map_err(|e| Error::Format { path: self.path.clone(), reason: e.to_string() })?;
        line.push('\n');
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(Error::io(&self.path))
    }
}

/// Reads the complete lines of a journal, and tells how many bytes they have.
fn read(path: &Path) -> Result<(Header, Vec<Visit>, u64)> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    let complete = text.rfind('\n').map_or(0, |end| end + 1);
    let format = |e: serde_json::Error| Error::Format { path: path.into(), reason: e.to_string() };
    let mut lines = text[..complete].lines();
    let header = serde_json::from_str(lines.next().unwrap_or_default()).map_err(format)?;
    let visits =
        lines.map(serde_json::from_str).collect::<std::result::Result<_, _>>().map_err(format)?;
    Ok((header, visits, complete as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Client;

    fn probes() -> Result<Vec<Probe>> {
        Ok(vec![Probe { threads: 1, ntt_median_ns: 1.5, stream_median_ns: 2.5, stream_bytes: 64 }])
    }

    fn visit(pass: usize) -> Visit {
        Visit {
            pass,
            set: 0,
            seconds: 0.5,
            operations: vec![Client::Decode.into()],
            samples_ns: vec![vec![vec![1.25, 2.0], vec![]]],
        }
    }

    #[test]
    fn resumes_after_an_interruption() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (plan, machine) = (Plan::tiny(), Machine::detect());
        let open =
            |probe: fn() -> Result<Vec<Probe>>| Journal::open(&path, &plan, &[1], &machine, probe);
        let mut journal = open(probes).unwrap();
        journal.append(&visit(0)).unwrap();
        journal.append(&visit(1)).unwrap();
        drop(journal);
        // The last line is cut short.
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 7]).unwrap();
        let never = || -> Result<Vec<Probe>> { Err(Error::Cancelled) };
        let mut journal = open(never).unwrap();
        assert_eq!(journal.finished, vec![visit(0)]);
        assert_eq!(journal.probes, probes().unwrap());
        journal.append(&visit(2)).unwrap();
        drop(journal);
        assert_eq!(open(never).unwrap().finished, vec![visit(0), visit(2)]);
        // Another thread count is another plan.
        let other = Journal::open(&path, &plan, &[2], &machine, never);
        assert!(matches!(other, Err(Error::Format { .. })));
        fs::write(&path, "no journal\n").unwrap();
        assert!(matches!(open(never), Err(Error::Format { .. })));
    }
}
