//! Cost model of CKKS primitives.
