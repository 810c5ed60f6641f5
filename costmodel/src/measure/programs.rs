//! Whole programs made ready to be timed, with random operands.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::params::{Fingerprint, Parameters};
use rayon::ThreadPool;

use super::bench::{Bench, Prepared};
use super::needs::Needs;
use super::sequence::Sequence;
use crate::error::{Error, Result};
use crate::load::{Timed, Watch};

/// A program to be timed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The parameters it runs with.
    pub params: &'a Parameters,
    /// Its instructions.
    pub sequence: &'a Sequence,
}

/// Requests whose keys and operands are in memory together.
#[derive(Default)]
pub(super) struct Part<'a> {
    /// By parameter set, what its requests need, and their numbers.
    sets: Vec<(&'a Parameters, Needs, Vec<usize>)>,
}

impl<'a> Part<'a> {
    /// Bytes of all sets.
    fn bytes(&self) -> u64 {
        self.sets.iter().fold(0, |sum, (params, needs, _)| sum.saturating_add(needs.bytes(params)))
    }

    /// Adds a request if all still fits into `bytes`; tells whether it does.
    pub fn admit(&mut self, number: usize, request: &Request<'a>, bytes: u64) -> Result<bool> {
        let Request { params, sequence } = *request;
        let of = |p: &Parameters| -> Fingerprint { p.fingerprint() };
        let at = self.sets.iter().position(|(p, _, _)| of(p) == of(params));
        let none = Needs::default();
        let known = at.map_or(&none, |k| &self.sets[k].1);
        let needs = known.with(sequence, params)?;
        let known_bytes = at.map_or(0, |_| known.bytes(params));
        let sum = self.bytes() - known_bytes;
        if sum.saturating_add(needs.bytes(params)) > bytes {
            return Ok(false);
        }
        match at {
            Some(k) => {
                self.sets[k].1 = needs;
                self.sets[k].2.push(number);
            }
            None => self.sets.push((params, needs, vec![number])),
        }
        Ok(true)
    }

    /// How many requests.
    pub fn requests(&self) -> usize {
        self.sets.iter().map(|(_, _, numbers)| numbers.len()).sum()
    }
}

/// Programs with their keys and operands, which are random and real in size; those of one parameter set share them.
pub struct Programs {
    benches: Vec<Bench>,
    /// By the number of their request.
    ready: BTreeMap<usize, Ready>,
}

/// A program made ready.
struct Ready {
    /// Which bench it is for.
    bench: usize,
    instructions: Vec<Prepared>,
}

impl Programs {
    /// Makes programs ready, in the order of the requests, that `memory_bytes` hold together, and leaves out those that do not fit
    /// any more.
    ///
    /// # Errors
    /// [`Error::Plan`] for an instruction that its parameters do not have; those of the engine.
    pub fn prepare(requests: &[Request<'_>], pool: &ThreadPool, memory_bytes: u64) -> Result<Self> {
        let mut part = Part::default();
        for (number, request) in requests.iter().enumerate() {
            part.admit(number, request, memory_bytes)?;
        }
        Self::of(&part, requests, pool)
    }

    /// Makes the programs of a part ready.
    pub(super) fn of(part: &Part<'_>, requests: &[Request<'_>], pool: &ThreadPool) -> Result<Self> {
        let mut programs = Self { benches: Vec::new(), ready: BTreeMap::new() };
        for (params, needs, numbers) in &part.sets {
            let bench = pool.install(|| Bench::new(params, needs))?;
            for &number in numbers {
                let instructions = bench.prepare_sequence(requests[number].sequence)?;
                programs
                    .ready
                    .insert(number, Ready { bench: programs.benches.len(), instructions });
            }
            programs.benches.push(bench);
        }
        Ok(programs)
    }

    /// Numbers of the requests that are ready, ascending.
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.ready.keys().copied()
    }

    /// Whether a request is ready.
    pub fn contains(&self, number: usize) -> bool {
        self.ready.contains_key(&number)
    }

    /// Runs a program once in the current pool: the time of all its instructions.
    ///
    /// # Errors
    /// [`Error::Plan`] for a request that was left out, [`Error::Cancelled`]; those of the engine.
    pub fn run(&self, number: usize, cancel: &AtomicBool) -> Result<Timed> {
        let left_out =
            || Error::Plan(format!("program {number} is not ready, expected one that is"));
        let Ready { bench, instructions } = self.ready.get(&number).ok_or_else(left_out)?;
        let bench = &self.benches[*bench];
        let mut watch = Watch::start(rayon::current_num_threads());
        let ns = instructions.iter().try_fold(0.0, |sum, prepared| {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let ns = bench.time_next(prepared)?;
            watch.look();
            Ok(sum + ns)
        })?;
        Ok(Timed { ns, load: watch.stop() })
    }
}
