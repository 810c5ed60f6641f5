//! The sums of a linear operation, limb by limb and chunk by chunk.

use std::ops::Range;

use rayon::prelude::*;

use super::Evaluator;
use super::blocks::Block;
use super::decompose::{Decomposition, Digits};
use super::linear::Operands;
use super::plan::{LinearPlan, Summand};
use super::rows::Rows;
use crate::Result;
use crate::cipher::Plaintext;
use crate::kernels::{KeyProduct, KeyWords, PairProducts, kernels};
use crate::keys::GaloisKey;
use crate::modulus::Modulus;
use crate::poly::CHUNK_WORDS;

/// Chunks that one parallel task takes within a limb.
const CHUNKS_PER_TASK: usize = 4;

/// The factors of a destination that does not use a rotated source.
static ZEROS: [u64; CHUNK_WORDS] = [0; CHUNK_WORDS];

/// Everything a limb task reads.
pub(super) struct Job<'a> {
    pub(super) evaluator: &'a Evaluator,
    pub(super) plan: &'a LinearPlan,
    pub(super) operands: &'a Operands<'a>,
    plaintexts: &'a [&'a Plaintext],
    /// Per block of the plan, the runs of its plaintexts, each once; at least one.
    runs: Vec<Vec<usize>>,
    /// Per source, its decomposition if the plan rotates it.
    decompositions: Vec<Option<&'a Decomposition<'a>>>,
    /// Per entry of the plan's `rotated`, its key if it is a rotation.
    keys: Vec<Option<&'a GaloisKey>>,
}

/// Slices of one chunk, as [`PairProducts`] takes them.
struct Terms<'a> {
    x0: Vec<&'a [u64]>,
    x1: Vec<&'a [u64]>,
    factors: Vec<&'a [u64]>,
}

/// Adjacent words of a chunk that have the same word of a plaintext as their factor.
fn run(plaintext: &Plaintext) -> usize {
    plaintext.run().min(CHUNK_WORDS)
}

/// Both components of a rotated source in the rows of a chunk.
fn pair(rows: &Rows, rotated: usize) -> (&[u64], &[u64]) {
    (rows.row(2 * rotated), rows.row(2 * rotated + 1))
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
            let mut runs: Vec<usize> = used.map(|p| run(plaintexts[p])).collect();
            runs.sort_unstable();
            runs.dedup();
            // Sums of nothing have to be written too.
            if runs.is_empty() { vec![1] } else { runs }
        };
        let own = operands.decompositions.iter().enumerate();
        Ok(Self {
            evaluator,
            plan,
            operands,
            plaintexts,
            runs: plan.blocks.iter().map(runs).collect(),
            decompositions: own.map(|(i, d)| d.as_ref().filter(|_| plan.rotates(i))).collect(),
            keys: evaluator.galois_keys(plan, operands.level)?,
        })
    }
}

