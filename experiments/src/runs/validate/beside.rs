//! What is measured beside images: programs with random operands.

use anyhow::{Context, Result};
use costmodel::load::{self, Patience, Timed};
use costmodel::measure::{Programs, Request};
use rayon::ThreadPool;

use crate::design::candidate::Estimate;
use crate::process::cancel;

/// The programs of a group of configurations that are timed beside their images, as far as memory has room for them.
pub(super) struct Beside {
    /// By their place in the group.
    programs: Programs,
}

impl Beside {
    /// Makes ready the programs of those configurations that are to be timed, as far as they fit into `memory_bytes`.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn prepare(timed: &[&Estimate], widest: &ThreadPool, memory_bytes: u64) -> Result<Self> {
        let sequences = timed.iter().map(|one| one.sequence()).collect::<Result<Vec<_>>>()?;
        let request = |(estimate, sequence)| {
            let estimate: &&Estimate = estimate;
            Request { params: &estimate.params, sequence }
        };
        let requests: Vec<Request<'_>> = timed.iter().zip(&sequences).map(request).collect();
        Ok(Self { programs: Programs::prepare(&requests, widest, memory_bytes)? })
    }

    /// The time of the program at a place of the group with random operands, in the current pool, if it is to be timed and memory
    /// had room for it.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn time(&self, place: usize, patience: &mut Patience) -> Result<Option<Timed>> {
        if !self.programs.contains(place) {
            return Ok(None);
        }
        let run = || self.programs.run(place, cancel::flag());
        match load::repeat(patience, cancel::flag(), run) {
            // Those who asked for it see that they were, too.
            Err(costmodel::Error::Cancelled) => Ok(None),
            timed => timed.map(Some).context("timing a configuration"),
        }
    }
}
