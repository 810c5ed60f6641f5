//! A lowered network: a straight-line list of homomorphic instructions.
//!
//! A network and a configuration are lowered once into a [`Program`]; the priced, the clear and the
//! encrypted interpreter all walk that same list. Instructions are coarse, at the grain at which the
//! engine can fuse. Every value has a static level and scale.

mod analysis;
mod check;
mod facts;
mod interleave;
mod memory;
mod plaintexts;
pub mod room;
mod slot_values;
mod timed;

pub use analysis::LayerCounts;
pub use facts::Facts;
pub use memory::Memory;
pub(crate) use plaintexts::shape_words;
pub use plaintexts::{PlaintextBatch, PlaintextForm};
pub use slot_values::{Drawing, Entry, SlotValues};

/// Index of a ciphertext value in a [`Program`]. Values are numbered in the order of their definition,
/// the inputs first.
pub type ValueId = usize;
/// Index of a plaintext in a [`Program`].
pub type PlaintextId = usize;

/// One summand of an [`Op::Linear`]: `plaintext * Rot(src, shift)` added into `dst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Index into the instruction's destinations.
    pub dst: u32,
    /// Index into the instruction's sources.
    pub src: u32,
    /// Left rotation in slots, `0..slots`: slot `s` of the rotated value is slot `s + shift` of `src`.
    pub shift: u32,
    /// The factor, or none for a plain sum of rotations.
    pub plaintext: Option<PlaintextId>,
}

/// What an instruction computes. `rescale` divides by the last prime of the level, within the instruction.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// `dst_k = Rot(src, shifts_k)` with one decomposition for all, each with its own mod-down.
    RotateHoisted {
        /// The value to rotate.
        src: ValueId,
        /// One left rotation per destination, none zero.
        shifts: Vec<u32>,
    },
    /// `dst_d = sum over the terms of d of plaintext * Rot(src, shift)`: double hoisting. Sums with
    /// rotations are accumulated in the extended basis and brought down once; without any rotation the
    /// special primes are not touched. Either all terms have plaintexts or none has.
    Linear {
        /// Sources; all of one level, and of one scale if the terms have no plaintexts. Else the products have one scale.
        srcs: Vec<ValueId>,
        /// The summands, ordered by destination, then source, then shift.
        terms: Vec<Term>,
        /// Whether to rescale the sums (merged with their mod-down).
        rescale: bool,
    },
    /// `dst = sum_k src_k^2`, relinearised once.
    SumSquares {
        /// Sources; all of one level and scale.
        srcs: Vec<ValueId>,
        /// Whether to rescale (merged with the mod-down).
        rescale: bool,
    },
    /// `dst = a * b`, relinearised.
    Multiply {
        /// First factor.
        a: ValueId,
        /// Second factor, same level.
        b: ValueId,
        /// Whether to rescale.
        rescale: bool,
    },
    /// `dst = a + b`, same level and scale.
    Add {
        /// First summand.
        a: ValueId,
        /// Second summand.
        b: ValueId,
    },
    /// `dst = a - b`, same level and scale.
    Sub {
        /// Minuend.
        a: ValueId,
        /// Subtrahend.
        b: ValueId,
    },
    /// `dst = src + plaintext`, same scale.
    AddPlain {
        /// The ciphertext.
        src: ValueId,
        /// The summand.
        plaintext: PlaintextId,
    },
    /// `dst = src / q_level`, one level lower.
    Rescale {
        /// The value to rescale.
        src: ValueId,
    },
    /// `dst = src` at a lower level, same scale.
    DropLevel {
        /// The value.
        src: ValueId,
        /// The new level.
        level: usize,
    },
    /// Complex conjugate of every slot.
    Conjugate {
        /// The value.
        src: ValueId,
    },
}

/// Static facts of a ciphertext value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueInfo {
    /// Level: the value has `level + 1` limbs.
    pub level: usize,
    /// Scale.
    pub scale: f64,
}

/// A plaintext of a program: slot values, and how they are to be encoded.
#[derive(Debug, Clone)]
pub struct PlaintextSpec {
    /// Where its slot values come from, or none in a program lowered for pricing only.
    pub values: Option<SlotValues>,
    /// Bytes that these keep, or would.
    pub values_bytes: u64,
    /// Slots after which the slot values repeat, a power of two up to all of them.
    pub period: usize,
    /// Adjacent slots that have the same value, one for each image of a ciphertext: a power of two dividing the period. Values
    /// are kept for one image.
    pub images: usize,
    /// Level at which it meets a ciphertext.
    pub level: usize,
    /// Scale of the encoding.
    pub scale: f64,
    /// Whether it also has limbs for the special primes (it meets sums in the extended basis).
    pub extended: bool,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Instruction {
    /// What it computes.
    pub op: Op,
    /// The values it defines.
    pub dsts: Vec<ValueId>,
    /// Index into [`Program::layers`] of the network layer it came from.
    pub layer: usize,
}

/// A lowered network.
#[derive(Debug, Clone)]
pub struct Program {
    /// Slots of a ciphertext.
    pub slots: usize,
    /// Names of the layers, in order.
    pub layers: Vec<String>,
    /// Every ciphertext value; the first `inputs` are the encrypted inputs.
    pub values: Vec<ValueInfo>,
    /// Number of input ciphertexts.
    pub inputs: usize,
    /// Every plaintext.
    pub plaintexts: Vec<PlaintextSpec>,
    /// The instructions, in an order in which they can be executed.
    pub instructions: Vec<Instruction>,
    /// The results.
    pub outputs: Vec<ValueId>,
}
