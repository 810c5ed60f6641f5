//! What is measured and what is priced: one homomorphic instruction, described by its shape alone.

use engine::eval::SwitchShape;
use engine::kernels::SumTerms;
use engine::keys::KeyForm;
use serde::{Deserialize, Serialize};

/// Shape of one engine operation. Counts are exactly those the engine will execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Primitive {
    /// Several rotations of one ciphertext after one decomposition, each with its own mod-down.
    RotateHoisted {
        /// Number of results.
        rotations: usize,
    },
    /// Sums of plaintext times rotated ciphertext (the engine's fused linear operation).
    Linear(LinearShape),
    /// Sum of squares, relinearised once.
    SumSquares {
        /// Number of squares.
        terms: usize,
        /// Whether a rescale is merged into the mod-down.
        rescale: bool,
    },
    /// Product of two ciphertexts, relinearised.
    Multiply {
        /// Whether a rescale is merged into the mod-down.
        rescale: bool,
    },
    /// Ciphertext addition or subtraction.
    Add,
    /// Addition of a plaintext.
    AddPlain,
    /// Rescale alone.
    Rescale,
    /// Drop to a lower level (`level` of the setting is the level before, `to` the one after).
    DropLevel {
        /// The new level.
        to: usize,
    },
    /// Complex conjugation.
    Conjugate,
}

impl Primitive {
    /// Name of its kind, as in its serialised form.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RotateHoisted { .. } => "rotate-hoisted",
            Self::Linear(_) => "linear",
            Self::SumSquares { .. } => "sum-squares",
            Self::Multiply { .. } => "multiply",
            Self::Add => "add",
            Self::AddPlain => "add-plain",
            Self::Rescale => "rescale",
            Self::DropLevel { .. } => "drop-level",
            Self::Conjugate => "conjugate",
        }
    }

    /// Ciphertexts that it reads.
    pub fn sources(&self) -> usize {
        match self {
            Self::Linear(shape) => shape.sources,
            Self::SumSquares { terms, .. } => *terms,
            Self::Add | Self::Multiply { .. } => 2,
            Self::RotateHoisted { .. }
            | Self::AddPlain
            | Self::Rescale
            | Self::DropLevel { .. }
            | Self::Conjugate => 1,
        }
    }
}

/// Shape of a fused linear operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinearShape {
    /// Source ciphertexts.
    pub sources: usize,
    /// Sources that are rotated by something other than zero, hence decomposed. Zero means that the
    /// special primes are not touched at all.
    pub decomposed: usize,
    /// Distinct (source, non-zero shift) pairs.
    pub rotations: usize,
    /// Distinct sources used without rotation.
    pub unrotated: usize,
    /// Summands over all destinations.
    pub terms: usize,
    /// Distinct plaintexts; zero when the sums have no plaintext factors.
    pub plaintexts: usize,
    /// Words of a limb of a plaintext, where slots repeat and fewer than the ring degree are kept; else zero.
    #[serde(default)]
    pub plaintext_words: usize,
    /// Destinations.
    pub outputs: usize,
    /// Whether a rescale is merged into the mod-down.
    pub rescale: bool,
    /// What else the engine's plan tells, where there is one: without, it is estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<LinearDetail>,
}

/// What the other numbers of a [`LinearShape`] do not tell; see [`engine::eval::PlanShape`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinearDetail {
    /// Keys that the rotations use.
    pub keys: usize,
    /// Sums with plaintexts, one at least for each destination.
    pub sums: usize,
    /// Products in a limb of the level, those with zero included; of a plain sum the summands, if anything is summed.
    pub products: usize,
    /// The same in a special limb.
    pub special_products: usize,
    /// Distinct plaintexts in a special limb.
    pub special_plaintexts: usize,
}

impl From<engine::eval::PlanShape> for LinearShape {
    fn from(shape: engine::eval::PlanShape) -> Self {
        Self {
            sources: shape.sources,
            decomposed: shape.decomposed,
            rotations: shape.rotations,
            unrotated: shape.unrotated,
            terms: shape.terms,
            plaintexts: shape.plaintexts,
            plaintext_words: 0,
            outputs: shape.outputs,
            rescale: shape.rescale,
            detail: Some(LinearDetail {
                keys: shape.keys,
                sums: shape.sums,
                products: shape.products,
                special_products: shape.special_products,
                special_plaintexts: shape.special_plaintexts,
            }),
        }
    }
}

