//! Patterns: which units of a linear layer are kept.
//!
//! A unit is what one plaintext holds: the weights between an input and an output channel ciphertext on one
//! diagonal of their blocks, at one kernel position. (Phases of a map share their weights, so they share
//! units.) A layer with one output position has no kernel positions of its own: its units are diagonals. If it does a pool before
//! it as well, a weight is on several of them, those of a window of positions; the first says which unit it is in, and a diagonal
//! goes with the last of the units that have weights on it. With windows of two columns:
//!
//! ```text
//!   diagonal   0   1   2   3   4
//!   unit 0     x   x
//!   unit 2             x   x
//!   unit 3                 x   x     without units 2 and 3, diagonals 2, 3 and 4 go; without unit 2 alone, diagonal 2
//! ```

mod choice;
mod ranked;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::fold::LinearStage;
use crate::layout::Layout;
use crate::{Error, Result};

pub use choice::{Grouping, PatternChoice};
pub use units::UnitMap;

pub(crate) use ranked::{Ranked, Steps};

/// One unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unit {
    /// Output channel ciphertext.
    pub output: usize,
    /// Input channel ciphertext.
    pub input: usize,
    /// Rotation across blocks, in slots.
    pub diagonal: usize,
    /// Kernel position `ky * kernel columns + kx`; zero for a layer with one output position.
    pub kernel: usize,
}

/// Where a pattern came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Everything kept.
    Dense,
    /// What group convolution leaves.
    Grouped,
    /// Single units removed: saves products and plaintexts.
    SubBlock,
    /// Units removed for all outputs at once: saves rotations too.
    RotationAligned,
    /// Diagonals removed at all kernel positions.
    DiagonalSelection,
    /// Kernel positions removed for all channels.
    KernelPosition,
    /// Input ciphertexts removed: what makes them saves as much.
    InputCiphertext,
}

impl Family {
    /// Those that remove something, in the order of a search.
    pub const REMOVING: [Self; 5] = [
        Self::SubBlock,
        Self::RotationAligned,
        Self::DiagonalSelection,
        Self::KernelPosition,
        Self::InputCiphertext,
    ];
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dense => "dense",
            Self::Grouped => "grouped",
            Self::SubBlock => "sub-block",
            Self::RotationAligned => "rotation-aligned",
            Self::DiagonalSelection => "diagonal-selection",
            Self::KernelPosition => "kernel-position",
            Self::InputCiphertext => "input-ciphertext",
        })
    }
}

/// Kept units of one layer between two layouts.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Family.
    pub family: Family,
    /// The kept units, with the L2 norm of their weights; with scores, the root of their sum.
    pub units: BTreeMap<Unit, f64>,
    /// Units that a dense layer of that shape has.
    pub dense: usize,
}

impl Pattern {
    /// The pattern of a stage's weights: a unit is kept if any of its weights is not zero. `fold` is the
    /// fold mask of the lowering.
    ///
    /// # Errors
    /// [`Error::Layout`] for layouts of other maps than the stage's.
    pub fn from_weights(
        stage: &LinearStage,
        input: &Layout,
        output: &Layout,
        fold: usize,
    ) -> Result<Self> {
        let map = UnitMap::new(&stage.geometry, input, output, fold)?;
        let squares: Vec<f64> = stage.weights.iter().map(|w| w * w).collect();
        Self::from_scores(&map, &stage.weights, &squares)
    }

