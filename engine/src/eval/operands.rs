//! What a linear operation is given: its checks, and the decompositions of its sources.

use rayon::prelude::*;

use super::decompose::Decomposition;
use super::plan::LinearPlan;
use super::{Evaluator, common_level, rescalable, same_scale};
use crate::cipher::{Ciphertext, Plaintext};
use crate::keys::GaloisKey;
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
            sources.iter().try_for_each(|s| same_scale("linear", s.scale, first))?;
        }
        if plan.rescale {
            rescalable("linear with rescale: add depth", level)?;
        }
        self.galois_keys(plan, level)?;
        let decompositions = sources
            .par_iter()
            .enumerate()
            .map(|(i, ct)| plan.rotates(i).then(|| Decomposition::new(&self.params, &ct.c1)))
            .collect();
        Ok(Operands { sources, decompositions, level, extended: plan.is_extended() })
    }

    /// Per entry of a plan's `rotated`, its key for values at `level` if it is a rotation.
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
                same_scale("products of one linear sum", product, expected)?;
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
