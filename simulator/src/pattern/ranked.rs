//! The units of a layer between two layouts, ranked by importance, for every grouping and family.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Family, Grouping};
use crate::layout::Layout;
use crate::lowering::{Census, NEVER, STEPS, Splitter};
use crate::network::ConvGeometry;

/// The units of a convolution of one group between two layouts, with the importance of its weights.
pub(crate) struct Ranked<'a> {
    census: &'a Census,
    channels: (usize, usize),
    area: usize,
    /// Output and input ciphertexts, and rotations across blocks: units are numbered by these and the kernel position.
    extents: [usize; 3],
    /// Importance of each weight.
    scores: &'a [f64],
    /// Number of the first unit of every channel pair.
    first_unit: Vec<u32>,
    /// First units and the first cells that their weights are in.
    links: Vec<(u32, u32)>,
    /// The link of every channel pair.
    of_pair: Vec<u32>,
}

/// The units that a grouping leaves.
pub(crate) struct Grouped {
    /// Importance by unit, of those that there are.
    units: Vec<Option<f64>>,
    /// Those of outputs that are read.
    links: Vec<u32>,
    /// Input channels and the links by which outputs that are read reach them.
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
        let distance =
            |o: usize, i: usize| input.channels[i].base as isize - output.channels[o].base as isize;
        let pairs = || (0..outs).flat_map(|o| (0..ins).map(move |i| (o, i)));
        let mut known: HashMap<isize, usize> = HashMap::new();
        let mut of_pair = Vec::with_capacity(ins * outs);
        let mut blocks = BTreeMap::new();
        for (o, i) in pairs() {
            let apart = distance(o, i);
            let block = *known.entry(apart).or_insert_with(|| splitter.split(apart, 0, 0).block);
            blocks.insert(block, 0);
            of_pair.push(block);
        }
        blocks.values_mut().enumerate().for_each(|(k, number)| *number = k);
        let extents = [output, input].map(Layout::all_channel_ciphertexts);
        let extents = [extents[0], extents[1], blocks.len()];
        let first_unit: Vec<u32> = pairs()
            .zip(of_pair)
            .map(|((o, i), block)| {
                let (to, from) = (output.channels[o].ct, input.channels[i].ct);
                (((to * extents[1] + from) * extents[2] + blocks[&block]) * area) as u32
            })
            .collect();
        let mut numbers: HashMap<(u32, u32), u32> = HashMap::new();
        let (mut links, mut of_pair) = (Vec::new(), Vec::with_capacity(first_unit.len()));
        for link in first_unit.iter().copied().zip(census.of_pair().iter().copied()) {
            let next = links.len() as u32;
            let number = *numbers.entry(link).or_insert(next);
            if number == next {
                links.push(link);
            }
            of_pair.push(number);
        }
        Self { census, channels: (ins, outs), area, extents, scores, first_unit, links, of_pair }
    }

    /// The units of a grouping, and what outputs that `output` has reach of them.
    pub(crate) fn grouped(&self, grouping: Grouping, output: &Layout) -> Grouped {
        let (ins, outs) = self.channels;
        let count = self.extents.iter().product::<usize>() * self.area;
        let mut units: Vec<Option<f64>> = vec![None; count];
        let mut seen = vec![false; self.links.len()];
        let mut reads: HashSet<(u32, u32)> = HashSet::new();
        for o in 0..outs {
            let read = output.is_read(o);
            for i in grouping.reads((ins, outs), o) {
                let pair = o * ins + i;
                let scores = &self.scores[pair * self.area..][..self.area];
                let units = &mut units[self.first_unit[pair] as usize..][..self.area];
                for (unit, score) in units.iter_mut().zip(scores) {
                    *unit.get_or_insert(0.0) += score;
                }
                if read {
                    seen[self.of_pair[pair] as usize] = true;
                    reads.insert((i as u32, self.of_pair[pair]));
                }
            }
        }
        let links = (0u32..).zip(seen).filter(|(_, seen)| *seen).map(|(link, _)| link).collect();
        let reads = reads.into_iter().collect();
        Grouped { units, links, reads }
    }

    /// The class of each unit: what is removed together, and how many classes there are.
    fn classes(&self, family: Family) -> (impl Fn(usize) -> usize, usize) {
        let [outs, ins, blocks] = self.extents;
        let area = self.area;
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
        for link in &grouped.links {
            let (unit, cell) = self.links[*link as usize];
            for at in 0..self.area {
                let step = &mut cells[cell as usize + at];
                *step = (*step).min(steps[class(unit as usize + at)]);
            }
        }
        let mut inputs = vec![NEVER; self.channels.0];
        for (input, link) in &grouped.reads {
            let (unit, _) = self.links[*link as usize];
            let step = &mut inputs[*input as usize];
            let own = (0..self.area).map(|at| steps[class(unit as usize + at)]);
            *step = own.fold(*step, u8::min);
        }
        Steps { cells, units, kept, inputs }
    }
}
