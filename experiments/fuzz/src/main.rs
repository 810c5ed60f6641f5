//! The fuzzer: many processes for long, or one input again.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use fuzz::memory::Counting;
use fuzz::record::{Counts, Folder};
use fuzz::run::{Fuzzer, Said};
use fuzz::targets;

#[global_allocator]
static MEMORY: Counting = Counting;

/// How long a worker stays with a target.
const TURN: Duration = Duration::from_millis(500);
/// How often it writes its counters.
const SAVE: Duration = Duration::from_secs(5);

/// Fuzzes decoders and tells what was found.
#[derive(Parser)]
enum Task {
    /// Decode changed inputs in several processes; goes on from what the folder has.
    Run {
        /// Folder of counters, kept inputs and findings.
        #[arg(long)]
        state: PathBuf,
        /// Processes.
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        /// Seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Targets, all if none is named.
        #[arg(long, value_delimiter = ',')]
        targets: Vec<String>,
        /// Number that determines all changes.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Tell counters and findings.
    Show {
        /// Folder of counters, kept inputs and findings.
        #[arg(long)]
        state: PathBuf,
    },
    /// Decode an input of a file.
    One {
        /// Target.
        target: String,
        /// The input.
        file: PathBuf,
    },
    /// What `run` starts.
    #[command(hide = true)]
    Work { state: PathBuf, seconds: u64, seed: u64, worker: usize, targets: Vec<String> },
}

fn main() -> Result<ExitCode> {
    match Task::parse() {
        Task::Run { state, jobs, seconds, targets, seed } => {
            let folder = Folder::open(&state)?;
            let workers: Vec<_> = (0..jobs)
                .map(|worker| {
                    let (folder, state, targets) = (folder.clone(), state.clone(), targets.clone());
                    std::thread::spawn(move || {
                        manage(&folder, &state, seconds, seed, worker, &targets)
                    })
                })
                .collect();
            for worker in workers {
                if let Ok(result) = worker.join() {
                    result?;
                }
            }
            show(&folder)
        }
        Task::Show { state } => show(&Folder::open(&state)?),
        Task::One { target, file } => one(&target, &file),
        Task::Work { state, seconds, seed, worker, targets } => {
            work(&Folder::open(&state)?, Duration::from_secs(seconds), seed, worker, &targets)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Starts a worker, and again whenever an input has ended it.
fn manage(
    folder: &Folder,
    state: &Path,
    seconds: u64,
    seed: u64,
    worker: usize,
    chosen: &[String],
) -> Result<()> {
    let begin = Instant::now();
    loop {
        let left = seconds.saturating_sub(begin.elapsed().as_secs());
        if left == 0 {
            return Ok(());
        }
        let status = Command::new(std::env::current_exe()?)
            .arg("work")
            .arg(state)
            .args([left.to_string(), seed.to_string(), worker.to_string()])
            .args(chosen)
            .env("RAYON_NUM_THREADS", "1")
            .status()?;
        if status.success() {
            return Ok(());
        }
        let Some((target, number, input)) = folder.last(worker)? else {
            bail!("a worker ended by itself: {status}");
        };
        let all = targets::all();
        let name = all.get(target).context("a target of another program")?.name();
        let fault = format!("the process ended: {status}");
        folder.finding(name, &fault, &input)?;
        // That input is not decoded again.
        let mut counts = folder.counts(worker)?;
        let count = counts.entry(name.to_owned()).or_default();
        count.inputs = count.inputs.max(number + 1);
        folder.set_counts(worker, &counts)?;
    }
}

/// Takes turns with the targets for a while.
fn work(
    folder: &Folder,
    time: Duration,
    seed: u64,
    worker: usize,
    chosen: &[String],
) -> Result<()> {
    let begin = Instant::now();
    let mut counts = folder.counts(worker)?;
    let now = folder.now(worker)?;
    let mut fuzzers = Vec::new();
    for (k, target) in targets::all().into_iter().enumerate() {
        let name = target.name();
        if !chosen.is_empty() && !chosen.iter().any(|c| name.contains(c.as_str())) {
            continue;
        }
        let kept = folder.kept(name)?;
        let mut fuzzer = Fuzzer::new(target, seed ^ (worker as u64) << 32, Some(&kept));
        fuzzer.next = counts.get(name).map_or(0, |count| count.inputs);
        fuzzers.push((k, fuzzer));
    }
    if fuzzers.is_empty() {
        let known: Vec<&str> = targets::all().iter().map(|t| t.name()).collect();
        bail!("no target of these names; there are {known:?}");
    }
    let mut saved = Instant::now();
    while begin.elapsed() < time {
        for (k, fuzzer) in &mut fuzzers {
            let (start, first) = (Instant::now(), fuzzer.next);
            let (accepted, seconds) = (fuzzer.accepted, fuzzer.time);
            while start.elapsed() < TURN {
                fuzzer.step(&mut |number, input| now.begin(*k, number, input));
            }
            now.end();
            let name = fuzzer.target().name();
            let count = counts.entry(name.to_owned()).or_default();
            count.inputs += fuzzer.next - first;
            count.accepted += fuzzer.accepted - accepted;
            count.seconds += (fuzzer.time - seconds).as_secs_f64();
            for finding in fuzzer.findings.iter() {
                folder.finding(name, &finding.fault, &finding.input)?;
            }
            if saved.elapsed() > SAVE {
                saved = Instant::now();
                folder.set_counts(worker, &counts)?;
            }
        }
    }
    folder.set_counts(worker, &counts)
}

/// Prints counters and findings; failure if there are any.
fn show(folder: &Folder) -> Result<ExitCode> {
    let counts: Counts = folder.sum()?;
    println!("{:24} {:>12} {:>9} {:>10}", "target", "inputs", "accepted", "per second");
    for (name, count) in &counts {
        let rate = count.inputs as f64 / count.seconds.max(1e-9);
        let share = 100.0 * count.accepted as f64 / count.inputs.max(1) as f64;
        println!("{name:24} {:>12} {share:>7.1} % {rate:>10.0}", count.inputs);
    }
    let total: u64 = counts.values().map(|count| count.inputs).sum();
    println!("{:24} {total:>12}", "all");
    let findings = folder.findings()?;
    for (name, fault) in &findings {
        println!("{name}: {fault}");
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Decodes one input and says what came of it.
fn one(name: &str, file: &Path) -> Result<ExitCode> {
    let input = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let Some(target) = targets::all().into_iter().find(|t| t.name() == name) else {
        bail!("there is no target {name:?}");
    };
    let said = Fuzzer::new(target, 0, None).decode(0, &input);
    println!("{said:?}");
    Ok(if matches!(said, Said::Fault(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
