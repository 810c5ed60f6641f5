//! Parameters, as a configuration names them.

use engine::params::{ParametersLiteral, limits};
use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::{Error, Result};

/// CKKS parameters, as a person or the search chooses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterChoice {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Bits of the scale; none where [`Configuration::scales`] gives every value's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_bits: Option<u32>,
    /// Bits of every prime that a rescale removes: the scale's, or those of scale and weights together when squares
    /// are not rescaled.
    pub prime_bits: u32,
    /// Bits of the highest of them, by which the first layer divides, if others: the image and its weights, which share its
    /// scale, are precise long before what comes after them is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_bits: Option<u32>,
    /// Bits of the first prime, which holds the result.
    pub first_bits: u32,
    /// Bits of each special prime.
    pub special_bits: u32,
    /// Number of special primes.
    pub special: usize,
    /// Limbs per key-switching digit.
    pub alpha: usize,
    /// Levels: the number of primes that can be removed.
    pub levels: usize,
}

impl ParameterChoice {
    /// Bits of all primes together; 2^64 - 1 for more.
    pub fn log_qp(&self) -> u64 {
        let all = |bits: u32, count: usize| u64::from(bits).saturating_mul(count as u64);
        let top = self.levels.min(1);
        u64::from(self.first_bits)
            .saturating_add(all(self.prime_bits, self.levels - top))
            .saturating_add(all(self.top_bits.unwrap_or(self.prime_bits), top))
            .saturating_add(all(self.special_bits, self.special))
    }

    /// Whether these parameters stay within 128-bit security, with a bit to spare for primes that lie a little
    /// above their nominal sizes.
    pub fn secure(&self) -> bool {
        engine::params::max_log_qp(self.log_n).is_some_and(|limit| self.log_qp() < limit.into())
    }

