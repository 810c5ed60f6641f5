//! Whether moduli have room for the values that a network's bounds allow.
//!
//! A ciphertext of level `l` holds its message, value times scale, modulo `Q_l = q_0 ... q_l`. It decrypts to that message
//! if each coefficient lies within `Q_l / 2`, and no coefficient is larger than the largest slot times the scale. So a
//! value of at most `b` has room if `b * scale < Q_l / 2`. A rescale divides both sides by the same prime: asking it of
//! what a stage leaves asks it of what was there before the rescale, too. With equal primes the level of the results,
//! which has `q_0` alone, has the least.
//!
//! Every stage whose values have a bound is asked: inputs of activations, their squares, sums of these over windows, and
//! the results. (Sums and products modulo `Q_l` may wrap and come back, so strictly only results must fit. But encoded
//! weights are integers, so that what is too large before a linear layer fits after it only where its terms cancel.)

use crate::chain::Chain;
use crate::program::ValueInfo;
use crate::{Error, Result};

/// Checks that values of at most `bound` have room at their level and scale.
///
/// # Errors
/// [`Error::Room`] if they have not.
pub(super) fn check(layer: &str, bound: f64, info: ValueInfo, chain: &Chain) -> Result<()> {
    let needed_bits = bound.log2() + info.scale.log2() + 1.0;
    let available_bits: f64 = chain.moduli[..=info.level].iter().map(|q| q.log2()).sum();
    if needed_bits < available_bits {
        return Ok(());
    }
    Err(Error::Room {
        layer: layer.to_owned(),
        bound,
        level: info.level,
        needed_bits,
        available_bits,
    })
}
