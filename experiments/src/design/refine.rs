//! Predictions from times of a configuration's own program, measured on this machine.
//!
//! The profile predicts any instruction from the shapes it was made of; here the very instructions of a few good
//! configurations are executed, in order and with random operands, and timed. Times are kept, so that a program is timed once
//! by a build of this one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use costmodel::Machine;
use costmodel::measure::{self, Conduct, Request, Sequence};
use costmodel::timings::{Origin, Timings};
use serde::Serialize;
use sha2::{Digest, Sha256};
use simulator::search::Evaluated;

use crate::design::candidate::{self, Estimate, Latency};
use crate::design::wish::{Refine, Wish};
use crate::inputs::networks::Source;
use crate::machine::memory;
use crate::machine::profiles::{self, Cost};
use crate::machine::provenance::REVISION;
use crate::process::cancel;
use crate::process::exit::Failure;
use crate::process::output::note;
use crate::process::progress::Progress;

/// One of the fastest configurations by the profile, timed itself.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    /// Its place by the profile alone, from 1.
    pub profile_place: usize,
    /// How plaintexts were kept: `stored` or `on-demand`.
    pub plaintexts: &'static str,
    /// Its program's time: median and quartiles. None where memory has no room to time it.
    pub refined: Option<Latency>,
    /// The configuration, and what the profile predicts.
    pub evaluated: Evaluated,
}

/// Times of programs, known and to be measured.
pub struct Refiner {
    timings: Timings,
    /// Most memory, in bytes.
    memory_limit: u64,
}

impl Refiner {
    /// With the times that are kept for this machine and this build of the program.
    ///
    /// # Errors
    /// A damaged file; what the system says.
    pub fn open(memory_limit: u64) -> Result<Self> {
        let machine = Machine::detect();
        let path = profiles::refined_path(&machine)?;
        let timings = Timings::open(Some(&path), Origin::new(&machine, build()?))?;
        Ok(Self::new(timings, memory_limit))
    }

    /// With given times.
    pub fn new(timings: Timings, memory_limit: u64) -> Self {
        Self { timings, memory_limit }
    }

    /// The time of a configuration's program on so many threads: median and quartiles; none while it is unknown.
    ///
    /// # Errors
    /// Those of the program's instructions.
    pub fn latency(&self, estimate: &Estimate, threads: usize) -> Result<Option<Latency>> {
        let time = self.timings.get(&estimate.sequence()?, &estimate.params, threads);
        Ok(time.map(|time| Latency {
            median_ms: 1e-6 * time.median_ns,
            low_ms: 1e-6 * time.low_quartile_ns,
            high_ms: 1e-6 * time.high_quartile_ns,
        }))
    }

