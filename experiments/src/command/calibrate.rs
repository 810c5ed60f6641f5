//! `spencnn calibrate`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use costmodel::machine::describe_threads;
use costmodel::measure::{self, Plan};
use costmodel::point::Point;
use costmodel::work::Feature;
use costmodel::{Error as CostError, Machine, Profile};
use serde::Serialize;

use super::export::{Export, ExportArgs};
use crate::machine::profiles;
use crate::machine::provenance::REVISION;
use crate::machine::threads;
use crate::process::exit::Failure;
use crate::process::progress::Progress;
use crate::process::{cancel, files, output};
use crate::report::table;

/// Measure the engine on this machine and fit the cost model
///
/// Times every operation at several ring degrees, levels and digit sizes, fits the cost model, and writes a profile
/// (TOML) and, beside it, the measurements (`NAME.points.jsonl`), which no prediction needs. A quarter of them is kept out
/// of the fit; the error on them is printed. Let nothing else run meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn calibrate --quick                       a minute and a half, enough for the demonstration
  spencnn calibrate --full --threads 1,2,4        about fifteen minutes; goes on where it was interrupted
  spencnn calibrate --quick --out profiles/my-machine.toml
  spencnn calibrate --refit profiles/my-machine.toml
                                                  fit kept measurements again, after an update of spencnn
  spencnn calibrate --profile --export heir-orbit latencies.json --log-n 15 --levels 12
                                                  measure nothing; what HEIR reads, from this machine's profile")]
pub struct CalibrateArgs {
    /// About a minute and a half: each operation at one level of a parameter set [default]
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// More ring degrees and levels, about fifteen minutes; resumable
    #[arg(long)]
    full: bool,
    /// Measure nothing: fit the unit costs again to the measurements of a profile, as this version counts their work
    /// [default: this machine's profile]
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["quick", "full", "threads", "profile"])]
    refit: Option<Option<PathBuf>>,
    /// Where to write the profile [default: this machine's place below $SPENCNN_HOME or ~/.spencnn]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Thread counts to measure [default: 1 and all hardware threads]
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Tables for other programs.
    #[command(flatten)]
    export: ExportArgs,
}

/// What a calibration prints.
#[derive(Debug, Serialize)]
struct Summary {
    profile: String,
    plan: String,
    duration_seconds: f64,
    machine: Machine,
    points: usize,
    /// Share of the points that other work disturbed each time.
    disturbed_share: f64,
    fits: Vec<FitSummary>,
}

#[derive(Debug, Serialize)]
struct FitSummary {
    threads: usize,
    training_points: usize,
    held_out_points: usize,
    held_out_median_relative: f64,
    held_out_p90_relative: f64,
    held_out_max_relative: f64,
    /// Unit costs of arithmetic that came out as zero, by their names in the profile.
    unpriced: Vec<&'static str>,
}

impl CalibrateArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        let machine = Machine::detect();
        let export = self.export.prepare()?;
        if let (Some(export), Some(named)) = (&export, &self.export.profile) {
            return export.write(&profiles::needed(&machine, named.as_deref())?.profile);
        }
        let own = || profiles::default_path(&machine);
        if let Some(named) = &self.refit {
            let from = named.clone().map_or_else(own, Ok)?;
            let (profile, points) = Profile::refit(&from, REVISION)?;
            let path = self.out.clone().unwrap_or(from);
            return self.finish(profile, &points, &path, None, export);
        }
        let path = self.out.clone().map_or_else(own, Ok)?;
        let plan = if self.full { Plan::full() } else { Plan::quick() };
        let threads = threads::numbers(&self.threads, &machine);
        // Only a long calibration is worth resuming; a short one had better be measured in one go.
        let journal = self.full.then(|| path.with_extension("journal.jsonl"));
        let (profile, points) = calibrate(&plan, &threads, &path, journal.as_deref())?;
        self.finish(profile, &points, &path, journal, export)
    }

    /// Prints a summary of a profile, and writes it with its points and what is to be exported of it.
    fn finish(
        &self,
        mut profile: Profile,
        points: &[Point],
        path: &Path,
        journal: Option<PathBuf>,
        export: Option<Export>,
    ) -> Result<()> {
        let summary = Summary::new(&profile, points, &path.display().to_string());
        let text = if self.json { output::json(&summary)? } else { summary.text() };
        let printed = output::results(&text);
        profile.save(path, points)?;
        if let Some(journal) = journal {
            // The profile holds everything now; a journal left behind would be resumed by mistake.
            let _ = std::fs::remove_file(journal);
        }
        output::note(format_args!("profile written to {}", path.display()));
        summary.fits.iter().filter(|fit| !fit.unpriced.is_empty()).for_each(FitSummary::warn);
        export.map_or(Ok(()), |export| export.write(&profile))?;
        printed
    }
}

