//! Between coefficients in double precision and residues.

use crate::kernels::kernels;
use crate::modulus::{Modulus, ShoupScalar};
use crate::vector::instance::{Instance, instances};

/// `1.5 * 2^52`: adding it to a double below `2^51` rounds that to an integer (ties to even), which then stands
/// in the low bits of the sum.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// Bits of the parts that large coefficients are cut into.
const PART_BITS: u32 = 50;

/// Words handled at a time: they stay in the first-level cache.
pub(super) const CHUNK: usize = 512;

/// `2^exponent`.
fn power_of_two(exponent: u32) -> f64 {
    f64::from(exponent).exp2()
}

instances! {
/// Multiplies by `factor` and returns the largest magnitude; not finite if anything is not.
pub(super) fn scale_by<V>(values: &mut [f64], factor: f64) -> f64 {
    // The bits of magnitudes are ordered as the magnitudes are, with infinities and NaN on top.
    let mut largest = 0;
    for value in values {
        *value *= factor;
        largest = largest.max(value.to_bits() & !(1 << 63));
    }
    f64::from_bits(largest)
}
}

instances! {
/// The largest magnitude; not finite if anything is not.
pub(super) fn magnitude<V>(values: &[f64]) -> f64 {
    f64::from_bits(values.iter().fold(0, |largest, v| largest.max(v.to_bits() & !(1 << 63))))
}
}

instances! {
/// Rounds values of at most `2^50` and adds `offset`.
fn round<V>(out: &mut [u64], values: &[f64], offset: u64) {
    let offset = offset.wrapping_sub(MAGIC.to_bits());
    for (out, value) in out.iter_mut().zip(values) {
        *out = (value + MAGIC).to_bits().wrapping_add(offset);
    }
}
}

instances! {
/// Takes the integer part of `values / unit` away from them; they must be rounded. Adds `offset` to it.
fn take_part<V>(out: &mut [u64], values: &mut [f64], unit: f64, offset: u64) {
    let (inverse, offset) = (1.0 / unit, offset.wrapping_sub(MAGIC.to_bits()));
    for (out, value) in out.iter_mut().zip(values) {
        let part = (*value * inverse).trunc();
        *value -= part * unit;
        *out = (part + MAGIC).to_bits().wrapping_add(offset);
    }
}
}

/// How to bring rounded coefficients into residues.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounding {
    /// Parts of [`PART_BITS`] bits that the largest coefficient has.
    parts: u32,
    instance: Instance,
}

impl Rounding {
    /// For coefficients of at most `largest`, which is finite.
    pub(super) fn new(largest: f64) -> Self {
        let mut parts = 1;
        while largest > power_of_two(PART_BITS * parts) {
            parts += 1;
        }
        Self { parts, instance: Instance::chosen() }
    }

    /// Residues in `[0, q)` of the rounded coefficients.
    pub(super) fn residues(&self, out: &mut [u64], coefficients: &[f64], modulus: &Modulus) {
        let offset = positive_multiple(modulus);
        let mut words = [0; CHUNK];
        let mut rest = [0.0; CHUNK];
        for (out, values) in out.chunks_mut(CHUNK).zip(coefficients.chunks(CHUNK)) {
            let words = &mut words[..values.len()];
            if self.parts == 1 {
                round(self.instance, words, values, offset);
                (kernels().reduce)(out, words, modulus);
                continue;
            }
            // From the highest part down: multiply what there is by 2^50 and add the next one.
            let unit = modulus.shoup(modulus.reduce_u128(1 << PART_BITS));
            let rest = &mut rest[..values.len()];
            rest.iter_mut().zip(values).for_each(|(r, v)| *r = v.round_ties_even());
            let mut sum = [0; CHUNK];
            let sum = &mut sum[..values.len()];
            for part in (0..self.parts).rev() {
                take_part(self.instance, words, rest, power_of_two(PART_BITS * part), offset);
                (kernels().reduce)(out, words, modulus);
                (kernels().mul_scalar_add)(out, sum, unit, modulus);
                sum.copy_from_slice(out);
            }
        }
    }
}