impl Job<'_> {
    /// Computes a few adjacent limbs of every output component, given limb by limb.
    pub(super) fn limbs(&self, positions: Range<usize>, outputs: Vec<Vec<&mut [u64]>>) {
        let n = self.evaluator.params.n();
        let digits = Digits::new(&self.decompositions, positions.clone(), n);
        positions.into_par_iter().zip(outputs).for_each(|(position, outputs)| {
            self.limb(position, &digits, outputs);
        });
    }

    /// Computes limb `position` of every output component.
    fn limb(&self, position: usize, digits: &Digits<'_>, outputs: Vec<&mut [u64]>) {
        let n = self.evaluator.params.n();
        let by_source: Vec<Vec<&[u64]>> =
            (0..self.operands.sources.len()).map(|source| digits.of(source, position)).collect();
        // Transposed again: for each task's range of words, that range of every output component.
        let words = CHUNK_WORDS * CHUNKS_PER_TASK;
        let tasks = n.div_ceil(words);
        let mut by_task: Vec<Vec<&mut [u64]>> =
            (0..tasks).map(|_| Vec::with_capacity(outputs.len())).collect();
        for output in outputs {
            output.chunks_mut(words).zip(&mut by_task).for_each(|(part, list)| list.push(part));
        }
        let direct = self.plan.is_direct();
        by_task.into_par_iter().enumerate().for_each(|(task, mut parts)| {
            let mut rows = Rows::new(self.plan.buffered_rows(), CHUNK_WORDS);
            let first = task * CHUNKS_PER_TASK;
            for chunk in first..(first + CHUNKS_PER_TASK).min(n / CHUNK_WORDS) {
                let within = (chunk - first) * CHUNK_WORDS..(chunk - first + 1) * CHUNK_WORDS;
                let outputs = parts.chunks_exact_mut(2).map(|pair| {
                    let (out0, out1) = pair.split_at_mut(1);
                    [&mut out0[0][within.clone()], &mut out1[0][within.clone()]]
                });
                if direct {
                    self.rotations(position, chunk, &by_source, outputs);
                    continue;
                }
                let mut buffered = rows.rows_mut();
                let pairs = std::iter::from_fn(move || Some([buffered.next()?, buffered.next()?]));
                self.rotations(position, chunk, &by_source, pairs);
                self.sums(position, chunk, &rows, outputs);
            }
        });
    }

    /// Whether rotated source `r` is absent from limb `position`: an unrotated source carries the factor P, which is
    /// zero modulo the special primes.
    fn vanishes(&self, r: usize, position: usize) -> bool {
        self.keys[r].is_none() && position > self.operands.level
    }

    /// Fills `pairs` with chunk `chunk` of both components of every rotated source.
    fn rotations<'p>(
        &self,
        position: usize,
        chunk: usize,
        digits: &[Vec<&[u64]>],
        pairs: impl Iterator<Item = [&'p mut [u64]; 2]>,
    ) {
        let params = &self.evaluator.params;
        let index = params.limb_index(self.operands.level, position);
        let modulus = params.modulus(index);
        let factor = params.rns().special().product(index);
        let range = |c: usize| c * CHUNK_WORDS..(c + 1) * CHUNK_WORDS;
        let mut words = Vec::new();
        for (r, (rotated, [out0, out1])) in self.plan.rotated.iter().zip(pairs).enumerate() {
            let source = self.operands.sources[rotated.source];
            let Some(galois) = self.keys[r] else {
                if !self.vanishes(r, position) {
                    out0.copy_from_slice(&source.c0.limb(position)[range(chunk)]);
                    out1.copy_from_slice(&source.c1.limb(position)[range(chunk)]);
                    if self.operands.extended {
                        (kernels().mul_scalar)(out0, factor, modulus);
                        (kernels().mul_scalar)(out1, factor, modulus);
                    }
                }
                continue;
            };
            let Some(from) = galois.automorphism.source_chunk(chunk) else {
                unreachable!("an automorphism moves every chunk")
            };
            words.clear();
            words.extend(digits[rotated.source].iter().map(|digit| &digit[range(from)]));
            let key = galois.key.words(self.operands.level, position, range(from));
            let next_key = self.next_key(position, chunk, r);
            let add0 = (position <= self.operands.level)
                .then(|| (&source.c0.limb(position)[range(from)], factor));
            let permutation = Some(galois.automorphism.permutation(from));
            let product = KeyProduct { digits: &words, key, next_key, add0, permutation };
            (kernels().key_product)(out0, out1, &product, modulus);
        }
    }

    /// The key words that [`Self::rotations`] reads after those of rotated source `r`.
    fn next_key(&self, position: usize, chunk: usize, r: usize) -> Option<KeyWords<'_>> {
        let keys = self.keys[r + 1..].iter().map(|&key| (key, chunk));
        let following = self.keys.iter().map(|&key| (key, chunk + 1));
        let (galois, chunk) = keys.chain(following).find_map(|(key, chunk)| Some((key?, chunk)))?;
        let from = galois.automorphism.source_chunk(chunk)? * CHUNK_WORDS;
        Some(galois.key.words(self.operands.level, position, from..from + CHUNK_WORDS))
    }

    /// One chunk of all outputs, from that of the rotated sources.
    fn sums<'p>(
        &self,
        position: usize,
        chunk: usize,
        rows: &Rows,
        outputs: impl Iterator<Item = [&'p mut [u64]; 2]>,
    ) {
        let index = self.evaluator.params.limb_index(self.operands.level, position);
        let modulus = self.evaluator.params.modulus(index);
        if self.plan.plaintexts == 0 {
            for (summands, out) in self.plan.outputs.iter().zip(outputs) {
                self.plain_sum(position, summands, rows, out, modulus);
            }
            return;
        }
        let mut outputs: Vec<_> = outputs.map(Some).collect();
        for (block, runs) in self.plan.blocks.iter().zip(&self.runs) {
            let mut outs: Vec<_> =
                block.outputs.iter().filter_map(|&output| outputs[output].take()).collect();
            for (i, &run) in runs.iter().enumerate() {
                let Terms { x0, x1, factors } = self.terms(position, chunk, block, run, rows);
                let (x0, x1, factors) = (&x0, &x1, &factors);
                let products = PairProducts { x0, x1, factors, run, add: i > 0 };
                (kernels().dot_pairs)(&mut outs, &products, modulus);
            }
        }
    }

    /// One chunk of one output of a plan without plaintexts.
    fn plain_sum(
        &self,
        position: usize,
        summands: &[Summand],
        rows: &Rows,
        [out0, out1]: [&mut [u64]; 2],
        modulus: &Modulus,
    ) {
        let present = summands.iter().filter(|s| !self.vanishes(s.rotated, position));
        let mut present = present.map(|s| pair(rows, s.rotated));
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
        for (x0, x1) in present {
            (kernels().add)(out0, x0, modulus);
            (kernels().add)(out1, x1, modulus);
        }
    }

    /// The terms of a block with plaintexts of which one word is kept for so many adjacent ones, for one chunk.
    fn terms<'b>(
        &'b self,
        position: usize,
        chunk: usize,
        block: &Block,
        run: usize,
        rows: &'b Rows,
    ) -> Terms<'b> {
        let (outputs, count) = (block.outputs.len(), block.terms.len());
        let range = chunk * CHUNK_WORDS..(chunk + 1) * CHUNK_WORDS;
        let zeros = &ZEROS[..CHUNK_WORDS / run];
        let mut terms = Terms {
            x0: Vec::with_capacity(count),
            x1: Vec::with_capacity(count),
            factors: Vec::with_capacity(outputs * count),
        };
        for term in block.terms.iter().filter(|term| !self.vanishes(term.rotated, position)) {
            let plaintexts = term.plaintexts.map(|p| {
                p.map(|p| self.plaintexts[p]).filter(|plaintext| self::run(plaintext) == run)
            });
            if plaintexts.iter().all(Option::is_none) {
                continue;
            }
            let (x0, x1) = pair(rows, term.rotated);
            terms.x0.push(x0);
            terms.x1.push(x1);
            terms.factors.extend(plaintexts[..outputs].iter().map(|plaintext| {
                plaintext.map_or(zeros, |plaintext| plaintext.kept(position, range.clone()))
            }));
        }
        terms
    }
}
