//! Whether moduli have room for the values of a program.
//!
//! A ciphertext of level `l` holds its message, value times scale, modulo `Q_l = q_0 ... q_l`. It decrypts to that message
//! if each coefficient lies within `Q_l / 2`, and no coefficient is larger than the largest slot times the scale: the
//! largest of ALL slots, those that hold nothing included. So slots of at most `b` have room if `b * scale < Q_l / 2`. A
//! rescale divides both sides by the same prime: asking it of what an instruction leaves asks it of what was there before
//! the rescale, too. With equal primes the level of the results, which has `q_0` alone, has the least.
//!
//! What is asked: everything that is a product of ciphertexts, and the results. Bounds come from the weights, for the slots
//! that hold a map ([`check`], while a network is lowered), and from what slots reach on images, for all slots
//! ([`Program::check_room`]). (Sums and products modulo `Q_l` may wrap and come back, so strictly only results must fit. But
//! encoded weights are integers, so that what is too large before a linear layer fits after it only where its terms
//! cancel.)

use super::{Program, ValueId, ValueInfo};
use crate::chain::Chain;
use crate::{Error, Result};

/// How many times what was seen on a few images there must be room for, in bits.
pub const MARGIN_BITS: f64 = 3.0;

/// Checks that values of at most `bound` have room at their level and scale.
///
/// # Errors
/// [`Error::Room`] if they have not.
pub fn check(layer: &str, bound: f64, info: ValueInfo, chain: &Chain) -> Result<()> {
    let needed_bits = bound.log2() + info.scale.log2() + 1.0;
    let available_bits = chain.modulus_bits(info.level);
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

impl Program {
    /// Checks that products of ciphertexts and results have room if their slots are at most what `reach` says of a value,
    /// times `2^margin_bits`.
    ///
    /// # Errors
    /// [`Error::Room`] for the first that has not.
    pub fn check_room(
        &self,
        reach: impl Fn(ValueId) -> f64,
        margin_bits: f64,
        chain: &Chain,
    ) -> Result<()> {
        for instruction in &self.instructions {
            let product = self.facts(instruction).ciphertext_products > 0;
            for v in instruction.dsts.iter().filter(|v| product || self.outputs.contains(v)) {
                let bound = reach(*v) * margin_bits.exp2();
                check(&self.layers[instruction.layer], bound, self.values[*v], chain)?;
            }
        }
        Ok(())
    }
}
