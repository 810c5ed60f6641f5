//! Times of whole programs, with random operands.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use engine::buffer::AlignedBuf;
use rayon::ThreadPool;

use super::Progress;
use super::programs::{Part, Programs, Request};
use super::rounds::{MAX_ROUNDS, MOST_REPEATS};
use super::thread_pool;
use crate::error::Result;
use crate::load::{self, Patience, Timed, counted_ns};
use crate::point::Timing;

/// How often a program runs in a round so that it counts: after a run that does not, which leaves the caches as the image
/// before does.
const RUNS: usize = 2;

/// A program that takes longer than this, in nanoseconds, reads more than caches hold: once its memory is there, it runs once a
/// round, and that counts.
const LONG_NS: f64 = 1e9;

/// How much of the time that they are given programs may wait for undisturbed cores, besides.
const WAITING_SHARE: f64 = 1.0;

/// How many times the time that they are given programs may take to be timed once each.
const PATIENCE: u32 = 4;

/// What they may take in any case.
const LEAST_PATIENCE: Duration = Duration::from_secs(30);

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

/// Times programs: the sum of the times of all instructions in a run, one run after the other, so that caches hold what they
/// hold when one image follows another. `found` is told the number and the time of each as soon as it is known, and returned are
/// the numbers of those that memory has no room for.
///
/// Keys and operands are random and real in size; those of one parameter set are shared. As many programs as memory holds are
/// timed in turn, in as many rounds as the time allows, when cores are undisturbed, and what other work disturbs all the same is
/// timed again. Each is timed once, in the order of the requests, unless that takes several times as long: the last ones may be
/// left out then.
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
        let programs = Programs::of(part, requests, &pool)?;
        let times = samples(&programs, budget, &pool, cancel, &mut tell)?;
        for (number, samples) in times {
            if let Some(time) = Timing::of(&counted_ns(&samples)) {
                found(number, time)?;
            }
        }
        done += part.requests();
        drop(programs);
        AlignedBuf::release_pool();
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
        let mut part = Part::default();
        match part.admit(number, request, bytes)? {
            true => parts.push(part),
            false => too_large.push(number),
        }
    }
    Ok((parts, too_large))
}

/// Adds the runs of a round, in the current pool. The very first run of a program takes working memory from the system, up to
/// gigabytes: it never counts.
fn add_round(
    programs: &Programs,
    number: usize,
    waiting: &mut Duration,
    cancel: &AtomicBool,
    found: &mut Vec<Timed>,
) -> Result<()> {
    let is_first = found.is_empty();
    let before = programs.run(number, cancel)?;
    if is_first {
        // A program that runs finds its memory in one block.
        AlignedBuf::gather_pool();
    }
    let is_long = before.ns > LONG_NS;
    if is_long && !is_first {
        found.push(before);
        return Ok(());
    }
    let runs = if is_long { 1 } else { RUNS };
    let mut patience = Patience { repeats: MOST_REPEATS, waiting: *waiting };
    for _ in 0..runs {
        found.push(load::repeat(&mut patience, cancel, || programs.run(number, cancel))?);
    }
    *waiting = patience.waiting;
    Ok(())
}

/// Times of every program, by the number of its request.
fn samples(
    programs: &Programs,
    budget: Duration,
    pool: &ThreadPool,
    cancel: &AtomicBool,
    tell: &mut dyn FnMut(f64),
) -> Result<Vec<(usize, Vec<Timed>)>> {
    let mut found: Vec<(usize, Vec<Timed>)> = programs.numbers().map(|n| (n, Vec::new())).collect();
    let start = Instant::now();
    let overdue = (budget * PATIENCE).max(LEAST_PATIENCE);
    let mut waiting = budget.mul_f64(WAITING_SHARE);
    let all = waiting;
    'rounds: for round in 0..MAX_ROUNDS {
        for (number, found) in &mut found {
            // What was waited comes besides.
            let elapsed = start.elapsed().saturating_sub(all - waiting);
            if (round > 0 && elapsed >= budget) || elapsed >= overdue {
                break 'rounds;
            }
            pool.install(|| add_round(programs, *number, &mut waiting, cancel, found))?;
            tell((start.elapsed().as_secs_f64() / budget.as_secs_f64().max(1e-9)).min(1.0));
        }
    }
    Ok(found)
}
