//! Linear operations whose plaintexts are made when they are needed, a batch at a time.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::Evaluator;
use super::blocks::Summand;
use super::job::Job;
use super::plan::LinearPlan;
use super::rows::{Rows, by_limb, groups};
use crate::Error;
use crate::cipher::{Ciphertext, Plaintext};
use crate::kernels::kernels;
use crate::poly::RnsPoly;

/// Makes the plaintexts of a linear operation when they are needed.
pub trait PlaintextSource {
    /// What can go wrong.
    type Error: From<Error>;

    /// The plaintexts of these numbers (each once, ascending), in their order; they are not needed any more when it is
    /// called again.
    ///
    /// # Errors
    /// When they cannot be made.
    fn provide(&mut self, numbers: &[usize]) -> std::result::Result<Vec<&Plaintext>, Self::Error>;
}

/// A part of a plan: some of its summands.
struct Batch {
    /// Those summands. Its destinations are the whole plan's, some perhaps without any.
    plan: LinearPlan,
    /// Its plaintexts, by their numbers in the whole plan.
    plaintexts: Vec<usize>,
}

impl Evaluator {
    /// As [`Self::linear`], with plaintexts that are asked for when they are needed, at most `most` at a time (one at
    /// least). One that several rotations meet may be asked for several times.
    ///
    /// Where all fit at once, that is [`Self::linear`]; otherwise sums are kept in the basis they are made in, and every
    /// batch is added to them. Batches follow the sources, so that digits are made again as seldom as possible.
    ///
    /// # Errors
    /// Those of `plaintexts`, and as for [`Self::linear`].
    pub fn linear_in_batches<P: PlaintextSource>(
        &self,
        plan: &LinearPlan,
        sources: &[&Ciphertext],
        most: usize,
        plaintexts: &mut P,
    ) -> std::result::Result<Vec<Ciphertext>, P::Error> {
        if plan.plaintexts <= most.max(1) {
            let all: Vec<usize> = (0..plan.plaintexts).collect();
            let batch = match all.is_empty() {
                true => Vec::new(),
                false => plaintexts.provide(&all)?,
            };
            return Ok(self.linear(plan, sources, &batch)?);
        }
        let operands = self.operands(plan, sources)?;
        let mut scales = vec![None; plan.outputs.len()];
        let sum = || RnsPoly::scratch(&self.params, operands.level, operands.extended);
        let mut sums: Vec<RnsPoly> = (0..2 * plan.outputs.len()).map(|_| sum()).collect();
        for (k, batch) in plan.batches(most).iter().enumerate() {
            let plaintexts = plaintexts.provide(&batch.plaintexts)?;
            self.check_factors(&batch.plan, &operands, &plaintexts, &mut scales)?;
            let job = Job::new(self, &batch.plan, &operands, &plaintexts)?;
            job.add_to(&mut sums, k > 0);
        }
        Ok(self.finish(plan, &operands, &scales, |positions, outputs| {
            for (position, outputs) in positions.zip(outputs) {
                let limbs = outputs.into_iter().zip(&sums);
                limbs.for_each(|(out, sum)| out.copy_from_slice(sum.limb(position)));
            }
        }))
    }
}

impl Job<'_> {
    /// Adds this plan's sums to `sums`, or writes them there if nothing is there yet.
    fn add_to(&self, sums: &mut [RnsPoly], there: bool) {
        let params = &self.evaluator.params;
        let (level, polys) = (self.operands.level, sums.len());
        let size = self.plan.group_limbs(params, level);
        let limbs = by_limb(sums.iter_mut().map(RnsPoly::limbs_mut));
        groups(0, limbs, size).into_par_iter().for_each(|(positions, outputs)| {
            if !there {
                return self.limbs(positions, outputs);
            }
            let rows = Rows::by_limb(polys, positions.clone(), params.n(), |positions, values| {
                self.limbs(positions, values);
            });
            let outputs = positions.zip(outputs).flat_map(|(position, outputs)| {
                let modulus = params.modulus(params.limb_index(level, position));
                outputs.into_iter().map(move |out| (out, modulus))
            });
            let outputs: Vec<_> = outputs.enumerate().collect();
            outputs.into_par_iter().for_each(|(i, (out, modulus))| {
                (kernels().add)(out, rows.row(i), modulus);
            });
        });
    }
}

impl LinearPlan {
    /// Parts of the plan of at most `most` plaintexts each (one at least), whose sums are together those of the plan.
    /// Summands follow their sources, then the rotations.
    fn batches(&self, most: usize) -> Vec<Batch> {
        let outputs = self.outputs.iter().enumerate();
        let mut summands: Vec<(usize, usize, usize, usize)> = outputs
            .flat_map(|(output, summands)| summands.iter().map(move |s| (output, s)))
            .map(|(output, s)| (self.rotated[s.rotated].source, s.rotated, output, s.plaintext))
            .collect();
        summands.sort_unstable();
        let mut batches = Vec::new();
        let (mut first, mut plaintexts) = (0, BTreeSet::new());
        for (i, &(.., plaintext)) in summands.iter().enumerate() {
            if plaintexts.len() >= most.max(1) && !plaintexts.contains(&plaintext) {
                batches.push(self.part(&summands[first..i], std::mem::take(&mut plaintexts)));
                first = i;
            }
            plaintexts.insert(plaintext);
        }
        batches.push(self.part(&summands[first..], plaintexts));
        batches
    }

    /// The plan of some summands (source, rotated, output, plaintext) and their plaintexts.
    fn part(
        &self,
        summands: &[(usize, usize, usize, usize)],
        plaintexts: BTreeSet<usize>,
    ) -> Batch {
        let used: BTreeSet<usize> = summands.iter().map(|s| s.1).collect();
        let number = |of: &BTreeSet<usize>| -> BTreeMap<usize, usize> {
            of.iter().enumerate().map(|(i, &k)| (k, i)).collect()
        };
        let (positions, numbers) = (number(&used), number(&plaintexts));
        let mut outputs = vec![Vec::new(); self.outputs.len()];
        for (_, r, output, p) in summands {
            outputs[*output].push(Summand { rotated: positions[r], plaintext: numbers[p] });
        }
        let rotated = used.iter().map(|&r| self.rotated[r]).collect();
        let plan =
            Self::of_summands(self.sources, rotated, outputs, plaintexts.len(), self.rescale);
        Batch { plan, plaintexts: plaintexts.into_iter().collect() }
    }
}
