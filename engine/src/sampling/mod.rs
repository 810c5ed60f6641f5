//! Random polynomials: uniform ternary secrets, discrete Gaussian errors, noise of any size, uniform masks.
//!
//! Everything secret comes from a ChaCha20 generator seeded by the operating system (or by a caller who
//! wants to repeat a test). Uniform masks are public and expand from seeds: one
//! stream a limb, and for keys, which expand again for every product, one a chunk ([`Masks`]).

mod chacha;
mod gaussian;
mod masks;
mod small;
mod ternary;
mod uniform;
mod wide;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;

pub use gaussian::{SIGMA, gaussian};
pub(crate) use masks::{MaskPlace, Masks, cipher_key, drawn_by_chunk, size_drawn_by_chunk};
pub use small::Small;
pub use ternary::ternary;
pub(crate) use uniform::uniform;
pub use wide::WideGaussian;
pub(crate) use wide::transform as transform_wide;

/// Seed of a generator.
pub type Seed = [u8; 32];

/// A generator seeded by the operating system.
pub fn os_rng() -> ChaCha20Rng {
    ChaCha20Rng::from_os_rng()
}

/// A fresh public seed drawn from `rng`.
pub fn fresh_seed(rng: &mut ChaCha20Rng) -> Seed {
    let mut seed = Seed::default();
    rng.fill_bytes(&mut seed);
    seed
}
