//! Constants and arithmetic of one conversion.

use crate::kernels::kernels;
use crate::modulus::{Modulus, RADIX_BITS, ShoupScalar};
use crate::{Error, Result};

/// Conversion from the primes of some limbs to any other limb.
pub struct BasisConverter {
    /// Source limbs (indices as in [`crate::params::Parameters::table`]).
    sources: Vec<usize>,
    /// Inverse of `prod / q_i` modulo `q_i`.
    hat_inverse: Vec<ShoupScalar>,
    /// `1 / q_i`.
    reciprocals: Vec<f64>,
    /// The source prime if it is the only one: then words are lifted as they are.
    single: Option<u64>,
    /// Per target limb: `prod / q_i` for each source, then `-prod`, modulo the target.
    constants: Vec<Vec<u64>>,
    /// Whether sums are small enough for [`crate::kernels::Kernels::dot_convert`]; the constants carry its radix then.
    small: bool,
    /// Per target limb: inverse of `prod` (unused zero for the sources themselves).
    inverse: Vec<ShoupScalar>,
    /// Per target limb: `prod` itself.
    product: Vec<ShoupScalar>,
}

impl BasisConverter {
    /// Constants for converting from `sources` to every limb of `moduli`.
    ///
    /// # Errors
    /// [`Error::Parameters`] when the source primes are not coprime to each other.
    pub fn new(moduli: &[Modulus], sources: Vec<usize>) -> Result<Self> {
        let not_coprime = || Error::Parameters("primes are not distinct".into());
        let product_mod = |m: &Modulus, skip: Option<usize>| {
            sources
                .iter()
                .filter(|&&s| Some(s) != skip)
                .fold(1 % m.value(), |acc, &s| m.mul(acc, moduli[s].value() % m.value()))
        };
        let hat_inverse = sources
            .iter()
            .map(|&s| {
                let hat = product_mod(&moduli[s], Some(s));
                Ok(moduli[s].shoup(moduli[s].inv(hat).ok_or_else(not_coprime)?))
            })
            .collect::<Result<Vec<_>>>()?;
        // The largest words of a sum: residues, and a quotient that is at most the number of sources.
        let largest =
            sources.iter().map(|&s| moduli[s].value()).sum::<u64>() + sources.len() as u64;
        let small = largest < 1 << RADIX_BITS;
        let radix = if small { 1 << kernels().convert_radix_bits } else { 1 };
        let constants = moduli
            .iter()
            .map(|m| {
                let hats = sources.iter().map(|&s| product_mod(m, Some(s)));
                let constants = hats.chain([m.neg(product_mod(m, None))]);
                let factor = m.reduce_u128(radix);
                constants.map(|c| m.mul(c, factor)).collect()
            })
            .collect();
        let product: Vec<_> = moduli.iter().map(|m| m.shoup(product_mod(m, None))).collect();
        let inverse = moduli
            .iter()
            .zip(&product)
            .map(|(m, p)| m.shoup(m.inv(p.value).unwrap_or(0)))
            .collect();
        let reciprocals = sources.iter().map(|&s| 1.0 / moduli[s].value() as f64).collect();
        let single = (sources.len() == 1).then(|| moduli[sources[0]].value());
        Ok(Self { sources, hat_inverse, reciprocals, single, constants, small, inverse, product })
    }

    /// Source limbs.
    pub fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// Slices that [`Self::convert`] reads: the source limbs, and the quotient if there are several.
    pub fn rows(&self) -> usize {
        self.sources.len() + usize::from(self.single.is_none())
    }

    /// Inverse of the product of the sources modulo limb `target`.
    pub fn inverse(&self, target: usize) -> ShoupScalar {
        self.inverse[target]
    }

    /// Product of the sources modulo limb `target`.
    pub fn product(&self, target: usize) -> ShoupScalar {
        self.product[target]
    }

