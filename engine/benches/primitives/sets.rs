//! The parameter sets, and what is made once for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Result;
use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::eval::Evaluator;
use engine::keys::{EvaluationKeys, KeySpec, PublicKey, SecretKey};
use engine::params::{Parameters, ParametersLiteral};

/// Rotations that there are keys for: by 1 to this many slots.
pub const ROTATIONS: usize = 8;

/// Base-2 logarithm of the scale of all messages.
const LOG_SCALE: f64 = 40.0;

/// A parameter set of the comparison with other libraries.
pub struct Setting {
    /// One letter.
    pub name: &'static str,
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Data limbs of a fresh ciphertext.
    pub limbs: usize,
    /// Special limbs.
    pub special: usize,
    /// Limbs of a key-switching digit.
    pub digit_limbs: usize,
    /// Bits of every prime.
    pub bits: u32,
    /// Data limbs of the second, lower level, if there is one.
    pub low_limbs: Option<usize>,
}

/// All sets, at most at the 128-bit bound. E has smaller primes to stay within it.
pub const SETTINGS: [Setting; 6] = [
    setting("A", 13, [3, 1, 1], 46, None),
    setting("B", 14, [8, 1, 1], 46, Some(4)),
    setting("C", 14, [7, 2, 2], 46, None),
    setting("D", 15, [15, 3, 3], 46, Some(8)),
    setting("E", 15, [20, 1, 1], 41, None),
    setting("F", 16, [24, 8, 8], 46, Some(12)),
];

/// `counts`: data limbs, special limbs, limbs of a digit.
const fn setting(
    name: &'static str,
    log_n: u32,
    counts: [usize; 3],
    bits: u32,
    low_limbs: Option<usize>,
) -> Setting {
    let [limbs, special, digit_limbs] = counts;
    Setting { name, log_n, limbs, special, digit_limbs, bits, low_limbs }
}

impl Setting {
    /// Name and data limbs of each level: `D` and `D.8`.
    pub fn levels(&self) -> Vec<(String, usize)> {
        let low = self.low_limbs.map(|limbs| (format!("{}.{limbs}", self.name), limbs));
        std::iter::once((self.name.to_owned(), self.limbs)).chain(low).collect()
    }
}

/// Parameters and keys of a set.
pub struct Keys {
    /// The parameters.
    pub params: Parameters,
    /// The encoder.
    pub encoder: Encoder,
    /// The secret key, from a fixed seed.
    pub secret: SecretKey,
    /// The public key.
    pub public: PublicKey,
    /// An evaluator with a relinearisation key and those of the rotations by 1 to [`ROTATIONS`].
    pub evaluator: Evaluator,
}

impl Keys {
    /// Generates the keys, at the highest level.
    pub fn new(setting: &Setting) -> Result<Self> {
        let Setting { log_n, limbs, special, digit_limbs, bits, .. } = *setting;
        let literal =
            ParametersLiteral::uniform(log_n, bits, bits, limbs - 1, (special, bits), digit_limbs)?;
        let params = Parameters::new(&literal)?;
        let level = params.max_level();
        let secret = SecretKey::from_seed(&params, [1; 32]);
        let rotations: BTreeMap<usize, usize> = (1..=ROTATIONS).map(|r| (r, level)).collect();
        let spec = KeySpec { relinearisation: Some(level), conjugation: None, rotations };
        let keys = Arc::new(EvaluationKeys::generate(&secret, &spec)?);
        Ok(Self {
            encoder: Encoder::new(&params),
            public: PublicKey::generate(&secret),
            evaluator: Evaluator::new(&params, keys)?,
            params,
            secret,
        })
    }
}

/// Operands at one level of a set.
pub struct Set<'a> {
    /// Parameters and keys.
    pub keys: &'a Keys,
    /// Level of the operands: one less than their data limbs.
    pub level: usize,
    /// A number for each slot.
    pub values: Vec<f64>,
    /// The numbers encoded.
    pub plaintext: Plaintext,
    /// The same with special limbs, as sums of rotations take it.
    pub extended: Plaintext,
    /// Two encryptions.
    pub ciphertexts: [Ciphertext; 2],
    /// The first times the plaintext, as it comes to a rescale.
    pub product: Ciphertext,
    /// The first with one limb.
    pub last: Ciphertext,
}

impl<'a> Set<'a> {
    /// Operands with `limbs` data limbs.
    pub fn new(keys: &'a Keys, limbs: usize) -> Result<Self> {
        let level = limbs - 1;
        let values: Vec<f64> = (0..keys.params.slots()).map(|i| (i as f64 * 0.7).sin()).collect();
        let scale = LOG_SCALE.exp2();
        let plaintext = keys.encoder.encode(&values, level, scale, false)?;
        let extended = keys.encoder.encode(&values, level, scale, true)?;
        let ciphertexts = [keys.secret.encrypt(&plaintext)?, keys.secret.encrypt(&plaintext)?];
        let product = keys.evaluator.mul_plain(&ciphertexts[0], &plaintext)?;
        let last = keys.evaluator.drop_level(&ciphertexts[0], 0)?;
        Ok(Self { keys, level, values, plaintext, extended, ciphertexts, product, last })
    }
}
