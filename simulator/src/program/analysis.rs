//! What a program executes and needs: primitives, counts per layer, keys.

use std::collections::{BTreeMap, BTreeSet};

use costmodel::{LinearShape, Primitive};

use super::{Instruction, Op, Program, ValueId};

/// Rotation keys: the highest level at which each shift is used.
pub type RotationKeys = BTreeMap<u32, usize>;

/// Operations of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerCounts {
    /// Key switches for rotations: distinct (source, non-zero shift) pairs.
    pub rotations: usize,
    /// Products of a plaintext and a ciphertext.
    pub products: usize,
    /// Distinct plaintexts, of products and additions.
    pub plaintexts: usize,
    /// Ciphertext products, squares included.
    pub ciphertext_products: usize,
    /// Relinearisations.
    pub relinearisations: usize,
    /// Rescales, merged ones included, per ciphertext.
    pub rescales: usize,
    /// Instructions.
    pub instructions: usize,
    /// Level on entry (of the layer's first instruction); zero for a layer without instructions.
    pub level: usize,
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

    /// Distinct (index of the source, non-zero shift) pairs: one key switch each.
    pub fn rotations(&self) -> BTreeSet<(u32, u32)> {
        match self {
            Op::RotateHoisted { shifts, .. } => shifts.iter().map(|s| (0, *s)).collect(),
            Op::Linear { terms, .. } => {
                terms.iter().filter(|t| t.shift != 0).map(|t| (t.src, t.shift)).collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

impl Program {
    /// Shape and level (of the operands) of an instruction, as it is priced and measured.
    pub fn primitive(&self, instruction: &Instruction) -> (Primitive, usize) {
        let op = &instruction.op;
        let level = op.operands().first().map_or(0, |v| self.values[*v].level);
        let primitive = match op {
            Op::RotateHoisted { shifts, .. } => {
                Primitive::RotateHoisted { rotations: shifts.len() }
            }
            Op::Linear { srcs, terms, rescale } => {
                let rotations = op.rotations();
                let decomposed: BTreeSet<u32> = rotations.iter().map(|r| r.0).collect();
                let unrotated: BTreeSet<u32> =
                    terms.iter().filter(|t| t.shift == 0).map(|t| t.src).collect();
                let plaintexts: BTreeSet<_> = terms.iter().filter_map(|t| t.plaintext).collect();
                Primitive::Linear(LinearShape {
                    sources: srcs.len(),
                    decomposed: decomposed.len(),
                    rotations: rotations.len(),
                    unrotated: unrotated.len(),
                    terms: terms.len(),
                    plaintexts: plaintexts.len(),
                    outputs: instruction.dsts.len(),
                    rescale: *rescale,
                })
            }
            Op::SumSquares { srcs, rescale } => {
                Primitive::SumSquares { terms: srcs.len(), rescale: *rescale }
            }
            Op::Multiply { rescale, .. } => Primitive::Multiply { rescale: *rescale },
            Op::Add { .. } | Op::Sub { .. } => Primitive::Add,
            Op::AddPlain { .. } => Primitive::AddPlain,
            Op::Rescale { .. } => Primitive::Rescale,
            Op::DropLevel { level, .. } => Primitive::DropLevel { to: *level },
            Op::Conjugate { .. } => Primitive::Conjugate,
        };
        (primitive, level)
    }

    /// Every instruction's layer, shape and level, in order.
    pub fn primitives(&self) -> impl Iterator<Item = (usize, Primitive, usize)> + '_ {
        self.instructions.iter().map(|i| {
            let (primitive, level) = self.primitive(i);
            (i.layer, primitive, level)
        })
    }

    /// The rotation keys needed.
    pub fn rotation_keys(&self) -> RotationKeys {
        let mut keys = RotationKeys::new();
        for instruction in &self.instructions {
            let (_, level) = self.primitive(instruction);
            for (_, shift) in instruction.op.rotations() {
                let highest = keys.entry(shift).or_insert(level);
                *highest = level.max(*highest);
            }
        }
        keys
    }

    /// The highest level at which something is relinearised, if anything is.
    pub fn relinearisation_level(&self) -> Option<usize> {
        self.instructions
            .iter()
            .filter(|i| matches!(i.op, Op::SumSquares { .. } | Op::Multiply { .. }))
            .map(|i| self.primitive(i).1)
            .max()
    }

    /// The highest level of a conjugation, if there is one.
    pub fn conjugation_level(&self) -> Option<usize> {
        self.instructions
            .iter()
            .filter(|i| matches!(i.op, Op::Conjugate { .. }))
            .map(|i| self.primitive(i).1)
            .max()
    }

    /// Operations of each layer, in the order of [`Program::layers`].
    pub fn counts(&self) -> Vec<LayerCounts> {
        let mut counts = vec![LayerCounts::default(); self.layers.len()];
        let mut plaintexts = vec![BTreeSet::new(); self.layers.len()];
        for instruction in &self.instructions {
            let c = &mut counts[instruction.layer];
            let (primitive, level) = self.primitive(instruction);
            if c.instructions == 0 {
                c.level = level;
            }
            c.instructions += 1;
            c.rotations += instruction.op.rotations().len();
            let rescales = |rescale: bool| if rescale { instruction.dsts.len() } else { 0 };
            match (&instruction.op, primitive) {
                (Op::Linear { terms, rescale, .. }, _) => {
                    c.products += terms.iter().filter(|t| t.plaintext.is_some()).count();
                    plaintexts[instruction.layer].extend(terms.iter().filter_map(|t| t.plaintext));
                    c.rescales += rescales(*rescale);
                }
                (Op::SumSquares { srcs, rescale }, _) => {
                    c.ciphertext_products += srcs.len();
                    c.relinearisations += 1;
                    c.rescales += rescales(*rescale);
                }
                (Op::Multiply { rescale, .. }, _) => {
                    c.ciphertext_products += 1;
                    c.relinearisations += 1;
                    c.rescales += rescales(*rescale);
                }
                (Op::Rescale { .. }, _) => c.rescales += 1,
                (Op::AddPlain { plaintext, .. }, _) => {
                    plaintexts[instruction.layer].insert(*plaintext);
                }
                _ => {}
            }
        }
        for (c, p) in counts.iter_mut().zip(plaintexts) {
            c.plaintexts = p.len();
        }
        counts
    }
}
