//! Executing drawn configurations, in turn, in groups that memory holds together.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use costmodel::load::{Patience, Timed, counted, counted_ns, mean_pace};
use rayon::ThreadPool;
use simulator::network::Model;
use simulator::precision::Demand;

use super::beside::Beside;
use super::turns::{Turns, runs};
use super::{Drawn, Executed, Journal, KindTimes, Measured};
use crate::design::candidate::{self, Estimate, Prices};
use crate::inputs::images::Pictures;
use crate::inputs::networks::Source;
use crate::machine::memory::{self, show_bytes};
use crate::machine::profiles::Cost;
use crate::process::cancel;
use crate::process::exit::Failure;
use crate::process::output::note;
use crate::process::progress::Progress;
use crate::runs::disturbance::Disturbance;
use crate::runs::execute::{self, Prepared, Sample, patience};
use crate::runs::statistics::median;
use crate::runs::verdict::Verdict;

/// Runs of a configuration that only warm up.
const WARM_UP: usize = 1;

/// A network, and the images that it is run on.
pub struct Network {
    /// The network.
    pub source: Source,
    /// Images that each configuration is run on, one after the other.
    pub images: Pictures,
}

/// What to execute, and how.
pub struct Job<'a> {
    /// Networks of the configurations.
    pub networks: &'a [Network],
    /// Predictions, for each number of threads.
    pub costs: &'a [Cost],
    /// How precise results must be.
    pub precision: Demand,
    /// Most memory, in bytes.
    pub memory_limit: u64,
    /// Whether parameters may be insecure.
    pub insecure: bool,
    /// Whether the instructions of configurations are timed with random operands beside the images.
    pub refine: bool,
    /// Least time of a configuration with each number of threads, in milliseconds: where its images take less, they are run
    /// again.
    pub least_ms: f64,
}

/// Weights of a network's variants that are in memory.
type Models = Vec<(String, String, Arc<Model>)>;

/// A configuration that is ready to run.
struct Ready<'a> {
    drawn: &'a Drawn,
    prepared: Prepared,
    images: &'a Pictures,
    plain: Vec<Vec<f64>>,
    /// For each number of threads.
    runs: Vec<Run>,
}

/// A configuration with one number of threads.
struct Run {
    prices: Prices,
    turns: Turns,
    samples: Vec<Sample>,
    /// Its program with random operands, after each image.
    timed: Vec<Timed>,
    /// What may still be spent on undisturbed images.
    patience: Patience,
    failure: Option<String>,
}

