//! The weights of a linear stage, sorted by the rotation that brings each input to its output.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::outline::Outline;
use super::signature::Signature;
use super::sorting::{Fill, Sorting};
use crate::fold::LinearStage;
use crate::layout::Layout;
use crate::program::Entry;
use crate::{Error, Result};

/// A set of (output ciphertext, input ciphertext, rotation) that one plaintext can serve. The rotation is
/// the sum of three parts, so that a schedule can take it apart: `block` in `0..input period`, the others signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagonal {
    /// Output ciphertext.
    pub output: usize,
    /// Input ciphertext, of the first source, then of each shortcut's.
    pub input: usize,
    /// Rotation across channel blocks.
    pub block: usize,
    /// Rotation across rows (everything within a block, where a fold mixes rows and columns).
    pub row: isize,
    /// Rotation across columns.
    pub col: isize,
}

impl Diagonal {
    /// In two words: maps are asked for diagonals once for every weight, and small ones answer sooner. Ciphertexts, of which a map
    /// has 2^16 for channels in up to 16 phases each, and slots have numbers below 2^20.
    pub(super) fn words(&self) -> (u64, u64) {
        let [output, input, block] = [self.output, self.input, self.block].map(|n| n as u64);
        let [row, col] = [self.row, self.col].map(|n| u64::from(n as u32));
        (output << 40 | input << 20 | block, row << 32 | col)
    }
}

impl Hash for Diagonal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().hash(state);
    }
}

/// What a diagonal's plaintext holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Base of the first entry.
    pub first: usize,
    /// Identity of the entries relative to the first base, so that moving all of them changes `first` only.
    pub signature: Signature,
    /// Number of entries; what an outline leaves out is not counted.
    pub count: usize,
    /// The entries, unless for pricing only; a plaintext keeps those that it is drawn from.
    pub entries: Arc<Vec<Entry>>,
}

/// All weights of a linear stage between two layouts.
#[derive(Debug, Clone)]
pub struct Diagonals {
    /// Distinct diagonals, each with its contents: ascending, but for a count.
    pub diagonals: Vec<(Diagonal, Contents)>,
    /// Position sets: ascending offsets.
    pub sets: Arc<Vec<Vec<usize>>>,
    /// Ciphertexts of the output.
    pub outputs: usize,
    /// Slots.
    pub slots: usize,
    /// Period of each input ciphertext: those of the first source, then those of each shortcut's.
    pub input_periods: Vec<usize>,
    /// The largest period of any layout: that of every product.
    pub period: usize,
    /// Period of every plaintext, a power of two. It is that of the products, and zeros are where the output holds nothing;
    /// or, where all output positions are computed alike and anything may be left elsewhere, the channels of one position
    /// over and over: the output's tile.
    pub plaintext_period: usize,
    /// How many outputs, and how many inputs, each stands for: 1 if it is there for itself, more if for all that are alike
    /// ([`super::alike`]), 0 if another does. Only a count has any but ones.
    pub(crate) copies: [Vec<usize>; 2],
}

/// Rotation of a weight split into fold offset and rotation parts.
pub(crate) struct Split {
    /// Fold offset: bits of the mask.
    pub fold: usize,
    /// As in [`Diagonal`].
    pub block: usize,
    /// As in [`Diagonal`].
    pub row: isize,
    /// As in [`Diagonal`].
    pub col: isize,
}

/// How slot distances are split: depends on the layouts and the fold mask only.
///
/// Where channels are innermost, an output channel that reads the one `d` places on reads past the end of its position if
/// there are no such channels any more: there it meets the first channels of the next position. So a rotation by `d` and
/// `m` positions serves kernel column `m` for some output channels, and `m + 1` for the others. With four channels, `d = 3`:
///
/// ```text
///   output channel       0   1   2   3  |
///   meets channel        3 | 0   1   2  |
///   of kernel column     m | m + 1      |
/// ```
///
/// So the block part, across channels, is `d` from 0 to below the tile, and the column part whole positions. Where a channel is
/// spread over the tile, each output channel meets a copy a whole number of positions away, and there is no block part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Splitter {
    mask: usize,
    tile: usize,
    period: usize,
    inner: bool,
    spread: bool,
    /// Whether rows and columns have no part in a rotation: where outputs are single values.
    pub(super) lump: bool,
}

impl Splitter {
    pub(crate) fn new(input: &Layout, output: &Layout, mask: usize) -> Self {
        let lump = output.shape.area() == 1 || (input.inner && mask != 0);
        let Layout { tile, period, inner, spread, .. } = *input;
        Self { mask, tile, period, inner, spread, lump }
    }

    /// A power of two: base distances that differ by a multiple of it have the same rotations, and perhaps other folds.
    pub(super) fn cycle(&self) -> usize {
        let least = if self.lump { 1 } else { self.tile };
        let mut cycle = self.period;
        while cycle > least && self.mask & (cycle / 2) != 0 {
            cycle /= 2;
        }
        cycle
    }

