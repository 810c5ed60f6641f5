//! Interpreters of programs that need no engine.

mod clear;
mod noise;

pub use clear::{run_clear, run_noisy};
pub use noise::NoiseModel;
