//! Validation of the cost model on whole runs: configurations are drawn, executed in turn, and predicted beside measured.

mod bent;
mod beside;
mod draw;
mod journal;
mod measure;
mod summary;
mod turns;

use serde::{Deserialize, Serialize};
use simulator::config::Configuration;
use simulator::program::PlaintextForm;

use crate::runs::disturbance::Disturbance;
use crate::runs::verdict::Verdict;

pub use draw::{Asked, draw};
pub use journal::Journal;
pub use measure::{Job, Network};
pub use summary::{Errors, Group, KindSum, LatencySummary, Row, Summary, spearman};

/// A configuration that was drawn to be executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// The configuration.
    pub configuration: Configuration,
    /// Form in which its plaintexts are kept.
    pub plaintexts: PlaintextForm,
    /// Predicted peak memory in that form.
    pub memory_bytes: u64,
}

impl Drawn {
    /// What reports call it.
    pub fn name(&self) -> String {
        let Configuration { network, variant, parameters, .. } = &self.configuration;
        format!(
            "{network} {variant}, N = 2^{}, {} special, {}",
            parameters.log_n,
            parameters.special,
            self.plaintexts.name()
        )
    }
}

/// Predicted and measured time of all instructions of a kind in an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KindTimes {
    /// Predicted milliseconds.
    pub predicted_ms: f64,
    /// Measured milliseconds, median over the runs.
    pub measured_ms: f64,
}

/// A configuration executed with one number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Network.
    pub network: String,
    /// Variant: which weights.
    pub variant: String,
    /// Ring degree N.
    pub ring_degree: usize,
    /// Special primes, which are limbs of a key-switching digit as well.
    pub special: usize,
    /// Whether plaintexts were `stored`, or encoded `on-demand`, which latencies leave out.
    pub plaintexts: String,
    /// Threads.
    pub threads: usize,
    /// Predicted latency of an image.
    pub predicted_ms: f64,
    /// The time of its program with random operands, median of as many runs, each after one of an image; none where that was not asked
    /// for, or memory had no room.
    #[serde(default)]
    pub refined_ms: Option<f64>,
    /// Measured latency: median over the runs that count: those after the first that other work did not disturb, or that it
    /// disturbed least.
    pub measured_ms: f64,
    /// How many times as long cores took for the same as undisturbed ones, on average over them; 1 at least.
    #[serde(default = "undisturbed")]
    pub pace: f64,
    /// Each of them, of one image after the other, and from the first again.
    pub latencies_ms: Vec<f64>,
    /// The same by kind of instruction.
    pub kinds: std::collections::BTreeMap<String, KindTimes>,
    /// Whether results are right, those of the first image included.
    pub verdict: Verdict,
    /// How far other work disturbed the runs after the first.
    pub disturbance: Disturbance,
}

/// The pace of undisturbed cores.
fn undisturbed() -> f64 {
    1.0
}

impl Measured {
    /// Predicted over measured, less one.
    pub fn error(&self) -> f64 {
        self.error_of(self.predicted_ms)
    }

    /// Any prediction over measured, less one.
    pub fn error_of(&self, predicted_ms: f64) -> f64 {
        predicted_ms / self.measured_ms - 1.0
    }
}

/// What executing a configuration gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Executed {
    /// The configuration.
    pub drawn: Drawn,
    /// Measured peak memory, from generating keys to the end of the first inference; none where that failed.
    pub measured_memory_bytes: Option<u64>,
    /// One for each number of threads, but those whose results were wrong.
    pub measured: Vec<Measured>,
    /// What went wrong.
    pub failures: Vec<String>,
}

#[cfg(test)]
mod testing {
    use super::*;

    const CONFIGURATION: &str = "network = \"n\"\nvariant = \"v\"\nlinear = []\n\
        [parameters]\nlog_n = 13\nscale_bits = 30\nprime_bits = 40\nfirst_bits = 40\nspecial_bits = 40\n\
        special = 1\nalpha = 1\nlevels = 2\n[input]\npatches = false\npadded = false\n\
        [input.layout]\norder = \"sequential\"\nphases = 1\nrow = 8\ncol = 1\ntile = 64\nblocks = 1\n";

    impl Drawn {
        /// A configuration of no network, which is predicted to need so many bytes.
        pub(super) fn of_bytes(memory_bytes: u64) -> Self {
            let configuration = Configuration::from_toml(CONFIGURATION).unwrap();
            Self { configuration, plaintexts: PlaintextForm::Stored, memory_bytes }
        }
    }
}
