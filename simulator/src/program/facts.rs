//! What is to be known of an operation: the one place where each is described. Pricing, counting, checking, memory and key
//! needs read it; only interpreters have arms of their own.

use std::collections::BTreeSet;

use costmodel::{LinearShape, Primitive};

use super::plaintexts::shape_words;
use super::{Instruction, Op, PlaintextId, Program, ValueId, ValueInfo};
use crate::chain::Chain;

/// Facts of one instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Values read, in the operation's order.
    pub operands: Vec<ValueId>,
    /// Level and scale of the operands (of the first, should they differ).
    pub operand: ValueInfo,
    /// Distinct plaintexts, ascending.
    pub plaintexts: Vec<PlaintextId>,
    /// Products of a plaintext and a ciphertext.
    pub products: usize,
    /// Products of ciphertexts, squares included.
    pub ciphertext_products: usize,
    /// Key switches for rotations: distinct (index of the operand, non-zero shift) pairs.
    pub rotations: BTreeSet<(u32, u32)>,
    /// Whether products are relinearised.
    pub relinearises: bool,
    /// Whether slots are conjugated.
    pub conjugates: bool,
    /// Ciphertexts decomposed for key switches.
    pub decomposed: usize,
    /// Level and scale of every result, before any rescale.
    pub product: ValueInfo,
    /// Whether every result is divided by the last prime of its level.
    pub rescale: bool,
    /// The shape under which it is priced and measured.
    pub primitive: Primitive,
}

impl Facts {
    /// Level and scale of every result; none when no level is left to rescale.
    pub fn result(&self, chain: &Chain) -> Option<ValueInfo> {
        let ValueInfo { level, scale } = self.product;
        match self.rescale {
            false => Some(self.product),
            true => {
                let prime = chain.moduli.get(level)?;
                Some(ValueInfo { level: level.checked_sub(1)?, scale: scale / prime })
            }
        }
    }

    /// Facts of an operation that does nothing but give `primitive`'s result from its operands.
    fn plain(operands: Vec<ValueId>, operand: ValueInfo, primitive: Primitive) -> Self {
        Self {
            operands,
            operand,
            plaintexts: Vec::new(),
            products: 0,
            ciphertext_products: 0,
            rotations: BTreeSet::new(),
            relinearises: false,
            conjugates: false,
            decomposed: 0,
            product: operand,
            rescale: false,
            primitive,
        }
    }
}

impl Op {
    /// The values it reads.
    pub fn operands(&self) -> Vec<ValueId> {
        match self {
            Op::Linear { srcs, .. } | Op::SumSquares { srcs, .. } => srcs.clone(),
            Op::Multiply { a, b, .. } | Op::Add { a, b } | Op::Sub { a, b } => vec![*a, *b],
            Op::RotateHoisted { src, .. }
            | Op::AddPlain { src, .. }
            | Op::Rescale { src }
            | Op::DropLevel { src, .. }
            | Op::Conjugate { src } => vec![*src],
        }
    }
}

impl Program {
    /// Facts of an instruction. What is out of range counts as level 0 and scale 1; [`Program::check`] refuses it.
    pub fn facts(&self, instruction: &Instruction) -> Facts {
        let operands = instruction.op.operands();
        let info = |v: Option<&ValueId>| {
            let info = v.and_then(|v| self.values.get(*v)).copied();
            info.unwrap_or(ValueInfo { level: 0, scale: 1.0 })
        };
        let (operand, second) = (info(operands.first()), info(operands.get(1)));
        let product = |factor: f64| ValueInfo { scale: operand.scale * factor, ..operand };
        let plain = |primitive| Facts::plain(operands.clone(), operand, primitive);
        match &instruction.op {
            Op::RotateHoisted { shifts, .. } => Facts {
                rotations: shifts.iter().map(|s| (0, *s)).collect(),
                decomposed: 1,
                ..plain(Primitive::RotateHoisted { rotations: shifts.len() })
            },
            Op::Linear { srcs, terms, rescale } => {
                let rotated = terms.iter().filter(|t| t.shift != 0);
                let rotations: BTreeSet<_> = rotated.map(|t| (t.src, t.shift)).collect();
                let decomposed = rotations.iter().map(|r| r.0).collect::<BTreeSet<u32>>().len();
                let unrotated: BTreeSet<u32> =
                    terms.iter().filter(|t| t.shift == 0).map(|t| t.src).collect();
                let factors = terms.iter().filter_map(|t| t.plaintext);
                let plaintexts: BTreeSet<_> = factors.clone().collect();
                // All products have one scale.
                let first = terms.first().and_then(|t| {
                    let source = info(srcs.get(t.src as usize)).scale;
                    Some(source * self.plaintexts.get(t.plaintext?)?.scale)
                });
                // Of the longest period that there is: where one is kept in full, all are taken to be.
                let period = |p: &PlaintextId| {
                    self.plaintexts.get(*p).map_or(self.slots, |spec| spec.period)
                };
                let longest = plaintexts.iter().map(period).max();
                let shape = LinearShape {
                    sources: srcs.len(),
                    decomposed,
                    rotations: rotations.len(),
                    unrotated: unrotated.len(),
                    terms: terms.len(),
                    plaintexts: plaintexts.len(),
                    plaintext_words: longest.map_or(0, |period| shape_words(period, self.slots)),
                    outputs: instruction.dsts.len(),
                    rescale: *rescale,
                    detail: None,
                };
                Facts {
                    plaintexts: plaintexts.into_iter().collect(),
                    products: factors.count(),
                    rotations,
                    decomposed,
                    product: ValueInfo { scale: first.unwrap_or(operand.scale), ..operand },
                    rescale: *rescale,
                    ..plain(Primitive::Linear(shape))
                }
            }
            Op::SumSquares { srcs, rescale } => Facts {
                ciphertext_products: srcs.len(),
                relinearises: true,
                decomposed: 1,
                product: product(operand.scale),
                rescale: *rescale,
                ..plain(Primitive::SumSquares { terms: srcs.len(), rescale: *rescale })
            },
            Op::Multiply { rescale, .. } => Facts {
                ciphertext_products: 1,
                relinearises: true,
                decomposed: 1,
                product: product(second.scale),
                rescale: *rescale,
                ..plain(Primitive::Multiply { rescale: *rescale })
            },
            Op::Add { .. } | Op::Sub { .. } => plain(Primitive::Add),
            Op::AddPlain { plaintext, .. } => {
                Facts { plaintexts: vec![*plaintext], ..plain(Primitive::AddPlain) }
            }
            Op::Rescale { .. } => Facts { rescale: true, ..plain(Primitive::Rescale) },
            Op::DropLevel { level, .. } => Facts {
                product: ValueInfo { level: *level, ..operand },
                ..plain(Primitive::DropLevel { to: *level })
            },
            Op::Conjugate { .. } => {
                Facts { conjugates: true, decomposed: 1, ..plain(Primitive::Conjugate) }
            }
        }
    }
}
