//! Encrypted inference by two parties: who owns the images, and who owns the network.
//!
//! [`compile`] makes two files of a lowered network. A [`client::ClientSpec`] has what the owner of the images needs:
//! parameters, how an image is normalised and laid out, which keys to make, how a result is read. A
//! [`server::CompiledModel`] has what the one who computes needs: the program with its weights. A [`client::Client`] holds
//! the secret key; a [`server::Server`] evaluation keys, which it was sent. What goes between them are files or streams:
//! evaluation keys once, then [messages](message) of ciphertexts.
//!
//! The server is kept apart by types: what it consists of takes [`engine::keys::EvaluationKeys`], which only a reader of
//! their file or the owner of a secret key can make, and none of its modules names a secret key, a public key or a client
//! (`tests/layers.rs` reads them for it). So nothing that a server runs can generate keys or decrypt.
//!
//! Readers believe nothing: counts, indices, levels, scales and layouts are checked, memory is taken as bytes arrive, and
//! what fails is an error that says what was found.

#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

pub mod client;
mod compile;
pub mod error;
pub mod message;
pub mod server;
mod wire;

pub use compile::{Compilation, compile};
pub use error::{Error, Result};