    /// Checks every field against the engine's limits ([`engine::params::limits`]), so that lists may be made of them; rings
    /// may be smaller than those it computes with.
    ///
    /// # Errors
    /// [`Error::Argument`] with the name of the field.
    pub fn check(&self) -> Result<()> {
        let within = |what, found: u64, least: u64, most: u64| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(Error::argument(what, found, format!("{least} to {most}")))
        };
        let prime = u64::from(limits::MAX_PRIME_BITS);
        let (levels, special) = (limits::MAX_LEVELS as u64, limits::MAX_SPECIAL as u64);
        within("parameters.log_n", self.log_n.into(), 1, limits::MAX_LOG_N.into())?;
        let (least, most) = (limits::MIN_LOG_SCALE as u64, limits::MAX_LOG_SCALE as u64);
        let scale = self
            .scale_bits
            .map_or(Ok(()), |bits| within("parameters.scale_bits", bits.into(), least, most));
        scale?;
        within("parameters.prime_bits", self.prime_bits.into(), 1, prime)?;
        let top = self
            .top_bits
            .map_or(Ok(()), |bits| within("parameters.top_bits", bits.into(), 1, prime));
        top?;
        within("parameters.first_bits", self.first_bits.into(), 1, prime)?;
        within("parameters.special_bits", self.special_bits.into(), 1, prime)?;
        within("parameters.special", self.special as u64, 1, special)?;
        within("parameters.alpha", self.alpha as u64, 1, levels + 1)?;
        within("parameters.levels", self.levels as u64, 0, levels)
    }

    /// Bits of the nominal scale: where every value's is planned, that of a prime, which nothing is at but what has no plan.
    fn nominal_bits(&self) -> u32 {
        self.scale_bits.unwrap_or(self.prime_bits)
    }

    /// Bits of each prime that can be removed, q_1 to q_L.
    fn removed_bits(&self) -> Vec<u32> {
        let mut bits = vec![self.prime_bits; self.levels];
        if let (Some(last), Some(top)) = (bits.last_mut(), self.top_bits) {
            *last = top;
        }
        bits
    }

    /// What the engine makes the parameters from.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn literal(&self) -> Result<ParametersLiteral> {
        self.check()?;
        Ok(ParametersLiteral {
            log_n: self.log_n,
            chain: engine::params::Chain::Bits {
                first: self.first_bits,
                scale: self.removed_bits(),
                special: vec![self.special_bits; self.special],
            },
            log_scale: f64::from(self.nominal_bits()),
            digit_limbs: self.alpha,
            allow_insecure: false,
        })
    }

    /// A chain of ideal moduli, each exactly a power of two: for pricing, before primes are chosen.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn ideal_chain(&self) -> Result<Chain> {
        self.check()?;
        let mut chain =
            Chain::uniform(self.log_n, self.levels, self.prime_bits, self.special, self.alpha);
        chain.scale = f64::from(self.nominal_bits()).exp2();
        let bits = std::iter::once(self.first_bits).chain(self.removed_bits());
        chain.moduli = bits.map(|bits| f64::from(bits).exp2()).collect();
        chain.special_moduli.fill(f64::from(self.special_bits).exp2());
        Ok(chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets a field.
    type Set = fn(&mut ParameterChoice, u64);

    #[test]
    fn absurd_parameters_are_refused_before_memory_is_taken() {
        let good = ParameterChoice {
            log_n: 13,
            scale_bits: Some(32),
            prime_bits: 32,
            top_bits: None,
            first_bits: 42,
            special_bits: 42,
            special: 1,
            alpha: 1,
            levels: 3,
        };
        good.literal().unwrap();
        assert_eq!(good.ideal_chain().unwrap().moduli.len(), 4);
        let absurd = [64, 4_000_000_000, 1_000_000_000_000, usize::MAX as u64];
        let fields: [(&str, Set); 9] = [
            ("log_n", |p, x| p.log_n = x as u32),
            ("scale_bits", |p, x| p.scale_bits = Some((x as u32).max(101))),
            ("prime_bits", |p, x| p.prime_bits = (x as u32).max(51)),
            ("top_bits", |p, x| p.top_bits = Some((x as u32).max(51))),
            ("first_bits", |p, x| p.first_bits = (x as u32).max(51)),
            ("special_bits", |p, x| p.special_bits = (x as u32).max(51)),
            ("special", |p, x| p.special = x as usize),
            ("alpha", |p, x| p.alpha = x.max(65) as usize),
            ("levels", |p, x| p.levels = x as usize),
        ];
        for (field, set) in fields {
            for value in absurd {
                let mut choice = good;
                set(&mut choice, value);
                for error in [choice.literal().err(), choice.ideal_chain().err()] {
                    let error = error.unwrap().to_string();
                    assert!(error.starts_with(&format!("parameters.{field} is ")), "{error}");
                }
            }
        }
        // Neither does the sum of bits wrap.
        let most = ParameterChoice { levels: usize::MAX, prime_bits: u32::MAX, ..good };
        assert_eq!(most.log_qp(), u64::MAX);
        // 2^32 levels of 32 bits are 0 when counted in 32 bits.
        assert!(!ParameterChoice { levels: 1 << 32, ..good }.secure());
    }

    #[test]
    fn the_prime_on_top_may_have_another_size() {
        let even = ParameterChoice {
            log_n: 13,
            scale_bits: None,
            prime_bits: 40,
            top_bits: None,
            first_bits: 38,
            special_bits: 30,
            special: 1,
            alpha: 1,
            levels: 3,
        };
        let topped = ParameterChoice { top_bits: Some(23), ..even };
        assert_eq!((even.log_qp(), topped.log_qp()), (188, 171));
        let bits = |choice: ParameterChoice| -> Vec<f64> {
            choice.ideal_chain().unwrap().moduli.iter().map(|q| q.log2()).collect()
        };
        assert_eq!(bits(even), [38.0, 40.0, 40.0, 40.0]);
        assert_eq!(bits(topped), [38.0, 40.0, 40.0, 23.0]);
        let made = engine::params::Parameters::new(&topped.literal().unwrap()).unwrap();
        let made = Chain::from(&made);
        for (made, ideal) in made.moduli.iter().zip(bits(topped)) {
            // Primes of few bits lie further apart.
            assert!((made.log2() - ideal).abs() < 0.05, "{made} {ideal}");
        }
        // Without a level there is none on top.
        let flat = ParameterChoice { levels: 0, ..topped };
        assert_eq!((flat.log_qp(), bits(flat)), (68, vec![38.0]));
        let text = toml::to_string(&topped).unwrap();
        assert!(
            text.contains("top_bits = 23")
                && toml::from_str::<ParameterChoice>(&text).unwrap() == topped
        );
        assert!(!toml::to_string(&even).unwrap().contains("top_bits"));
    }
}
