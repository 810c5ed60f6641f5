//! What the `spencnn` command is made of: data, embedded networks, candidates, execution, reports and sub-commands.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod command;
pub mod design;
pub mod inputs;
pub mod machine;
pub mod process;
pub mod report;
pub mod runs;
