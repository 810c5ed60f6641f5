//! Cost model of the CKKS primitives of the engine: measurement, fit, profiles, prediction.
//!
//! - [`primitive`]: what a program consists of, by shape alone;
//! - [`work`]: how much work of which sort an operation is, counted from its algorithm;
//! - [`measure`]: times of the real engine on this machine;
//! - [`fit`]: what a unit of each sort of work costs here;
//! - [`load`]: whether work had the processor for itself while it was timed;
//! - [`profile`]: all of that in a file;
//! - [`orbit`]: a table of latencies for the HEIR compiler;
//! - [`lines`]: files that several processes append to, for journals;
//! - [`timings`]: measured times of single instructions, in a file;
//! - [`model`] predicts.

#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

mod check;
pub mod error;
pub mod fit;
pub mod lines;
pub mod load;
pub mod machine;
pub mod measure;
pub mod model;
pub mod operation;
pub mod orbit;
pub mod point;
pub mod primitive;
pub mod profile;
pub mod timings;
pub mod work;

pub use error::{Error, Result};
pub use machine::{Caches, Machine, ThreadsBy};
pub use model::{CostModel, Prediction};
pub use operation::{Client, Operation, Residency};
pub use primitive::{KeyStorage, LinearDetail, LinearShape, Primitive, Setting};
pub use profile::Profile;
