//! The facts of a parameter set that programs and lowering depend on.

use costmodel::{KeyStorage, Setting};
use engine::eval::SwitchShape;
use engine::kernels::{SumTerms, sum_terms};
use engine::keys::KeySpec;
use engine::poly::Automorphism;
use serde::{Deserialize, Serialize};

/// Moduli and sizes of a parameter set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// Slots of a ciphertext: half the ring degree.
    pub slots: usize,
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// The primes `q_0 ..= q_L`; a rescale at level `l` divides by `q_l`.
    pub moduli: Vec<f64>,
    /// Nominal scale: that of fresh ciphertexts and of every linear layer's result.
    pub scale: f64,
    /// The special primes.
    pub special_moduli: Vec<f64>,
    /// Limbs per key-switching digit.
    pub alpha: usize,
}

impl Chain {
    /// A chain of `levels + 1` and `special` equal moduli `2^scale_bits`, for tests and for pricing before primes are chosen.
    pub fn uniform(
        log_n: u32,
        levels: usize,
        scale_bits: u32,
        special: usize,
        alpha: usize,
    ) -> Self {
        let scale = f64::from(scale_bits).exp2();
        Self {
            slots: 1 << (log_n - 1),
            log_n,
            moduli: vec![scale; levels + 1],
            scale,
            special_moduli: vec![scale; special],
            alpha,
        }
    }

    /// Number of special primes.
    pub fn special(&self) -> usize {
        self.special_moduli.len()
    }

    /// The highest level.
    pub fn levels(&self) -> usize {
        self.moduli.len().saturating_sub(1)
    }

    /// Whether a prime is too large for transforms without corrections, on this machine.
    pub fn is_wide(&self) -> bool {
        let largest = self.moduli.iter().copied().fold(0.0, f64::max);
        engine::ntt::corrects(largest, self.log_n)
    }

    /// What sums hold before they are reduced: modulo the prime of middle size, as most are of one.
    pub fn sum_terms(&self) -> SumTerms {
        let mut sizes = self.moduli.clone();
        sizes.sort_by(f64::total_cmp);
        sizes.get(sizes.len() / 2).map_or(SumTerms::ANY, |&prime| sum_terms(prime))
    }

    /// What keys for a level take in memory.
    pub fn keys(&self, level: usize) -> KeyStorage {
        KeyStorage::of_primes(self.moduli[..=level].iter().chain(&self.special_moduli).copied())
    }

    /// Bytes that the evaluation keys of a specification take in memory: for a key, `2 * digits * (level + 1 + special)` limbs,
    /// and the table of each automorphism.
    pub fn keys_bytes(&self, keys: &KeySpec) -> u64 {
        let levels = keys.rotations.values().copied();
        let levels = levels.chain(keys.relinearisation).chain(keys.conjugation);
        let automorphisms = keys.rotations.len() + usize::from(keys.conjugation.is_some());
        let tables = (automorphisms * Automorphism::bytes_of(self.log_n)) as u64;
        let key = |level: usize| {
            let limbs = level + 1 + self.special();
            self.keys(level).key_bytes(self.digits(level), limbs, self.log_n)
        };
        levels.map(key).sum::<u64>() + tables
    }

    /// What the price of an operation at `level` on `threads` threads depends on.
    pub fn setting(&self, level: usize, threads: usize) -> Setting {
        Setting {
            log_n: self.log_n,
            level,
            special: self.special(),
            alpha: self.alpha,
            threads,
            wide: self.is_wide(),
            sum_terms: self.sum_terms(),
            keys: self.keys(level),
        }
    }

    /// A key switch at a level.
    pub fn switch(&self, level: usize) -> SwitchShape {
        SwitchShape::at(self.log_n, level, self.alpha, self.special())
    }

    /// Key-switching digits at a level: `ceil((level + 1) / alpha)`.
    pub fn digits(&self, level: usize) -> usize {
        self.switch(level).digits()
    }

    /// Base-2 logarithm of the modulus `q_0 ... q_level` of a level.
    pub fn modulus_bits(&self, level: usize) -> f64 {
        self.moduli[..=level].iter().map(|q| q.log2()).sum()
    }

    /// Bytes of one limb: a word per coefficient.
    pub fn limb_bytes(&self) -> usize {
        8 << self.log_n
    }
}

impl From<&engine::params::Parameters> for Chain {
    fn from(p: &engine::params::Parameters) -> Self {
        Self {
            slots: p.slots(),
            log_n: p.log_n(),
            moduli: p.q().into_iter().map(|q| q as f64).collect(),
            scale: p.scale(),
            special_moduli: p.p().into_iter().map(|p| p as f64).collect(),
            alpha: p.digit_limbs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::count::{Kernel, count};
    use engine::modulus::{Modulus, primes::ntt_primes};
    use engine::ntt::NttTable;
    use engine::params::{Parameters, ParametersLiteral};

    #[test]
    fn digits_are_those_of_the_parameters() {
        for digit_limbs in 1..=4 {
            let mut literal =
                ParametersLiteral::uniform(11, 40, 40, 6, (digit_limbs, 46), digit_limbs).unwrap();
            literal.allow_insecure = true;
            let params = Parameters::new(&literal).unwrap();
            let chain = Chain::from(&params);
            for level in 0..=params.max_level() {
                let digits = params.digits(level);
                assert_eq!(chain.digits(level), digits.len(), "{digit_limbs} {level}");
                let several = digits.iter().filter(|digit| digit.len() > 1).count();
                let found = chain.switch(level).digits_of_several();
                assert_eq!(found, several, "{digit_limbs} {level}");
            }
        }
    }

    /// A chain is wide where a transform modulo one of its primes corrects words.
    #[test]
    fn wide_primes_are_those_that_the_engine_corrects_for() {
        for bits in [33, 46, 47, 48, 49, 50] {
            let prime = ntt_primes(bits, 13, 1, &[]).unwrap()[0];
            let table = NttTable::new(Modulus::new(prime).unwrap(), 13).unwrap();
            let (_, counts) = count(1, || table.forward(&mut vec![1; 1 << 13])).unwrap();
            let corrected = counts.total(|call| call.corrected) == counts.of(Kernel::NttForward);
            let chain =
                Chain { moduli: vec![1e9, prime as f64], ..Chain::uniform(13, 1, bits, 1, 1) };
            assert_eq!(chain.is_wide(), corrected, "{bits}");
            // A power of two stands for a prime just below.
            if prime as f64 <= f64::from(bits).exp2() {
                assert_eq!(Chain::uniform(13, 1, bits, 1, 1).is_wide(), corrected, "{bits}");
            }
        }
    }
}
