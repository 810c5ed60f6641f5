//! Decrypts the server's results.

use std::process::ExitCode;

use fhe_benchmarking::client;

fn main() -> ExitCode {
    fhe_benchmarking::run(client::decrypt)
}
