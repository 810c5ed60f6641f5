//! What the `spencnn` command is made of: data, embedded networks, candidates, execution, reports and sub-commands.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod baseline_hear;
pub mod cancel;
pub mod candidate;
pub mod choose;
pub mod command;
pub mod data;
pub mod evaluate;
pub mod execute;
pub mod exit;
pub mod files;
pub mod images;
pub mod memory;
pub mod networks;
pub mod onnx;
pub mod output;
pub mod plan;
pub mod profiles;
pub mod progress;
pub mod provenance;
pub mod record;
pub mod refine;
pub mod report;
pub mod sample;
pub mod shard;
pub mod units;
pub mod validate;
