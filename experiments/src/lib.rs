//! What the `spencnn` command is made of: data, embedded networks, measuring, reports and its sub-commands.

pub mod cancel;
pub mod data;
pub mod exit;
pub mod files;
pub mod memory;
pub mod networks;
pub mod progress;
pub mod provenance;
pub mod sample;
