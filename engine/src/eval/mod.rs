//! Homomorphic operations.

mod basic;
mod batches;
mod blocks;
mod decompose;
mod job;
mod linear;
mod mod_down;
mod operands;
mod plan;
mod rows;
mod switching;
mod tensor;

use std::sync::Arc;

use crate::cipher::Ciphertext;
use crate::keys::EvaluationKeys;
use crate::params::Parameters;
use crate::{Error, Result};

pub use batches::PlaintextSource;
pub use decompose::SwitchShape;
pub use job::CHUNKS_PER_TASK;
pub use plan::{LinearPlan, LinearTerm, PlanShape, groups_of};

/// Relative difference up to which two scales count as equal. Scales are products and quotients of a few
/// exact factors in double precision, so equal ones differ by a few units of `2^-53`; `2^-40` is far above
/// that and far below any error a ciphertext can show.
const SCALE_TOLERANCE: f64 = 9.1e-13;

/// Computes on ciphertexts. Every operation runs in the current rayon pool and is parallel inside.
#[derive(Clone)]
pub struct Evaluator {
    params: Parameters,
    keys: Arc<EvaluationKeys>,
}

impl Evaluator {
    /// An evaluator with the given keys.
    ///
    /// # Errors
    /// [`Error::ForeignParameters`] when the keys belong to other parameters.
    pub fn new(params: &Parameters, keys: Arc<EvaluationKeys>) -> Result<Self> {
        keys.fingerprint().check(params.fingerprint(), "the evaluation key set")?;
        Ok(Self { params: params.clone(), keys })
    }

    /// The parameters.
    pub fn params(&self) -> &Parameters {
        &self.params
    }

    /// The keys.
    pub fn keys(&self) -> &EvaluationKeys {
        &self.keys
    }
}

/// Checks that two scales agree.
fn same_scale(what: &'static str, found: f64, expected: f64) -> Result<()> {
    if (found / expected - 1.0).abs() <= SCALE_TOLERANCE {
        Ok(())
    } else {
        Err(Error::Scale { what, found: found.log2(), expected: expected.log2() })
    }
}

/// Checks that two levels agree.
fn same_level(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Level { what, found, expected }) }
}

/// Checks that there is a level to rescale to.
fn rescalable(what: &'static str, level: usize) -> Result<()> {
    if level > 0 { Ok(()) } else { Err(Error::Level { what, found: level, expected: 1 }) }
}

/// Checks that operands are there, of one level and scale, and tells which.
fn common(
    params: &Parameters,
    what: &'static str,
    operands: &[&Ciphertext],
) -> Result<(usize, f64)> {
    let level = common_level(params, what, operands)?;
    let scale = operands[0].scale;
    operands.iter().try_for_each(|operand| same_scale(what, operand.scale, scale))?;
    Ok((level, scale))
}

/// Checks that operands are there, of one level, and tells which.
fn common_level(
    params: &Parameters,
    what: &'static str,
    operands: &[&Ciphertext],
) -> Result<usize> {
    let Some(first) = operands.first() else {
        return Err(Error::argument("number of operands", 0, "at least 1"));
    };
    for operand in operands {
        operand.c0.check(params, what)?;
        same_level(what, operand.c1.level(), operand.level())?;
        same_level(what, operand.level(), first.level())?;
    }
    Ok(first.level())
}
