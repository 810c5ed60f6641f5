//! Patterns: which units of a linear layer are kept.
//!
//! A unit is what one plaintext holds: the weights between an input and an output channel ciphertext on one
//! diagonal of their blocks, at one kernel position. (Phases of a map share their weights, so they share
//! units.) A layer with one output position has no kernel positions of its own: its units are diagonals.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::fold::LinearStage;
use crate::layout::Layout;
use crate::lowering::Splitter;
use crate::{Error, Result};

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
}

/// Kept units of one layer between two layouts.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Family.
    pub family: Family,
    /// The kept units, with the L2 norm of their weights.
    pub units: BTreeMap<Unit, f64>,
    /// Units that a dense layer of that shape has.
    pub dense: usize,
}

/// Maps every weight to its unit.
struct Units<'a> {
    stage: &'a LinearStage,
    input: &'a Layout,
    output: &'a Layout,
    splitter: Splitter,
}

impl Units<'_> {
    /// Calls `f` with the index of each present weight and its unit.
    fn for_each(&self, mut f: impl FnMut(usize, Unit)) {
        let g = &self.stage.geometry;
        let per_out = g.input.channels / g.groups;
        let area = g.kernel.0 * g.kernel.1;
        for o in 0..g.output.channels {
            for k in 0..per_out {
                for at in 0..area {
                    f((o * per_out + k) * area + at, self.unit(o, g.input_channel(o, k), at));
                }
            }
        }
    }

    fn unit(&self, o: usize, i: usize, at: usize) -> Unit {
        let g = &self.stage.geometry;
        let (to, from) = (self.output.channels[o], self.input.channels[i]);
        let base = from.base as isize - to.base as isize;
        let single = g.output.area() == 1;
        let (row, col) = if single {
            let (ky, kx) = (at / g.kernel.1, at % g.kernel.1);
            let (row, col) = (
                self.input.row_at(g.input_coordinate(0, ky)),
                self.input.col_at(g.input_coordinate(0, kx)),
            );
            (row.offset, col.offset)
        } else {
            (0, 0)
        };
        let diagonal = self.splitter.split(base, row, col).block;
        Unit { output: to.ct, input: from.ct, diagonal, kernel: if single { 0 } else { at } }
    }
}

impl Pattern {
    /// The pattern of a stage's weights: a unit is kept if any of its weights is not zero. `fold` is the
    /// fold mask of the lowering.
    pub fn from_weights(
        stage: &LinearStage,
        input: &Layout,
        output: &Layout,
        fold: usize,
    ) -> Result<Self> {
        let units = units(stage, input, output, fold)?;
        let mut squares: BTreeMap<Unit, f64> = BTreeMap::new();
        units.for_each(|k, unit| {
            let w = stage.weights[k];
            if w != 0.0 {
                *squares.entry(unit).or_default() += w * w;
            }
        });
        let g = &stage.geometry;
        let mut dense = BTreeSet::new();
        for o in 0..g.output.channels {
            for i in 0..g.input.channels {
                for at in 0..g.kernel.0 * g.kernel.1 {
                    dense.insert(units.unit(o, i, at));
                }
            }
        }
        let family = if squares.len() == dense.len() {
            Family::Dense
        } else if g.groups > 1 {
            Family::Grouped
        } else {
            Family::SubBlock
        };
        let kept = squares.into_iter().map(|(u, s)| (u, s.sqrt())).collect();
        Ok(Self { family, units: kept, dense: dense.len() })
    }

    /// Share of a dense layer's units that is kept.
    pub fn kept_share(&self) -> f64 {
        self.units.len() as f64 / self.dense.max(1) as f64
    }

    /// Removes the least important units, single ones or (rotation-aligned) all outputs' together, until
    /// at most `keep` (0 to 1) of the present ones remain.
    pub fn prune(&self, family: Family, keep: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&keep) {
            return Err(Error::argument("share to keep", keep, "a number from 0 to 1"));
        }
        let class = |u: &Unit| match family {
            Family::RotationAligned => Unit { output: 0, ..*u },
            _ => *u,
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
        units(stage, input, output, fold)?.for_each(|k, unit| {
            if !self.units.contains_key(&unit) {
                pruned.weights[k] = 0.0;
            }
        });
        Ok(pruned)
    }

    /// Share of the squared norm of `before` that this pattern keeps: a stand-in for accuracy where no
    /// trained variant exists.
    pub fn kept_energy(&self, before: &Self) -> f64 {
        let sum = |p: &Self| p.units.values().map(|v| v * v).sum::<f64>();
        let all = sum(before);
        if all == 0.0 { 1.0 } else { sum(self) / all }
    }
}

fn units<'a>(
    stage: &'a LinearStage,
    input: &'a Layout,
    output: &'a Layout,
    fold: usize,
) -> Result<Units<'a>> {
    if input.shape != stage.geometry.input || output.shape != stage.geometry.output {
        return Err(Error::layout(
            "maps of the layouts",
            format!("{} and {}", input.shape, output.shape),
            format!("{} and {}", stage.geometry.input, stage.geometry.output),
        ));
    }
    Ok(Units { stage, input, output, splitter: Splitter::new(input, output, fold) })
}