/// The least multiple of `q` from `2^50` on: added to a number of magnitude at most `2^50`, it leaves the residue
/// and makes it a non-negative number below `2^52`.
fn positive_multiple(modulus: &Modulus) -> u64 {
    (1_u64 << PART_BITS).next_multiple_of(modulus.value())
}

/// Constants that bring residues back to numbers: mixed radix digits, centred.
#[derive(Debug)]
pub(super) struct Reconstruction {
    moduli: Vec<Modulus>,
    /// `inverses[i][j]`: inverse of `q_j` modulo `q_i`, for `j < i`.
    inverses: Vec<Vec<ShoupScalar>>,
}

impl Reconstruction {
    /// For any number of the first `moduli`, which are distinct primes.
    pub(super) fn new(moduli: &[Modulus]) -> Self {
        let inverse = |m: &Modulus, other: &Modulus| m.shoup(m.inv(other.value()).unwrap_or(0));
        let inverses = moduli
            .iter()
            .enumerate()
            .map(|(i, m)| moduli[..i].iter().map(|other| inverse(m, other)).collect())
            .collect();
        Self { moduli: moduli.to_vec(), inverses }
    }

    /// The numbers, centred, with these residues, times `factor`; `digits` is scratch.
    ///
    /// The number is `v_0 + q_0 (v_1 + q_1 (v_2 + ..))` with digits `|v_i| < q_i / 2`. A digit that is not zero
    /// outweighs all before it by a factor of almost 2, so the sum in double precision is as exact as its
    /// operations, and high digits that are zero do no harm.
    pub(super) fn numbers(
        &self,
        out: &mut [f64],
        residues: &[&[u64]],
        factor: f64,
        digits: &mut Vec<u64>,
    ) {
        let words = out.len();
        let instance = Instance::chosen();
        digits.clear();
        digits.resize(residues.len() * words, 0);
        let (mut shifted, mut reduced) = ([0; CHUNK], [0; CHUNK]);
        let (shifted, reduced) = (&mut shifted[..words], &mut reduced[..words]);
        for (i, residues) in residues.iter().enumerate() {
            let modulus = &self.moduli[i];
            let (known, rest) = digits.split_at_mut(i * words);
            let digit = &mut rest[..words];
            digit.copy_from_slice(residues);
            for (known, &inverse) in known.chunks_exact(words).zip(&self.inverses[i]) {
                add_offset(instance, shifted, known, positive_multiple(modulus));
                (kernels().reduce)(reduced, shifted, modulus);
                (kernels().sub_from_mul_scalar)(reduced, digit, inverse, modulus);
                digit.copy_from_slice(reduced);
            }
            centre(instance, digit, modulus.value());
        }
        out.fill(0.0);
        for (digit, modulus) in digits.chunks_exact(words).zip(&self.moduli).rev() {
            multiply_add(instance, out, modulus.value() as f64, digit);
        }
        scale_by(instance, out, factor);
    }
}

instances! {
/// `out = words + offset`, words being signed.
fn add_offset<V>(out: &mut [u64], words: &[u64], offset: u64) {
    for (out, word) in out.iter_mut().zip(words) {
        *out = word.wrapping_add(offset);
    }
}
}

instances! {
/// `[0, q)` to `(-q/2, q/2)`, as signed words.
fn centre<V>(words: &mut [u64], q: u64) {
    for word in words {
        *word = word.wrapping_sub(if *word > q / 2 { q } else { 0 });
    }
}
}

