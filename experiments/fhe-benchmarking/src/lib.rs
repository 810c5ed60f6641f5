//! The stages of the FHE benchmarking suite's inference workload, each an executable that the suite's harness starts.
//!
//! Between the processes there are only files, in the [folders](folders) that the harness makes, empties and measures. Which
//! network runs is told by two files beside the executables, which `spencnn compile` made when they were built. Modules
//! [`client`] and [`server`] are the two parties: what is in one's executables is not in the other's.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod client;
pub mod folders;
mod pixels;
pub mod server;

use std::process::ExitCode;

use anyhow::Result;
use experiments::process::exit;

/// Runs a stage and tells the harness whether it succeeded.
pub fn run(stage: impl FnOnce() -> Result<()>) -> ExitCode {
    exit::report(stage())
}
