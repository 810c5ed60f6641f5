//! The sums of a linear operation, limb by limb and chunk by chunk.

use std::collections::BTreeSet;
use std::ops::Range;

use rayon::prelude::*;

use super::Evaluator;
use super::blocks::{Block, Summand};
use super::decompose::{Decomposition, Digits};
use super::operands::Operands;
use super::plan::{Group, LinearPlan};
use super::rows::Rows;
use super::switching::{MaskBuffer, Switch, SwitchLimb, words_of};
use crate::Result;
use crate::cipher::Plaintext;
use crate::kernels::{PairProducts, kernels};
use crate::keys::{GaloisKey, SwitchingKey};
use crate::poly::{CHUNK_WORDS, RnsPoly};

/// Chunks that one parallel task takes within a limb.
pub const CHUNKS_PER_TASK: usize = 4;

/// The factors of a destination that does not use a rotated source.
static ZEROS: [u64; CHUNK_WORDS] = [0; CHUNK_WORDS];

/// Everything a limb task reads.
pub(super) struct Job<'a> {
    pub(super) evaluator: &'a Evaluator,
    pub(super) plan: &'a LinearPlan,
    pub(super) operands: &'a Operands<'a>,
    plaintexts: &'a [&'a Plaintext],
    /// Per group of the plan, what is summed in one go, block by block; nothing of a plain sum.
    sums: Vec<Vec<Sum>>,
    /// Per source, its decomposition if the plan rotates it.
    decompositions: Vec<Option<&'a Decomposition<'a>>>,
    /// Per entry of the plan's `rotated`, its key if it is a rotation.
    keys: Vec<Option<&'a GaloisKey>>,
}

/// The terms of a block whose plaintexts are of one run.
#[derive(Debug, Clone, Copy)]
struct Sum {
    /// Which of the group's blocks.
    block: usize,
    /// Adjacent words that have one factor.
    run: usize,
    /// Whether the block's outputs have sums of another run already.
    adds: bool,
}

/// Adjacent words of a chunk that have the same word of a plaintext as their factor.
fn run(plaintext: &Plaintext) -> usize {
    plaintext.run().min(CHUNK_WORDS)
}

/// A sum in a limb.
struct LimbSum<'l> {
    sum: Sum,
    /// The rotated source of each term.
    rotated: Vec<usize>,
    /// For each term in turn, the words that the limb of each output's plaintext keeps; nothing where there is none.
    factors: Vec<&'l [u64]>,
}

/// Sums that one task looks up.
const SUMS_PER_TASK: usize = 4;

/// Where the rotated sources of a group are to be read in a chunk of a limb.
struct Buffered<'r> {
    rows: &'r Rows,
    group: &'r Group,
    position: usize,
    chunk: usize,
}

impl<'a> Job<'a> {
    /// The work of a plan on checked operands.
    pub(super) fn new(
        evaluator: &'a Evaluator,
        plan: &'a LinearPlan,
        operands: &'a Operands<'a>,
        plaintexts: &'a [&'a Plaintext],
    ) -> Result<Self> {
        let runs = |block: &Block| {
            let used = block.terms.iter().flat_map(|term| term.plaintexts).flatten();
            let runs: BTreeSet<usize> = used.map(|p| run(plaintexts[p])).collect();
            // Sums of nothing have to be written too.
            if runs.is_empty() { BTreeSet::from([1]) } else { runs }
        };
        let sums = |group: &Group| -> Vec<Sum> {
            let blocks = group.blocks.iter().enumerate();
            let sum = |block, (i, run)| Sum { block, run, adds: i > 0 };
            blocks
                .flat_map(|(k, block)| runs(block).into_iter().enumerate().map(move |r| sum(k, r)))
                .collect()
        };
        let own = operands.decompositions.iter().enumerate();
        Ok(Self {
            evaluator,
            plan,
            operands,
            plaintexts,
            sums: plan.groups.iter().map(sums).collect(),
            decompositions: own.map(|(i, d)| d.as_ref().filter(|_| plan.rotates(i))).collect(),
            keys: evaluator.galois_keys(plan, operands.level)?,
        })
    }
}