    /// Splits `base + row + col`, the slot distance input minus output.
    pub(crate) fn split(&self, base: isize, row: isize, col: isize) -> Split {
        let period = self.period as isize;
        if self.lump {
            let delta = (base + row + col).rem_euclid(period) as usize;
            let fold = delta & self.mask;
            return Split { fold, block: delta - fold, row: 0, col: 0 };
        }
        if self.inner {
            // The first copy at a whole number of tiles from the output.
            let tile = self.tile as isize;
            let base = if self.spread { -(-base).div_euclid(tile) * tile } else { base };
            let across = base + col;
            let block = across.rem_euclid(self.tile as isize);
            return Split { fold: 0, block: block as usize, row, col: across - block };
        }
        let base = base.rem_euclid(period) as usize;
        let (high, low) = (base & !(self.tile - 1), base & (self.tile - 1));
        let inner_mask = self.mask & (self.tile - 1);
        let fold_high = high & self.mask & !(self.tile - 1);
        if inner_mask == 0 && low == 0 {
            return Split { fold: fold_high, block: high - fold_high, row, col };
        }
        let inner = row + col + low as isize;
        let fold_low = (inner & inner_mask as isize) as usize;
        Split {
            fold: fold_high + fold_low,
            block: high - fold_high,
            row: inner - fold_low as isize,
            col: 0,
        }
    }
}

/// Checks a fold mask against the layouts it is to work between.
pub fn check_mask(name: &str, input: &Layout, output: &Layout, mask: usize) -> Result<()> {
    let refuse =
        |reason: String| Err(Error::unsupported(name, format!("fold mask {mask:#x}: {reason}")));
    if mask >= input.period {
        return refuse(format!("its bits must be below the input period, {}", input.period));
    }
    // Bits above the output period repeat the result by wrapping around, which takes all bits up to the input period.
    let high = mask & !(output.period - 1);
    if high != 0 {
        let lowest = 1usize << high.trailing_zeros();
        if high != input.period - lowest {
            return refuse(format!(
                "bits from the output period ({}) on must reach up to the input period ({}) without a hole",
                output.period, input.period
            ));
        }
    }
    for y in 0..output.shape.height {
        for x in 0..output.shape.width {
            for c in output.read() {
                let (_, slot) = output.locate(c, y, x);
                if slot & mask != 0 {
                    return refuse(format!(
                        "output slot {slot} has bits of it; space the outputs wider"
                    ));
                }
            }
        }
    }
    Ok(())
}

impl Diagonals {
    /// Sorts the weights of `stage` between `inputs`, one layout for each of its parts, and `output`, folding the bits of
    /// `mask`. Without `entries`, counts and identities are the same, but no plaintext can be filled.
    ///
    /// # Errors
    /// [`Error::Layer`] for layouts of other shapes, [`Error::Unsupported`] for a mask that does not fit them.
    pub fn new(
        name: &str,
        stage: &LinearStage,
        inputs: &[&Layout],
        output: &Layout,
        mask: usize,
        entries: bool,
    ) -> Result<Self> {
        let fill = if entries { Fill::Entries } else { Fill::Signatures };
        let all: Vec<usize> = (0..stage.geometry.output.channels).collect();
        Sorting { name, stage, inputs, output, mask, fill, most: usize::MAX }.sorted(&all)
    }

    /// The same for [`super::count`] only: without entries, without looking at each weight where the stage has an outline,
    /// and with one of the ciphertexts that are alike. Gives up, with those found by then, beyond `most` diagonals.
    pub(crate) fn counted(
        name: &str,
        stage: &LinearStage,
        outline: Option<&Outline>,
        (inputs, output): (&[&Layout], &Layout),
        mask: usize,
        most: usize,
    ) -> Result<Self> {
        let fill = outline.map_or(Fill::Signatures, Fill::Outline);
        let all: Vec<usize> = (0..stage.geometry.output.channels).collect();
        Sorting { name, stage, inputs, output, mask, fill, most }.of(&all)
    }

    /// Some of them: those of one output channel per ciphertext. Gives up, with those found by then, beyond `most`.
    pub(crate) fn of_some(
        name: &str,
        stage: &LinearStage,
        outline: Option<&Outline>,
        (inputs, output): (&[&Layout], &Layout),
        mask: usize,
        most: usize,
    ) -> Result<Self> {
        let mut seen = vec![false; output.all_channel_ciphertexts()];
        let some: Vec<usize> = output
            .read()
            .filter(|o| !std::mem::replace(&mut seen[output.channels[*o].ct], true))
            .collect();
        let fill = outline.map_or(Fill::Signatures, Fill::Outline);
        Sorting { name, stage, inputs, output, mask, fill, most }.of(&some)
    }

    /// How many there are, those of ciphertexts that others stand for included.
    pub(crate) fn total(&self) -> usize {
        let [outs, ins] = &self.copies;
        self.diagonals.iter().map(|(d, _)| outs[d.output] * ins[d.input]).sum()
    }

    /// Whether so many partial sums, of which `turned` are to be rotated, are the outputs already: one unrotated sum for each.
    pub(crate) fn summed(outputs: usize, sums: usize, turned: usize) -> bool {
        sums == outputs && turned == 0
    }

    /// The output's layout once it is written and the bits of `mask` are folded.
    pub(crate) fn left(&self, output: &Layout, mask: usize) -> Layout {
        // Of plaintexts with the products' period, zeros are written where the output holds nothing.
        let clean = self.plaintext_period == self.period && mask == 0;
        Layout { clean, ..output.clone() }
    }

    /// The largest power of two that divides every rotation across blocks and every period.
    pub(crate) fn unit(&self) -> usize {
        let periods = self.input_periods.iter().fold(0, |u, period| u | period);
        let all = self.diagonals.iter().fold(periods, |u, (d, _)| u | d.block);
        all & all.wrapping_neg()
    }

    /// Distinct rotations across blocks.
    pub fn blocks(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.diagonals.iter().map(|(d, _)| d.block).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