/// Measures and fits a profile that can be saved at `path` with the points returned, which is checked before.
pub fn calibrate(
    plan: &Plan,
    threads: &[usize],
    path: &Path,
    journal: Option<&Path>,
) -> Result<(Profile, Vec<Point>)> {
    files::check_writable(path)?;
    files::check_writable(&Profile::points_path(path)?)?;
    let mut threads = threads.to_vec();
    threads.sort_unstable();
    threads.dedup();
    let progress = Progress::new(&format!("calibrating ({} plan, threads {threads:?})", plan.name));
    let mut tell = |p: &measure::Progress| progress.set(p.fraction, &p.activity);
    let measured = measure::run(plan, &threads, &mut tell, cancel::flag(), journal);
    progress.finish();
    let measured = match measured {
        Err(CostError::Cancelled) => return Err(Failure::Interrupted.into()),
        other => other.context("calibrating")?,
    };
    Ok((Profile::new(&measured, REVISION)?, measured.points))
}

impl FitSummary {
    /// Says that something is priced at nothing.
    fn warn(&self) {
        output::note(format_args!(
            "warning: with {} thread{}, {} came out as 0, though that takes time, which is now in the price of what it was measured \
             with; predictions of other mixtures will be wrong. Calibrate again when the machine is quiet, or with --full",
            self.threads,
            if self.threads == 1 { "" } else { "s" },
            self.unpriced.join(", ")
        ));
    }
}

impl Summary {
    fn new(profile: &Profile, points: &[Point], path: &str) -> Self {
        let fits = profile
            .fits
            .iter()
            .map(|fit| FitSummary {
                threads: fit.threads,
                training_points: fit.training.points,
                held_out_points: fit.held_out.points,
                held_out_median_relative: fit.held_out.median_relative,
                held_out_p90_relative: fit.held_out.p90_relative,
                held_out_max_relative: fit.held_out.max_relative,
                unpriced: fit
                    .unpriced(points, &profile.machine.caches)
                    .into_iter()
                    .map(Feature::unit_name)
                    .collect(),
            })
            .collect();
        Self {
            profile: path.into(),
            plan: profile.plan.clone(),
            duration_seconds: profile.duration_seconds,
            machine: profile.machine.clone(),
            points: points.len(),
            disturbed_share: profile.disturbed_share,
            fits,
        }
    }

    fn text(&self) -> String {
        let percent = |v: f64| format!("{:.1} %", 100.0 * v);
        let mut rows = vec![
            [
                "threads",
                "points fitted",
                "points kept out",
                "median error",
                "ninth decile",
                "largest",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        rows.extend(self.fits.iter().map(|f| {
            vec![
                f.threads.to_string(),
                f.training_points.to_string(),
                f.held_out_points.to_string(),
                percent(f.held_out_median_relative),
                percent(f.held_out_p90_relative),
                percent(f.held_out_max_relative),
            ]
        }));
        format!(
            "{}, {} kernels, {}\n\n{}errors are those on the points kept out\nmeasured in {:.0} s; other work \
             disturbed {:.1} % of the points each time\n",
            self.machine.cpu,
            self.machine.isa,
            describe_threads(self.machine.threads, self.machine.threads_by, self.machine.cpus),
            table(rows),
            self.duration_seconds,
            100.0 * self.disturbed_share
        )
    }
}
