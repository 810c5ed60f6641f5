//! Interpreters of programs: on plain numbers, and on ciphertexts.

mod clear;
mod encrypted;
mod forecast;
mod noise;
mod sharing;

pub use clear::{SlotVectors, run_clear, run_measured, run_noisy};
pub use encrypted::{Client, Execution, Recorded, Session};
pub use forecast::predict_precision;
pub use noise::NoiseModel;
pub use sharing::{ResultErrors, SharedResults, Sharing, predict_errors};
