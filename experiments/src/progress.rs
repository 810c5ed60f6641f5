//! Telling the user how far long work has come: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Steps of the bar.
const STEPS: u64 = 1000;
/// Least time between two plain lines.
const QUIET: Duration = Duration::from_secs(10);

/// Progress of one piece of work, shown on standard error.
pub struct Progress {
    title: String,
    bar: Option<ProgressBar>,
    start: Instant,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Starts showing progress under a title.
    pub fn new(title: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(STEPS);
            if let Ok(style) = ProgressStyle::with_template(
                "{prefix} [{bar:30}] {percent} % {elapsed} (eta {eta}) {msg}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(title.to_owned());
            bar
        });
        if bar.is_none() {
            eprintln!("{title} ...");
        }
        let now = Instant::now();
        Self { title: title.into(), bar, start: now, last_line: Mutex::new(now) }
    }

    /// Reports that a fraction (0 to 1) is done.
    pub fn set(&self, fraction: f64, message: &str) {
        let fraction = fraction.clamp(0.0, 1.0);
        if let Some(bar) = &self.bar {
            bar.set_position((fraction * STEPS as f64) as u64);
            bar.set_message(message.to_owned());
            return;
        }
        let Ok(mut last) = self.last_line.lock() else { return };
        if last.elapsed() >= QUIET {
            *last = Instant::now();
            let elapsed = self.start.elapsed().as_secs_f64();
            let left = match fraction {
                0.0 => String::new(),
                done => format!(", about {:.0} s left", elapsed * (1.0 - done) / done),
            };
            eprintln!("{}: {:.0} %, {elapsed:.0} s{left}: {message}", self.title, 100.0 * fraction);
        }
    }

    /// Ends the display and says how long it took.
    pub fn finish(self) {
        let seconds = self.start.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}: {seconds:.1} s", self.title);
    }
}
