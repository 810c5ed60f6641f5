//! What is measured beside images: programs with random operands, and part of the calibration.

use anyhow::{Context, Result};
use costmodel::load;
use costmodel::measure::{Drift, Programs, Request};
use rayon::ThreadPool;

use crate::design::candidate::Estimate;
use crate::machine::profiles::Calibration;
use crate::process::cancel;

/// What is measured beside the images of a group of configurations, as far as memory has room for it.
pub(super) struct Beside {
    /// By their place in the group.
    programs: Programs,
    drift: Option<Drift>,
}

impl Beside {
    /// Makes ready part of the calibration, and the programs of those configurations that are to be timed, as far as they fit into
    /// `memory_bytes`.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn prepare(
        timed: &[&Estimate],
        calibration: &Calibration,
        widest: &ThreadPool,
        memory_bytes: u64,
    ) -> Result<Self> {
        let sequences = timed.iter().map(|one| one.sequence()).collect::<Result<Vec<_>>>()?;
        let request = |(estimate, sequence)| {
            let estimate: &&Estimate = estimate;
            Request { params: &estimate.params, sequence }
        };
        let requests: Vec<Request<'_>> = timed.iter().zip(&sequences).map(request).collect();
        let drift = calibration.drift(widest, memory_bytes)?;
        let left = memory_bytes.saturating_sub(drift.as_ref().map_or(0, Drift::bytes));
        Ok(Self { programs: Programs::prepare(&requests, widest, left)?, drift })
    }

    /// How many times as long the profile's measurements take with these threads now; none where that is not known.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn drift(&mut self, pool: &ThreadPool) -> Result<Option<f64>> {
        let measure = |drift: &mut Drift| drift.measure(pool, cancel::flag());
        unless_cancelled(self.drift.as_mut().map_or(Ok(None), measure))
            .context("measuring part of the calibration again")
    }

    /// Milliseconds of the program at a place of the group with random operands, if it is to be timed and memory had room for it.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn time(
        &self,
        place: usize,
        pool: &ThreadPool,
        repeats: &mut usize,
    ) -> Result<Option<f64>> {
        if !self.programs.contains(place) {
            return Ok(None);
        }
        let run = || self.programs.run(place, pool, cancel::flag());
        let timed = load::repeat(repeats, cancel::flag(), run);
        unless_cancelled(timed.map(|(time_ns, _)| Some(1e-6 * time_ns)))
            .context("timing a configuration")
    }
}

/// Nothing of what was cancelled: those who asked for it see that they were, too.
fn unless_cancelled<T>(found: costmodel::Result<Option<T>>) -> costmodel::Result<Option<T>> {
    match found {
        Err(costmodel::Error::Cancelled) => Ok(None),
        other => other,
    }
}
