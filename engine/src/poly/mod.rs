//! Polynomials in residue form.

mod automorphism;
mod rns_poly;
mod subring;

pub use automorphism::{Automorphism, CHUNK_WORDS};
pub(crate) use rns_poly::check;
pub use rns_poly::{Coefficients, RnsPoly};
pub use subring::SubringPoly;
