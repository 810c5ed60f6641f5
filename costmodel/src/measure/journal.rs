//! A record of finished measurements, so that a long calibration can go on after an interruption.
//!
//! One JSON object a line: first what is being measured and where, then one line for each finished visit; see
//! [`crate::lines`].

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, from_value};

use super::MENDING_PASSES;
use super::plan::Plan;
use crate::check::{Checked, MAX_NS, MAX_SECONDS, at, within};
use crate::error::{Error, Result};
use crate::lines::Lines;
use crate::load::Timed;
use crate::machine::Machine;
use crate::operation::Operation;

/// What must agree for a journal to be resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    /// The plan and the thread counts, written out.
    plan: String,
    machine: Machine,
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
    /// For each thread count and each case, its times.
    pub samples: Vec<Vec<Vec<Timed>>>,
}

impl Visit {
    /// Checks that this is a visit of the plan, with times that can be computed with.
    fn check(&self, plan: &Plan, threads: usize) -> Checked {
        within("pass", self.pass, 0..=plan.passes + MENDING_PASSES - 1)?;
        within("set", self.set, 0..=plan.sets.len().saturating_sub(1))?;
        within("seconds", self.seconds, 0.0..=MAX_SECONDS)?;
        let cases = plan.sets.get(self.set).map_or(0, |set| plan.cases(set).len());
        within("number of operations", self.operations.len(), cases..=cases)?;
        within("number of lists in samples", self.samples.len(), threads..=threads)?;
        for lists in &self.samples {
            within("number of cases in samples", lists.len(), cases..=cases)?;
            lists.iter().flatten().try_for_each(|timed| at("samples", check_timed(timed)))?;
        }
        Ok(())
    }
}

/// Checks that it can be a time.
fn check_timed(timed: &Timed) -> Checked {
    within("ns", timed.ns, 0.0..=MAX_NS)?;
    at("load.pace", timed.load.pace.check())
}

/// An open journal.
pub(super) struct Journal {
    lines: Lines,
    /// Visits finished before, each once.
    pub finished: Vec<Visit>,
}

impl Journal {
    /// Opens a journal, or starts it when there is none. What has no complete header is none yet, and its visits are nobody's.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is no journal of this plan on this machine, with times of at most a
    /// day and visits of at most a year.
    pub fn open(path: &Path, plan: &Plan, threads: &[usize], machine: &Machine) -> Result<Self> {
        let description = format!("{plan:?} threads {threads:?}");
        let format = |reason: String| Error::Format { path: path.into(), reason };
        let mut lines = Lines::open(path)?;
        let mut locked = lines.lock()?;
        let (mut header, mut finished) = (None::<Header>, Vec::<Visit>::new());
        for (line, value) in locked.read::<Value>()? {
            let at = |reason: String| format(format!("line {line}: {reason}"));
            if value.get("plan").is_some() {
                let found: Header = from_value(value).map_err(|e| at(e.to_string()))?;
                if found.plan != description || found.machine != *machine {
                    return Err(at(
                        "this journal belongs to another plan or machine: remove it, or name another"
                            .into(),
                    ));
                }
                header.get_or_insert(found);
                continue;
            }
            let visit: Visit = from_value(value).map_err(|e| at(e.to_string()))?;
            if header.is_none() {
                continue;
            }
            visit.check(plan, threads.len()).map_err(at)?;
            // Processes that share a journal may both have made a visit.
            if !finished.iter().any(|v| (v.pass, v.set) == (visit.pass, visit.set)) {
                finished.push(visit);
            }
        }
        if header.is_none() {
            locked.append(&Header { plan: description, machine: machine.clone() })?;
        }
        drop(locked);
        Ok(Self { lines, finished })
    }

    /// Records a finished visit.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, visit: &Visit) -> Result<()> {
        Ok(self.lines.append(visit)?)
    }
}

#[cfg(test)]
mod tests;
