//! The fused linear operation: sums of plaintexts times rotated ciphertexts, by double hoisting.
//!
//! Each source is decomposed once. Then, limb by limb, its digits are brought to that limb (they stay in the second-level
//! cache), and chunk by chunk every rotation is one inner product with its key, permuted on the way out; all
//! destinations take their sums from the chunk's rotations before the next chunk. Keys and plaintexts are read from memory
//! once, in order. The sums are in the extended basis and come down once, together with the rescale
//! (Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux, ePrint 2020/1203, section 4).

use std::ops::Range;

use rayon::prelude::*;

use super::decompose::{Decomposition, Digits};
use super::mod_down::divided;
use super::plan::{LinearPlan, Summand};
use super::{Evaluator, common_level};
use crate::buffer::AlignedBuf;
use crate::cipher::{Ciphertext, Plaintext};
use crate::kernels::{KeyProduct, KeyWords, kernels};
use crate::keys::GaloisKey;
use crate::poly::{Automorphism, CHUNK_WORDS};
use crate::{Error, Result};

/// Chunks that one parallel task takes within a limb.
const CHUNKS_PER_TASK: usize = 4;

/// Everything a limb task reads.
pub(super) struct Job<'a> {
    pub(super) evaluator: &'a Evaluator,
    pub(super) plan: &'a LinearPlan,
    pub(super) operands: &'a Operands<'a>,
    plaintexts: &'a [&'a Plaintext],
    /// Per source, its decomposition if the plan rotates it.
    decompositions: Vec<Option<&'a Decomposition<'a>>>,
    /// Per entry of the plan's `rotated`, its key if it is a rotation.
    keys: Vec<Option<&'a GaloisKey>>,
}

/// Sources of a linear operation, checked and decomposed.
pub(super) struct Operands<'a> {
    sources: &'a [&'a Ciphertext],
    /// Per source, its decomposition if anything rotates it.
    decompositions: Vec<Option<Decomposition<'a>>>,
    pub(super) level: usize,
    /// Whether the sums are in the extended basis.
    pub(super) extended: bool,
}

impl Evaluator {
    /// Executes a plan: `plan`'s destinations, in order. All sources have one level; the products of a destination have
    /// one scale, that of the source times that of the plaintext. Plaintexts may have a higher level. If anything is
    /// rotated, plaintexts must be extended and of exactly the sources' level.
    ///
    /// # Errors
    /// [`Error::Argument`] for a wrong number of operands or plaintexts without special limbs, [`Error::Level`],
    /// [`Error::Scale`], [`Error::MissingKey`].
    pub fn linear(
        &self,
        plan: &LinearPlan,
        sources: &[&Ciphertext],
        plaintexts: &[&Plaintext],
    ) -> Result<Vec<Ciphertext>> {
        let operands = self.operands(plan, sources)?;
        let mut scales = vec![None; plan.outputs.len()];
        self.check_factors(plan, &operands, plaintexts, &mut scales)?;
        let job = self.job(plan, &operands, plaintexts)?;
        Ok(self.finish(plan, &operands, &scales, |positions, outputs| {
            job.limbs(positions, outputs);
        }))
    }

    /// Divides the sums that `compute` makes limb by limb, and makes the destinations.
    pub(super) fn finish(
        &self,
        plan: &LinearPlan,
        operands: &Operands<'_>,
        scales: &[Option<f64>],
        compute: impl Fn(Range<usize>, Vec<Vec<&mut [u64]>>) + Sync,
    ) -> Vec<Ciphertext> {
        let level = operands.level;
        let polys = divided(
            &self.params,
            plan.converter(&self.params, level),
            2 * plan.outputs.len(),
            level - usize::from(plan.rescale),
            plan.group_limbs(&self.params, level),
            compute,
        );
        let divisor = if plan.rescale { self.params.modulus(level).value() as f64 } else { 1.0 };
        let mut polys = polys.into_iter();
        let ciphertext = |scale: &Option<f64>| {
            let (Some(c0), Some(c1)) = (polys.next(), polys.next()) else {
                unreachable!("every destination has two components")
            };
            // Without plaintexts, the sources have one scale.
            let scale = scale.unwrap_or(operands.sources[0].scale);
            Ciphertext { c0, c1, scale: scale / divisor }
        };
        scales.iter().map(ciphertext).collect()
    }

    /// Rotates left by several numbers of slots after one decomposition.
    ///
    /// # Errors
    /// [`Error::MissingKey`].
    pub fn rotate_hoisted(
        &self,
        ciphertext: &Ciphertext,
        shifts: &[usize],
    ) -> Result<Vec<Ciphertext>> {
        let element = |&shift: &usize| Automorphism::galois_of_rotation(self.params.log_n(), shift);
        let elements: Vec<usize> = shifts.iter().map(element).collect();
        self.automorphisms(ciphertext, &elements)
    }

    /// Rotates left by `shift` slots.
    ///
    /// # Errors
    /// [`Error::MissingKey`].
    pub fn rotate(&self, ciphertext: &Ciphertext, shift: usize) -> Result<Ciphertext> {
        self.automorphism(ciphertext, Automorphism::galois_of_rotation(self.params.log_n(), shift))
    }

    /// Complex conjugate of every slot.
    ///
    /// # Errors
    /// [`Error::MissingKey`].
    pub fn conjugate(&self, ciphertext: &Ciphertext) -> Result<Ciphertext> {
        self.automorphism(ciphertext, Automorphism::galois_of_conjugation(self.params.log_n()))
    }

    fn automorphism(&self, ciphertext: &Ciphertext, element: usize) -> Result<Ciphertext> {
        let mut results = self.automorphisms(ciphertext, &[element])?;
        results.pop().ok_or_else(|| Error::argument("automorphisms", 0, 1))
    }

