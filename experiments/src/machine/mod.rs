//! The machine at hand: its memory, its profile, and what reports say of both.

pub mod memory;
pub mod profiles;
pub mod provenance;
pub mod threads;
