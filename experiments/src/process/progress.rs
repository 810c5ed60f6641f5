//! Telling the user how far long work has come: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::process::output::note;

/// Steps of the bar.
const STEPS: u64 = 1000;
/// Least time between two plain lines.
const QUIET: Duration = Duration::from_secs(10);
/// Least share done, and least time taken, from which the rest is estimated: before, it would be a guess.
const LEAST_SHARE: f64 = 0.02;
const LEAST_SECONDS: f64 = 2.0;

/// Progress of one piece of work, shown on standard error. It only ever grows.
pub struct Progress {
    title: String,
    bar: Option<ProgressBar>,
    start: Instant,
    state: Mutex<State>,
}

/// What has been told.
struct State {
    /// The largest fraction reported.
    reached: f64,
    last_line: Instant,
}

impl Progress {
    /// Starts showing progress under a title.
    pub fn new(title: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(STEPS);
            if let Ok(style) =
                ProgressStyle::with_template("{prefix} [{bar:30}] {percent} %, {elapsed}{msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(title.to_owned());
            bar
        });
        if bar.is_none() {
            note(format_args!("{title} ..."));
        }
        let now = Instant::now();
        let state = Mutex::new(State { reached: 0.0, last_line: now });
        Self { title: title.into(), bar, start: now, state }
    }

    /// Reports that a fraction (0 to 1) is done. One below what was reported before, or no number, changes nothing but
    /// the message.
    pub fn set(&self, fraction: f64, message: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reached = grown(state.reached, fraction);
        let elapsed = self.start.elapsed().as_secs_f64();
        let left = seconds_left(state.reached, elapsed)
            .map_or(String::new(), |s| format!(", about {s:.0} s left"));
        if let Some(bar) = &self.bar {
            bar.set_position((state.reached * STEPS as f64) as u64);
            bar.set_message(format!("{left}: {message}"));
        } else if state.last_line.elapsed() >= QUIET {
            state.last_line = Instant::now();
            let percent = 100.0 * state.reached;
            note(format_args!("{}: {percent:.0} %, {elapsed:.0} s{left}: {message}", self.title));
        }
    }

    /// Ends the display and says how long it took.
    pub fn finish(self) {
        let seconds = self.start.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        note(format_args!("{}: {seconds:.1} s", self.title));
    }
}

/// The fraction done after another report.
fn grown(reached: f64, reported: f64) -> f64 {
    if reported > reached { reported.min(1.0) } else { reached }
}

/// Time that the rest will take if it goes on like this; none where that would be a guess.
fn seconds_left(done: f64, elapsed: f64) -> Option<f64> {
    (done >= LEAST_SHARE && elapsed >= LEAST_SECONDS).then(|| elapsed * (1.0 - done) / done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grows() {
        let reports = [0.1, 0.67, 0.33, f64::NAN, -1.0, 0.7, f64::INFINITY, 0.2];
        let told: Vec<f64> = reports
            .iter()
            .scan(0.0, |reached, &report| {
                *reached = grown(*reached, report);
                Some(*reached)
            })
            .collect();
        assert_eq!(told, [0.1, 0.67, 0.67, 0.67, 0.67, 0.7, 1.0, 1.0]);
        let progress = Progress::new("a test");
        reports.iter().for_each(|&report| progress.set(report, ""));
        assert_eq!(progress.state.lock().unwrap().reached, 1.0);
    }

    #[test]
    fn the_rest_is_not_guessed() {
        assert_eq!(seconds_left(0.0, 100.0), None);
        assert_eq!(seconds_left(0.001, 1.0), None);
        assert_eq!(seconds_left(0.5, 0.1), None);
        assert_eq!(seconds_left(0.25, 10.0), Some(30.0));
        assert_eq!(seconds_left(1.0, 10.0), Some(0.0));
    }
}