    fn automorphisms(
        &self,
        ciphertext: &Ciphertext,
        elements: &[usize],
    ) -> Result<Vec<Ciphertext>> {
        if elements.is_empty() {
            return Ok(Vec::new());
        }
        self.linear(&LinearPlan::automorphisms(elements), &[ciphertext], &[])
    }

    /// Checks the sources of a plan, and decomposes those that are rotated.
    pub(super) fn operands<'a>(
        &'a self,
        plan: &LinearPlan,
        sources: &'a [&'a Ciphertext],
    ) -> Result<Operands<'a>> {
        if sources.len() != plan.sources {
            return Err(Error::argument("linear sources", sources.len(), plan.sources));
        }
        let level = common_level(&self.params, "linear", sources)?;
        if plan.plaintexts == 0 {
            let first = sources[0].scale;
            sources.iter().try_for_each(|s| super::same_scale("linear", s.scale, first))?;
        }
        if plan.rescale && level == 0 {
            return Err(Error::Level {
                what: "linear with rescale: add depth",
                found: 0,
                expected: 1,
            });
        }
        self.galois_keys(plan, level)?;
        let decompositions = sources
            .par_iter()
            .enumerate()
            .map(|(i, ct)| plan.rotates(i).then(|| Decomposition::new(&self.params, &ct.c1)))
            .collect();
        Ok(Operands { sources, decompositions, level, extended: plan.is_extended() })
    }

    fn galois_keys(&self, plan: &LinearPlan, level: usize) -> Result<Vec<Option<&GaloisKey>>> {
        let key = |galois: usize| (galois != 1).then(|| self.keys.galois(galois, level));
        plan.rotated.iter().map(|r| key(r.galois).transpose()).collect()
    }

    pub(super) fn job<'a>(
        &'a self,
        plan: &'a LinearPlan,
        operands: &'a Operands<'a>,
        plaintexts: &'a [&'a Plaintext],
    ) -> Result<Job<'a>> {
        let own = operands.decompositions.iter().enumerate();
        Ok(Job {
            evaluator: self,
            plan,
            operands,
            plaintexts,
            decompositions: own.map(|(i, d)| d.as_ref().filter(|_| plan.rotates(i))).collect(),
            keys: self.galois_keys(plan, operands.level)?,
        })
    }

    /// Checks the plaintexts of a plan, and that the products of one destination have one scale, in `scales` once it is
    /// known.
    pub(super) fn check_factors(
        &self,
        plan: &LinearPlan,
        operands: &Operands<'_>,
        plaintexts: &[&Plaintext],
        scales: &mut [Option<f64>],
    ) -> Result<()> {
        if plaintexts.len() < plan.plaintexts {
            return Err(Error::argument("linear plaintexts", plaintexts.len(), plan.plaintexts));
        }
        if plan.plaintexts == 0 {
            return Ok(());
        }
        let level = operands.level;
        for (summands, scale) in plan.outputs.iter().zip(scales) {
            for summand in summands {
                let plaintext = plaintexts[summand.plaintext];
                let source = operands.sources[plan.rotated[summand.rotated].source];
                let product = source.scale * plaintext.scale;
                let expected = *scale.get_or_insert(product);
                super::same_scale("products of one linear sum", product, expected)?;
                self.check_plaintext("linear: encode at the sources' level", plaintext, level)?;
                if operands.extended
                    && !(plaintext.poly.is_extended() && plaintext.level() == level)
                {
                    return Err(Error::argument(
                        "plaintext of a sum of rotations",
                        format!(
                            "level {}, extended: {}",
                            plaintext.level(),
                            plaintext.poly.is_extended()
                        ),
                        format!("an extended encoding at level {level}"),
                    ));
                }
            }
        }
        Ok(())
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
            let buffered = if direct { 0 } else { 2 * CHUNK_WORDS * self.plan.rotated.len() };
            let mut buffer = AlignedBuf::scratch(buffered);
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
                let pairs = buffer.chunks_exact_mut(2 * CHUNK_WORDS);
                let pairs = pairs.map(|pair| pair.split_at_mut(CHUNK_WORDS).into());
                self.rotations(position, chunk, &by_source, pairs);
                for (summands, out) in self.plan.outputs.iter().zip(outputs) {
                    self.sum(position, chunk, summands, &buffer, out);
                }
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

    /// One chunk of one output: the sum over its summands.
    fn sum(
        &self,
        position: usize,
        chunk: usize,
        summands: &[Summand],
        buffer: &[u64],
        out: [&mut [u64]; 2],
    ) {
        let params = &self.evaluator.params;
        let index = params.limb_index(self.operands.level, position);
        let modulus = params.modulus(index);
        let [out0, out1] = out;
        let present = summands.iter().filter(|s| !self.vanishes(s.rotated, position));
        let pair = |s: &Summand| {
            buffer[2 * CHUNK_WORDS * s.rotated..2 * CHUNK_WORDS * (s.rotated + 1)]
                .split_at(CHUNK_WORDS)
        };
        if self.plan.plaintexts == 0 {
            let mut present = present.map(pair);
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
            return;
        }
        let range = chunk * CHUNK_WORDS..(chunk + 1) * CHUNK_WORDS;
        let capacity = summands.len();
        let mut lists: [Vec<&[u64]>; 3] = std::array::from_fn(|_| Vec::with_capacity(capacity));
        for summand in present {
            let (x0, x1) = pair(summand);
            lists[0].push(x0);
            lists[1].push(x1);
            lists[2].push(&self.plaintexts[summand.plaintext].poly.limb(position)[range.clone()]);
        }
        (kernels().dot_pair)(out0, out1, &lists[0], &lists[1], &lists[2], modulus);
    }
}
