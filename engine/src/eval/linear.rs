//! The fused linear operation: sums of plaintexts times rotated ciphertexts, by double hoisting.
//!
//! Each source is decomposed once. Then, limb by limb, its digits are brought to that limb (they stay in the second-level
//! cache), and chunk by chunk every rotation is one inner product with its key, permuted on the way out; all
//! destinations take their sums from the chunk's rotations before the next chunk, those that use the same ones together (see
//! `blocks.rs`). Keys and plaintexts are read from memory once, in order. The sums are in the extended basis and come down
//! once, together with the rescale
//! (Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux, ePrint 2020/1203, section 4).

use std::ops::Range;

use super::Evaluator;
use super::job::Job;
use super::mod_down::divided;
use super::operands::Operands;
use super::plan::LinearPlan;
use crate::cipher::{Ciphertext, Plaintext};
use crate::poly::Automorphism;
use crate::{Error, Result};

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
        let job = Job::new(self, plan, &operands, plaintexts)?;
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
        // Without plaintexts, the sources have one scale.
        let scale = |scale: &Option<f64>| scale.unwrap_or(operands.sources[0].scale);
        let scales: Vec<f64> = scales.iter().map(scale).collect();
        let size = plan.group_limbs(&self.params, level);
        divided(&self.params, plan.divisor(level), &scales, size, compute)
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
}
