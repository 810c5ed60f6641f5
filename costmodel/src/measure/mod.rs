//! Measurement of the engine's operations.
//!
//! A plan has several parameter sets; each is visited in several passes, so that a slow minute of the machine does not
//! hit one set alone. A visit generates the keys and operands of its set, and then measures all cases in rounds, in a
//! different order each round and for each thread count in turn, until its share of the time is spent. Every measurement
//! reads other keys and plaintexts than those before it, and its operand ciphertexts are read once just before.
//!
//! Instructions of programs are timed in the same way ([`time`]), with the programs' own parameters.

mod bench;
mod drift;
mod instruction;
mod journal;
mod needs;
mod operands;
mod plan;
mod programs;
mod random;
mod rounds;
mod sequence;
mod shapes;
mod timing;
mod units;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

pub use drift::Drift;
pub use instruction::Instruction;
pub use plan::{Plan, SetPlan};
pub use programs::{Programs, Request};
pub use sequence::{Sequence, SequenceKey};
pub use shapes::{Factors, LinearSpec, catalogue};
pub use timing::{Conduct, time};

use crate::error::{Error, Result};
use crate::machine::{Machine, load_average};
use crate::operation::Operation;
use crate::point::{Point, Timing};
use bench::Bench;
use journal::{Journal, Visit};
use needs::Needs;
use rounds::Rounds;
use units::Alone;

/// How far a calibration is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Share of the expected time that has passed, 0 to 1.
    pub fraction: f64,
    /// Time that is probably left.
    pub remaining: Duration,
    /// What is going on.
    pub activity: String,
}

/// What a calibration measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurements {
    /// Name of the plan.
    pub plan: String,
    /// Where.
    pub machine: Machine,
    /// Processes that wanted to run when it began, on average over the minute before; 0 on a quiet machine.
    pub load_average: f64,
    /// How long it took, interruptions left out.
    pub duration: Duration,
    /// One for each case and thread count.
    pub points: Vec<Point>,
}

/// Carries out a plan for some thread counts.
///
/// `progress` is called now and then; setting `cancel` ends the measurement soon. With a journal, finished visits are
/// recorded there, and those recorded before are not repeated.
///
/// # Errors
/// [`Error::Plan`], [`Error::Cancelled`], [`Error::Threads`]; errors of the journal and of the engine.
pub fn run(
    plan: &Plan,
    threads: &[usize],
    progress: &mut dyn FnMut(&Progress),
    cancel: &AtomicBool,
    journal: Option<&Path>,
) -> Result<Measurements> {
    plan.check()?;
    if threads.is_empty() || threads.contains(&0) {
        return Err(Error::Plan(format!(
            "thread counts {threads:?}, expected at least one, none zero"
        )));
    }
    let machine = Machine::detect();
    let load_average = load_average();
    let mut journal =
        journal.map(|path| Journal::open(path, plan, threads, &machine)).transpose()?;
    let mut visits = journal.as_mut().map(|j| std::mem::take(&mut j.finished)).unwrap_or_default();
    let pools = threads.iter().map(|&t| thread_pool(t)).collect::<Result<Vec<_>>>()?;
    let weights: Vec<f64> = plan.sets.iter().map(|set| rounds::weight(plan, set)).collect();
    let todo: Vec<(usize, usize)> = (0..plan.passes)
        .flat_map(|pass| (0..plan.sets.len()).map(move |set| (pass, set)))
        .filter(|&(pass, set)| !visits.iter().any(|v| (v.pass, v.set) == (pass, set)))
        .collect();
    let mut alone = Alone::of_plan(plan, &pools)?;
    let mut clock = Clock::new(plan, &visits);
    for (i, &(pass, set)) in todo.iter().enumerate() {
        let left: f64 = todo[i..].iter().map(|&(_, s)| weights[s]).sum();
        clock.done = 1.0 - left / (plan.passes as f64 * weights.iter().sum::<f64>());
        let slot = clock.left().mul_f64(weights[set] / left);
        let description = &plan.sets[set];
        let activity = format!(
            "N = 2^{}, {} limbs, {} special primes, digits of {}: pass {} of {}",
            description.log_n,
            description.depth + 1,
            description.special,
            description.alpha,
            pass + 1,
            plan.passes
        );
        let start = Instant::now();
        progress(&clock.progress(&activity));
        alone.time(cancel)?;
        let widest = pools.iter().max_by_key(|p| p.current_num_threads());
        let Some(widest) = widest else { continue };
        let (params, needs) = (description.parameters()?, Needs::of_set(plan, description));
        let bench = widest.install(|| Bench::new(&params, &needs))?;
        let mut rounds = Rounds::of_set(plan, description, &bench, &pools, pass, cancel)?;
        let mut tell = || progress(&clock.progress(&activity));
        let samples_ns = rounds.run(start + slot, cancel, &mut tell)?;
        let operations = rounds.operations();
        let visit =
            Visit { pass, set, seconds: start.elapsed().as_secs_f64(), operations, samples_ns };
        if let Some(journal) = &mut journal {
            journal.append(&visit)?;
        }
        visits.push(visit);
        drop(rounds);
        drop(bench);
        // The next set's buffers have other sizes.
        engine::buffer::AlignedBuf::release_pool();
    }
    alone.time(cancel)?;
    let mut points: Vec<Point> = alone.points().collect();
    points.extend(summarise(plan, threads, &visits)?);
    Ok(Measurements {
        plan: plan.name.clone(),
        machine,
        load_average,
        duration: clock.elapsed(),
        points,
    })
}

