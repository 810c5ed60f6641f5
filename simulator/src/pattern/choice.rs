//! What the search chooses from for a layer: groups, a family of units, and the share of them that is kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Family;
use crate::lowering::STEPS;
use crate::network::ConvGeometry;

/// Into how many groups a convolution's channels are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grouping {
    /// Groups: a divisor of the channels on both sides.
    pub groups: usize,
    /// Whether a group reads channels of all groups: at place `i` those of group `(g + i) mod groups`, with
    /// group-interleaved encoding one more rotation across blocks for each input ciphertext, and as many products.
    pub shuffled: bool,
}

impl Grouping {
    /// One group.
    pub const NONE: Self = Self { groups: 1, shuffled: false };

    /// Every grouping of a convolution whose own has one group, the ones of fewer groups first.
    pub fn all(g: &ConvGeometry) -> Vec<Self> {
        let (ins, outs) = (g.input.channels, g.output.channels);
        let fits = |n: &usize| ins.is_multiple_of(*n) && outs.is_multiple_of(*n);
        let both = |groups: usize| {
            // With one input channel to a group, a shuffle only renames the groups.
            let shuffles = groups > 1 && ins / groups > 1;
            let plain = Self { groups, shuffled: false };
            std::iter::once(plain).chain(shuffles.then_some(Self { groups, shuffled: true }))
        };
        (1..=ins.min(outs)).filter(fits).flat_map(both).collect()
    }

    /// The input channels, of a convolution with so many on either side, that an output channel reads.
    pub fn reads(self, (ins, outs): (usize, usize), output: usize) -> impl Iterator<Item = usize> {
        let depth = ins / self.groups;
        let group = output / (outs / self.groups);
        (0..depth).map(move |place| {
            let from = if self.shuffled { (group + place) % self.groups } else { group };
            from * depth + place
        })
    }

    /// Share of the importance of a convolution of one group, `[out][in][kernel row][kernel column]`, that lies within the
    /// groups: 0 to 1, and exactly 1 where there is none outside.
    pub fn kept(self, g: &ConvGeometry, scores: &[f64]) -> f64 {
        let (ins, outs, area) = (g.input.channels, g.output.channels, g.kernel.0 * g.kernel.1);
        let pair = |o: usize, i: usize| scores[(o * ins + i) * area..][..area].iter().sum::<f64>();
        let (mut within, mut outside) = (0.0, 0.0);
        for o in 0..outs {
            let read: BTreeSet<usize> = self.reads((ins, outs), o).collect();
            for i in 0..ins {
                *if read.contains(&i) { &mut within } else { &mut outside } += pair(o, i);
            }
        }
        if outside == 0.0 { 1.0 } else { within / (within + outside) }
    }
}

/// Which of a layer's weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PatternChoice {
    /// Groups.
    #[serde(flatten)]
    pub grouping: Grouping,
    /// What is removed together: [`Family::Dense`] where nothing is.
    pub family: Family,
    /// Eighths of the units within the groups that are kept at most, 1 to 8.
    pub eighths: usize,
}

impl PatternChoice {
    /// Everything.
    pub const DENSE: Self =
        Self { grouping: Grouping::NONE, family: Family::Dense, eighths: STEPS };

    /// The share of units to keep.
    pub fn keep(&self) -> f64 {
        self.eighths as f64 / STEPS as f64
    }
}

impl std::fmt::Display for PatternChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shuffled = if self.grouping.shuffled { " shuffled" } else { "" };
        write!(f, "{}{shuffled}", self.grouping.groups)?;
        match self.family {
            Family::Dense => Ok(()),
            family => write!(f, ", {family} {}/8", self.eighths),
        }
    }
}
