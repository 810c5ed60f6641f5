//! What is timed: an instruction of a program, or a step of the client around it.

use engine::unit::Unit;
use serde::{Deserialize, Serialize};

use crate::primitive::{Primitive, Setting};

/// A step outside a program's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Client {
    /// Encoding of one plaintext from slot values.
    Encode {
        /// Whether limbs for the special primes are made too.
        extended: bool,
    },
    /// Encryption of one encoded plaintext under the public key.
    Encrypt,
    /// Decryption of one ciphertext, without decoding.
    Decrypt,
    /// Decoding of one decrypted plaintext to slot values.
    Decode,
}

/// Anything that has a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Operation {
    /// An instruction.
    Primitive(Primitive),
    /// A client's step.
    Client(Client),
    /// A single kernel on words in the caches, on every thread at once.
    Unit(Unit),
}

impl From<Primitive> for Operation {
    fn from(primitive: Primitive) -> Self {
        Self::Primitive(primitive)
    }
}

impl From<Client> for Operation {
    fn from(client: Client) -> Self {
        Self::Client(client)
    }
}

/// Whether an operation's keys, plaintexts and operands were in the caches when it started.
///
/// In a program they are not, except for the ciphertexts just computed: every layer has its own rotation keys and
/// plaintexts, together larger than any cache. But products of ciphertexts have one key, and follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residency {
    /// Keys and plaintexts come from memory; source ciphertexts were touched last.
    Cold,
    /// An operation of the same kind ran before, with the same key; client's steps run again and again on the same data.
    Warm,
}

impl Primitive {
    /// Where its key and plaintexts are within a program.
    pub fn residency(&self) -> Residency {
        match self {
            Self::SumSquares { .. } | Self::Multiply { .. } => Residency::Warm,
            _ => Residency::Cold,
        }
    }
}

impl Operation {
    /// Operations of a family have the same kind of work; prediction intervals are kept per family.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Primitive(primitive) => match primitive {
                Primitive::Linear(shape) if shape.decomposed > 0 => "linear-rotated",
                Primitive::Linear(_) => "linear-plain",
                Primitive::RotateHoisted { .. } | Primitive::Conjugate => "rotate",
                Primitive::SumSquares { .. } | Primitive::Multiply { .. } => "multiply",
                Primitive::Add | Primitive::AddPlain | Primitive::DropLevel { .. } => "elementwise",
                Primitive::Rescale => "rescale",
            },
            Self::Client(_) => "client",
            Self::Unit(_) => "kernel",
        }
    }

    /// A number that depends on the operation and the setting, but not on the thread count, the machine or the
    /// compiler: it decides which measurements are held out.
    pub fn stable_hash(&self, setting: &Setting, residency: Residency) -> u64 {
        let mut hash = Fnv::default();
        match self {
            Self::Primitive(p) => hash_primitive(&mut hash, p),
            Self::Client(Client::Encode { extended }) => hash.words(&[100, usize::from(*extended)]),
            Self::Client(Client::Encrypt) => hash.words(&[101]),
            Self::Client(Client::Decrypt) => hash.words(&[102]),
            Self::Client(Client::Decode) => hash.words(&[103]),
            Self::Unit(unit) => hash_unit(&mut hash, unit),
        }
        hash.words(&[setting.log_n as usize, setting.level, setting.special, setting.alpha]);
        hash.words(&[usize::from(residency == Residency::Warm)]);
        hash.finish()
    }
}

fn hash_primitive(hash: &mut Fnv, primitive: &Primitive) {
    match *primitive {
        Primitive::RotateHoisted { rotations } => hash.words(&[1, rotations]),
        Primitive::Linear(s) => {
            hash.words(&[2, s.sources, s.decomposed, s.rotations, s.unrotated]);
            hash.words(&[s.terms, s.plaintexts, s.outputs, usize::from(s.rescale)]);
            // Nothing more for those in full, so that the same measurements stay held out.
            if s.plaintext_words > 0 {
                hash.words(&[s.plaintext_words]);
            }
        }
        Primitive::SumSquares { terms, rescale } => hash.words(&[3, terms, usize::from(rescale)]),
        Primitive::Multiply { rescale } => hash.words(&[4, usize::from(rescale)]),
        Primitive::Add => hash.words(&[5]),
        Primitive::AddPlain => hash.words(&[6]),
        Primitive::Rescale => hash.words(&[7]),
        Primitive::DropLevel { to } => hash.words(&[8, to]),
        Primitive::Conjugate => hash.words(&[9]),
    }
}

