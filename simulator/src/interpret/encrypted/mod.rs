//! The encrypted interpreter: runs a program on the engine, and times and records every instruction.
//!
//! The two parties are apart: a [`Client`] holds the secret key, encrypts and decrypts; a [`Session`] holds evaluation
//! keys and plaintexts and computes.

mod client;
mod execution;
mod plaintexts;
mod session;

pub use client::Client;
pub use execution::{Execution, Recorded};
pub use session::Session;
