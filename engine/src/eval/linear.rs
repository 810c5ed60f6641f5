//! The fused linear operation: sums of plaintexts times rotated ciphertexts, by double hoisting.
//!
//! Each source is decomposed once. Then, limb by limb, its digits are brought to that limb (they stay in the second-level
//! cache), and chunk by chunk every rotation is one inner product with its key, permuted on the way out; all
//! destinations take their sums from the chunk's rotations before the next chunk, those that use the same ones together (see
//! `blocks.rs`). Keys and plaintexts are read from memory once, in order. The sums are in the extended basis and come down
//! once, together with the rescale
//! (Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux, ePrint 2020/1203, section 4).

use std::ops::Range;

use rayon::prelude::*;

use super::decompose::Decomposition;
use super::job::Job;
use super::mod_down::divided;
use super::plan::LinearPlan;
use super::{Evaluator, common_level};
use crate::cipher::{Ciphertext, Plaintext};
use crate::keys::GaloisKey;
use crate::poly::Automorphism;
use crate::{Error, Result};

/// Sources of a linear operation, checked and decomposed.
pub(super) struct Operands<'a> {
    pub(super) sources: &'a [&'a Ciphertext],
    /// Per source, its decomposition if anything rotates it.
    pub(super) decompositions: Vec<Option<Decomposition<'a>>>,
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

    pub(super) fn galois_keys(
        &self,
        plan: &LinearPlan,
        level: usize,
    ) -> Result<Vec<Option<&GaloisKey>>> {
        let key = |galois: usize| (galois != 1).then(|| self.keys.galois(galois, level));
        plan.rotated.iter().map(|r| key(r.galois).transpose()).collect()
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
                if operands.extended && !(plaintext.is_extended() && plaintext.level() == level) {
                    return Err(Error::argument(
                        "plaintext of a sum of rotations",
                        format!(
                            "level {}, extended: {}",
                            plaintext.level(),
                            plaintext.is_extended()
                        ),
                        format!("an extended encoding at level {level}"),
                    ));
                }
            }
        }
        Ok(())
    }
}
