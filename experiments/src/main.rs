//! The `spencnn` command.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use experiments::command::Cli;
use experiments::machine::memory::{self, CountingAllocator};
use experiments::process::{cancel, exit};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    memory::share_one_arena();
    let cli = Cli::parse();
    exit::report(cancel::install().and_then(|()| cli.execute()))
}