impl Job<'_> {
    /// Executes what the journal does not have yet, and adds it there. When cancelled, what was finished is in the journal, and
    /// the result is what was begun and had two images at least.
    ///
    /// # Errors
    /// Those of the system and the journal. A configuration that fails is part of the result.
    pub fn run(&self, drawn: &[Drawn], journal: &mut Journal) -> Result<Vec<Executed>> {
        let pools = self.pools()?;
        let todo: Vec<&Drawn> = drawn.iter().filter(|d| journal.executed(d).is_none()).collect();
        let known = drawn.len() - todo.len();
        if known > 0 {
            note(format_args!("{known} of {} configurations are in the journal", drawn.len()));
        }
        let progress = Progress::new(&format!("executing {} configurations", todo.len()));
        let mut rest = Vec::new();
        let mut done = 0;
        // A program takes more than is predicted while it is prepared; with random operands, it takes as much again.
        let parts = if self.refine { 3 } else { 2 };
        for group in groups(&todo, self.memory_limit / parts) {
            if cancel::requested() {
                break;
            }
            let part = |share: f64, what: &str| {
                let before = done as f64 / todo.len() as f64;
                progress.set(before + share * group.len() as f64 / todo.len() as f64, what);
            };
            let executed = self.group(&group, &pools, &part)?;
            if cancel::requested() {
                rest = executed;
                break;
            }
            executed.into_iter().try_for_each(|e| journal.add_executed(e))?;
            done += group.len();
        }
        progress.finish();
        rest.retain(|e| !e.measured.is_empty() || !e.failures.is_empty());
        Ok(drawn.iter().filter_map(|d| journal.executed(d).cloned()).chain(rest).collect())
    }

    fn pools(&self) -> Result<Vec<ThreadPool>> {
        let pool = |cost: &Cost| {
            let threads = cost.threads;
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.with_context(|| format!("starting {threads} threads"))
        };
        self.costs.iter().map(pool).collect()
    }

    /// Prepares the configurations of a group, and runs them image by image.
    fn group(
        &self,
        group: &[&Drawn],
        pools: &[ThreadPool],
        tell: &dyn Fn(f64, &str),
    ) -> Result<Vec<Executed>> {
        let (mut ready, mut executed) = (Vec::new(), Vec::new());
        let mut models = Models::new();
        for &drawn in group {
            if cancel::requested() {
                return Ok(Vec::new());
            }
            tell(0.0, &format!("preparing {}", drawn.name()));
            match self.prepare(drawn, pools, &mut models) {
                Ok(one) => ready.push(one),
                Err(error) if is_interruption(&error) => return Ok(Vec::new()),
                Err(error) => executed.push(Executed {
                    drawn: drawn.clone(),
                    measured_memory_bytes: None,
                    measured: Vec::new(),
                    failures: vec![format!("{}: {error:#}", drawn.name())],
                }),
            }
        }
        drop(models);
        tell(0.0, "preparing measurements beside the images");
        let estimates: Vec<&Estimate> = ready.iter().map(|one| one.prepared.estimate()).collect();
        let taken: u64 = ready.iter().map(|one| one.drawn.memory_bytes).sum();
        let left = self.memory_limit.saturating_sub(taken);
        let timed = if self.refine { &estimates[..] } else { &[] };
        let beside = Beside::prepare(timed, widest(pools)?, left)?;
        self.rounds(&mut ready, &beside, pools, tell)?;
        executed.extend(ready.into_iter().map(|one| self.finish(one)));
        Ok(executed)
    }

    /// The network of a configuration.
    fn network(&self, drawn: &Drawn) -> Result<&Network> {
        let name = &drawn.configuration.network;
        let network = self.networks.iter().find(|n| n.source.network.name == *name);
        network.context("a configuration of another network")
    }

    /// The estimate of a configuration, with the most threads. Weights of its group are in `models`.
    fn estimate(&self, drawn: &Drawn, models: &mut Models) -> Result<Estimate> {
        let source = &self.network(drawn)?.source;
        let configuration = drawn.configuration.clone();
        let (name, variant) = (&configuration.network, &configuration.variant);
        if drawn.memory_bytes > self.memory_limit {
            bail!(
                "it is predicted to need {}, over the limit of {}; raise --memory-limit",
                show_bytes(drawn.memory_bytes),
                show_bytes(self.memory_limit)
            );
        }
        let known = models.iter().find(|(n, v, _)| n == name && v == variant);
        let model = match known {
            Some((_, _, model)) => Arc::clone(model),
            None => {
                let model = Arc::new(source.model(variant)?);
                models.push((name.clone(), variant.clone(), Arc::clone(&model)));
                model
            }
        };
        let cost = self.costs.iter().max_by_key(|cost| cost.threads);
        let cost = cost.context("there is no number of threads")?;
        let mut estimate = candidate::estimate_with(
            source,
            model,
            configuration,
            &drawn.name(),
            self.insecure,
            cost,
        )?;
        estimate.set_plaintexts(drawn.plaintexts);
        Ok(estimate)
    }

    /// Keys, plaintexts and a first inference of a configuration. Weights of its group are in `models`.
    fn prepare<'a>(
        &'a self,
        drawn: &'a Drawn,
        pools: &[ThreadPool],
        models: &mut Models,
    ) -> Result<Ready<'a>> {
        let images = &self.network(drawn)?.images;
        let estimate = self.estimate(drawn, models)?;
        let run = |cost: &Cost| {
            let prices = estimate.prices(cost);
            let runs = runs(images.len(), prices.latency.median_ms, self.least_ms);
            Run {
                turns: Turns { runs },
                samples: Vec::new(),
                timed: Vec::new(),
                patience: patience(runs, prices.latency.median_ms),
                failure: None,
                prices,
            }
        };
        let runs = self.costs.iter().map(run).collect();
        memory::reserve(&drawn.name(), drawn.memory_bytes)?;
        let (prepared, _, plain) = widest(pools)?.install(|| {
            let plain = execute::plain_results(&estimate.candidate, images)?;
            execute::prepare(estimate, plain, images)
        })?;
        Ok(Ready { drawn, prepared, images, plain, runs })
    }

    /// Runs every configuration with every number of threads in turn, beginning with another one each round, those that have fewer
    /// runs than others not in every round.
    fn rounds(
        &self,
        ready: &mut [Ready<'_>],
        beside: &Beside,
        pools: &[ThreadPool],
        tell: &dyn Fn(f64, &str),
    ) -> Result<()> {
        let all = ready.iter().flat_map(|one| &one.runs);
        let rounds = all.map(|run| run.turns.runs).max().unwrap_or(0);
        let turns = ready.len() * pools.len();
        for round in 0..rounds {
            for turn in 0..turns {
                if cancel::requested() {
                    // Only rounds that all have finished count.
                    let runs = ready.iter_mut().flat_map(|one| &mut one.runs);
                    runs.for_each(|run| run.samples.truncate(run.turns.before(round, rounds)));
                    return Ok(());
                }
                let at = (turn + round * turns.div_ceil(rounds)) % turns;
                let (place, pool) = (at / pools.len(), at % pools.len());
                let one = &mut ready[place];
                let run = &mut one.runs[pool];
                if run.failure.is_some() || !run.turns.has(round, rounds) {
                    continue;
                }
                let number = run.samples.len();
                let image = one.images.image(number % one.images.len());
                let image = image.context("fewer images than there were")?;
                // What does not count need not be undisturbed.
                let mut none = Patience::default();
                let patience = if number < WARM_UP { &mut none } else { &mut run.patience };
                let infer = || one.prepared.infer(std::slice::from_ref(&image), patience);
                match pools[pool].install(infer) {
                    Ok(samples) => run.samples.extend(samples),
                    Err(error) => run.failure = Some(format!("{error:#}")),
                }
                if run.failure.is_none() {
                    let timed = pools[pool].install(|| beside.time(place, patience))?;
                    run.timed.extend(timed);
                }
                let share = (round * turns + turn + 1) as f64 / (rounds * turns) as f64;
                tell(share, &format!("round {} of {rounds}, {}", round + 1, one.drawn.name()));
            }
        }
        Ok(())
    }

    /// What a configuration gave, without its keys and plaintexts.
    fn finish(&self, one: Ready<'_>) -> Executed {
        let Ready { drawn, prepared, plain, runs, .. } = one;
        let (mut measured, mut failures) = (Vec::new(), Vec::new());
        for (cost, run) in self.costs.iter().zip(runs) {
            let Run { prices, samples, timed, failure, .. } = run;
            let name = format!("{}, {} threads", drawn.name(), cost.threads);
            if let Some(failure) = failure {
                failures.push(format!("{name}: {failure}"));
                continue;
            }
            let Some(all) = samples.get(WARM_UP..).filter(|all| !all.is_empty()) else {
                continue;
            };
            let (counted, disturbance) = (counted(all), Disturbance::of(all));
            let plain: Vec<Vec<f64>> = plain.iter().cycle().take(samples.len()).cloned().collect();
            let verdict = Verdict::of(&samples, &plain);
            let wrong = verdict.failures(samples.len(), self.precision);
            if !wrong.is_empty() {
                failures.push(format!("{name}: {}", wrong.join("; ")));
                continue;
            }
            let latencies_ms: Vec<f64> = counted.iter().map(|s| s.latency_ms).collect();
            measured.push(Measured {
                network: drawn.configuration.network.clone(),
                variant: drawn.configuration.variant.clone(),
                ring_degree: prepared.estimate().params.n(),
                special: drawn.configuration.parameters.special,
                plaintexts: drawn.plaintexts.name().into(),
                threads: cost.threads,
                predicted_ms: prices.latency.median_ms,
                refined_ms: timed.get(WARM_UP..samples.len()).and_then(median_ms),
                measured_ms: median(&latencies_ms),
                pace: mean_pace(&counted),
                latencies_ms,
                kinds: kinds(&prices, &counted),
                verdict,
                disturbance,
            });
        }
        let measured_memory_bytes = Some(prepared.setup().peak_memory_bytes);
        Executed { drawn: drawn.clone(), measured_memory_bytes, measured, failures }
    }
}

