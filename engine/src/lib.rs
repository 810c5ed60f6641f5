//! RNS-CKKS homomorphic encryption, built for running neural networks.
//!
//! The modules read bottom-up, in the order in which a cryptographer would explain them:
//! [`params`], [`kernels`] (modular arithmetic per instruction set), [`ntt`], [`rns`] (basis
//! conversion), [`poly`], [`encoding`], [`keys`], [`cipher`], [`eval`], [`serial`].

pub mod buffer;
pub mod cipher;
pub mod encoding;
pub mod error;
pub mod eval;
pub mod kernels;
pub mod keys;
pub mod modulus;
pub mod ntt;
pub mod params;
pub mod poly;
pub mod rns;
pub mod sampling;
pub mod serial;

pub use error::{Error, Result};
