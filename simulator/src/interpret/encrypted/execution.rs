//! What a run gave, and whether it is what a program says.

use std::time::Duration;

use costmodel::Primitive;
use engine::cipher::Ciphertext;

use crate::error::{Error, Result};
use crate::program::{Program, ValueInfo};

/// What the engine did for one instruction, read from its plan and from the ciphertexts it took and gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Index of the layer.
    pub layer: usize,
    /// Which operation, of what shape.
    pub primitive: Primitive,
    /// Level of the operands.
    pub level: usize,
    /// Level and scale of every result.
    pub results: Vec<ValueInfo>,
}

impl Recorded {
    /// What a program says of its instructions, in order.
    pub fn expected(program: &Program) -> impl Iterator<Item = Self> + '_ {
        program.instructions.iter().zip(program.primitives()).map(
            |(instruction, (layer, primitive, level))| {
                let info = |v: &usize| program.values.get(*v).copied();
                let results = instruction.dsts.iter().filter_map(info).collect();
                Self { layer, primitive, level, results }
            },
        )
    }

    /// Whether two records are of the same work; scales may differ by roundings.
    fn same(&self, other: &Self) -> bool {
        let Self { layer, primitive, level, results } = other;
        (self.layer, self.primitive, self.level) == (*layer, *primitive, *level)
            && self.results.len() == results.len()
            && self.results.iter().zip(results).all(|(a, b)| a.same(b))
    }
}

/// What one run gave.
#[derive(Debug)]
pub struct Execution {
    /// The program's outputs, encrypted.
    pub outputs: Vec<Ciphertext>,
    /// Time of each instruction, without encoding.
    pub times: Vec<Duration>,
    /// Time that encoding the plaintexts of each instruction took within the run: none where they were stored.
    pub encode_times: Vec<Duration>,
    /// What the engine did, instruction by instruction.
    pub recorded: Vec<Recorded>,
}

impl Execution {
    /// Checks that what the engine did is what `program` says: every instruction's layer, shape and level, and number,
    /// levels and scales of its results.
    ///
    /// # Errors
    /// [`Error::Executed`] for the first instruction that differs.
    pub fn check(&self, program: &Program) -> Result<()> {
        let mut expected = Recorded::expected(program);
        let mut recorded = self.recorded.iter();
        for instruction in 0.. {
            let (found, expected) = (recorded.next(), expected.next());
            match (found, &expected) {
                (None, None) => break,
                (Some(a), Some(b)) if a.same(b) => {}
                _ => {
                    let layer = found.or(expected.as_ref()).map_or(0, |r| r.layer);
                    let show = |r: Option<&Recorded>| {
                        r.map_or("nothing".into(), |r| {
                            format!("{:?} at level {} giving {:?}", r.primitive, r.level, r.results)
                        })
                    };
                    return Err(Error::Executed {
                        instruction,
                        layer: program.layers.get(layer).cloned().unwrap_or_default(),
                        found: show(found),
                        expected: show(expected.as_ref()),
                    });
                }
            }
        }
        Ok(())
    }
}
