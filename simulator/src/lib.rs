//! Networks, layouts, programs and their interpreters.
//!
//! [`network`] reads a description and weights; [`fold`] reduces it to linear stages, squares and window
//! sums; [`lowering`] turns that and a [`config::Configuration`], which names [`layout`]s and schedules,
//! into a [`program::Program`]; [`interpret`] runs one on plain numbers; [`pattern`] prunes what a plaintext
//! holds; [`search`] finds the configuration to run.

#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

pub mod chain;
pub mod config;
pub mod error;
pub mod fold;
pub mod interpret;
pub mod layout;
pub mod lowering;
pub mod network;
pub mod pattern;
pub mod precision;
pub mod program;
pub mod search;

pub use error::{Error, Result};
