//! RNS-CKKS homomorphic encryption, built for running neural networks.
//!
//! The modules read bottom-up, and none uses one that comes later: [`error`], [`buffer`] (memory), [`modulus`] (with the
//! search for primes), [`kernels`] (inner loops per instruction set), `vector` (other loops for several instruction sets),
//! [`ntt`], [`rns`] (basis conversion), [`params`], [`poly`], [`cipher`], [`encoding`], [`sampling`], [`keys`], [`eval`],
//! [`serial`], [`unit`] (single kernels, to be timed), [`count`] (what kernels do, to be counted).

pub mod buffer;
pub mod cipher;
pub mod count;
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
pub mod unit;
mod vector;

pub use error::{Error, Result};
