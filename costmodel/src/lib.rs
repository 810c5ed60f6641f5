//! Cost model of the CKKS primitives of the engine: measurement, fit, profiles, prediction.

pub mod primitive;

pub use primitive::{LinearShape, Primitive, Setting};
