//! Measurement of the engine's operations.
//!
//! A plan has several parameter sets; each is visited in several passes, so that a slow minute of the machine does not
//! hit one set alone. A visit generates the keys and operands of its set, and then measures all cases in rounds, in a
//! different order each round and for each thread count in turn, until its share of the time is spent. Every measurement
//! reads other keys and plaintexts than those before it, and its operand ciphertexts are read once just before. Where other
//! work slows cores ([`crate::load`]), measurements wait for a while, and times of undisturbed cores count where there are any.
//!
//! Instructions of programs are timed in the same way ([`time`]), with the programs' own parameters.

mod bench;
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

use rayon::ThreadPool;

pub use instruction::Instruction;
pub use plan::{Plan, SetPlan};
pub use programs::{Programs, Request};
pub use sequence::{Sequence, SequenceKey};
pub use shapes::{Factors, LinearSpec, catalogue};
pub use timing::{Conduct, time};

use crate::error::{Error, Result};
use crate::load::pace::{self, Pace};
use crate::load::{Timed, counted_ns};
use crate::machine::{Machine, load_average};
use crate::operation::Operation;
use crate::point::{Point, Timing};
use bench::Bench;
use journal::{Journal, Visit};
use needs::Needs;
use rounds::{Rounds, Samples};
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
    /// Of undisturbed cores, as far as it met any, for each thread count.
    pub paces: Vec<Pace>,
    /// Share of the points that other work disturbed each time.
    pub disturbed_share: f64,
    /// One for each case and thread count.
    pub points: Vec<Point>,
}

/// How often sets are visited again for what other work disturbed each time, as long as the plan's own time in all.
const MENDING_PASSES: usize = 2;

/// Where one of so many, or fewer, lack an undisturbed time, a set is not visited again for that.
const TOLERATED: usize = 20;

/// Carries out a plan for some thread counts. It takes up to twice the plan's time where other work slows the cores.
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
    let mut journal: Option<Journal> =
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
        progress(&clock.progress(&activity));
        alone.time(cancel)?;
        let deadline = Instant::now() + slot;
        let mut tell = || progress(&clock.progress(&activity));
        let made = visit(plan, (pass, set), &pools, cancel, |rounds| {
            rounds.run(deadline, cancel, &mut tell)
        })?;
        keep(made, &mut visits, &mut journal)?;
    }
    let lacking = |visits: &[Visit]| -> Vec<_> {
        (0..plan.sets.len()).map(|set| lacking(plan, set, visits, threads.len())).collect()
    };
    clock.extend(plan.budget);
    for pass in plan.passes..plan.passes + MENDING_PASSES {
        let wanted = lacking(&visits);
        let all: usize = wanted.iter().map(Vec::len).sum();
        for (set, wanted) in wanted.into_iter().enumerate() {
            let few = wanted.len() * TOLERATED < plan.cases(&plan.sets[set]).len() * threads.len();
            if few || visits.iter().any(|v| (v.pass, v.set) == (pass, set)) {
                continue;
            }
            let share = wanted.len() as f64 / (all * MENDING_PASSES) as f64;
            let deadline = Instant::now() + plan.budget.mul_f64(share);
            let what = format!("again what other work disturbed: {} times", wanted.len());
            let mut tell = || progress(&clock.progress(&what));
            tell();
            let made = visit(plan, (pass, set), &pools, cancel, |rounds| {
                rounds.mend(wanted, deadline, cancel, &mut tell)
            })?;
            keep(made, &mut visits, &mut journal)?;
        }
    }
    alone.time(cancel)?;
    let mut points: Vec<Point> = alone.points().collect();
    points.extend(summarise(plan, threads, &visits)?);
    let disturbed: usize = lacking(&visits).iter().map(Vec::len).sum();
    let mut paces = pace::undisturbed();
    paces.retain(|pace| threads.contains(&pace.threads));
    Ok(Measurements {
        plan: plan.name.clone(),
        machine,
        load_average,
        duration: clock.elapsed(),
        paces,
        disturbed_share: disturbed as f64 / points.len().max(1) as f64,
        points,
    })
}

/// Makes the keys and operands of a set ready, and measures.
fn visit(
    plan: &Plan,
    (pass, set): (usize, usize),
    pools: &[ThreadPool],
    cancel: &AtomicBool,
    measure: impl FnOnce(&mut Rounds<'_>) -> Result<Samples>,
) -> Result<Visit> {
    let (start, description) = (Instant::now(), &plan.sets[set]);
    let (params, needs) = (description.parameters()?, Needs::of_set(plan, description));
    let Some(widest) = pools.iter().max_by_key(|pool| pool.current_num_threads()) else {
        unreachable!("there is a number of threads")
    };
    let bench = widest.install(|| Bench::new(&params, &needs))?;
    let mut rounds = Rounds::of_set(plan, description, &bench, pools, pass, cancel)?;
    let samples = measure(&mut rounds)?;
    let operations = rounds.operations();
    drop(rounds);
    drop(bench);
    // The next set's buffers have other sizes.
    engine::buffer::AlignedBuf::release_pool();
    Ok(Visit { pass, set, seconds: start.elapsed().as_secs_f64(), operations, samples })
}

fn keep(visit: Visit, visits: &mut Vec<Visit>, journal: &mut Option<Journal>) -> Result<()> {
    journal.as_mut().map_or(Ok(()), |journal| journal.append(&visit))?;
    visits.push(visit);
    Ok(())
}

/// What of a set has no undisturbed time: `(thread count, case)` by their places.
fn lacking(plan: &Plan, set: usize, visits: &[Visit], threads: usize) -> Vec<(usize, usize)> {
    let cases = plan.cases(&plan.sets[set]).len();
    let of_set: Vec<&Visit> = visits.iter().filter(|visit| visit.set == set).collect();
    let has = |t: usize, case: usize| {
        let lists = of_set.iter().filter_map(|visit| visit.samples.get(t)?.get(case));
        lists.flatten().any(|timed| !timed.load.is_disturbed())
    };
    let all = (0..threads).flat_map(|t| (0..cases).map(move |case| (t, case)));
    all.filter(|&(t, case)| !has(t, case)).collect()
}

/// Starts a pool.
fn thread_pool(threads: usize) -> Result<ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::Threads { threads, reason: e.to_string() })
}

/// Joins the visits of each set, of which undisturbed times count.
fn summarise(plan: &Plan, threads: &[usize], visits: &[Visit]) -> Result<Vec<Point>> {
    let mut samples: BTreeMap<(usize, usize, usize), (Operation, Vec<Timed>)> = BTreeMap::new();
    for visit in visits {
        let Some(set) = plan.sets.get(visit.set) else { continue };
        let cases = plan.cases(set).len();
        let complete = visit.operations.len() == cases
            && visit.samples.len() == threads.len()
            && visit.samples.iter().all(|lists| lists.len() == cases);
        if !complete {
            return Err(Error::Plan(format!(
                "the record of a visit to set {} does not fit its cases",
                visit.set
            )));
        }
        for (t, lists) in visit.samples.iter().enumerate() {
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
        let point = Timing::of(&counted_ns(&list)).map(|time| Point {
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

    /// Adds time; what was told stays until more of it has passed.
    fn extend(&mut self, more: Duration) {
        self.budget = self.elapsed() + more;
        self.done = 0.0;
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
