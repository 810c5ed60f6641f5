//! Encrypts the client's images.

use std::process::ExitCode;

use fhe_benchmarking::client;

fn main() -> ExitCode {
    fhe_benchmarking::run(client::encrypt)
}