/// Starts a pool.
fn thread_pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::Threads { threads, reason: e.to_string() })
}

/// Joins the visits of each set.
fn summarise(plan: &Plan, threads: &[usize], visits: &[Visit]) -> Result<Vec<Point>> {
    let mut samples: BTreeMap<(usize, usize, usize), (Operation, Vec<f64>)> = BTreeMap::new();
    for visit in visits {
        let Some(set) = plan.sets.get(visit.set) else { continue };
        let cases = plan.cases(set).len();
        let complete = visit.operations.len() == cases
            && visit.samples_ns.len() == threads.len()
            && visit.samples_ns.iter().all(|lists| lists.len() == cases);
        if !complete {
            return Err(Error::Plan(format!(
                "the record of a visit to set {} does not fit its cases",
                visit.set
            )));
        }
        for (t, lists) in visit.samples_ns.iter().enumerate() {
            for (case, (list, &operation)) in lists.iter().zip(&visit.operations).enumerate() {
                let entry = samples.entry((visit.set, case, t)).or_insert((operation, Vec::new()));
                entry.1.extend(list);
            }
        }
    }
    let mut points = Vec::with_capacity(samples.len());
    for ((set, case, t), (operation, list)) in samples {
        let set = &plan.sets[set];
        let case = plan.cases(set)[case];
        let setting = set.setting(case.level, threads[t]);
        let point = Timing::of(&list).map(|time| Point {
            residency: case.residency,
            operation,
            setting,
            time,
        });
        points.extend(point);
    }
    Ok(points)
}

/// Most time that a calibration is said to take on.
const MOST_REMAINING_SECONDS: f64 = 1e6;

/// Time spent and left.
struct Clock {
    budget: Duration,
    /// Time of visits recorded earlier.
    before: Duration,
    /// Start of this run.
    start: Instant,
    /// Share of all visits that are finished, by their weights.
    done: f64,
    /// What was told last.
    told: Cell<f64>,
}

impl Clock {
    fn new(plan: &Plan, visits: &[Visit]) -> Self {
        let before =
            visits.iter().map(|v| Duration::try_from_secs_f64(v.seconds).unwrap_or_default()).sum();
        Self { budget: plan.budget, before, start: Instant::now(), done: 0.0, told: Cell::new(0.0) }
    }

    fn elapsed(&self) -> Duration {
        self.before + self.start.elapsed()
    }

    fn left(&self) -> Duration {
        self.budget.saturating_sub(self.elapsed())
    }

    fn progress(&self, activity: &str) -> Progress {
        let elapsed = self.elapsed().as_secs_f64();
        let by_time = (elapsed / self.budget.as_secs_f64().max(1e-9)).min(1.0);
        // Each case is measured at least once, which may take longer than the budget: then the visits tell.
        let fraction = if self.done > 0.0 { by_time.min(self.done) } else { by_time };
        let fraction = fraction.max(self.told.get());
        self.told.set(fraction);
        let remaining = (elapsed / fraction.max(1e-9) - elapsed).min(MOST_REMAINING_SECONDS);
        let remaining = Duration::from_secs_f64(remaining);
        Progress { fraction, remaining, activity: activity.into() }
    }
}