    /// Times the programs of configurations that are not known yet, `seconds` for each.
    ///
    /// # Errors
    /// Those of measuring; [`Failure::Interrupted`].
    pub fn time<'a>(
        &mut self,
        estimates: impl IntoIterator<Item = &'a Estimate>,
        threads: usize,
        seconds: f64,
    ) -> Result<()> {
        let (mut unknown, mut keys) = (Vec::<(&Estimate, Sequence)>::new(), BTreeSet::new());
        for estimate in estimates {
            let sequence = estimate.sequence()?;
            if self.timings.get(&sequence, &estimate.params, threads).is_none()
                && keys.insert(sequence.key(&estimate.params, threads))
            {
                unknown.push((estimate, sequence));
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let requests: Vec<Request<'_>> = unknown
            .iter()
            .map(|(estimate, sequence)| Request { params: &estimate.params, sequence })
            .collect();
        let conduct = Conduct {
            threads,
            budget: Duration::try_from_secs_f64(seconds * requests.len() as f64)
                .context("time for measuring programs")?,
            memory_bytes: self.memory_limit,
        };
        memory::give_back();
        let progress = Progress::new(&format!("timing {} configurations", requests.len()));
        let timings = &mut self.timings;
        let too_large = measure::time(
            &requests,
            &conduct,
            &mut |p| progress.set(p.fraction, ""),
            cancel::flag(),
            &mut |number, time| {
                let Some(Request { params, sequence }) = requests.get(number) else {
                    return Ok(());
                };
                timings.add(sequence, params, threads, time)
            },
        );
        progress.finish();
        let too_large = match too_large {
            Err(costmodel::Error::Cancelled) => return Err(Failure::Interrupted.into()),
            other => other.context("timing configurations")?,
        };
        if !too_large.is_empty() {
            note(format_args!("memory has no room to time {} configurations", too_large.len()));
        }
        Ok(())
    }

    /// The fastest of some configurations by the profile, of those that execute the same only the first, in the order of the
    /// their own times, which are measured where they are unknown. Those that cannot be timed come last.
    ///
    /// # Errors
    /// Those of lowering and of measuring.
    pub fn rank(
        &mut self,
        source: &Source,
        all: &[Evaluated],
        wish: &Wish,
        refine: Refine,
        cost: &Cost,
    ) -> Result<Vec<Choice>> {
        let mut order: Vec<&Evaluated> = all.iter().collect();
        order.sort_by(|a, b| a.image_ms().total_cmp(&b.image_ms()));
        let mut models = BTreeMap::new();
        let (mut estimates, mut taken) = (Vec::new(), Vec::new());
        let mut works = BTreeSet::new();
        for (place, evaluated) in (1..).zip(order) {
            cancel::check()?;
            if estimates.len() == refine.configurations {
                break;
            }
            let configuration = evaluated.configuration.clone();
            let variant = &configuration.variant;
            let model = match models.get(variant) {
                Some(model) => Arc::clone(model),
                None => {
                    let model = Arc::new(source.model(variant)?);
                    models.insert(variant.clone(), Arc::clone(&model));
                    model
                }
            };
            let name = variant.clone();
            let mut estimate =
                candidate::estimate_with(source, model, configuration, &name, wish.insecure, cost)?;
            wish.plaintexts.choose(std::slice::from_mut(&mut estimate), wish.memory_limit);
            // Those that do the same with other scales take the same time.
            if works.insert(estimate.sequence()?.key(&estimate.params, cost.threads)) {
                estimates.push(estimate);
                taken.push((place, evaluated));
            }
        }
        drop(models);
        self.time(&estimates, cost.threads, refine.seconds)?;
        let mut choices = Vec::new();
        for (estimate, (profile_place, evaluated)) in estimates.iter().zip(taken) {
            choices.push(Choice {
                profile_place,
                plaintexts: estimate.plaintexts.name(),
                refined: self.latency(estimate, cost.threads)?,
                evaluated: evaluated.clone(),
            });
        }
        // Equal ones keep the profile's order.
        let time = |c: &Choice| {
            let images = c.evaluated.configuration.images as f64;
            c.refined.map_or(f64::INFINITY, |latency| latency.median_ms / images)
        };
        choices.sort_by(|a, b| time(a).total_cmp(&time(b)));
        Ok(choices)
    }
}

/// Adds to configurations their own times, where they are known.
pub fn look_up(estimates: &mut [Estimate], threads: usize) {
    let known = || -> Result<Option<Refiner>> {
        match profiles::refined_path(&Machine::detect())?.is_file() {
            true => Refiner::open(0).map(Some),
            false => Ok(None),
        }
    };
    let refined = known().and_then(|refiner| {
        let Some(refiner) = refiner else { return Ok(()) };
        for estimate in estimates {
            estimate.refined = refiner.latency(estimate, threads)?;
        }
        Ok(())
    });
    // They are only told beside others.
    if let Err(error) = refined {
        note(format_args!("known times of configurations are not used: {error:#}"));
    }
}

/// What tells this build of the program from others: its revision and its bytes.
fn build() -> Result<String> {
    let path = std::env::current_exe().context("finding this program's file")?;
    Ok(format!("{REVISION} {}", digest(&path).context("reading this program's file")?))
}

/// The first half of a file's SHA-256, in hexadecimal digits.
fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_sha_256() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(digest(&path).unwrap(), "ba7816bf8f01cfea414140de5dae2223");
        assert!(build().unwrap().starts_with(REVISION));
    }
}