/// The pool with the most threads.
fn widest(pools: &[ThreadPool]) -> Result<&ThreadPool> {
    let widest = pools.iter().max_by_key(|pool| pool.current_num_threads());
    widest.context("there is no number of threads")
}

/// The median of those times that count, in milliseconds, if there are any.
fn median_ms(timed: &[Timed]) -> Option<f64> {
    let ns = counted_ns(timed);
    (!ns.is_empty()).then(|| 1e-6 * median(&ns))
}

/// Predicted and measured times by kind of instruction.
fn kinds(prices: &Prices, counted: &[&Sample]) -> BTreeMap<String, KindTimes> {
    let kind = |(kind, predicted): (&&'static str, &f64)| {
        let times: Vec<f64> =
            counted.iter().map(|s| s.kinds_ms.get(kind).copied().unwrap_or(0.0)).collect();
        ((*kind).to_owned(), KindTimes { predicted_ms: *predicted, measured_ms: median(&times) })
    };
    prices.kinds_ms.iter().map(kind).collect()
}

fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<Failure>(), Some(Failure::Interrupted))
}

/// Parts that `limit` bytes hold together, the largest configurations first; what is larger is a part of its own.
fn groups<'a>(drawn: &[&'a Drawn], limit: u64) -> Vec<Vec<&'a Drawn>> {
    let mut sorted = drawn.to_vec();
    sorted.sort_by_key(|d| std::cmp::Reverse(d.memory_bytes));
    let mut groups: Vec<(u64, Vec<&Drawn>)> = Vec::new();
    for one in sorted {
        let bytes = one.memory_bytes;
        match groups.iter_mut().find(|(sum, _)| sum.saturating_add(bytes) <= limit) {
            Some((sum, group)) => {
                *sum += bytes;
                group.push(one);
            }
            None => groups.push((bytes, vec![one])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fit_the_memory() {
        let drawn = [20, 70, 50, 30, 200, 10].map(Drawn::of_bytes);
        let groups = groups(&drawn.iter().collect::<Vec<_>>(), 100);
        let bytes = |group: &Vec<&Drawn>| group.iter().map(|d| d.memory_bytes).collect::<Vec<_>>();
        // By itself, one may take more.
        let expected = [vec![200], vec![70, 30], vec![50, 20, 10]];
        assert_eq!(groups.iter().map(bytes).collect::<Vec<_>>(), expected);
        assert!(super::groups(&[], 100).is_empty());
    }
}
