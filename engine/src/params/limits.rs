//! What every parameter set keeps to. Sizes are compared with these before memory is taken for them.

use crate::{Error, Result};

/// Smallest base-2 logarithm of the ring degree.
pub const MIN_LOG_N: u32 = 11;
/// Largest base-2 logarithm of the ring degree.
pub const MAX_LOG_N: u32 = crate::ntt::MAX_LOG_N;
/// Largest prime, in bits: a product of two residues then fits the 52-bit multiply-add.
pub const MAX_PRIME_BITS: u32 = crate::modulus::MAX_BITS;
/// Most levels; there is a prime more than that.
pub const MAX_LEVELS: usize = 63;
/// Most special primes; at least one is needed.
pub const MAX_SPECIAL: usize = 16;
/// Most bits by which special primes together may be smaller than the largest key-switching digit. Noise of a key switch is larger
/// by as many bits, which is little beside the scale of a square that is not rescaled before.
pub const MAX_SPECIAL_LACK_BITS: f64 = 12.0;
/// Smallest base-2 logarithm of the nominal scale.
pub const MIN_LOG_SCALE: f64 = 10.0;
/// Largest base-2 logarithm of the nominal scale.
pub const MAX_LOG_SCALE: f64 = 100.0;

/// Checks a ring degree.
///
/// # Errors
/// [`Error::Parameters`] outside of [`MIN_LOG_N`] to [`MAX_LOG_N`].
pub fn check_log_n(log_n: u32) -> Result<()> {
    if (MIN_LOG_N..=MAX_LOG_N).contains(&log_n) {
        return Ok(());
    }
    Err(Error::Parameters(format!("log N is {log_n}, expected {MIN_LOG_N} to {MAX_LOG_N}")))
}

/// Checks how many levels and special primes there are, `levels` not counting q_0.
///
/// # Errors
/// [`Error::Parameters`] above [`MAX_LEVELS`] or outside of 1 to [`MAX_SPECIAL`].
pub fn check_counts(levels: usize, special: usize) -> Result<()> {
    if levels > MAX_LEVELS {
        return Err(Error::Parameters(format!("{levels} levels, expected at most {MAX_LEVELS}")));
    }
    if !(1..=MAX_SPECIAL).contains(&special) {
        return Err(Error::Parameters(format!(
            "{special} special primes, expected 1 to {MAX_SPECIAL}"
        )));
    }
    Ok(())
}

/// Checks the base-2 logarithm of a nominal scale.
///
/// # Errors
/// [`Error::Parameters`] outside of [`MIN_LOG_SCALE`] to [`MAX_LOG_SCALE`], NaN included.
pub fn check_log_scale(log_scale: f64) -> Result<()> {
    if (MIN_LOG_SCALE..=MAX_LOG_SCALE).contains(&log_scale) {
        return Ok(());
    }
    Err(Error::Parameters(format!(
        "scale is 2^{log_scale}, expected 2^{MIN_LOG_SCALE} to 2^{MAX_LOG_SCALE}"
    )))
}

/// Checks the limbs of a key-switching digit against the number of levels.
///
/// # Errors
/// [`Error::Parameters`] outside of 1 to `levels + 1`.
pub fn check_digit_limbs(digit_limbs: usize, levels: usize) -> Result<()> {
    let most = levels.saturating_add(1);
    if (1..=most).contains(&digit_limbs) {
        return Ok(());
    }
    Err(Error::Parameters(format!("{digit_limbs} limbs a digit, expected 1 to {most}")))
}