impl Job<'_> {
    /// Computes a few adjacent limbs of every output component, given limb by limb.
    pub(super) fn limbs(&self, positions: Range<usize>, outputs: Vec<Vec<&mut [u64]>>) {
        let n = self.evaluator.params.n();
        Digits::for_each(
            &self.decompositions,
            positions,
            n,
            outputs,
            |position, digits, outputs| {
                self.limb(position, digits, outputs);
            },
        );
    }

    /// Computes limb `position` of every output component.
    fn limb(&self, position: usize, digits: &Digits<'_>, outputs: Vec<&mut [u64]>) {
        let n = self.evaluator.params.n();
        let limb = SwitchLimb::new(&self.evaluator.params, self.operands.level, position);
        let by_source: Vec<Vec<&[u64]>> =
            (0..self.operands.sources.len()).map(|source| digits.of(source, position)).collect();
        // Transposed again: for each task's range of words, that range of every output component.
        let words = CHUNK_WORDS * CHUNKS_PER_TASK;
        let tasks = n.div_ceil(words);
        let sums = self.limb_sums(&limb);
        let mut by_task: Vec<Vec<&mut [u64]>> =
            (0..tasks).map(|_| Vec::with_capacity(outputs.len())).collect();
        for output in outputs {
            output.chunks_mut(words).zip(&mut by_task).for_each(|(part, list)| list.push(part));
        }
        let direct = self.plan.is_direct();
        let buffered_rows = self.plan.buffered_rows(self.operands.extended);
        by_task.into_par_iter().enumerate().for_each(|(task, mut parts)| {
            let mut rows = Rows::new(buffered_rows, CHUNK_WORDS);
            let mut masks = MaskBuffer::new();
            let first = task * CHUNKS_PER_TASK;
            for chunk in first..(first + CHUNKS_PER_TASK).min(n / CHUNK_WORDS) {
                let within = (chunk - first) * CHUNK_WORDS..(chunk - first + 1) * CHUNK_WORDS;
                let outputs = parts.chunks_exact_mut(2).map(|pair| {
                    let (out0, out1) = pair.split_at_mut(1);
                    [&mut out0[0][within.clone()], &mut out1[0][within.clone()]]
                });
                if direct {
                    let all = 0..self.plan.rotated.len();
                    self.rotations(&limb, chunk, all, &by_source, &mut masks, outputs);
                    continue;
                }
                let mut outputs: Vec<_> = outputs.map(Some).collect();
                for (group, sums) in sums.iter().enumerate() {
                    let rotated = self.plan.groups[group].rotated.clone();
                    let mut buffered = rows.rows_mut();
                    // None where nothing is buffered.
                    let pairs =
                        std::iter::from_fn(move || Some([buffered.next()?, buffered.next()?]));
                    self.rotations(&limb, chunk, rotated, &by_source, &mut masks, pairs);
                    self.sums(&limb, chunk, group, sums, &rows, &mut outputs);
                }
            }
        });
    }

    /// Whether rotated source `r` is absent from a limb: an unrotated source carries the factor P, which is zero modulo the
    /// special primes.
    fn vanishes(&self, r: usize, limb: &SwitchLimb<'_>) -> bool {
        self.keys[r].is_none() && limb.is_special()
    }

    /// Both components of a rotated source in a chunk: where the source is, if nothing is rotated or scaled.
    fn pair<'p>(&'p self, from: &Buffered<'p>, r: usize) -> (&'p [u64], &'p [u64]) {
        if !self.operands.extended {
            let source = self.operands.sources[self.plan.rotated[r].source];
            let part = |poly: &'p RnsPoly| &poly.limb(from.position)[words_of(from.chunk)];
            return (part(&source.c0), part(&source.c1));
        }
        let row = 2 * (r - from.group.rotated.start);
        (from.rows.row(row), from.rows.row(row + 1))
    }

    /// Fills `pairs` with chunk `chunk` of both components of some rotated sources of extended sums.
    fn rotations<'p, 'k>(
        &'k self,
        limb: &SwitchLimb<'_>,
        chunk: usize,
        which: Range<usize>,
        digits: &'k [Vec<&'k [u64]>],
        masks: &mut MaskBuffer<'k>,
        pairs: impl Iterator<Item = [&'p mut [u64]; 2]>,
    ) {
        let mut words = Vec::new();
        for (r, [out0, out1]) in which.zip(pairs) {
            let rotated = self.plan.rotated[r];
            let source = self.operands.sources[rotated.source];
            let Some(galois) = self.keys[r] else {
                if !self.vanishes(r, limb) {
                    out0.copy_from_slice(&source.c0.limb(limb.position)[words_of(chunk)]);
                    out1.copy_from_slice(&source.c1.limb(limb.position)[words_of(chunk)]);
                    (kernels().mul_scalar)(out0, limb.special, limb.modulus);
                    (kernels().mul_scalar)(out1, limb.special, limb.modulus);
                }
                continue;
            };
            let Some(from) = galois.automorphism.source_chunk(chunk) else {
                unreachable!("an automorphism moves every chunk")
            };
            let switch = Switch {
                digits: &digits[rotated.source],
                key: &galois.key,
                chunk: from,
                next: self.next_key(chunk, r),
                c0: &source.c0,
                permutation: Some(galois.automorphism.permutation(from)),
            };
            limb.product(&switch, &mut words, masks, [out0, out1]);
        }
    }

    /// The key, and its chunk, that [`Self::rotations`] reads after that of rotated source `r` for chunk `chunk`.
    fn next_key(&self, chunk: usize, r: usize) -> Option<(&SwitchingKey, usize)> {
        let keys = self.keys[r + 1..].iter().map(|&key| (key, chunk));
        let following = self.keys.iter().map(|&key| (key, chunk + 1));
        let (galois, chunk) = keys.chain(following).find_map(|(key, chunk)| Some((key?, chunk)))?;
        Some((&galois.key, galois.automorphism.source_chunk(chunk)?))
    }

    /// One chunk of all outputs, from that of the rotated sources of a group: written by the first group, added to what is there by
    /// the others.
    fn sums(
        &self,
        limb: &SwitchLimb<'_>,
        chunk: usize,
        group: usize,
        sums: &[LimbSum<'_>],
        rows: &Rows,
        outputs: &mut [Option<[&mut [u64]; 2]>],
    ) {
        let (first, group) = (group == 0, &self.plan.groups[group]);
        let from = &Buffered { rows, group, position: limb.position, chunk };
        if self.plan.plaintexts == 0 {
            for (summands, out) in group.outputs.iter().zip(outputs.iter_mut().flatten()) {
                self.plain_sum(limb, from, summands, first, out);
            }
            return;
        }
        let adds = self.plan.groups.len() > 1;
        if first && adds {
            // Not every group has terms for every destination.
            outputs.iter_mut().flatten().flatten().for_each(|words| words.fill(0));
        }
        let chunks = self.evaluator.params.n() / CHUNK_WORDS;
        for each in sums {
            let block = &group.blocks[each.sum.block];
            let (x0, x1): (Vec<&[u64]>, Vec<&[u64]>) =
                each.rotated.iter().map(|&r| self.pair(from, r)).unzip();
            let factors = &each.chunk(chunk, chunks);
            let taken = block.outputs.iter().map(|&output| outputs[output].take());
            let mut outs: Vec<_> = taken.flatten().collect();
            let (run, add) = (each.sum.run, adds || each.sum.adds);
            let products = PairProducts { x0: &x0, x1: &x1, factors, run, add };
            (kernels().dot_pairs)(&mut outs, &products, limb.modulus);
            for (&output, out) in block.outputs.iter().zip(outs) {
                outputs[output] = Some(out);
            }
        }
    }

    /// Adds one chunk of the summands of a group to one output of a plan without plaintexts, or writes them.
    fn plain_sum(
        &self,
        limb: &SwitchLimb<'_>,
        from: &Buffered<'_>,
        summands: &[Summand],
        write: bool,
        [out0, out1]: &mut [&mut [u64]; 2],
    ) {
        let present = summands.iter().filter(|s| !self.vanishes(s.rotated, limb));
        let mut present = present.map(|s| self.pair(from, s.rotated));
        if write {
            match present.next() {
                Some((x0, x1)) => {
                    out0.copy_from_slice(x0);
                    out1.copy_from_slice(x1);
                }
                None => {
                    out0.fill(0);
                    out1.fill(0);
                }
            }
        }
        for (x0, x1) in present {
            (kernels().add)(out0, x0, limb.modulus);
            (kernels().add)(out1, x1, limb.modulus);
        }
    }

    /// What a limb sums, by group of the plan: plaintexts are looked up once, as they may be many and anywhere in memory.
    fn limb_sums(&self, limb: &SwitchLimb<'_>) -> Vec<Vec<LimbSum<'_>>> {
        let groups = self.sums.iter().zip(&self.plan.groups);
        let of_group = |(sums, group): (&Vec<Sum>, &Group)| {
            let sums = sums.par_iter().with_min_len(SUMS_PER_TASK);
            sums.map(|&sum| self.limb_sum(limb, &group.blocks[sum.block], sum)).collect()
        };
        groups.map(of_group).collect()
    }

    /// A sum of a block in a limb.
    fn limb_sum(&self, limb: &SwitchLimb<'_>, block: &Block, sum: Sum) -> LimbSum<'_> {
        let (outputs, count) = (block.outputs.len(), block.terms.len());
        let mut rotated = Vec::with_capacity(count);
        let mut factors = Vec::with_capacity(outputs * count);
        for term in block.terms.iter().filter(|term| !self.vanishes(term.rotated, limb)) {
            let plaintexts = term.plaintexts.map(|number| {
                number.map(|p| self.plaintexts[p]).filter(|plaintext| run(plaintext) == sum.run)
            });
            if plaintexts.iter().any(Option::is_some) {
                rotated.push(term.rotated);
                let own = plaintexts[..outputs].iter();
                factors.extend(own.map(|p| p.map_or(&[][..], |p| p.kept(limb.position))));
            }
        }
        LimbSum { sum, rotated, factors }
    }
}

impl<'l> LimbSum<'l> {
    /// The factors of a chunk, of so many in a limb.
    fn chunk(&self, chunk: usize, chunks: usize) -> Vec<&'l [u64]> {
        let zeros = &ZEROS[..CHUNK_WORDS / self.sum.run];
        let part = |kept: &&'l [u64]| match kept.len() {
            0 => zeros,
            // A word may serve several chunks.
            len => &kept[chunk * len / chunks..][..(len / chunks).max(1)],
        };
        self.factors.iter().map(part).collect()
    }
}
