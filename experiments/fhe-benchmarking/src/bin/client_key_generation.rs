//! Makes the client's keys.

use std::process::ExitCode;

use fhe_benchmarking::client;

fn main() -> ExitCode {
    fhe_benchmarking::run(client::generate_keys)
}
