//! Discrete Gaussian polynomials.

use rand_chacha::ChaCha20Rng;
use zeroize::Zeroize;

use super::chacha::KeyStream;
use super::{Seed, Small};
use crate::vector::instance::{Instance, instances};

/// Standard deviation of the error distribution.
pub const SIGMA: f64 = 3.19;

/// Errors are cut off beyond this magnitude, 6.5 standard deviations: what is cut off has probability `2^-36`.
const TAIL: usize = 21;

/// Samples drawn at a time.
const CHUNK: usize = 1024;

/// `2^95 P(|x| <= k)` for `k = 0..21`, rounded to the nearest integer: the upper 31 bits and the lower 64. The
/// rounding moves the distribution by a statistical distance of less than `2^-93`.
const TABLE: [(u32, u64); TAIL] = [
    (0x1001_f9a1, 0xb3b2_8e1b_3e81_086f),
    (0x2e7c_f3ef, 0x0a25_1b0d_f0c5_bfbc),
    (0x48ca_7e85, 0xdc53_7ec1_ba40_c23b),
    (0x5d5d_5177, 0x94bf_05d3_0438_bd97),
    (0x6bf3_5598, 0x5b20_7e67_fd47_81e2),
    (0x7552_dc90, 0x871f_f03d_0f14_9745),
    (0x7ac8_8205, 0x6898_18d0_78e8_e9bc),
    (0x7daa_6596, 0x5968_9471_e9ce_80cc),
    (0x7f0b_8114, 0xc2d5_fe39_d067_626e),
    (0x7fa4_a9fc, 0x65df_31ec_249b_c460),
    (0x7fe0_e107, 0x822c_5eb8_1031_c3bd),
    (0x7ff6_563f, 0x884d_7263_017f_4da0),
    (0x7ffd_4490, 0xa0da_8698_3cd6_4925),
    (0x7fff_4c08, 0x0c0c_16d8_e348_b8a2),
    (0x7fff_d5e1, 0x95be_c051_1b15_093a),
    (0x7fff_f709, 0xcdb8_ab07_6089_02c0),
    (0x7fff_fe44, 0x63b7_f7ee_1004_13af),
    (0x7fff_ffb2, 0x16b9_8de1_5691_8c1a),
    (0x7fff_fff3, 0x977c_0bf7_ce0d_0c52),
    (0x7fff_fffe, 0x39ef_55b8_9cd6_784b),
    (0x7fff_ffff, 0xca90_0e67_a7a6_b023),
];

/// Discrete Gaussian coefficients of standard deviation [`SIGMA`], `n` of them, a multiple of 16.
///
/// The magnitude is the number of table entries that a uniform number of 95 bits reaches, and one more bit is the sign.
/// The upper 31 bits of the number decide, unless they equal those of an entry; that happens once in `2^26.6`
/// samples, so the lower 64 bits are drawn only for a chunk where it does, but for all of its samples. Every sample is
/// compared with the whole table. So time tells no more than in which chunks some sample, not which one, is next
/// to a boundary between two magnitudes, not which boundary.
pub fn gaussian(rng: &mut ChaCha20Rng, n: usize) -> Small {
    let mut seed = super::fresh_seed(rng);
    let out = expand(Instance::chosen(), &seed, n);
    seed.zeroize();
    out
}

/// The samples that a seed stands for: 64 random bytes for 16 of them, and 128 more in a chunk that takes lower bits.
fn expand(instance: Instance, seed: &Seed, n: usize) -> Small {
    let mut out = Small::zeroed(n);
    let mut keys = KeyStream::new(instance, seed, 0);
    let mut words = [[[0; 4]; 16]; CHUNK / 16];
    for out in out.chunks_mut(CHUNK) {
        let words = &mut words[..out.len() / 16];
        fill(&mut keys, words.as_flattened_mut().as_flattened_mut());
        let words = words.as_flattened();
        if !by_upper_bits(instance, out, words) {
            let mut lower = vec![[0; 8]; out.len()];
            fill(&mut keys, lower.as_flattened_mut());
            by_all_bits(out, words, &lower);
            lower.as_flattened_mut().zeroize();
        }
    }
    words.as_flattened_mut().as_flattened_mut().zeroize();
    out
}

