//! Basis conversion against integers of any size.

#![allow(clippy::unwrap_used)]

use engine::modulus::Modulus;
use engine::modulus::primes::ntt_primes;
use engine::rns::BasisConverter;
use num_bigint::{BigInt, BigUint};
use proptest::prelude::*;

/// Coefficients at a time: the smallest vector that every kernel takes.
const WORDS: usize = 64;

fn moduli(bits: &[u32]) -> Vec<Modulus> {
    let mut used = Vec::new();
    bits.iter()
        .map(|&b| {
            let prime = ntt_primes(b, 11, 1, &used).unwrap()[0];
            used.push(prime);
            Modulus::new(prime).unwrap()
        })
        .collect()
}

fn residue(x: &BigInt, modulus: &Modulus) -> u64 {
    let q = BigInt::from(modulus.value());
    let r = ((x % &q) + &q) % &q;
    u64::try_from(r).unwrap()
}

/// Converts numbers from the `sources` to every modulus.
fn convert(moduli: &[Modulus], sources: &[usize], numbers: &[BigInt]) -> Vec<Vec<u64>> {
    let converter = BasisConverter::new(moduli, sources.to_vec()).unwrap();
    assert_eq!(converter.sources(), sources);
    let mut limbs: Vec<Vec<u64>> = Vec::new();
    for (i, &s) in sources.iter().enumerate() {
        let mut limb: Vec<u64> = numbers.iter().map(|x| residue(x, &moduli[s])).collect();
        converter.prepare(i, &mut limb, &moduli[s]);
        limbs.push(limb);
    }
    if converter.rows() > sources.len() {
        let mut quotient = vec![0; numbers.len()];
        converter.quotient(&mut quotient, &limbs.iter().map(Vec::as_slice).collect::<Vec<_>>());
        limbs.push(quotient);
    }
    let prepared: Vec<&[u64]> = limbs.iter().map(Vec::as_slice).collect();
    let target = |t: usize| {
        let mut out = vec![0; numbers.len()];
        converter.convert(&prepared, &mut [(t, &mut out)], |i| &moduli[i]);
        // Below twice the prime.
        let q = moduli[t].value();
        out.iter().map(|&word| if word < q { word } else { word - q }).collect()
    };
    (0..moduli.len()).map(target).collect()
}

fn product(moduli: &[Modulus], of: &[usize]) -> BigInt {
    of.iter().map(|&i| BigInt::from(moduli[i].value())).product()
}

/// Checks the conversion of numbers within `(-Q/2, Q/2)`, not too near its ends.
fn check(moduli: &[Modulus], sources: &[usize], numbers: &[BigInt]) {
    let converted = convert(moduli, sources, numbers);
    for (t, (limb, modulus)) in converted.iter().zip(moduli).enumerate() {
        for (x, &found) in numbers.iter().zip(limb) {
            assert_eq!(found, residue(x, modulus), "{x} from {sources:?} to {t}");
        }
    }
}

fn sets() -> Vec<Vec<Modulus>> {
    [
        &[20, 20, 20, 30, 46][..],
        &[30, 30, 30, 37, 50],
        &[46, 46, 46, 46, 47, 47],
        &[50, 50, 50, 50, 50, 50, 50],
        &[40, 50, 20, 43, 50, 30],
    ]
    .map(moduli)
    .to_vec()
}

#[test]
fn edges() {
    for moduli in sets() {
        for count in 1..moduli.len() {
            let sources: Vec<usize> = (0..count).collect();
            let q = product(&moduli, &sources);
            let half: BigInt = &q / 2;
            // Next to half the modulus the quotient is rounded in double precision: stay 2^-45 of it away.
            let margin: BigInt = (&q >> 45) + 1;
            let mut numbers = vec![BigInt::from(0), BigInt::from(1), &half / 2, &half - &margin];
            numbers.extend(sources.iter().map(|&s| &q / moduli[s].value()));
            numbers.extend(numbers.clone().iter().map(|x| -x));
            numbers.retain(|x| x <= &(&half - &margin) && x >= &(&margin - &half));
            numbers.resize(WORDS, BigInt::from(-1));
            check(&moduli, &sources, &numbers);
        }
    }
}

#[test]
fn at_half_the_modulus_either_representative_may_come() {
    for moduli in sets() {
        let sources = [0, 1, 2];
        let q = product(&moduli, &sources);
        let half: BigInt = &q / 2;
        let numbers: Vec<BigInt> = (0..WORDS as i64).map(|i| &half - 32 + i).collect();
        let converted = convert(&moduli, &sources, &numbers);
        for (word, x) in numbers.iter().enumerate() {
            let candidates = [x.clone(), x - &q];
            let fits =
                |x: &BigInt| converted.iter().zip(&moduli).all(|(l, m)| l[word] == residue(x, m));
            assert!(candidates.iter().any(fits), "{x}");
        }
    }
}

#[test]
fn constants() {
    for moduli in sets() {
        let sources: Vec<usize> = vec![1, 2];
        let converter = BasisConverter::new(&moduli, sources.clone()).unwrap();
        let q = product(&moduli, &sources);
        for (t, modulus) in moduli.iter().enumerate() {
            assert_eq!(converter.product(t).value, residue(&q, modulus));
            if !sources.contains(&t) {
                let inverse = converter.inverse(t).value;
                assert_eq!(modulus.mul(inverse, residue(&q, modulus)), 1);
            }
        }
    }
}

#[test]
fn primes_must_be_distinct() {
    let moduli = moduli(&[46, 46]);
    let twice = [moduli[0], moduli[1], moduli[0]];
    let error = BasisConverter::new(&twice, vec![0, 2]).err().unwrap();
    assert_eq!(error.to_string(), "parameters: primes are not distinct");
}

proptest! {
    #[test]
    fn anything(set in 0_usize..5, start in 0_usize..4, count in 1_usize..6, seeds in prop::collection::vec(any::<[u64; 6]>(), WORDS)) {
        let moduli = sets().swap_remove(set);
        let end = (start + count).min(moduli.len());
        let sources: Vec<usize> = (start.min(end - 1)..end).collect();
        let q = product(&moduli, &sources);
        let half: BigInt = &q / 2;
        let margin: BigInt = (&q >> 45) + 1;
        let numbers: Vec<BigInt> = seeds
            .iter()
            .map(|words| {
                let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
                let wide = BigInt::from(BigUint::from_bytes_le(&bytes));
                let range: BigInt = &q - &margin * 2;
                wide % range - &half + &margin
            })
            .collect();
        check(&moduli, &sources, &numbers);
    }
}
