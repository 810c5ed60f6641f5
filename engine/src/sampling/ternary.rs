//! Uniform ternary polynomials.

use rand::RngCore;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroize;

use super::Small;
use crate::vector::instance::{Instance, instances};

/// Base-3 digits that a 16-bit word yields.
const DIGITS: usize = 10;
/// Words below `3^10` are accepted: nine in ten.
const LIMIT: u16 = 59_049;
/// Candidates drawn at a time.
const BATCH: usize = 256;

/// Uniform coefficients in {-1, 0, 1}, `n` of them, a multiple of 16.
///
/// An accepted word is uniform below `3^10`, so its ten digits are uniform and independent. Time depends on which
/// words are rejected, of which nothing remains, and not on those accepted.
pub fn ternary(rng: &mut ChaCha20Rng, n: usize) -> Small {
    let mut out = Small::zeroed(n);
    let count = n.div_ceil(DIGITS);
    let mut accepted = vec![0_u16; count + BATCH];
    let mut candidates = [[0; 2]; BATCH];
    let mut filled = 0;
    while filled < count {
        rng.fill_bytes(candidates.as_flattened_mut());
        for &bytes in &candidates {
            // The next word overwrites this one unless it is accepted.
            let word = u16::from_le_bytes(bytes);
            accepted[filled] = word;
            filled += usize::from(word < LIMIT);
        }
    }
    digits(Instance::chosen(), &mut out, &mut accepted[..count]);
    accepted[..].zeroize();
    candidates.as_flattened_mut().zeroize();
    out
}

instances! {
/// The lowest digits of all words first, then the next ones, until `out` is full; less one each. Uses up the words.
fn digits<V>(out: &mut [i8], words: &mut [u16]) {
    for row in out.chunks_mut(words.len()) {
        for (out, word) in row.iter_mut().zip(&mut *words) {
            let quotient = *word / 3;
            *out = (*word - 3 * quotient) as i8 - 1;
            *word = quotient;
        }
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn digits_are_those_of_the_words() {
        let words: Vec<u16> = (0..LIMIT).step_by(7).chain([LIMIT - 1]).collect();
        for instance in Instance::available() {
            let mut out = vec![9; DIGITS * words.len()];
            digits(instance, &mut out, &mut words.clone());
            for (i, &word) in words.iter().enumerate() {
                let value = out.iter().skip(i).step_by(words.len()).rev();
                let value = value.fold(0, |sum, &digit| 3 * sum + u32::from((digit + 1) as u8));
                assert_eq!(value, word.into(), "{instance:?}");
            }
        }
    }

    #[test]
    fn all_triples_are_equally_frequent() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        // Every digit of a word takes part, and neighbours within a row do.
        let n = 27 * 3 * 16 * 1000;
        let samples = ternary(&mut rng, n);
        let mut counts = [0_u32; 27];
        for triple in samples.chunks_exact(3) {
            counts[triple.iter().fold(0, |sum, &c| 3 * sum + (c + 1) as usize)] += 1;
        }
        let expected = (n / 3 / 27) as f64;
        let chi_square: f64 =
            counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        // 26 degrees of freedom: mean 26, variance 52. By the tail bound of Laurent and Massart, a chi-square variable
        // exceeds 26 + 2 sqrt(26 x) + 2 x with probability below exp(-x); x = 20.
        assert!(chi_square < 26.0 + 2.0 * (26.0_f64 * 20.0).sqrt() + 40.0, "{chi_square}");
    }

    #[test]
    fn repeats_for_a_seed() {
        let sample = |seed, n| ternary(&mut ChaCha20Rng::from_seed([seed; 32]), n).to_vec();
        assert_eq!(sample(1, 4096), sample(1, 4096));
        assert_ne!(sample(1, 4096), sample(2, 4096));
        // A number of coefficients that is no multiple of the digits of a word.
        assert!(sample(1, 32).iter().all(|c| (-1..=1).contains(c)));
    }
}
