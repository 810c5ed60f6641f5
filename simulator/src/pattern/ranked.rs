//! The units of a layer between two layouts, ranked by importance, for every grouping and family.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Family, Grouping};
use crate::layout::Layout;
use crate::lowering::{Census, NEVER, STEPS, Splitter};
use crate::network::ConvGeometry;

/// The units of a convolution of one group between two layouts, with the importance of its weights.
pub(crate) struct Ranked<'a> {
    census: &'a Census,
    channels: (usize, usize),
    /// Output and input ciphertexts, rotations across blocks, and the kernel positions that tell units apart, of which a layer
    /// with one output position has one: units are numbered by these in turn.
    extents: [usize; 4],
    /// Importance of each weight.
    scores: &'a [f64],
    /// For each kind of channel pair that the census tells, the units of its kernel positions.
    units: Vec<u32>,
}

/// The units that a grouping leaves.
pub(crate) struct Grouped {
    /// Importance by unit, of those that there are.
    units: Vec<Option<f64>>,
    /// The kinds of channel pairs whose outputs are read.
    kinds: Vec<u32>,
    /// Input channels and the kinds of pairs by which outputs that are read reach them.
    reads: Vec<(u32, u32)>,
}

/// What a family keeps of a grouping at each of eight shares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Steps {
    /// The first share, in eighths less one, at which a cell has weights.
    pub(crate) cells: Vec<u8>,
    /// Units that are kept.
    pub(crate) units: [usize; STEPS],
    /// Share that these have of the importance within the groups.
    pub(crate) kept: [f64; STEPS],
    /// For each input channel, the first share, in eighths less one, at which anything reads it.
    pub(crate) inputs: Vec<u8>,
}

impl Steps {
    /// The input channels that nothing reads at a step.
    pub(crate) fn unread(&self, step: usize) -> Vec<usize> {
        let unread = |channel: &usize| usize::from(self.inputs[*channel]) > step;
        (0..self.inputs.len()).filter(unread).collect()
    }
}

impl<'a> Ranked<'a> {
    /// `g` is the convolution of one group whose weights the `scores` are of; `mask` that of the lowering.
    pub(crate) fn new(
        census: &'a Census,
        g: &ConvGeometry,
        scores: &'a [f64],
        (input, output): (&Layout, &Layout),
        mask: usize,
    ) -> Self {
        let (ins, outs) = (g.input.channels, g.output.channels);
        let splitter = Splitter::new(input, output, mask);
        let area = g.kernel.0 * g.kernel.1;
        let single = census.offsets();
        let places = if single.is_empty() { area } else { 1 };
        let pairs = (0..outs).flat_map(|o| (0..ins).map(move |i| (o, i)));
        let mut found: Vec<(usize, usize, usize)> = Vec::new();
        for ((o, i), kind) in pairs.zip(census.of_pair()) {
            if *kind as usize * area < found.len() {
                continue;
            }
            let (to, from) = (output.channels[o], input.channels[i]);
            let apart = from.base as isize - to.base as isize;
            found.extend((0..area).map(|at| {
                let offset = single.get(at).copied().unwrap_or(0);
                (to.ct, from.ct, splitter.split(apart, offset, 0).block)
            }));
        }
        let blocks: BTreeSet<usize> = found.iter().map(|(.., block)| *block).collect();
        let blocks: HashMap<usize, usize> = blocks.into_iter().zip(0..).collect();
        let [outs_cts, ins_cts] = [output, input].map(Layout::all_channel_ciphertexts);
        let number = |(k, (to, from, block)): (usize, &(usize, usize, usize))| {
            let pair = (to * ins_cts + from) * blocks.len() + blocks[block];
            (pair * places + k % area % places) as u32
        };
        let units = found.iter().enumerate().map(number).collect();
        let extents = [outs_cts, ins_cts, blocks.len(), places];
        Self { census, channels: (ins, outs), extents, scores, units }
    }

    /// Kernel positions of the convolution.
    fn area(&self) -> usize {
        self.scores.len() / (self.channels.0 * self.channels.1)
    }

    /// The units of a kind of channel pair.
    fn units(&self, kind: u32) -> &[u32] {
        &self.units[kind as usize * self.area()..][..self.area()]
    }