fn hash_unit(hash: &mut Fnv, unit: &Unit) {
    match *unit {
        Unit::ForwardNtt => hash.words(&[200]),
        Unit::InverseNtt => hash.words(&[201]),
        Unit::KeyProduct { digits } => hash.words(&[202, digits]),
        Unit::KeyProductHeld { digits } => hash.words(&[208, digits]),
        Unit::PairSum { terms, outputs } => hash.words(&[203, terms, outputs]),
        Unit::PeriodicPairSum { terms, outputs } => hash.words(&[209, terms, outputs]),
        Unit::Conversion { rows } => hash.words(&[204, rows]),
        Unit::Lift => hash.words(&[205]),
        Unit::Scale => hash.words(&[206]),
        Unit::Add => hash.words(&[207]),
        Unit::Fourier => hash.words(&[210]),
    }
}

/// FNV-1a over words, with a final mix so that the low bits are usable.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn words(&mut self, words: &[usize]) {
        for &word in words {
            for byte in (word as u64).to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }

    fn finish(&self) -> u64 {
        let mut x = self.0;
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ (x >> 33)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Point, Timing};
    use crate::{LinearDetail, LinearShape};

    #[test]
    fn hashes_differ_and_do_not_depend_on_threads() {
        let setting = Setting::SMALL;
        let op = |r| Operation::from(Primitive::RotateHoisted { rotations: r });
        let hash = |r, s: &Setting| op(r).stable_hash(s, Residency::Cold);
        assert_ne!(hash(1, &setting), hash(2, &setting));
        assert_eq!(hash(1, &setting), hash(1, &Setting { threads: 8, ..setting }));
        assert_ne!(hash(1, &setting), op(1).stable_hash(&setting, Residency::Warm));
        // Pinned, because held-out sets must not change from build to build.
        assert_eq!(Operation::from(Primitive::Add).stable_hash(&setting, Residency::Cold), PINNED);
    }

    const PINNED: u64 = 4_037_635_772_471_596_063;

    #[test]
    fn operations_survive_serialisation() {
        for operation in [
            Operation::from(Primitive::DropLevel { to: 2 }),
            Operation::from(Primitive::Add),
            Operation::from(Client::Encode { extended: true }),
            Operation::from(Client::Decode),
            Operation::Unit(Unit::InverseNtt),
            Operation::Unit(Unit::PairSum { terms: 5, outputs: 2 }),
        ] {
            let text = serde_json::to_string(&operation).unwrap();
            assert_eq!(serde_json::from_str::<Operation>(&text).unwrap(), operation, "{text}");
        }
    }

    /// What plans tell is in points, but does not decide which of them are held out.
    #[test]
    fn details_of_plans_are_stored_and_checked() {
        let detail = LinearDetail {
            keys: 1,
            sums: 1,
            products: 2,
            special_products: 1,
            special_plaintexts: 1,
        };
        let shape = LinearShape {
            sources: 1,
            decomposed: 1,
            rotations: 1,
            unrotated: 1,
            terms: 2,
            plaintexts: 2,
            plaintext_words: 0,
            outputs: 1,
            rescale: true,
            detail: None,
        };
        let told = |detail| Operation::from(Primitive::Linear(LinearShape { detail, ..shape }));
        for operation in [told(None), told(Some(detail))] {
            let text = serde_json::to_string(&operation).unwrap();
            assert_eq!(serde_json::from_str::<Operation>(&text).unwrap(), operation, "{text}");
        }
        let setting = Setting::SMALL;
        let hash = |operation: Operation| operation.stable_hash(&setting, Residency::Cold);
        assert_eq!(hash(told(None)), hash(told(Some(detail))));
        let (residency, time) = (Residency::Cold, Timing::of(&[1.0]).unwrap());
        let check =
            |detail| Point { residency, operation: told(Some(detail)), setting, time }.check();
        assert_eq!(check(detail), Ok(()));
        let many = usize::MAX;
        for (field, absurd) in [
            ("detail.keys", LinearDetail { keys: many, ..detail }),
            ("detail.sums", LinearDetail { sums: many, ..detail }),
            ("detail.products", LinearDetail { products: many, ..detail }),
            ("detail.special_products", LinearDetail { special_products: many, ..detail }),
            ("detail.special_plaintexts", LinearDetail { special_plaintexts: many, ..detail }),
        ] {
            let error = check(absurd).unwrap_err();
            assert!(error.contains(&format!("{field} is")), "{error}");
        }
    }
}