    /// Prepares source limb number `i` (counted within the sources) in place: multiplies it by the
    /// inverse of `prod / q_i`. Coefficient form, `[0, q_i) -> [0, q_i)`.
    pub fn prepare(&self, i: usize, limb: &mut [u64], modulus: &Modulus) {
        if self.sources.len() > 1 {
            (kernels().mul_scalar)(limb, self.hat_inverse[i], modulus);
        }
    }

    /// The multiple of the product to subtract, from all prepared source limbs; of no use with a single one.
    pub fn quotient(&self, out: &mut [u64], prepared: &[&[u64]]) {
        (kernels().quotient)(out, prepared, &self.reciprocals);
    }

    /// Target limbs, each with its index, from the prepared source limbs followed by the quotient (which a single
    /// source does without). Outputs in `[0, 2q)`. Two at a time, as what a conversion from several limbs takes longest
    /// for is to read them.
    pub fn convert<'m>(
        &self,
        prepared: &[&[u64]],
        targets: &mut [(usize, &mut [u64])],
        modulus: impl Fn(usize) -> &'m Modulus,
    ) {
        for pair in targets.chunks_mut(2) {
            if self.small && self.single.is_none() {
                let (indices, mut outs): (Vec<usize>, Vec<&mut [u64]>) =
                    pair.iter_mut().map(|(i, out)| (*i, &mut **out)).unzip();
                let moduli: Vec<&Modulus> = indices.iter().map(|&i| modulus(i)).collect();
                let constants: Vec<&[u64]> =
                    indices.iter().map(|&i| self.constants[i].as_slice()).collect();
                (kernels().dot_convert)(&mut outs, prepared, &constants, &moduli);
                continue;
            }
            for (i, out) in pair {
                match self.single {
                    Some(p) => (kernels().lift)(out, prepared[0], p, modulus(*i)),
                    None => (kernels().dot_const)(out, prepared, &self.constants[*i], modulus(*i)),
                }
            }
        }
    }
}

/// Every conversion a parameter set needs.
pub struct RnsTables {
    /// `mod_up[d][len - 1]`: from the first `len` limbs of digit `d`.
    mod_up: Vec<Vec<BasisConverter>>,
    /// From the special primes.
    special: BasisConverter,
    /// `rescale[l]`: from q_l.
    rescale: Vec<BasisConverter>,
    /// `special_rescale[l]`: from q_l and the special primes, q_l first.
    special_rescale: Vec<BasisConverter>,
}

impl RnsTables {
    /// Constants for `levels` scale primes followed by the special primes, `alpha` limbs a digit.
    ///
    /// # Errors
    /// [`Error::Parameters`] when the primes are not distinct.
    pub fn new(moduli: &[Modulus], levels: usize, alpha: usize) -> Result<Self> {
        let special: Vec<usize> = (levels..moduli.len()).collect();
        let converter = |sources: Vec<usize>| BasisConverter::new(moduli, sources);
        let mod_up = (0..levels)
            .step_by(alpha)
            .map(|start| {
                let end = (start + alpha).min(levels);
                (start + 1..=end).map(|e| converter((start..e).collect())).collect()
            })
            .collect::<Result<Vec<Vec<_>>>>()?;
        let rescale = (0..levels).map(|l| converter(vec![l])).collect::<Result<_>>()?;
        let special_rescale = (0..levels)
            .map(|l| converter([&[l], special.as_slice()].concat()))
            .collect::<Result<_>>()?;
        Ok(Self { mod_up, special: converter(special)?, rescale, special_rescale })
    }

    /// Mod-up of digit `digit`, of which `len` limbs are present.
    pub fn mod_up(&self, digit: usize, len: usize) -> &BasisConverter {
        &self.mod_up[digit][len - 1]
    }

    /// Mod-down by the special primes, with q_level too when `rescale`.
    pub fn mod_down(&self, level: usize, rescale: bool) -> &BasisConverter {
        if rescale { &self.special_rescale[level] } else { &self.special }
    }

    /// Rescale by q_level alone.
    pub fn rescale(&self, level: usize) -> &BasisConverter {
        &self.rescale[level]
    }

    /// The special primes as sources (for the factor P).
    pub fn special(&self) -> &BasisConverter {
        &self.special
    }
}
