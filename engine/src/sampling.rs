//! Random polynomials: uniform ternary secrets, discrete Gaussian errors, uniform masks.
//!
//! Everything secret comes from a ChaCha20 generator seeded by the operating system (or by a caller who
//! wants to repeat a test). Uniform masks are public and expand from seeds, one stream a limb.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::modulus::Modulus;

/// Standard deviation of the error distribution.
pub const SIGMA: f64 = 3.19;

/// Errors are cut off here, beyond 6.5 standard deviations.
const TAIL: usize = 21;

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

/// Uniform coefficients in {-1, 0, 1}.
pub fn ternary(rng: &mut ChaCha20Rng, n: usize) -> Vec<i8> {
    let mut out = Vec::with_capacity(n);
    while out.len() < n {
        // Each byte holds four two-bit candidates, of which the value 3 is rejected.
        let bytes = rng.next_u64();
        let candidates = (0..32).map(|i| (bytes >> (2 * i)) & 3).filter(|&c| c < 3);
        out.extend(candidates.take(n - out.len()).map(|c| c as i8 - 1));
    }
    out
}

/// Discrete Gaussian coefficients of standard deviation [`SIGMA`], by inversion of a 63-bit cumulative table
/// that is scanned whole for every sample, so that the time does not depend on the value.
pub fn gaussian(rng: &mut ChaCha20Rng, n: usize) -> Vec<i8> {
    let table = cumulative_table();
    let mut words = vec![0u8; n * 8];
    rng.fill_bytes(&mut words);
    let out = words
        .chunks_exact(8)
        .map(|bytes| {
            let word = bytes.iter().fold(0u64, |acc, &b| (acc << 8) | u64::from(b));
            let uniform = word >> 1;
            let magnitude = table.iter().map(|&t| i8::from(uniform >= t)).sum::<i8>();
            if word & 1 == 1 { -magnitude } else { magnitude }
        })
        .collect();
    zeroize::Zeroize::zeroize(&mut words);
    out
}

/// `table[k] = 2^63 P(|x| <= k)`.
fn cumulative_table() -> [u64; TAIL] {
    let density = |k: usize| (-((k * k) as f64) / (2.0 * SIGMA * SIGMA)).exp();
    let total = 1.0 + 2.0 * (1..=TAIL).map(density).sum::<f64>();
    let mut sum = 0.0;
    std::array::from_fn(|k| {
        sum += if k == 0 { 1.0 } else { 2.0 * density(k) };
        (sum / total * (1u64 << 63) as f64) as u64
    })
}

/// Uniform residues modulo a prime, from stream number `stream` of `seed`.
pub fn uniform(out: &mut [u64], seed: &Seed, stream: u64, modulus: &Modulus) {
    let mut rng = ChaCha20Rng::from_seed(*seed);
    rng.set_stream(stream);
    let q = modulus.value();
    let mask = u64::MAX >> q.leading_zeros();
    let mut bytes = vec![0u8; 4096];
    let mut filled = 0;
    while filled < out.len() {
        rng.fill_bytes(&mut bytes);
        for chunk in bytes.chunks_exact(8) {
            let word = chunk.iter().rev().fold(0u64, |acc, &b| (acc << 8) | u64::from(b)) & mask;
            if word < q && filled < out.len() {
                out[filled] = word;
                filled += 1;
            }
        }
    }
}

/// Writes small signed coefficients as residues.
pub fn small_residues(out: &mut [u64], coefficients: &[i8], modulus: &Modulus) {
    let q = modulus.value();
    for (word, &c) in out.iter_mut().zip(coefficients) {
        // Branch-free: adds q exactly when the coefficient is negative.
        let wide = i64::from(c);
        *word = (wide + ((wide >> 63) & q as i64)) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_has_its_deviation() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let n = 1 << 16;
        let samples = gaussian(&mut rng, n);
        let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
        let variance = samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n as f64;
        // Six standard errors of the mean and of the variance of a Gaussian.
        assert!(mean.abs() < 6.0 * SIGMA / (n as f64).sqrt());
        assert!((variance - SIGMA * SIGMA).abs() < 6.0 * SIGMA * SIGMA * (2.0 / n as f64).sqrt());
    }

    #[test]
    fn ternary_is_uniform() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let n = 30_000;
        let samples = ternary(&mut rng, n);
        for value in -1..=1 {
            let count = samples.iter().filter(|&&x| x == value).count() as f64;
            let expected = n as f64 / 3.0;
            assert!((count - expected).abs() < 6.0 * (expected * 2.0 / 3.0).sqrt());
        }
    }

    #[test]
    fn uniform_repeats_and_stays_below_q() -> crate::Result<()> {
        let modulus = Modulus::new(1_048_583)?;
        let (mut a, mut b, mut c) = (vec![0; 4096], vec![0; 4096], vec![0; 4096]);
        uniform(&mut a, &[3; 32], 5, &modulus);
        uniform(&mut b, &[3; 32], 5, &modulus);
        uniform(&mut c, &[3; 32], 6, &modulus);
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert!(a.iter().all(|&x| x < modulus.value()));
        Ok(())
    }
}
