//! Checks the server's model.

use std::process::ExitCode;

use fhe_benchmarking::server;

fn main() -> ExitCode {
    fhe_benchmarking::run(server::preprocess_model)
}