    /// The units of a grouping, and what outputs that `output` has reach of them.
    pub(crate) fn grouped(&self, grouping: Grouping, output: &Layout) -> Grouped {
        let ((ins, outs), area) = (self.channels, self.area());
        let mut units: Vec<Option<f64>> = vec![None; self.extents.iter().product()];
        let mut seen = vec![false; self.units.len() / area];
        let mut reads: HashSet<(u32, u32)> = HashSet::new();
        for o in 0..outs {
            let read = output.is_read(o);
            for i in grouping.reads((ins, outs), o) {
                let pair = o * ins + i;
                let kind = self.census.of_pair()[pair];
                for (unit, score) in self.units(kind).iter().zip(&self.scores[pair * area..]) {
                    *units[*unit as usize].get_or_insert(0.0) += score;
                }
                if read {
                    seen[kind as usize] = true;
                    reads.insert((i as u32, kind));
                }
            }
        }
        let kinds = (0u32..).zip(seen).filter(|(_, seen)| *seen).map(|(kind, _)| kind).collect();
        let reads = reads.into_iter().collect();
        Grouped { units, kinds, reads }
    }

    /// The class of each unit: what is removed together, and how many classes there are.
    fn classes(&self, family: Family) -> (impl Fn(usize) -> usize, usize) {
        let [outs, ins, blocks, area] = self.extents;
        let class = move |unit: usize| {
            let (pair, at) = (unit / area, unit % area);
            match family {
                Family::RotationAligned => pair % (ins * blocks) * area + at,
                Family::DiagonalSelection => pair,
                Family::KernelPosition => at,
                Family::InputCiphertext => pair / blocks % ins,
                Family::Dense | Family::Grouped | Family::SubBlock => unit,
            }
        };
        let count = match family {
            Family::RotationAligned => ins * blocks * area,
            Family::DiagonalSelection => outs * ins * blocks,
            Family::KernelPosition => area,
            Family::InputCiphertext => ins,
            Family::Dense | Family::Grouped | Family::SubBlock => outs * ins * blocks * area,
        };
        (class, count)
    }

    /// What a family keeps of a grouping: as [`super::Pattern::prune`] does at each share.
    pub(crate) fn steps(&self, grouped: &Grouped, family: Family) -> Steps {
        let (class, count) = self.classes(family);
        let mut classes = vec![(0.0, 0usize); count];
        for (unit, score) in grouped.units.iter().enumerate() {
            if let Some(score) = score {
                let (sum, n) = &mut classes[class(unit)];
                *sum += score;
                *n += 1;
            }
        }
        let mut order: Vec<(f64, u32)> = (0u32..)
            .zip(&classes)
            .filter(|(_, (_, n))| *n > 0)
            .map(|(k, (sum, n))| (sum / *n as f64, k))
            .collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let total: usize = classes.iter().map(|(_, n)| n).sum();
        let mut left = total;
        let mut steps = vec![NEVER; count];
        let (mut units, mut kept) = ([0; STEPS], [0.0; STEPS]);
        for (_, k) in order {
            // It goes at every share that leaves fewer than there are without those before it.
            let (sum, n) = classes[k as usize];
            let step = (left * STEPS).div_ceil(total) - 1;
            steps[k as usize] = step as u8;
            units[step] += n;
            kept[step] += sum;
            left -= n;
        }
        let all: f64 = kept.iter().sum();
        for k in 1..STEPS {
            units[k] += units[k - 1];
            kept[k] += kept[k - 1];
        }
        let kept = kept.map(|sum| if all == 0.0 { 1.0 } else { sum / all });
        let mut cells = vec![NEVER; self.census.cells()];
        for kind in &grouped.kinds {
            let own = &mut cells[self.census.first_cell(*kind) as usize..];
            for (unit, step) in self.units(*kind).iter().zip(own) {
                *step = (*step).min(steps[class(*unit as usize)]);
            }
        }
        let mut inputs = vec![NEVER; self.channels.0];
        for (input, kind) in &grouped.reads {
            let step = &mut inputs[*input as usize];
            let own = self.units(*kind).iter().map(|unit| steps[class(*unit as usize)]);
            *step = own.fold(*step, u8::min);
        }
        Steps { cells, units, kept, inputs }
    }
}
