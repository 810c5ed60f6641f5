//! Instructions as the engine is given them: for execution, and to be timed.

use costmodel::Primitive;
use costmodel::measure::Instruction as Timed;
use engine::eval::LinearTerm;

use super::{Facts, Instruction, Op, PlaintextForm, PlaintextId, Program};
use crate::Result;
use crate::chain::Chain;

impl Op {
    /// The terms of a linear operation, with plaintexts by their places in [`Facts::plaintexts`]; none of others.
    pub(crate) fn engine_terms(&self, facts: &Facts) -> Option<Vec<LinearTerm>> {
        let Self::Linear { terms, .. } = self else { return None };
        let local = |id: PlaintextId| match facts.plaintexts.binary_search(&id) {
            Ok(local) => local,
            Err(_) => unreachable!("an instruction's plaintexts are those of its terms"),
        };
        let convert = |t: &super::Term| LinearTerm {
            dst: t.dst as usize,
            src: t.src as usize,
            shift: t.shift as usize,
            plaintext: t.plaintext.map(local),
        };
        Some(terms.iter().map(convert).collect())
    }

    /// The rotations of hoisted ones; none of others.
    pub(crate) fn shifts(&self) -> Vec<usize> {
        match self {
            Self::RotateHoisted { shifts, .. } => shifts.iter().map(|&s| s as usize).collect(),
            _ => Vec::new(),
        }
    }
}

impl Program {
    /// Every instruction as it would be executed with plaintexts in a form, in order: what its time depends on.
    ///
    /// # Errors
    /// [`crate::Error::Measure`] for an instruction of a program that is not well formed.
    pub fn timed(&self, chain: &Chain, form: PlaintextForm) -> Result<Vec<Timed>> {
        self.instructions.iter().map(|i| self.timed_one(i, chain, form)).collect()
    }

    fn timed_one(
        &self,
        instruction: &Instruction,
        chain: &Chain,
        form: PlaintextForm,
    ) -> Result<Timed> {
        let facts = self.facts(instruction);
        let level = facts.operand.level;
        let specs = facts.plaintexts.iter().filter_map(|p| self.plaintexts.get(*p));
        let words = specs.map(|spec| spec.degree(self.slots)).collect();
        Ok(match (facts.primitive, instruction.op.engine_terms(&facts)) {
            (Primitive::RotateHoisted { .. }, _) => {
                Timed::rotate_hoisted(instruction.op.shifts(), level)
            }
            (Primitive::Linear(shape), Some(terms)) => {
                let made = form != PlaintextForm::Stored && !facts.plaintexts.is_empty();
                let batch = made.then(|| self.plaintext_batch(&facts, chain, form).count);
                Timed::linear(shape, level, terms, words, batch)?
            }
            (primitive, _) => Timed::new(primitive, level, words)?,
        })
    }
}
