//! Computes on encrypted images.

use std::process::ExitCode;

use fhe_benchmarking::server;

fn main() -> ExitCode {
    fhe_benchmarking::run(server::compute)
}
