//! Butterfly constants as doubles, in the order in which transforms with fused multiply-adds read them.

use super::bounds::{MAX_PASSES, forward_corrections, inverse_is_free};
use super::passes::all_passes;
use super::twiddles::Twiddles;
use crate::buffer::AlignedBuf;

/// What the transforms with vectors of one width need beside the constants as words.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct Doubles {
    pub(in crate::kernels) forward: DoubleTwiddles,
    pub(in crate::kernels) inverse: DoubleTwiddles,
    /// See [`forward_corrections`].
    pub(in crate::kernels) corrections: [bool; MAX_PASSES],
    /// See [`inverse_is_free`].
    pub(in crate::kernels) free_inverse: bool,
}

/// Constants of one direction, as bits of doubles: values `|w| < q/2` and ratios `w / q`.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct DoubleTwiddles {
    /// Of the stages whose blocks have more than `WORDS` words: value and ratio of constant `k` of the
    /// [`Twiddles`] at `2k` and `2k + 1`.
    columns: AlignedBuf,
    /// Of the other stages. One after the other, for `WORDS` groups of `WORDS` words: the constant of the stage
    /// that spans a group, the two of the next one, and so on, each as a vector of values, with one
    /// lane per group, and one of ratios.
    leaves: AlignedBuf,
}

impl Doubles {
    /// For vectors of `words` words and transforms of at least `8 * words`, with these constants forward and inverse.
    pub(in crate::kernels) fn new(q: u64, twiddles: [&Twiddles; 2], words: usize) -> Self {
        let passes = all_passes(twiddles[0].len().ilog2(), words);
        let [forward, inverse] = twiddles.map(|twiddles| DoubleTwiddles::new(twiddles, q, words));
        Self {
            forward,
            inverse,
            corrections: forward_corrections(q, passes),
            free_inverse: inverse_is_free(q),
        }
    }
}

impl DoubleTwiddles {
    fn new(twiddles: &Twiddles, q: u64, words: usize) -> Self {
        let groups = twiddles.len() / words;
        let mut columns = AlignedBuf::zeroed(2 * groups);
        for (pair, &value) in columns.chunks_exact_mut(2).zip(twiddles.values()) {
            let (value, ratio) = centred(value, q);
            pair.copy_from_slice(&[value.to_bits(), ratio.to_bits()]);
        }
        let mut leaves = AlignedBuf::zeroed(groups * 2 * (words - 1));
        let sets = leaves.chunks_exact_mut(words * 2 * (words - 1));
        for (set, out) in sets.enumerate() {
            let mut vectors = out.chunks_exact_mut(2 * words);
            for stage in 0..words.ilog2() {
                for (j, vector) in (&mut vectors).take(1 << stage).enumerate() {
                    let (values, ratios) = vector.split_at_mut(words);
                    for (lane, (to, ratio)) in values.iter_mut().zip(ratios).enumerate() {
                        let node = ((groups + set * words + lane) << stage) + j;
                        let centred = centred(twiddles.values()[node], q);
                        (*to, *ratio) = (centred.0.to_bits(), centred.1.to_bits());
                    }
                }
            }
        }
        Self { columns, leaves }
    }

    /// Of the stages whose blocks have more than `WORDS` words: `N / WORDS` pairs of value and ratio.
    #[inline]
    pub(in crate::kernels) fn columns(&self) -> &[u64] {
        &self.columns
    }

    /// Of the other stages: for each of `N / WORDS^2` sets of `WORDS` groups, `WORDS - 1` pairs of vectors.
    #[inline]
    pub(in crate::kernels) fn leaves(&self) -> &[u64] {
        &self.leaves
    }
}

/// `w` in `[0, q)` as the residue nearest to 0, and that divided by q.
#[inline]
pub(in crate::kernels) fn centred(w: u64, q: u64) -> (f64, f64) {
    let value = if w > q / 2 { -((q - w) as f64) } else { w as f64 };
    (value, value / q as f64)
}
