//! Loops over doubles, bytes and words that are written once and compiled for several instruction sets: those that are no
//! modular arithmetic.

pub(crate) mod instance;
pub(crate) mod lanes;