impl LinearShape {
    /// The product of a ciphertext and a plaintext, not rescaled.
    pub(crate) const TIMES_PLAINTEXT: Self = Self {
        sources: 1,
        decomposed: 0,
        rotations: 0,
        unrotated: 1,
        terms: 1,
        plaintexts: 1,
        plaintext_words: 0,
        outputs: 1,
        rescale: false,
        detail: None,
    };

    /// Share of the ring's `n` words that a limb of a plaintext has, above 0 up to 1.
    pub fn plaintext_share(&self, n: f64) -> f64 {
        match self.plaintext_words {
            0 => 1.0,
            words => (words as f64 / n).min(1.0),
        }
    }
}

/// Where a primitive runs: everything about the parameters that its cost depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Level of the operands: they have `level + 1` limbs.
    pub level: usize,
    /// Special primes.
    pub special: usize,
    /// Limbs per key-switching digit.
    pub alpha: usize,
    /// Threads.
    pub threads: usize,
    /// Whether transforms modulo any of the primes correct words between stages, see [`engine::ntt::corrects`].
    #[serde(default)]
    pub wide: bool,
    /// What sums modulo the primes hold before they are reduced; settings that do not say are of kernels that hold any.
    #[serde(default)]
    pub sum_terms: SumTerms,
    /// Keys.
    #[serde(flatten)]
    pub keys: KeyStorage,
}

impl Setting {
    /// One of few limbs and small primes, for tests to change.
    #[cfg(test)]
    pub(crate) const SMALL: Self = Self {
        log_n: 13,
        level: 4,
        special: 1,
        alpha: 1,
        threads: 1,
        wide: false,
        sum_terms: SumTerms::ANY,
        keys: KeyStorage::UNPACKED,
    };

    /// A key switch of an operand.
    pub fn switch(&self) -> SwitchShape {
        SwitchShape::at(self.log_n, self.level, self.alpha, self.special)
    }
}

/// What keys take in memory, and hence to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyStorage {
    /// Bits stored of both components of a word, the mean of all limbs.
    #[serde(default = "unpacked")]
    pub key_pair_bits: u32,
    /// Whether the uniform component is made from its seed for every product instead of being stored.
    #[serde(default)]
    pub masks_made: bool,
}

/// Settings that do not say are older than packed keys.
fn unpacked() -> u32 {
    2 * u64::BITS
}

impl KeyStorage {
    /// Two whole words.
    pub const UNPACKED: Self = Self { key_pair_bits: 2 * u64::BITS, masks_made: false };

    /// What the engine does on this machine with primes of these sizes, of which there is one at least; powers of two stand
    /// for primes just below.
    pub fn of_primes(sizes: impl IntoIterator<Item = f64>) -> Self {
        let forms: Vec<KeyForm> = sizes.into_iter().map(KeyForm::of_prime).collect();
        let sum: u32 = forms.iter().map(|form| form.pair_bits()).sum();
        let count = forms.len().max(1) as u32;
        Self {
            key_pair_bits: (sum + count / 2) / count,
            masks_made: forms.iter().any(|form| form.components == 1),
        }
    }

    /// Bytes of a key of so many digits and limbs, special ones included, for ring degree `2^log_n`.
    pub fn key_bytes(self, digits: usize, limbs: usize, log_n: u32) -> u64 {
        ((digits * limbs) << log_n) as u64 * u64::from(self.key_pair_bits) / 8
    }

    /// Words that are unpacked for every pair of words in a product, 0 to 2: of keys with words of both sorts the mean.
    pub(crate) fn packed_words(self) -> f64 {
        let components = if self.masks_made { 1.0 } else { 2.0 };
        let spared = f64::from(u64::BITS) * components - f64::from(self.key_pair_bits);
        (spared / f64::from(u64::BITS - KeyForm::PACKED_BITS)).max(0.0)
    }

    /// The same keys where both components are stored.
    #[must_use]
    pub fn stored(self) -> Self {
        let components = if self.masks_made { 2 } else { 1 };
        Self { key_pair_bits: components * self.key_pair_bits, masks_made: false }
    }
}