instances! {
/// `sum = sum * factor + words`, words being signed and below `2^51`.
fn multiply_add<V>(sum: &mut [f64], factor: f64, words: &[u64]) {
    for (sum, word) in sum.iter_mut().zip(words) {
        let word = f64::from_bits(word.wrapping_add(MAGIC.to_bits())) - MAGIC;
        *sum = *sum * factor + word;
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    fn moduli() -> Vec<Modulus> {
        [1_032_193, 1_125_899_906_826_241, 70_368_743_587_841, 65_537, 70_368_744_570_881]
            .map(|q| Modulus::new(q).unwrap())
            .to_vec()
    }

    /// The integer that a rounded double stands for.
    fn integer(value: f64) -> BigInt {
        let rounded = value.round_ties_even();
        let bits = rounded.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i64 - 1075;
        let mantissa = BigInt::from((bits & ((1 << 52) - 1)) | 1 << 52);
        let size = match exponent {
            _ if rounded == 0.0 => BigInt::ZERO,
            e if e >= 0 => mantissa << e,
            e => mantissa >> -e,
        };
        if rounded < 0.0 { -size } else { size }
    }

    fn residue(x: &BigInt, modulus: &Modulus) -> u64 {
        let q = BigInt::from(modulus.value());
        let r = ((x % &q) + &q) % &q;
        r.to_u64_digits().1.first().copied().unwrap_or(0)
    }

    fn check(values: &[f64]) {
        let largest = magnitude(Instance::chosen(), values);
        for modulus in moduli() {
            let mut out = vec![0; values.len()];
            Rounding::new(largest).residues(&mut out, values, &modulus);
            for (&value, &found) in values.iter().zip(&out) {
                assert_eq!(found, residue(&integer(value), &modulus), "{value:e}");
            }
        }
    }

    #[test]
    fn rounds_at_the_edges() {
        let mut values = Vec::new();
        for exponent in [-1, 0, 1, 20, 49, 50, 51, 52, 53, 62, 63, 99, 100, 101, 127, 150, 200] {
            let power = f64::from(exponent).exp2();
            values.extend([power, power * (1.0 - f64::EPSILON), power + 1.0, power - 1.0]);
            values.extend([power + 0.5, power - 0.5, 1.5 * power, 1.75 * power]);
        }
        values.extend(values.clone().iter().map(|v| -v));
        check(&values);
        // Each on its own too: then small ones take the short way.
        values.iter().for_each(|&v| check(&[v; 8]));
        check(&[0.0; 8]);
    }

    #[test]
    fn instances_agree() {
        let values: Vec<f64> = (0..512).map(|i| (f64::from(i) - 255.5) * 1.0e12).collect();
        let mut first: Option<Vec<u64>> = None;
        for instance in Instance::available() {
            let mut scaled = values.clone();
            assert_eq!(scale_by(instance, &mut scaled, -0.5), 255.5e12 / 2.0);
            let mut out = vec![0; 512];
            round(instance, &mut out, &scaled, 1 << 50);
            assert_eq!(*first.get_or_insert(out.clone()), out);
        }
    }

    #[test]
    fn what_is_not_finite_is_noticed() {
        for instance in Instance::available() {
            assert!(magnitude(instance, &[1.0, f64::NAN, 2.0]).is_nan());
            assert_eq!(magnitude(instance, &[1.0, f64::NEG_INFINITY]), f64::INFINITY);
            assert_eq!(magnitude(instance, &[1.0, -7.0]), 7.0);
        }
    }

    proptest! {
        #[test]
        fn rounds_anything(mantissas in prop::collection::vec(-1.0..1.0_f64, 8), bits in 0_u32..220) {
            check(&mantissas.iter().map(|m| m * power_of_two(bits)).collect::<Vec<_>>());
        }

        #[test]
        fn reconstructs(
            mantissas in prop::collection::vec(-1.0..1.0_f64, 8), count in 1_usize..=5, part in 0.0..1.0_f64,
        ) {
            let moduli = &moduli()[..count];
            let log_q: f64 = moduli.iter().map(|m| (m.value() as f64).log2()).sum();
            // Any size up to half the modulus.
            let size = (part * (log_q - 1.0)).exp2() * (1.0 - 1e-9);
            let values: Vec<f64> = mantissas.iter().map(|m| (m * size).round_ties_even()).collect();
            let residues: Vec<Vec<u64>> = moduli
                .iter()
                .map(|m| values.iter().map(|&v| residue(&integer(v), m)).collect())
                .collect();
            let residues: Vec<&[u64]> = residues.iter().map(Vec::as_slice).collect();
            let mut out = vec![0.0; 8];
            Reconstruction::new(&self::moduli()).numbers(&mut out, &residues, 0.5, &mut Vec::new());
            for (found, value) in out.iter().zip(&values) {
                let error = (found - value / 2.0).abs();
                prop_assert!(error <= 1e-14 * value.abs(), "{found:e} {value:e}");
            }
        }
    }
}
