//! Polynomials in residue form.

mod automorphism;
mod rns_poly;

pub use automorphism::{Automorphism, CHUNK_WORDS};
pub use rns_poly::{Form, RnsPoly};
