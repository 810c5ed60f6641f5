//! Times of whole programs, with random operands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::params::{Fingerprint, Parameters};
use rayon::ThreadPool;

use super::Progress;
use super::bench::{Bench, Prepared};
use super::needs::Needs;
use super::rounds::{Found, MAX_ROUNDS, MOST_REPEATS};
use super::sequence::Sequence;
use super::thread_pool;
use crate::error::{Error, Result};
use crate::load::{self, Watch};
use crate::point::Timing;

/// How often a program runs in a round so that it counts: after a run that does not, which leaves the caches as the image
/// before does.
const RUNS: usize = 2;

/// A program that takes longer than this, in nanoseconds, reads more than caches hold: once its memory is there, it runs once a
/// round, and that counts.
const LONG_NS: f64 = 1e9;

/// How many times the time that they are given programs may take to be timed once each.
const PATIENCE: u32 = 4;

/// What they may take in any case.
const LEAST_PATIENCE: Duration = Duration::from_secs(30);

/// A program to be timed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The parameters it runs with.
    pub params: &'a Parameters,
    /// Its instructions.
    pub sequence: &'a Sequence,
}

/// How programs are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// Threads.
    pub threads: usize,
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
        let Request { params, sequence } = *request;
        let of = |p: &Parameters| -> Fingerprint { p.fingerprint() };
        let at = self.sets.iter().position(|(p, _, _)| of(p) == of(params));
        let none = Needs::default();
        let known = at.map_or(&none, |k| &self.sets[k].1);
        let needs = known.with(sequence, params)?;
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

/// Times programs: the sum of the times of all instructions in a run, one run after the other, so that caches hold what they
/// hold when one image follows another. `found` is told the number and the time of each as soon as it is known, and returned are
/// the numbers of those that memory has no room for.
///
/// Keys and operands are random and real in size; those of one parameter set are shared. As many programs as memory holds are
/// timed in turn, in as many rounds as the time allows, and what other work disturbs is timed again. Each is timed once, in the
/// order of the requests, unless that takes several times as long: the last ones may be left out then.
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
    let (parts, too_large) = parts(requests, conduct.memory_bytes)?;
    let pool = thread_pool(conduct.threads)?;
    let (all, mut done) = (requests.len() - too_large.len(), 0);
    for part in &parts {
        let share = part.requests() as f64 / all as f64;
        let mut tell = |within: f64| {
            let fraction = (done as f64 / all as f64 + share * within).min(1.0);
            progress(&Progress {
                fraction,
                remaining: conduct.budget.mul_f64(1.0 - fraction),
                activity: format!("{all} programs"),
            });
        };
        tell(0.0);
        let budget = conduct.budget.mul_f64(share);
        let times = part.time(requests, budget, &pool, cancel, &mut tell)?;
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

/// A program made ready.
struct Ready<'a> {
    number: usize,
    bench: &'a Bench,
    instructions: Vec<Prepared>,
}

impl Ready<'_> {
    /// Nanoseconds of all instructions of a run, and what it had of the processor.
    fn run(&self, pool: &ThreadPool, cancel: &AtomicBool) -> Result<(f64, Option<load::Load>)> {
        let watch = Watch::start(pool.current_num_threads());
        let sum = pool.install(|| {
            self.instructions.iter().try_fold(0.0, |sum, prepared| {
                if cancel.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                Ok(sum + self.bench.time_next(prepared)?)
            })
        })?;
        Ok((sum, watch.stop()))
    }

    /// Adds the runs of a round. The very first run of a program takes working memory from the system, up to gigabytes: it never
    /// counts.
    fn round(&self, pool: &ThreadPool, cancel: &AtomicBool, found: &mut Found) -> Result<()> {
        let is_first = found.times.is_empty();
        let mut add = |(time, load): (f64, Option<load::Load>)| {
            found.add(time, load.is_some_and(|load| load.is_disturbed()));
        };
        let before = self.run(pool, cancel)?;
        let is_long = before.0 > LONG_NS;
        if is_long && !is_first {
            add(before);
            return Ok(());
        }
        let runs = if is_long { 1 } else { RUNS };
        let mut repeats = MOST_REPEATS;
        for _ in 0..runs {
            add(load::repeat(&mut repeats, cancel, || self.run(pool, cancel))?);
        }
        Ok(())
    }
}

impl Part<'_> {
    /// Samples of every request in nanoseconds.
    fn time(
        &self,
        requests: &[Request<'_>],
        budget: Duration,
        pool: &ThreadPool,
        cancel: &AtomicBool,
        tell: &mut dyn FnMut(f64),
    ) -> Result<Vec<(usize, Vec<f64>)>> {
        let bench = |(params, needs, _): &(&Parameters, Needs, Vec<usize>)| {
            pool.install(|| Bench::new(params, needs))
        };
        let benches = self.sets.iter().map(bench).collect::<Result<Vec<_>>>()?;
        let numbers = self.sets.iter().zip(&benches).flat_map(|((_, _, numbers), bench)| {
            numbers.iter().map(move |number| (*number, bench))
        });
        let ready = |(number, bench): (usize, _)| {
            let instructions = Bench::prepare_sequence(bench, requests[number].sequence)?;
            Ok(Ready { number, bench, instructions })
        };
        let ready = numbers.map(ready).collect::<Result<Vec<_>>>()?;
        let mut found = vec![Found::default(); ready.len()];
        let start = Instant::now();
        let overdue = (budget * PATIENCE).max(LEAST_PATIENCE);
        'rounds: for round in 0..MAX_ROUNDS {
            for (program, found) in ready.iter().zip(&mut found) {
                let elapsed = start.elapsed();
                if (round > 0 && elapsed >= budget) || elapsed >= overdue {
                    break 'rounds;
                }
                program.round(pool, cancel, found)?;
                tell((start.elapsed().as_secs_f64() / budget.as_secs_f64().max(1e-9)).min(1.0));
            }
        }
        Ok(ready
            .iter()
            .map(|program| program.number)
            .zip(found.into_iter().map(|f| f.times))
            .collect())
    }
}
