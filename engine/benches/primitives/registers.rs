//! Kernels of the probe: the fewest instructions for a butterfly and a product, and a pass over memory.

use std::hint::black_box;

use crate::record::least;

/// Rounds of one timed run: some tens of microseconds.
const ROUNDS: usize = 2_000;
/// Timed runs: long enough to find a quiet moment.
const RUNS: usize = 5_000;

/// Butterflies a second in registers, where there are 52-bit multiply-adds; none elsewhere.
pub fn butterflies_per_second() -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    if ifma::supported() {
        // SAFETY: the instructions are there.
        let seconds = least(RUNS, || unsafe { ifma::butterflies(ROUNDS) });
        return Some((ROUNDS * ifma::BUTTERFLIES * 8) as f64 / seconds);
    }
    None
}

/// Products a second, both halves accumulated: in registers with 52-bit multiply-adds, else 128-bit sums from L1.
pub fn products_per_second() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if ifma::supported() {
        // SAFETY: the instructions are there.
        let seconds = least(RUNS, || unsafe { ifma::products(ROUNDS) });
        return (ROUNDS * ifma::PRODUCTS * 8) as f64 / seconds;
    }
    let (a, b) = ([3_u64; 1024], [5_u64; 1024]);
    let seconds = least(RUNS, || {
        let (a, b) = (black_box(&a), black_box(&b));
        let product = |(&a, &b): (&u64, &u64)| u128::from(a) * u128::from(b);
        for _ in 0..16 {
            black_box(a.iter().zip(b).map(product).fold(0, u128::wrapping_add));
        }
    });
    (16 * a.len()) as f64 / seconds
}

/// Reads all words.
pub fn fold(words: &[u64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if ifma::supported() {
        // SAFETY: the instructions are there.
        return unsafe { ifma::fold(words) };
    }
    fold_lanes(words)
}

/// Independent sums, so that the additions do not wait for each other.
#[inline(always)]
fn fold_lanes(words: &[u64]) -> u64 {
    let mut lanes = [0_u64; 64];
    for block in words.as_chunks::<64>().0 {
        lanes.iter_mut().zip(block).for_each(|(lane, word)| *lane ^= word);
    }
    lanes.iter().fold(0, |sum, lane| sum ^ lane)
}

#[cfg(target_arch = "x86_64")]
mod ifma {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Independent butterflies of a round: more than hide the latency of the chain of three multiply-adds.
    pub const BUTTERFLIES: usize = 12;
    /// Independent products of a round.
    pub const PRODUCTS: usize = 10;

    /// Whether this processor has 512-bit vectors of 52-bit multiply-adds.
    pub fn supported() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
    }

    /// `(x, y) -> (x + w y, x - w y)`, lazily reduced: three multiply-adds and three additions, the fewest known.
    /// The values are of no meaning here, and need no range: the instructions take the low 52 bits of any word.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn butterflies(rounds: usize) {
        let splat = |word: i64| _mm512_set1_epi64(black_box(word));
        let (w, quotient, minus_q, offset) = (splat(12_345), splat(54_321), splat(777), splat(999));
        let zero = _mm512_setzero_si512();
        let mut x = [splat(3); BUTTERFLIES];
        let mut y = [splat(5); BUTTERFLIES];
        for _ in 0..rounds {
            for (x, y) in x.iter_mut().zip(&mut y) {
                let t = _mm512_madd52hi_epu64(zero, *y, quotient);
                let sum = _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(*x, *y, w), t, minus_q);
                let twice = _mm512_add_epi64(_mm512_add_epi64(*x, *x), offset);
                (*x, *y) = (sum, _mm512_sub_epi64(twice, sum));
            }
        }
        black_box((x, y));
    }

    /// Products with both halves accumulated.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn products(rounds: usize) {
        let splat = |word: i64| _mm512_set1_epi64(black_box(word));
        let (a, b) = (splat(12_345), splat(54_321));
        let mut low = [splat(3); PRODUCTS];
        let mut high = [splat(5); PRODUCTS];
        for _ in 0..rounds {
            for (low, high) in low.iter_mut().zip(&mut high) {
                *low = _mm512_madd52lo_epu64(*low, a, b);
                *high = _mm512_madd52hi_epu64(*high, a, b);
            }
        }
        black_box((low, high));
    }

    /// As [`super::fold_lanes`], with 512-bit loads.
    #[target_feature(enable = "avx512f")]
    pub fn fold(words: &[u64]) -> u64 {
        super::fold_lanes(words)
    }
}
