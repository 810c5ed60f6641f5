//! The instructions of a whole program, to be timed as they follow each other.
//!
//! How long an instruction takes depends on what is in the caches: working memory, code and constants from those before it,
//! and keys and plaintexts from the image before, where the last level is large enough for a share of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use engine::params::Parameters;
use engine::poly::Automorphism;
use sha2::{Digest, Sha256};

use super::instruction::{Instruction, Parts};

/// Version of keys: changes with how sequences are timed.
const KEYS: &str = "sequence 4";

/// All instructions of a program, in order.
///
/// By how many slots it all rotates does not matter, but only which rotations are the same, and which move chunks of a limb alike
/// ([`Automorphism::slots_alike`]): those read the same chunks of digits one after the other, which takes up to a tenth less time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence(Vec<Instruction>);

impl Sequence {
    /// Of a program's instructions for a ring degree of `2^log_n`: each rotation is replaced by the smallest that is left of those
    /// that move chunks alike, so that programs share keys.
    pub fn new(program: &[Instruction], log_n: u32) -> Self {
        let alike = Automorphism::slots_alike(log_n);
        let shifts: BTreeSet<usize> = program.iter().flat_map(Instruction::shifts).collect();
        let mut next: BTreeMap<usize, usize> = BTreeMap::new();
        let replace = |shift: usize| {
            let rest = shift % alike;
            // No rotation is none.
            let left = next.entry(rest).or_insert(if rest == 0 { alike } else { rest });
            let replaced = *left;
            *left += alike;
            (shift, replaced)
        };
        let replaced: BTreeMap<usize, usize> = shifts.into_iter().map(replace).collect();
        let other = |shift: usize| replaced.get(&shift).copied().unwrap_or(0);
        Self(program.iter().map(|i| i.with_shifts(other)).collect())
    }

    /// The instructions, in order.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// What tells it from others that may take another time: with these parameters, on so many threads.
    pub fn key(&self, params: &Parameters, threads: usize) -> SequenceKey {
        let mut hash = Sha256::new();
        hash.update(KEYS);
        hash.update(params.fingerprint().0);
        hash.update((threads as u64).to_le_bytes());
        self.0.iter().for_each(|instruction| add(instruction, &mut hash));
        SequenceKey(hash.finalize().into())
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

/// Tells sequences apart that may take different times: SHA-256 of the parameters, the number of threads and all
/// instructions. As text, its first half in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceKey([u8; 32]);

impl fmt::Display for SequenceKey {
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
    fn only_what_time_depends_on_tells_sequences_apart() {
        let params40 = params(40);
        let of = |instructions: &[Instruction]| Sequence::new(instructions, 11);
        let alone = |instruction: &Instruction| of(std::slice::from_ref(instruction));
        let one = linear([0, 3, 7], 2048, None);
        assert_eq!(alone(&one), alone(&linear([0, 5, 901], 2048, None)));
        let rotation = |shift| Instruction::rotate_hoisted(vec![shift], 2);
        let sequences = [
            alone(&one),
            // The same rotation in both sums is another structure of the same number of terms; another rotation reads other
            // chunks.
            alone(&linear([0, 3, 3], 2048, None)),
            alone(&linear([0, 3, 900], 2048, None)),
            alone(&linear([0, 3, 7], 64, None)),
            alone(&linear([0, 3, 7], 2048, Some(2))),
            alone(&plain(Primitive::Add, 2)),
            alone(&plain(Primitive::Add, 1)),
            // What is before reads a key that it needs, too: its first, its second, or another one.
            of(&[rotation(3), one.clone()]),
            of(&[rotation(7), one.clone()]),
            of(&[rotation(9), one.clone()]),
        ];
        let key = |sequence: &Sequence| sequence.key(&params40, 1);
        let mut keys: BTreeSet<_> = sequences.iter().map(key).collect();
        keys.extend([sequences[0].key(&params40, 2), sequences[0].key(&params(41), 1)]);
        assert_eq!(keys.len(), sequences.len() + 2);
        assert_eq!(key(&sequences[8]), key(&of(&[rotation(901), linear([0, 5, 901], 2048, None)])));
        assert_eq!(key(&sequences[0]).to_string().len(), 32);
    }
}
