//! Where the transforms in doubles must correct their words.
//!
//! What is multiplied by a constant may reach 2^52 in magnitude, see `mul` of the primes in `fma/arith.rs`.

use super::passes::{all_passes, tail_stages};

/// Largest magnitude of a factor.
const LIMIT: u64 = 1 << 52;

/// Most passes of a transform, the part at its end included.
pub(in crate::kernels) const MAX_PASSES: usize = 5;

/// Bound of a product of a word up to `bound`: `q (1/2 + bound / 2^55)`, rounded up.
fn product(q: u64, bound: u64) -> u64 {
    q / 2 + 1 + ((u128::from(q) * u128::from(bound)) >> 55) as u64 + 1
}

/// Bound of the words after so many forward stages: `x` of those that the first stage does not
/// multiply, `y` of all others. `None` if a factor may exceed the limit.
///
/// A stage maps `(x, y)` to `(x + y w, x - y w)`.
fn after(q: u64, stages: u32, x: u64, y: u64) -> Option<u64> {
    let first = (y <= LIMIT).then(|| x + product(q, y))?;
    (1..stages).try_fold(first, |bound, _| (bound <= LIMIT).then(|| bound + product(q, bound)))
}

/// Which passes of the forward transform, given by their stages, begin with a correction of the words
/// that their first stage does not multiply: those that would not stay within the limit otherwise.
///
/// Words start below 2q. Corrected words are at most `(q + 1)/2`, and the others `y <= 2^52`; up to six
/// stages then end below `q (1/2 + 5/8 + (1/2 + 1.2/8) + ...) < 4q < 2^52`, so a correction always
/// suffices. Primes below 2^48 need none at any supported size.
pub(in crate::kernels) fn forward_corrections(
    q: u64,
    passes: impl Iterator<Item = u32>,
) -> [bool; MAX_PASSES] {
    let mut corrections = [false; MAX_PASSES];
    let mut bound = 2 * q;
    for (stages, correction) in passes.zip(&mut corrections) {
        let free = after(q, stages, bound, bound).filter(|&bound| bound <= LIMIT);
        *correction = free.is_none();
        // The limit stands in for the bound that the proof above excludes.
        bound = free.or_else(|| after(q, stages, q.div_ceil(2), bound)).unwrap_or(LIMIT);
    }
    corrections
}

/// Whether the sums of the inverse transform may grow within a pass of up to three stages.
///
/// A stage maps `(x, y)` to `(x + y, (x - y) w)`. If words are at most `2.5q` before a pass, its sums
/// are at most `5q`, `10q`, `20q`: within the limit here. At the end of the pass, word 0, which was a
/// sum in each stage, is corrected; word 1 was a product, at most `5/8 q`, then twice a sum: at most
/// `2.5q`; all others are less. The transform starts with words below 2q.
///
/// For larger primes, words are at most `2q + 2` before a pass, and its first stage has factors up to
/// `4q + 4 <= 2^52`, as `q < 2^50` is odd. The sums of this stage are corrected to `(q + 1)/2` unless
/// it is the only one and ends the transform. Two more stages make of them `2q + 2`, and of its
/// products, at most `5/8 q`, up to `2.5q`: word 1 is corrected after a third stage. The factors
/// stay below `4q` throughout.
pub(in crate::kernels) const fn inverse_is_free(q: u64) -> bool {
    20 * q <= LIMIT
}

/// Whether transforms of `2^log_n` words by vectors of `words` correct anything, in either direction. Those of fewer words than
/// the tail has are the portable ones.
pub(in crate::kernels) fn corrects(q: u64, log_n: u32, words: usize) -> bool {
    let forward = || forward_corrections(q, all_passes(log_n, words)).contains(&true);
    log_n >= tail_stages(words) && (!inverse_is_free(q) || forward())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrections(q: u64, words: usize, log_n: u32) -> [bool; MAX_PASSES] {
        forward_corrections(q, all_passes(log_n, words))
    }

    /// The bound of all words at the end, in the model that the corrections are made for; every
    /// factor must be within the limit.
    fn last_bound(q: u64, words: usize, log_n: u32) -> u64 {
        all_passes(log_n, words).zip(corrections(q, words, log_n)).fold(
            2 * q,
            |bound, (stages, corrected)| {
                let mut x = if corrected { q.div_ceil(2) } else { bound };
                let mut y = bound;
                for _ in 0..stages {
                    assert!(y <= LIMIT);
                    x += product(q, y);
                    y = x;
                }
                x
            },
        )
    }

    #[test]
    fn words_stay_within_the_limit() {
        for words in [4, 8] {
            for log_n in tail_stages(words)..=17 {
                for q in [97, (1 << 46) + 1, (1 << 48) - 1, (1 << 49) + 1, (1 << 50) - 1] {
                    assert!(last_bound(q, words, log_n) <= LIMIT, "{q} N = 2^{log_n}");
                }
                assert_eq!(corrections((1 << 48) - 1, words, log_n), [false; MAX_PASSES]);
            }
            assert_ne!(corrections((1 << 50) - 1, words, 11), [false; MAX_PASSES]);
        }
    }

    #[test]
    fn primes_near_47_bits_are_free() {
        assert!(inverse_is_free((1 << 47) + (1 << 40)));
        assert!(!inverse_is_free(1 << 48));
        for words in [4, 8] {
            assert!(!corrects(1 << 47, 14, words) && corrects(1 << 48, 14, words));
            assert!(!corrects(1 << 50, tail_stages(words) - 1, words));
        }
    }
}
