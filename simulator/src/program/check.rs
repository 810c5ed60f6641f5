//! Checking that a program is well formed: definitions before uses, levels and scales that agree.

use super::{Instruction, Op, Program, Term, ValueId, ValueInfo};
use crate::chain::Chain;
use crate::{Error, Result};

/// Relative difference of scales that still counts as agreement.
const SCALE_TOLERANCE: f64 = 1e-9;

/// Whether two scales agree.
fn same_scale(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < SCALE_TOLERANCE
}

impl ValueInfo {
    /// Whether two values are of one level, and of one scale but for roundings.
    pub fn same(&self, other: &Self) -> bool {
        self.level == other.level && same_scale(self.scale, other.scale)
    }
}

impl Program {
    /// Checks every instruction against the rules of [`Op`] and the chain's moduli.
    ///
    /// # Errors
    /// [`Error::Argument`] for the first instruction, input or output that is not well formed.
    pub fn check(&self, chain: &Chain) -> Result<()> {
        let mut defined = vec![false; self.values.len()];
        if self.inputs > defined.len() {
            return Err(Error::argument("number of inputs", self.inputs, "at most all values"));
        }
        if self.slots != chain.slots {
            return Err(Error::argument("slots of a program", self.slots, chain.slots));
        }
        let plaintexts = self.plaintexts.iter().map(|p| (p.level, p.scale));
        let values = self.values.iter().map(|v| (v.level, v.scale));
        for (level, scale) in values.chain(plaintexts) {
            if level > chain.levels() {
                let expected = format!("at most {}", chain.levels());
                return Err(Error::argument("level of a value", level, expected));
            }
            if !(scale.is_finite() && scale > 0.0) {
                return Err(Error::argument("scale of a value", scale, "a positive number"));
            }
        }
        for (k, plaintext) in self.plaintexts.iter().enumerate() {
            if let Some(fault) = plaintext.fault(self.slots) {
                return Err(malformed(format!("plaintext {k} ({fault})")));
            }
        }
        defined.iter_mut().take(self.inputs).for_each(|d| *d = true);
        for (k, instruction) in self.instructions.iter().enumerate() {
            if let Err(what) = self.check_instruction(instruction, chain, &mut defined) {
                return Err(malformed(format!("instruction {k} ({what})")));
            }
        }
        if self.outputs.iter().any(|v| !is(&defined, *v)) {
            return Err(Error::argument(
                "an output",
                "a value that is never defined",
                "a defined one",
            ));
        }
        Ok(())
    }

    /// Checks one instruction, and marks what it defines.
    fn check_instruction(
        &self,
        instruction: &Instruction,
        chain: &Chain,
        defined: &mut [bool],
    ) -> std::result::Result<(), String> {
        let facts = self.facts(instruction);
        if facts.operands.is_empty() || facts.operands.iter().any(|v| !is(defined, *v)) {
            return Err("reads a value that is not defined before".into());
        }
        if instruction.layer >= self.layers.len() {
            return Err("belongs to a layer that there is not".into());
        }
        let ValueInfo { level, scale } = facts.operand;
        // Of products, only the results' scales must agree.
        let products = match &instruction.op {
            Op::Linear { terms, .. } => terms.iter().any(|t| t.plaintext.is_some()),
            op => matches!(op, Op::Multiply { .. }),
        };
        let agree = |v: &ValueId| {
            let info = self.values[*v];
            info.level == level && (products || same_scale(info.scale, scale))
        };
        if !facts.operands.iter().all(agree) {
            return Err("reads values of different levels or scales".into());
        }
        if let Some(fault) = self.fault(instruction, facts.operand) {
            return Err(fault.into());
        }
        let Some(result) = facts.result(chain) else {
            return Err("has no level left".into());
        };
        for &dst in &instruction.dsts {
            let fits = self.values.get(dst).is_some_and(|info| info.same(&result));
            if !fits || defined[dst] {
                return Err(format!("defines value {dst} twice or with a wrong level or scale"));
            }
            defined[dst] = true;
        }
        Ok(())
    }

    /// What breaks the rules of one operation alone.
    fn fault(&self, instruction: &Instruction, operand: ValueInfo) -> Option<&'static str> {
        let outputs = instruction.dsts.len();
        if outputs == 0 {
            return Some("has no result");
        }
        match &instruction.op {
            Op::Linear { srcs, terms, .. } => {
                let product = |t: &Term| {
                    let factor = match t.plaintext {
                        None => return Some(None),
                        Some(p) => self.plaintexts.get(p)?,
                    };
                    let source = self.values.get(*srcs.get(t.src as usize)?)?;
                    (factor.level == operand.level).then_some(Some(source.scale * factor.scale))
                };
                let first = terms.first().and_then(product);
                let agree = terms.iter().all(|t| match (product(t), first) {
                    (Some(None), Some(None)) => true,
                    (Some(Some(p)), Some(Some(f))) => same_scale(p, f),
                    _ => false,
                });
                let in_range = terms.iter().all(|t| {
                    (t.dst as usize) < outputs
                        && (t.src as usize) < srcs.len()
                        && (t.shift as usize) < self.slots
                });
                let sorted = terms
                    .windows(2)
                    .all(|w| (w[0].dst, w[0].src, w[0].shift) < (w[1].dst, w[1].src, w[1].shift));
                let mut next = 0;
                for t in terms {
                    next += usize::from(t.dst as usize == next);
                }
                (!agree || !in_range || !sorted || next != outputs).then_some(
                    "has terms that do not agree, are out of range or out of order, or too few",
                )
            }
            Op::RotateHoisted { shifts, .. } => {
                let fits = shifts.len() == outputs
                    && shifts.iter().all(|s| *s != 0 && (*s as usize) < self.slots);
                (!fits).then_some("has shifts that do not fit")
            }
            _ if outputs != 1 => Some("has more or fewer results than one"),
            Op::AddPlain { plaintext, .. } => {
                let fits = self.plaintexts.get(*plaintext).is_some_and(|p| {
                    p.level == operand.level && same_scale(p.scale, operand.scale)
                });
                (!fits).then_some("has a plaintext that does not fit")
            }
            Op::DropLevel { level, .. } => {
                (*level > operand.level).then_some("has no such level left")
            }
            _ => None,
        }
    }
}

fn malformed(found: String) -> Error {
    let expected = "a well-formed one; this is a fault of the lowering, or of a file";
    Error::argument("a program", found, expected)
}

fn is(defined: &[bool], value: ValueId) -> bool {
    defined.get(value).copied().unwrap_or(false)
}
