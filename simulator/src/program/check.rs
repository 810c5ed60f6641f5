//! Checking that a program is well formed: definitions before uses, levels and scales that agree.

use super::{Op, Program};
use crate::chain::Chain;
use crate::{Error, Result};

/// Relative difference of scales that still counts as agreement.
const SCALE_TOLERANCE: f64 = 1e-9;

impl Program {
    /// Checks every instruction against the rules of [`Op`] and the chain's moduli.
    pub fn check(&self, chain: &Chain) -> Result<()> {
        let mut defined = vec![false; self.values.len()];
        defined.iter_mut().take(self.inputs).for_each(|d| *d = true);
        for (k, instruction) in self.instructions.iter().enumerate() {
            let bad = |what: String| {
                Err(Error::Argument {
                    what: "a program",
                    found: format!("instruction {k} ({what})"),
                    expected: "a well-formed one; this is a fault of the lowering".into(),
                })
            };
            let sources = instruction.op.operands();
            if sources.is_empty()
                || sources.iter().any(|v| !defined.get(*v).copied().unwrap_or(false))
            {
                return bad("reads a value that is not defined before".into());
            }
            let infos: Vec<_> = sources.iter().map(|v| self.values[*v]).collect();
            let (level, scale) = (infos[0].level, infos[0].scale);
            let close = |a: f64, b: f64| (a / b - 1.0).abs() < SCALE_TOLERANCE;
            let products = matches!(instruction.op, Op::Multiply { .. });
            if infos.iter().any(|i| i.level != level || (!products && !close(i.scale, scale))) {
                return bad("reads values of different levels or scales".into());
            }
            let rescaled = |s: f64, rescale: bool| match rescale {
                true if level == 0 => None,
                true => Some((level - 1, s / chain.moduli[level])),
                false => Some((level, s)),
            };
            let expected = match &instruction.op {
                Op::Linear { terms, rescale, srcs } => {
                    let mut scale = scale;
                    let mut factors =
                        terms.iter().map(|t| t.plaintext.map(|p| &self.plaintexts[p]));
                    let first = factors.next().flatten();
                    if let Some(p) = first {
                        scale *= p.scale;
                    }
                    let agree = factors.all(|p| match (p, first) {
                        (None, None) => true,
                        (Some(p), Some(f)) => p.level == level && p.scale == f.scale,
                        _ => false,
                    });
                    let in_range = terms.iter().all(|t| {
                        (t.dst as usize) < instruction.dsts.len()
                            && (t.src as usize) < srcs.len()
                            && (t.shift as usize) < self.slots
                    });
                    let sorted = terms.windows(2).all(|w| {
                        (w[0].dst, w[0].src, w[0].shift) < (w[1].dst, w[1].src, w[1].shift)
                    });
                    if !agree || !in_range || !sorted {
                        return bad(
                            "has terms that do not agree, are out of range or out of order".into(),
                        );
                    }
                    rescaled(scale, *rescale)
                }
                Op::SumSquares { rescale, .. } => rescaled(scale * scale, *rescale),
                Op::Multiply { rescale, .. } => rescaled(scale * infos[1].scale, *rescale),
                Op::Rescale { .. } => rescaled(scale, true),
                Op::DropLevel { level: to, .. } => (*to <= level).then_some((*to, scale)),
                Op::AddPlain { plaintext, .. } => {
                    let p = &self.plaintexts[*plaintext];
                    (p.level == level && close(p.scale, scale)).then_some((level, scale))
                }
                Op::RotateHoisted { shifts, .. } => {
                    let fits = shifts.len() == instruction.dsts.len()
                        && shifts.iter().all(|s| *s != 0 && (*s as usize) < self.slots);
                    fits.then_some((level, scale))
                }
                Op::Add { .. } | Op::Sub { .. } | Op::Conjugate { .. } => Some((level, scale)),
            };
            let Some((level, scale)) = expected else {
                return bad("has no level left, or a plaintext or shift that does not fit".into());
            };
            for &dst in &instruction.dsts {
                let info = self.values[dst];
                if defined[dst] || info.level != level || !close(info.scale, scale) {
                    return bad(format!(
                        "defines value {dst} twice or with a wrong level or scale"
                    ));
                }
                defined[dst] = true;
            }
        }
        if self.outputs.iter().any(|v| !defined.get(*v).copied().unwrap_or(false)) {
            return Err(Error::argument(
                "an output",
                "a value that is never defined",
                "a defined one",
            ));
        }
        Ok(())
    }
}