    /// The pattern of weights whose importance is given: a unit is kept if any of its weights is not zero, and its
    /// importance is the sum of the `scores` of its weights, one for each, none negative.
    ///
    /// # Errors
    /// [`Error::Argument`] for another number of weights or scores than the map's, and for a score that is negative or
    /// not finite.
    pub fn from_scores(map: &UnitMap, weights: &[f64], scores: &[f64]) -> Result<Self> {
        for (what, list) in [("number of weights", weights), ("number of scores", scores)] {
            if list.len() != map.of_weight.len() {
                return Err(Error::argument(what, list.len(), map.of_weight.len()));
            }
        }
        if let Some(bad) = scores.iter().find(|s| !(s.is_finite() && **s >= 0.0)) {
            return Err(Error::argument("a score", bad, "a finite number of at least 0"));
        }
        let mut sums: Vec<Option<f64>> = vec![None; map.units.len()];
        for ((number, weight), score) in map.of_weight.iter().zip(weights).zip(scores) {
            if *weight != 0.0 {
                *sums[*number as usize].get_or_insert(0.0) += score;
            }
        }
        let units: BTreeMap<Unit, f64> = map
            .units
            .iter()
            .zip(sums)
            .filter_map(|(unit, sum)| sum.map(|s| (*unit, s.sqrt())))
            .collect();
        let family = if units.len() == map.dense {
            Family::Dense
        } else if map.groups > 1 {
            Family::Grouped
        } else {
            Family::SubBlock
        };
        Ok(Self { family, units, dense: map.dense })
    }

    /// Share of a dense layer's units that is kept.
    pub fn kept_share(&self) -> f64 {
        self.units.len() as f64 / self.dense.max(1) as f64
    }

    /// Removes the least important units, single ones or those together that the family says, until
    /// at most `keep` (0 to 1) of the present ones remain.
    pub fn prune(&self, family: Family, keep: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&keep) {
            return Err(Error::argument("share to keep", keep, "a number from 0 to 1"));
        }
        let class = |u: &Unit| match family {
            Family::RotationAligned => Unit { output: 0, ..*u },
            Family::DiagonalSelection => Unit { kernel: 0, ..*u },
            Family::KernelPosition => Unit { output: 0, input: 0, diagonal: 0, ..*u },
            Family::InputCiphertext => Unit { output: 0, diagonal: 0, kernel: 0, ..*u },
            Family::Dense | Family::Grouped | Family::SubBlock => *u,
        };
        let mut classes: BTreeMap<Unit, (f64, usize)> = BTreeMap::new();
        for (u, norm) in &self.units {
            let entry = classes.entry(class(u)).or_default();
            entry.0 += norm * norm;
            entry.1 += 1;
        }
        let mut order: Vec<(Unit, f64, usize)> =
            classes.into_iter().map(|(u, (s, n))| (u, s / n as f64, n)).collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let goal = (self.units.len() as f64 * keep).floor() as usize;
        let mut left = self.units.len();
        let mut removed = BTreeSet::new();
        for (unit, _, n) in order {
            if left <= goal {
                break;
            }
            left -= n;
            removed.insert(unit);
        }
        let units = self.units.iter().filter(|(u, _)| !removed.contains(&class(u)));
        Ok(Self { family, units: units.map(|(u, s)| (*u, *s)).collect(), dense: self.dense })
    }

    /// Sets every weight outside the kept units to zero.
    pub fn apply(
        &self,
        stage: &LinearStage,
        input: &Layout,
        output: &Layout,
        fold: usize,
    ) -> Result<LinearStage> {
        let mut pruned = stage.clone();
        let map = UnitMap::new(&stage.geometry, input, output, fold)?;
        let kept: Vec<bool> = map.units.iter().map(|u| self.units.contains_key(u)).collect();
        for (weight, number) in pruned.weights.iter_mut().zip(&map.of_weight) {
            if !kept[*number as usize] {
                *weight = 0.0;
            }
        }
        Ok(pruned)
    }

    /// Share of the importance of `before` (of its squared norm, or of its scores) that this pattern keeps: a stand-in
    /// for accuracy where no trained variant exists.
    pub fn kept_energy(&self, before: &Self) -> f64 {
        let sum = |p: &Self| p.units.values().map(|v| v * v).sum::<f64>();
        let all = sum(before);
        if all == 0.0 { 1.0 } else { sum(self) / all }
    }
}
