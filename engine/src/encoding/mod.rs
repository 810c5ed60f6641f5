//! Encoding: vectors of numbers to plaintext polynomials and back.
//!
//! Slot `j` of a polynomial is its value at `zeta^(5^j)`, `zeta = exp(i pi / N)`: so the automorphism
//! `X -> X^(5^r)` rotates the slots to the left by `r`, and `X -> X^-1` conjugates them.

mod encoder;
mod fft;
mod leaf;
mod point;
mod roots;
mod rounding;
mod scratch;
mod subring;
#[cfg(test)]
mod tests;
mod wrap;

pub use encoder::Encoder;
pub(crate) use fft::Zeros;
pub use wrap::wrap_coefficients;

/// A complex number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Complex {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

impl Complex {
    /// `re + i im`.
    pub fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }
}
