//! Polynomials with small coefficients: secrets and errors.

use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

use crate::buffer::AlignedBuf;
use crate::modulus::Modulus;
use crate::ntt::NttTable;
use crate::vector::instance::{Instance, instances};

/// Small signed coefficients, cleared when dropped.
pub struct Small {
    /// Eight coefficients a word: clearing goes by words.
    words: AlignedBuf,
}

impl Small {
    /// `n` zeros, `n` being a multiple of 16.
    pub(crate) fn zeroed(n: usize) -> Self {
        // A mistake of the engine itself: samplers fill blocks of 16, and must leave no coefficient out.
        assert!(n.is_multiple_of(16), "{n} small coefficients, expected a multiple of 16");
        Self { words: AlignedBuf::zeroed(n / 8) }
    }

    /// The residues of this polynomial modulo the table's prime, in NTT form, into `out` (N words).
    pub(crate) fn transform(&self, out: &mut [u64], table: &NttTable) {
        residues(Instance::chosen(), out, self, table.modulus());
        table.forward(out);
    }
}

impl Deref for Small {
    type Target = [i8];

    fn deref(&self) -> &[i8] {
        let words: &[u64] = &self.words;
        // SAFETY: the same memory, initialised; bytes need no alignment.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), 8 * words.len()) }
    }
}

impl DerefMut for Small {
    fn deref_mut(&mut self) -> &mut [i8] {
        let words: &mut [u64] = &mut self.words;
        // SAFETY: as above, borrowed exclusively; any bytes make words.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 8 * words.len()) }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

instances! {
/// Writes coefficients above `-q` and below `q` as residues in `[0, q)`.
fn residues<V>(out: &mut [u64], coefficients: &[i8], modulus: &Modulus) {
    let q = modulus.value();
    for (word, &c) in out.iter_mut().zip(coefficients) {
        // Branch-free: adds q exactly when the coefficient is negative.
        let wide = i64::from(c);
        *word = (wide + ((wide >> 63) & q as i64)) as u64;
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residues_of_every_coefficient() -> crate::Result<()> {
        let coefficients: Vec<i8> = (i8::MIN..=i8::MAX).collect();
        for q in [131, 1_048_583, (1 << 50) - 27] {
            let modulus = Modulus::new(q)?;
            for instance in Instance::available() {
                let mut out = vec![u64::MAX; coefficients.len()];
                residues(instance, &mut out, &coefficients, &modulus);
                for (&c, &found) in coefficients.iter().zip(&out) {
                    assert_eq!(found, modulus.reduce_i64(c.into()), "{instance:?} {c} mod {q}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn bytes_and_words_are_the_same_memory() {
        let mut small = Small::zeroed(32);
        assert!(small.len() == 32 && small.iter().all(|&c| c == 0));
        (small[0], small[31]) = (-1, 5);
        assert_eq!(small.words[0].to_le_bytes()[0], 255);
        assert_eq!(small.words[3].to_le_bytes()[7], 5);
    }
}
