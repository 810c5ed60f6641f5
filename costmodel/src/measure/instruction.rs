//! Instructions of programs, with everything that their time depends on.

use std::collections::BTreeSet;

use engine::eval::{LinearPlan, LinearTerm};
use engine::params::Parameters;

use crate::error::{Error, Result};
use crate::primitive::{LinearShape, Primitive};

/// One instruction of a program, as it is executed. Which numbers it computes with does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    primitive: Primitive,
    level: usize,
    /// Words of a limb of each plaintext.
    pub(super) words: Vec<usize>,
    pub(super) parts: Parts,
}

/// What shapes leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    /// Nothing.
    None,
    /// By what is rotated.
    Rotations(Vec<usize>),
    /// The summands, and how many plaintexts there are at a time.
    Linear { terms: Vec<LinearTerm>, batch: Option<usize> },
}

impl Instruction {
    /// An instruction that its shape describes, on operands at a level, and the words of a limb of each of its plaintexts (the
    /// ring degree for one kept in full).
    ///
    /// # Errors
    /// [`Error::Plan`] for a linear one and for rotations, see [`Self::linear`] and [`Self::rotate_hoisted`]; and for an
    /// addition of another number of plaintexts than one.
    pub fn new(primitive: Primitive, level: usize, words: Vec<usize>) -> Result<Self> {
        let expected = usize::from(primitive == Primitive::AddPlain);
        let reason = match primitive {
            Primitive::Linear(_) | Primitive::RotateHoisted { .. } => {
                let kind = primitive.kind();
                format!("{kind} is given by its shape alone, expected its rotations and terms")
            }
            _ if words.len() != expected => {
                format!("{} of {} plaintexts, expected {expected}", primitive.kind(), words.len())
            }
            _ => return Ok(Self { primitive, level, words, parts: Parts::None }),
        };
        Err(Error::Plan(reason))
    }

    /// Rotations of one ciphertext after one decomposition, none by zero slots.
    pub fn rotate_hoisted(shifts: Vec<usize>, level: usize) -> Self {
        let primitive = Primitive::RotateHoisted { rotations: shifts.len() };
        Self { primitive, level, words: Vec::new(), parts: Parts::Rotations(shifts) }
    }

    /// A linear instruction: as for others, its summands, and how many plaintexts there are at a time, if not all of them.
    ///
    /// # Errors
    /// [`Error::Plan`] for a term of a plaintext that there is not.
    pub fn linear(
        shape: LinearShape,
        level: usize,
        terms: Vec<LinearTerm>,
        words: Vec<usize>,
        batch: Option<usize>,
    ) -> Result<Self> {
        let most = terms.iter().filter_map(|t| t.plaintext).max();
        if let Some(found) = most.filter(|most| *most >= words.len()) {
            let count = words.len();
            return Err(Error::Plan(format!(
                "a term has plaintext {found}, expected one of {count}"
            )));
        }
        let (primitive, parts) = (Primitive::Linear(shape), Parts::Linear { terms, batch });
        Ok(Self { primitive, level, words, parts })
    }

    /// Its shape.
    pub fn primitive(&self) -> Primitive {
        self.primitive
    }

    /// Level of its operands.
    pub fn level(&self) -> usize {
        self.level
    }

    /// The slots by which it rotates anything, but for zero.
    pub(super) fn shifts(&self) -> BTreeSet<usize> {
        let mut shifts: BTreeSet<usize> = match &self.parts {
            Parts::None => BTreeSet::new(),
            Parts::Rotations(shifts) => shifts.iter().copied().collect(),
            Parts::Linear { terms, .. } => terms.iter().map(|t| t.shift).collect(),
        };
        shifts.remove(&0);
        shifts
    }

    /// The same with other rotations.
    pub(super) fn with_shifts(&self, other: impl Fn(usize) -> usize) -> Self {
        let mut same = self.clone();
        match &mut same.parts {
            Parts::None => {}
            Parts::Rotations(shifts) => shifts.iter_mut().for_each(|shift| *shift = other(*shift)),
            Parts::Linear { terms, .. } => {
                terms.iter_mut().for_each(|term| term.shift = other(term.shift));
            }
        }
        same
    }

    /// Words of a limb of each of its plaintexts; where they are made in batches, of those there are at a time, the longest
    /// taken for all.
    pub(super) fn plaintexts(&self) -> Vec<usize> {
        match self.batch() {
            None => self.words.clone(),
            Some(batch) => {
                let longest = self.words.iter().copied().max().unwrap_or(0);
                vec![longest; batch.max(1).min(self.words.len())]
            }
        }
    }

    /// Plaintexts that there are at a time, if not all of them.
    pub(super) fn batch(&self) -> Option<usize> {
        match self.parts {
            Parts::Linear { batch, .. } => batch,
            _ => None,
        }
    }

    /// The engine's plan of a linear one; none of others.
    ///
    /// # Errors
    /// Engine errors.
    pub(super) fn plan(&self, params: &Parameters) -> Result<Option<LinearPlan>> {
        let (Primitive::Linear(shape), Parts::Linear { terms, .. }) = (self.primitive, &self.parts)
        else {
            return Ok(None);
        };
        let LinearShape { sources, outputs, rescale, .. } = shape;
        Ok(Some(LinearPlan::new(params, sources, outputs, terms, rescale)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_instructions_are_refused() {
        let error = |p| Instruction::new(p, 1, Vec::new()).unwrap_err().to_string();
        let rotations = error(Primitive::RotateHoisted { rotations: 1 });
        assert!(rotations.contains("expected its rotations and terms"), "{rotations}");
        assert!(error(Primitive::AddPlain).contains("add-plain of 0 plaintexts, expected 1"));
        let term = LinearTerm { dst: 0, src: 0, shift: 0, plaintext: Some(1) };
        let shape = LinearShape {
            sources: 1,
            decomposed: 0,
            rotations: 0,
            unrotated: 1,
            terms: 1,
            plaintexts: 1,
            plaintext_words: 64,
            outputs: 1,
            rescale: false,
            detail: None,
        };
        let error = Instruction::linear(shape, 1, vec![term], vec![64], None).unwrap_err();
        assert!(error.to_string().contains("plaintext 1, expected one of 1"), "{error}");
    }
}
