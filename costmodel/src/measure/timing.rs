//! Times of instructions of programs.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use engine::params::{Fingerprint, Parameters};
use rayon::ThreadPool;

use super::Progress;
use super::bench::{Bench, Eviction, eviction};
use super::needs::Needs;
use super::passage::Passage;
use super::rounds::Rounds;
use crate::error::Result;
use crate::machine::Caches;
use crate::point::Timing;
use crate::probe::thread_pool;

/// An instruction to be timed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The parameters it runs with.
    pub params: &'a Parameters,
    /// The instruction, at its place in a program.
    pub passage: &'a Passage,
}

/// How instructions are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// Threads.
    pub threads: usize,
    /// Caches of the machine, which are cleared before every measurement.
    pub caches: Caches,
    /// Time that measurements should take in all; keys and operands are made besides.
    pub budget: Duration,
    /// Most memory, in bytes.
    pub memory_bytes: u64,
}

/// Requests whose keys and operands are in memory together.
struct Part<'a> {
    /// By parameter set, what its requests need, and their numbers.
    sets: Vec<(&'a Parameters, Needs, Vec<usize>)>,
}

impl<'a> Part<'a> {
    /// Bytes of all sets.
    fn bytes(&self) -> u64 {
        self.sets.iter().fold(0, |sum, (params, needs, _)| sum.saturating_add(needs.bytes(params)))
    }

    /// Adds a request if all still fits into `bytes`; tells whether it does.
    fn admit(&mut self, number: usize, request: &Request<'a>, bytes: u64) -> Result<bool> {
        let Request { params, passage } = *request;
        let of = |p: &Parameters| -> Fingerprint { p.fingerprint() };
        let at = self.sets.iter().position(|(p, _, _)| of(p) == of(params));
        let none = Needs::default();
        let known = at.map_or(&none, |k| &self.sets[k].1);
        let needs = known.with(passage, params)?;
        let sum = self.bytes() - known_bytes(at.map(|_| known), params);
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

    fn requests(&self) -> usize {
        self.sets.iter().map(|(_, _, numbers)| numbers.len()).sum()
    }
}

fn known_bytes(known: Option<&Needs>, params: &Parameters) -> u64 {
    known.map_or(0, |needs| needs.bytes(params))
}

/// Times instructions as they run within programs: after those before them, keys and plaintexts that these have not read come
/// from memory. `found` is told the number and the
/// time of each as soon as it is known, and returned are the numbers of those that memory has no room for.
///
/// Keys and operands are random and real in size; those of one parameter set are shared. As many as memory holds are
/// timed in turn, in as many rounds as the time allows, and what other work disturbs is timed again. Each is timed once, in the order
/// of the requests, unless that takes several times as long: the last ones may be left out then.
///
/// # Errors
/// [`crate::Error::Plan`] for an instruction that its parameters do not have, [`crate::Error::Cancelled`],
/// [`crate::Error::Threads`]; those of `found` and of the engine.
pub fn time(
    requests: &[Request<'_>],
    conduct: &Conduct,
    progress: &mut dyn FnMut(&Progress),
    cancel: &AtomicBool,
    found: &mut dyn FnMut(usize, Timing) -> Result<()>,
) -> Result<Vec<usize>> {
    let eviction = eviction(&conduct.caches);
    let room = conduct.memory_bytes.saturating_sub(size_of_val(eviction.as_slice()) as u64);
    let (parts, too_large) = parts(requests, room)?;
    let pool = [thread_pool(conduct.threads)?];
    let (all, mut done) = (requests.len() - too_large.len(), 0);
    for part in &parts {
        let share = part.requests() as f64 / all as f64;
        let mut tell = |within: f64| {
            let fraction = (done as f64 / all as f64 + share * within).min(1.0);
            progress(&Progress {
                fraction,
                remaining: conduct.budget.mul_f64(1.0 - fraction),
                activity: format!("{all} instructions"),
            });
        };
        tell(0.0);
        let budget = conduct.budget.mul_f64(share);
        let times = part.time(requests, budget, &pool, &eviction, cancel, &mut tell)?;
        for (number, samples) in times {
            if let Some(time) = Timing::of(&samples) {
                found(number, time)?;
            }
        }
        done += part.requests();
        engine::buffer::AlignedBuf::release_pool();
    }
    Ok(too_large)
}

/// Requests that memory holds together, and those that it does not even hold alone.
fn parts<'a>(requests: &[Request<'a>], bytes: u64) -> Result<(Vec<Part<'a>>, Vec<usize>)> {
    let (mut parts, mut too_large) = (Vec::<Part<'_>>::new(), Vec::new());
    for (number, request) in requests.iter().enumerate() {
        let last = parts.last_mut().map(|part| part.admit(number, request, bytes)).transpose()?;
        if last == Some(true) {
            continue;
        }
        let mut part = Part { sets: Vec::new() };
        match part.admit(number, request, bytes)? {
            true => parts.push(part),
            false => too_large.push(number),
        }
    }
    Ok((parts, too_large))
}

impl Part<'_> {
    /// Samples of every request in nanoseconds.
    fn time(
        &self,
        requests: &[Request<'_>],
        budget: Duration,
        pools: &[ThreadPool],
        eviction: &Eviction,
        cancel: &AtomicBool,
        tell: &mut dyn FnMut(f64),
    ) -> Result<Vec<(usize, Vec<f64>)>> {
        let bench = |(params, needs, _): &(&Parameters, Needs, Vec<usize>)| {
            let new = || Bench::new(params, needs, eviction);
            pools.first().map_or_else(new, |pool| pool.install(new))
        };
        let benches = self.sets.iter().map(bench).collect::<Result<Vec<_>>>()?;
        let numbers = || {
            self.sets.iter().zip(&benches).flat_map(|((_, _, numbers), bench)| {
                numbers.iter().map(move |number| (*number, bench))
            })
        };
        let cases =
            numbers().map(|(k, bench)| Ok((bench, bench.prepare_passage(requests[k].passage)?)));
        let mut rounds = Rounds::of_instructions(cases.collect::<Result<_>>()?, pools);
        let start = Instant::now();
        let mut tell =
            || tell((start.elapsed().as_secs_f64() / budget.as_secs_f64().max(1e-9)).min(1.0));
        let samples = rounds.run(start + budget, cancel, &mut tell)?;
        let samples = samples.into_iter().next().unwrap_or_default();
        Ok(numbers().map(|(number, _)| number).zip(samples).collect())
    }
}
