//! Instructions of programs, with everything that their time depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use engine::eval::{LinearPlan, LinearTerm};
use engine::params::Parameters;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::primitive::{LinearShape, Primitive};

/// Version of keys: changes with how instructions are timed.
const KEYS: &str = "instruction 1";

/// One instruction of a program, as it is executed.
///
/// Which numbers it computes with does not matter, nor does by how many slots it rotates, but only which rotations are the
/// same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    primitive: Primitive,
    level: usize,
    /// Words of a limb of each plaintext.
    words: Vec<usize>,
    linear: Option<LinearParts>,
}

/// What the shape of a linear instruction leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LinearParts {
    /// Summands, with rotations numbered from 1.
    terms: Vec<LinearTerm>,
    batch: Option<usize>,
}

impl Instruction {
    /// An instruction that its shape describes, on operands at a level, and the words of a limb of each of its plaintexts (the
    /// ring degree for one kept in full).
    ///
    /// # Errors
    /// [`Error::Plan`] for a linear one, see [`Self::linear`]; and for an addition of another number of plaintexts than one.
    pub fn new(primitive: Primitive, level: usize, words: Vec<usize>) -> Result<Self> {
        let expected = usize::from(primitive == Primitive::AddPlain);
        let reason = match primitive {
            Primitive::Linear(_) => {
                "a linear instruction is given by its shape alone, expected its terms".into()
            }
            _ if words.len() != expected => {
                format!("{} of {} plaintexts, expected {expected}", primitive.kind(), words.len())
            }
            _ => return Ok(Self { primitive, level, words, linear: None }),
        };
        Err(Error::Plan(reason))
    }

    /// A linear instruction: as for others, its summands, and how many plaintexts there are at a time, if not all of them.
    ///
    /// # Errors
    /// [`Error::Plan`] for a term of a plaintext that there is not.
    pub fn linear(
        shape: LinearShape,
        level: usize,
        mut terms: Vec<LinearTerm>,
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
        let shifts: BTreeSet<usize> =
            terms.iter().map(|t| t.shift).filter(|shift| *shift != 0).collect();
        let numbers: BTreeMap<usize, usize> = shifts.into_iter().zip(1..).collect();
        terms.iter_mut().for_each(|t| t.shift = numbers.get(&t.shift).copied().unwrap_or(0));
        let linear = Some(LinearParts { terms, batch });
        Ok(Self { primitive: Primitive::Linear(shape), level, words, linear })
    }

    /// Its shape.
    pub fn primitive(&self) -> Primitive {
        self.primitive
    }

    /// Level of its operands.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Distinct rotations, which are numbered from 1.
    pub(super) fn rotations(&self) -> usize {
        match (&self.primitive, &self.linear) {
            (Primitive::RotateHoisted { rotations }, _) => *rotations,
            (_, Some(linear)) => linear.terms.iter().map(|t| t.shift).max().unwrap_or(0),
            _ => 0,
        }
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
        self.linear.as_ref()?.batch
    }

    /// The engine's plan of a linear one; none of others.
    ///
    /// # Errors
    /// Engine errors.
    pub(super) fn plan(&self, params: &Parameters) -> Result<Option<LinearPlan>> {
        let (Primitive::Linear(shape), Some(linear)) = (self.primitive, &self.linear) else {
            return Ok(None);
        };
        let LinearShape { sources, outputs, rescale, .. } = shape;
        Ok(Some(LinearPlan::new(params, sources, outputs, &linear.terms, rescale)?))
    }

    /// What tells it from others that may take another time: with these parameters, on so many threads.
    pub fn key(&self, params: &Parameters, threads: usize) -> InstructionKey {
        let mut hash = Sha256::new();
        hash.update(KEYS);
        hash.update(params.fingerprint().0);
        // The numbers of a primitive, by name.
        hash.update(format!("{:?}", self.primitive));
        let mut word = |word: usize| hash.update((word as u64).to_le_bytes());
        // A plaintext's number is shifted, for none.
        let plus = |number: Option<usize>| number.map_or(0, |n| n.saturating_add(1));
        [threads, self.level, self.words.len()].into_iter().for_each(&mut word);
        self.words.iter().copied().for_each(&mut word);
        if let Some(LinearParts { terms, batch }) = &self.linear {
            [terms.len(), plus(*batch)].into_iter().for_each(&mut word);
            for t in terms {
                [t.dst, t.src, t.shift, plus(t.plaintext)].into_iter().for_each(&mut word);
            }
        }
        InstructionKey(hash.finalize().into())
    }
}

/// Tells instructions apart that may take different times: SHA-256 of the parameters, the number of threads and all of the
/// instruction. As text, its first half in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstructionKey([u8; 32]);

impl fmt::Display for InstructionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..16].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::params::ParametersLiteral;

    fn params(bits: u32) -> Parameters {
        let mut literal = ParametersLiteral::uniform(11, bits, bits, 2, (1, 46), 1).unwrap();
        literal.allow_insecure = true;
        Parameters::new(&literal).unwrap()
    }

    fn linear(shifts: [usize; 3], words: usize, batch: Option<usize>) -> Instruction {
        let terms = [(0, 0), (0, 1), (1, 2)].map(|(dst, k)| LinearTerm {
            dst,
            src: 0,
            shift: shifts[k],
            plaintext: Some(k),
        });
        let plan = LinearPlan::new(&params(40), 1, 2, &terms, true).unwrap();
        let shape = plan.shape().into();
        Instruction::linear(shape, 2, terms.to_vec(), vec![words; 3], batch).unwrap()
    }

    #[test]
    fn only_what_time_depends_on_tells_instructions_apart() {
        let params40 = params(40);
        let one = linear([0, 3, 7], 2048, None);
        assert_eq!(one, linear([0, 5, 900], 2048, None));
        assert_eq!((one.rotations(), one.primitive().sources()), (2, 1));
        assert_eq!(one.plaintexts(), [2048; 3]);
        let key = |i: &Instruction| i.key(&params40, 1);
        // The same rotation in both sums is another structure of the same number of terms.
        let others = [
            linear([0, 3, 3], 2048, None),
            linear([0, 3, 7], 64, None),
            linear([0, 3, 7], 2048, Some(2)),
            Instruction::new(Primitive::Add, 2, Vec::new()).unwrap(),
            Instruction::new(Primitive::Add, 1, Vec::new()).unwrap(),
        ];
        let mut keys: BTreeSet<_> = others.iter().map(key).collect();
        keys.extend([key(&one), one.key(&params40, 2), one.key(&params(41), 1)]);
        assert_eq!(keys.len(), 8);
        assert_eq!(key(&one), key(&linear([0, 5, 900], 2048, None)));
        assert_eq!(key(&one).to_string().len(), 32);
        assert_eq!(others[2].plaintexts(), [2048; 2]);
    }

    #[test]
    fn incomplete_instructions_are_refused() {
        let shape = linear([0, 1, 2], 64, None).primitive();
        let error = |p| Instruction::new(p, 1, Vec::new()).unwrap_err().to_string();
        assert!(error(shape).contains("expected its terms"), "{}", error(shape));
        assert!(error(Primitive::AddPlain).contains("add-plain of 0 plaintexts, expected 1"));
        let Primitive::Linear(shape) = shape else { unreachable!() };
        let term = LinearTerm { dst: 0, src: 0, shift: 0, plaintext: Some(1) };
        let error = Instruction::linear(shape, 1, vec![term], vec![64], None).unwrap_err();
        assert!(error.to_string().contains("plaintext 1, expected one of 1"), "{error}");
    }
}
