//! Instructions at their places in a program.
//!
//! How long an instruction takes depends on what those before it leave in the caches: working memory, code and constants, and
//! keys that both need.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use engine::params::Parameters;
use sha2::{Digest, Sha256};

use super::instruction::{Instruction, Parts};
use crate::machine::Caches;

/// Version of keys: changes with how instructions are timed.
const KEYS: &str = "passage 1";

/// Share of the last level of caches that is taken to hold what was read last; the rest is for results, and for others.
const KEPT_SHARE: u64 = 2;

/// An instruction and those before it in its program, as far as the caches may still hold what these have read.
///
/// By how many slots it all rotates does not matter, but only which rotations are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    before: Vec<Instruction>,
    instruction: Instruction,
}

impl Passage {
    /// Those of all instructions of a program, in order.
    pub fn of_program(program: &[Instruction], params: &Parameters, caches: &Caches) -> Vec<Self> {
        let kept = caches.l3_bytes / KEPT_SHARE;
        let bytes: Vec<u64> = program.iter().map(|i| i.read_bytes(params)).collect();
        let passage = |(k, instruction): (usize, &Instruction)| {
            let (mut first, mut read) = (k, 0_u64);
            while first > 0 && read < kept {
                first -= 1;
                read = read.saturating_add(bytes[first]);
            }
            Self::new(&program[first..k], instruction)
        };
        program.iter().enumerate().map(passage).collect()
    }

    /// An instruction after others, with rotations numbered from 1.
    pub fn new(before: &[Instruction], instruction: &Instruction) -> Self {
        let all = before.iter().chain([instruction]);
        let shifts: BTreeSet<usize> = all.flat_map(Instruction::shifts).collect();
        let numbers: BTreeMap<usize, usize> = shifts.into_iter().zip(1..).collect();
        let number = |shift: usize| numbers.get(&shift).copied().unwrap_or(0);
        Self {
            before: before.iter().map(|i| i.with_shifts(number)).collect(),
            instruction: instruction.with_shifts(number),
        }
    }

    /// The instruction.
    pub fn instruction(&self) -> &Instruction {
        &self.instruction
    }

    /// Those before it.
    pub fn before(&self) -> &[Instruction] {
        &self.before
    }

    /// The instruction, and those before it.
    pub(super) fn all(&self) -> impl Iterator<Item = &Instruction> {
        [&self.instruction].into_iter().chain(&self.before)
    }

    /// What tells it from others that may take another time: with these parameters, on so many threads.
    pub fn key(&self, params: &Parameters, threads: usize) -> PassageKey {
        let mut hash = Sha256::new();
        hash.update(KEYS);
        hash.update(params.fingerprint().0);
        hash.update((threads as u64).to_le_bytes());
        self.all().for_each(|instruction| add(instruction, &mut hash));
        PassageKey(hash.finalize().into())
    }
}

/// Adds all of an instruction to a hash.
fn add(instruction: &Instruction, hash: &mut Sha256) {
    // The numbers of a primitive, by name.
    hash.update(format!("{:?}", instruction.primitive()));
    let mut word = |word: usize| hash.update((word as u64).to_le_bytes());
    // A number is shifted, for none.
    let plus = |number: Option<usize>| number.map_or(0, |n| n.saturating_add(1));
    [instruction.level(), instruction.words.len()].into_iter().for_each(&mut word);
    instruction.words.iter().copied().for_each(&mut word);
    match &instruction.parts {
        Parts::None => {}
        Parts::Rotations(shifts) => shifts.iter().copied().for_each(word),
        Parts::Linear { terms, batch } => {
            [terms.len(), plus(*batch)].into_iter().for_each(&mut word);
            for t in terms {
                [t.dst, t.src, t.shift, plus(t.plaintext)].into_iter().for_each(&mut word);
            }
        }
    }
}

/// Tells passages apart that may take different times: SHA-256 of the parameters, the number of threads and all
/// instructions. As text, its first half in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PassageKey([u8; 32]);

impl fmt::Display for PassageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..16].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::Primitive;
    use engine::eval::{LinearPlan, LinearTerm};
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

    fn plain(primitive: Primitive, level: usize) -> Instruction {
        Instruction::new(primitive, level, Vec::new()).unwrap()
    }

    #[test]
    fn only_what_time_depends_on_tells_passages_apart() {
        let params40 = params(40);
        let alone = |instruction: &Instruction| Passage::new(&[], instruction);
        let one = linear([0, 3, 7], 2048, None);
        assert_eq!(alone(&one), alone(&linear([0, 5, 900], 2048, None)));
        let rotation = |shift| Instruction::rotate_hoisted(vec![shift], 2);
        let passages = [
            alone(&one),
            // The same rotation in both sums is another structure of the same number of terms.
            alone(&linear([0, 3, 3], 2048, None)),
            alone(&linear([0, 3, 7], 64, None)),
            alone(&linear([0, 3, 7], 2048, Some(2))),
            alone(&plain(Primitive::Add, 2)),
            alone(&plain(Primitive::Add, 1)),
            // What is before reads a key that it needs, too: its first, its second, or another one.
            Passage::new(&[rotation(3)], &one),
            Passage::new(&[rotation(7)], &one),
            Passage::new(&[rotation(8)], &one),
        ];
        let key = |passage: &Passage| passage.key(&params40, 1);
        let mut keys: BTreeSet<_> = passages.iter().map(key).collect();
        keys.extend([passages[0].key(&params40, 2), passages[0].key(&params(41), 1)]);
        assert_eq!(keys.len(), passages.len() + 2);
        assert_eq!(
            key(&passages[7]),
            key(&Passage::new(&[rotation(900)], &linear([0, 5, 900], 2048, None)))
        );
        assert_eq!(key(&passages[0]).to_string().len(), 32);
    }

    #[test]
    fn a_passage_begins_where_caches_have_lost_what_was_read() {
        let params = params(40);
        let square = plain(Primitive::SumSquares { terms: 1, rescale: false }, 2);
        let add = plain(Primitive::Add, 2);
        let program = [square.clone(), square.clone(), add.clone(), add.clone(), square.clone()];
        let lengths = |l3_bytes: u64| -> Vec<usize> {
            let caches = Caches { l3_bytes, ..Caches::default() };
            Passage::of_program(&program, &params, &caches).iter().map(|p| p.before.len()).collect()
        };
        let key = square.read_bytes(&params);
        assert!(key > 0 && add.read_bytes(&params) == 0);
        assert_eq!(lengths(0), [0; 5]);
        // Additions read nothing but ciphertexts, and do not count.
        assert_eq!(lengths(2 * key), [0, 1, 1, 2, 3]);
        assert_eq!(lengths(2 * key + 2), [0, 1, 2, 3, 4]);
    }
}
