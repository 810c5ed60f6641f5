//! Instructions of programs, with everything that their time depends on.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The summands, and how many plaintexts there are at a time where they are made when it is executed.
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

    /// A linear instruction: as for others, its summands, and how many plaintexts there are at a time, if they are not kept but made
    /// for it, in memory where those of other instructions have been.
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

    /// By the words of a limb that they keep, how many plaintexts there must be at a time: where they are made for it, as many as
    /// a batch may have of them.
    fn plaintexts(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        self.words.iter().for_each(|words| *counts.entry(*words).or_insert(0) += 1);
        let most = self.batch().map_or(usize::MAX, |batch| batch.max(1));
        counts.values_mut().for_each(|count| *count = most.min(*count));
        counts
    }

    /// Of [`Self::plaintexts`], those that are kept: all, or none where they are made for it.
    pub(super) fn kept(&self) -> BTreeMap<usize, usize> {
        if self.batch().is_none() { self.plaintexts() } else { BTreeMap::new() }
    }

    /// Of [`Self::plaintexts`], those that are made for it: the others.
    pub(super) fn made(&self) -> BTreeMap<usize, usize> {
        if self.batch().is_some() { self.plaintexts() } else { BTreeMap::new() }
    }

    /// The most plaintexts that there are at a time, where they are made for it.
    pub(super) fn batch(&self) -> Option<usize> {
        match self.parts {
            Parts::Linear { batch, .. } => batch,
            _ => None,
        }
    }

    /// Whether its plaintexts come in several batches.
    pub(super) fn in_batches(&self) -> bool {
        self.batch().is_some_and(|batch| batch < self.words.len())
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

    const PERIODIC: LinearShape =
        LinearShape { plaintext_words: 64, ..LinearShape::TIMES_PLAINTEXT };

    #[test]
    fn batches_need_no_more_plaintexts_of_each_sort_than_they_have() {
        let counts = |batch| {
            let words = vec![2048, 64, 2048, 64, 2048];
            let all = Instruction::linear(PERIODIC, 2, Vec::new(), words, batch).unwrap();
            all.plaintexts().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(counts(None), [(64, 2), (2048, 3)]);
        assert_eq!(counts(Some(5)), [(64, 2), (2048, 3)]);
        assert_eq!(counts(Some(2)), [(64, 2), (2048, 2)]);
        assert_eq!(counts(Some(0)), [(64, 1), (2048, 1)]);
    }

    #[test]
    fn incomplete_instructions_are_refused() {
        let error = |p| Instruction::new(p, 1, Vec::new()).unwrap_err().to_string();
        let rotations = error(Primitive::RotateHoisted { rotations: 1 });
        assert!(rotations.contains("expected its rotations and terms"), "{rotations}");
        assert!(error(Primitive::AddPlain).contains("add-plain of 0 plaintexts, expected 1"));
        let term = LinearTerm { dst: 0, src: 0, shift: 0, plaintext: Some(1) };
        let error = Instruction::linear(PERIODIC, 1, vec![term], vec![64], None).unwrap_err();
        assert!(error.to_string().contains("plaintext 1, expected one of 1"), "{error}");
    }
}