/// Fills whole blocks.
fn fill(keys: &mut KeyStream, bytes: &mut [u8]) {
    let (blocks, rest) = bytes.as_chunks_mut();
    debug_assert!(rest.is_empty());
    keys.fill(blocks);
}

instances! {
/// Writes the samples that the words decide: the lowest bit is the sign, the others are the upper bits of the uniform
/// number. Returns whether all are decided.
fn by_upper_bits<V>(out: &mut [i8], words: &[[u8; 4]]) -> bool {
    let mut nearest = u32::MAX;
    for (out, &word) in out.iter_mut().zip(words) {
        let word = u32::from_le_bytes(word);
        let mut beyond = 0_u32;
        for &(entry, _) in &TABLE {
            // Both are below 2^31: the top bit tells that the entry is not reached.
            let distance = (word >> 1).wrapping_sub(entry);
            beyond += distance >> 31;
            nearest = nearest.min(distance);
        }
        let magnitude = (TAIL as u32).wrapping_sub(beyond);
        let sign = (word & 1).wrapping_neg();
        *out = (magnitude ^ sign).wrapping_sub(sign) as i8;
    }
    nearest != 0
}
}

/// Writes the samples that words and lower bits decide together.
fn by_all_bits(out: &mut [i8], words: &[[u8; 4]], lower: &[[u8; 8]]) {
    for ((out, &word), &lower) in out.iter_mut().zip(words).zip(lower) {
        let (word, lower) = (u32::from_le_bytes(word), u64::from_le_bytes(lower));
        let uniform = u128::from(word >> 1) << 64 | u128::from(lower);
        let reached = |&(high, low): &(u32, u64)| {
            i8::from(uniform >= (u128::from(high) << 64 | u128::from(low)))
        };
        let magnitude = TABLE.iter().map(reached).sum::<i8>();
        let sign = -((word & 1) as i8);
        *out = (magnitude ^ sign) - sign;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use rand::{RngCore, SeedableRng};

    /// `exp(-10000 k^2 / 203522) 2^300`, rounded down a little: `203522 = 2 * 319^2`.
    fn density(k: u64) -> BigUint {
        // exp(-x) = 1 / exp(x), whose series has positive terms alone; k = 21 needs fewer than 200.
        let one = BigUint::from(1_u32) << 300_u32;
        let mut term = one.clone();
        let mut sum = one.clone();
        for i in 1..200_u32 {
            term = term * (10_000 * k * k) / (203_522_u64 * u64::from(i));
            sum += &term;
        }
        (one << 300_u32) / sum
    }

    #[test]
    fn table_is_that_of_the_distribution() {
        assert_eq!((SIGMA * 100.0).round(), 319.0);
        let weight = |k| density(k) * if k == 0 { 1_u32 } else { 2 };
        let total: BigUint = (0..=TAIL as u64).map(weight).sum();
        let mut sum = BigUint::ZERO;
        for (k, &(high, low)) in TABLE.iter().enumerate() {
            sum += weight(k as u64);
            let rounded = ((&sum << 96_u32) / &total + 1_u32) >> 1_u32;
            assert_eq!(rounded, (BigUint::from(high) << 64_u32) + low, "{k}");
        }
    }

    #[test]
    fn instances_agree_at_and_around_every_entry() {
        let mut words: Vec<u32> = TABLE
            .iter()
            .flat_map(|&(entry, _)| [entry - 1, entry + 1])
            .filter(|u| *u < 1 << 31 && TABLE.iter().all(|(entry, _)| entry != u))
            .chain([0, (1 << 31) - 5])
            .flat_map(|u| [2 * u, 2 * u + 1])
            .collect();
        words.resize(words.len().next_multiple_of(16), 0);
        let bytes: Vec<_> = words.iter().map(|w| w.to_le_bytes()).collect();
        let mut expected = vec![0; words.len()];
        for lower in [0, u64::MAX] {
            by_all_bits(&mut expected, &bytes, &vec![lower.to_le_bytes(); words.len()]);
            for instance in Instance::available() {
                let mut out = vec![99; words.len()];
                assert!(by_upper_bits(instance, &mut out, &bytes));
                assert_eq!(out, expected, "{instance:?}");
            }
        }
        // 20 and 21 always take the lower bits.
        assert!(expected.contains(&19) && expected.contains(&-19));
        // One word that is not decided is noticed, wherever it is.
        for (i, &(entry, _)) in TABLE.iter().enumerate() {
            for instance in Instance::available() {
                let mut bytes = bytes.clone();
                bytes[i] = (2 * entry + 1).to_le_bytes();
                assert!(!by_upper_bits(instance, &mut vec![0; bytes.len()], &bytes));
            }
        }
    }

    #[test]
    fn lower_bits_decide_where_upper_ones_do_not() {
        for (k, &(entry, low)) in TABLE.iter().enumerate() {
            let k = k as i8;
            for (sign, value) in [(0, 1), (1, -1)] {
                let words = [(2 * entry + sign).to_le_bytes(); 3];
                let lower = [low - 1, low, low + 1].map(u64::to_le_bytes);
                let mut out = [99; 3];
                by_all_bits(&mut out, &words, &lower);
                assert_eq!(out, [k, k + 1, k + 1].map(|m| value * m));
            }
        }
    }

    #[test]
    fn samples_are_the_same_everywhere() {
        for n in [32, 5 * CHUNK] {
            let expected = expand(Instance::Portable, &[5; 32], n);
            for instance in Instance::available() {
                assert!(*expand(instance, &[5; 32], n) == *expected, "{instance:?}");
            }
            assert!(*expand(Instance::Portable, &[6; 32], n) != *expected);
        }
    }

    /// The definition, sample by sample, for a seed of which some chunk takes lower bits.
    #[test]
    fn follows_its_definition() {
        let (seed, n) = ([130; 32], 512 * CHUNK);
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut expected = vec![0; n];
        let mut undecided = 0;
        for out in expected.chunks_mut(CHUNK) {
            let mut words = vec![[0; 4]; CHUNK];
            rng.fill_bytes(words.as_flattened_mut());
            let is_entry = |word: &[u8; 4]| {
                TABLE.iter().any(|&(entry, _)| entry == u32::from_le_bytes(*word) >> 1)
            };
            let mut lower = vec![[0; 8]; CHUNK];
            if words.iter().any(is_entry) {
                rng.fill_bytes(lower.as_flattened_mut());
                undecided += 1;
            }
            by_all_bits(out, &words, &lower);
        }
        assert!(undecided > 0);
        for instance in Instance::available() {
            assert!(*expand(instance, &seed, n) == *expected, "{instance:?}");
        }
    }

    /// A statistic of samples against the exact probabilities, in bins of magnitudes with sign.
    #[test]
    fn frequencies_are_those_of_the_distribution() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let n = 1 << 20;
        let samples = gaussian(&mut rng, n);
        // Magnitudes from 14 on, 2.1e-5 together, share a bin for each sign, of 11 expected samples.
        let last = 14;
        let mut counts = vec![0_u32; 2 * last + 1];
        for &x in samples.iter() {
            counts[(i64::from(x).clamp(-(last as i64), last as i64) + last as i64) as usize] += 1;
        }
        let upper = |k: usize| f64::from(TABLE[k].0) / (1_u32 << 31) as f64;
        let chi_square: f64 = counts
            .iter()
            .enumerate()
            .map(|(bin, &count)| {
                let magnitude = bin.abs_diff(last);
                let probability = match magnitude {
                    0 => upper(0),
                    m if m == last => (1.0 - upper(last - 1)) / 2.0,
                    m => (upper(m) - upper(m - 1)) / 2.0,
                };
                let expected = probability * n as f64;
                (f64::from(count) - expected).powi(2) / expected
            })
            .sum();
        // 28 degrees of freedom. By the tail bound of Laurent and Massart, chi-square exceeds 28 + 2 sqrt(28 x) + 2 x
        // with probability below exp(-x); x = 20.
        assert!(chi_square < 28.0 + 2.0 * (28.0_f64 * 20.0).sqrt() + 40.0, "{chi_square}");
        let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
        let variance = samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n as f64;
        // Six standard errors of the mean and of the variance of a Gaussian.
        assert!(mean.abs() < 6.0 * SIGMA / (n as f64).sqrt());
        assert!((variance - SIGMA * SIGMA).abs() < 6.0 * SIGMA * SIGMA * (2.0 / n as f64).sqrt());
    }
}
