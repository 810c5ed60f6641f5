//! Butterfly constants as doubles, in the order in which the transforms read them.

use super::arith::{Factor, centred};
use super::bounds::{MAX_PASSES, forward_corrections, inverse_is_free};
use super::lanes::Lanes;
use super::passes::{plan, tail_stages};
use crate::buffer::AlignedBuf;
use crate::kernels::twiddles::Twiddles;

/// What the transforms with vectors of one width need beside the constants as words.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct Tables {
    pub(super) forward: Constants,
    pub(super) inverse: Constants,
    /// See [`forward_corrections`].
    pub(super) corrections: [bool; MAX_PASSES],
    /// See [`inverse_is_free`].
    pub(super) free_inverse: bool,
}

/// Constants of one direction, as bits of doubles: values `|w| < q/2` and ratios `w / q`.
#[derive(Clone, Debug)]
pub(super) struct Constants {
    /// Of the stages whose blocks have more than `WORDS` words: value and ratio of constant `k` of the
    /// [`Twiddles`] at `2k` and `2k + 1`.
    columns: AlignedBuf,
    /// Of the other stages. One after the other, for `WORDS` groups of `WORDS` words: the constant of the stage
    /// that spans a group, the two of the next one, and so on, each as a vector of values, with one
    /// lane per group, and one of ratios.
    leaves: AlignedBuf,
}

impl Tables {
    /// For vectors of `words` words and transforms of at least `8 * words`, with these constants forward and inverse.
    pub(in crate::kernels) fn new(q: u64, twiddles: [&Twiddles; 2], words: usize) -> Self {
        let tail = tail_stages(words);
        let passes = plan(twiddles[0].len().ilog2() - tail).iter().copied().chain([tail]);
        let [forward, inverse] = twiddles.map(|twiddles| Constants::new(twiddles, q, words));
        Self {
            forward,
            inverse,
            corrections: forward_corrections(q, passes),
            free_inverse: inverse_is_free(q),
        }
    }
}

impl Constants {
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

    /// Constant `node` in all lanes.
    ///
    /// # Safety
    /// `node` must be below `N / WORDS`.
    #[inline(always)]
    pub(super) unsafe fn column<L: Lanes>(&self, node: usize) -> Factor<L> {
        // SAFETY: promised by the caller.
        unsafe {
            let at = self.columns.as_ptr().add(2 * node);
            Factor { value: L::splat_word(*at), ratio: L::splat_word(*at.add(1)) }
        }
    }

    /// Constant `index` of a set of `WORDS` groups.
    ///
    /// # Safety
    /// `set` must be below `N / WORDS^2` and `index` below `WORDS - 1`.
    #[inline(always)]
    pub(super) unsafe fn leaf<L: Lanes>(&self, set: usize, index: usize) -> Factor<L> {
        // SAFETY: promised by the caller.
        unsafe {
            let at = self.leaves.as_ptr().add(2 * L::WORDS * (set * (L::WORDS - 1) + index));
            Factor { value: L::load(at), ratio: L::load(at.add(L::WORDS)) }
        }
    }
}
