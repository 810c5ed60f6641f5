//! Configurations before they run: asked for, found, priced.

pub mod baseline_hear;
pub mod batch;
pub mod candidate;
pub mod choose;
pub mod plan;
pub mod refine;
pub mod shard;
pub mod wish;
