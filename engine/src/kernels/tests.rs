//! Every kernel of every instruction set against 128-bit arithmetic.

mod sums;

use super::packed::PACKED_WORDS;
use super::testing::for_each_isa;
use super::*;
use crate::modulus::Modulus;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PRIMES: [u64; 7] = [
    3,
    786_433,
    1_073_872_897,
    70_368_743_587_841,
    70_368_744_570_881,
    562_949_953_421_231,
    (1 << 50) - 27,
];
const LEN: usize = 72;

/// Words below `bound`: extremes first, then alternations, then random ones.
fn words(rng: &mut ChaCha8Rng, pattern: usize, len: usize, bound: u64) -> Vec<u64> {
    (0..len)
        .map(|i| match pattern {
            0 => 0,
            1 => bound - 1,
            2 => (bound - 1) * (i as u64 % 2),
            _ => rng.random_range(0..bound),
        })
        .collect()
}

fn lists(
    rng: &mut ChaCha8Rng,
    pattern: usize,
    count: usize,
    len: usize,
    bound: u64,
) -> Vec<Vec<u64>> {
    (0..count).map(|_| words(rng, pattern, len, bound)).collect()
}

fn refs(lists: &[Vec<u64>]) -> Vec<&[u64]> {
    lists.iter().map(Vec::as_slice).collect()
}

/// Runs the check for all primes and patterns.
fn for_each(check: impl Fn(&Modulus, usize, &mut ChaCha8Rng)) {
    for q in PRIMES {
        let modulus = Modulus::new(q).unwrap();
        for pattern in 0..4 {
            check(&modulus, pattern, &mut ChaCha8Rng::seed_from_u64(q ^ pattern as u64));
        }
    }
}

fn wide(x: u64) -> u128 {
    x.into()
}

/// The remainder by long division, the reference for everything.
fn remainder(x: u128, modulus: &Modulus) -> u64 {
    (x % wide(modulus.value())) as u64
}

/// A permutation of blocks with eight different lane permutations.
fn permutation(rng: &mut ChaCha8Rng, len: usize) -> (Vec<u32>, [[u64; 8]; 8]) {
    let blocks = (len / 8) as u32;
    let mut target: Vec<u32> = (0..blocks).collect();
    for i in (1..target.len()).rev() {
        target.swap(i, rng.random_range(0..=i));
    }
    let target = target.into_iter().map(|block| block << 3 | rng.random_range(0..8)).collect();
    let tables = std::array::from_fn(|j| std::array::from_fn(|t| (t as u64 * 3 + j as u64) % 8));
    (target, tables)
}

fn permuted(input: &[u64], target: &[u32], tables: &[[u64; 8]; 8]) -> Vec<u64> {
    let mut out = vec![0; input.len()];
    for (b, &code) in target.iter().enumerate() {
        for t in 0..8 {
            out[8 * (code as usize >> 3) + t] =
                input[8 * b + tables[code as usize & 7][t] as usize];
        }
    }
    out
}

for_each_isa!(
    additions,
    products,
    products_with_sums,
    scalar_products,
    reductions,
    lifts_of_centred_words,
    dots_with_constants,
    quotients_round_the_sum_of_fractions,
    key_products,
    permutations_of_blocks,
    lengths_that_wrap_are_refused,
    unequal_lengths_are_refused
);

fn additions(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        let q = m.value();
        let (a, b) = (words(rng, pattern, LEN, q), words(rng, pattern, LEN, q));
        let (mut sum, mut difference) = (a.clone(), a.clone());
        (kernels.add)(&mut sum, &b, m);
        (kernels.sub)(&mut difference, &b, m);
        for t in 0..LEN {
            assert_eq!(sum[t], (a[t] + b[t]) % q);
            assert_eq!(difference[t], (a[t] + q - b[t]) % q);
        }
    });
}

fn products(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        let q = m.value();
        let (a, b) = (words(rng, pattern, LEN, 2 * q), words(rng, pattern, LEN, q));
        let mut out = vec![u64::MAX; LEN];
        (kernels.mul)(&mut out, &a, &b, m);
        for t in 0..LEN {
            assert_eq!(out[t], remainder(wide(a[t]) * wide(b[t]), m), "{} {q}", kernels.name);
        }
    });
}

fn products_with_sums(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        let q = m.value();
        let (a, b) = (words(rng, pattern, LEN, 2 * q), words(rng, pattern, LEN, q));
        // The sums at their least where the product is at its largest, and the other way round.
        for other in [pattern, (pattern + 1) % 4] {
            let (start, c) = (words(rng, other, LEN, q), words(rng, other, LEN, q));
            let mut sum = vec![u64::MAX; LEN];
            let (mut difference, mut with_c) = (start.clone(), start.clone());
            (kernels.mul_add)(&mut sum, &a, &b, &c, m);
            (kernels.mul_sub)(&mut difference, &a, &b, None, m);
            (kernels.mul_sub)(&mut with_c, &a, &b, Some(&c), m);
            for t in 0..LEN {
                let product = wide(a[t]) * wide(b[t]);
                let negative = wide(q) - wide(remainder(product, m));
                assert_eq!(sum[t], remainder(product + wide(c[t]), m), "{} {q}", kernels.name);
                let expected = wide(start[t]) + negative;
                assert_eq!(difference[t], remainder(expected, m), "{} {q}", kernels.name);
                let expected = expected + wide(c[t]);
                assert_eq!(with_c[t], remainder(expected, m), "{} {q}", kernels.name);
            }
        }
    });
}

fn scalar_products(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        let q = m.value();
        for s in [0, 1, q / 2, q - 1] {
            let scalar = m.shoup(s);
            let (a, b) = (words(rng, pattern, LEN, q), words(rng, pattern, LEN, 1 << 52));
            let twice = words(rng, pattern, LEN, 2 * q);
            let (mut product, mut sum, mut difference) = (b.clone(), a.clone(), twice.clone());
            (kernels.mul_scalar)(&mut product, scalar, m);
            (kernels.mul_scalar_add)(&mut sum, &b, scalar, m);
            (kernels.sub_from_mul_scalar)(&mut difference, &a, scalar, m);
            for t in 0..LEN {
                let expected = wide(b[t]) * wide(s);
                assert_eq!(product[t], remainder(expected, m));
                assert_eq!(sum[t], remainder(expected + wide(a[t]), m));
                let expected = (wide(a[t]) + wide(2 * q) - wide(twice[t])) * wide(s);
                assert_eq!(difference[t], remainder(expected, m));
            }
        }
    });
}

fn reductions(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        for bound in [m.value(), 2 * m.value(), 1 << 52] {
            let a = words(rng, pattern, LEN, bound);
            let mut out = vec![u64::MAX; LEN];
            (kernels.reduce)(&mut out, &a, m);
            for t in 0..LEN {
                assert_eq!(out[t], a[t] % m.value());
            }
        }
    });
}

fn lifts_of_centred_words(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        for p in PRIMES {
            let mut x = words(rng, pattern, LEN, p);
            x[..3].copy_from_slice(&[p / 2, p / 2 + 1, p - 1]);
            let mut out = vec![u64::MAX; LEN];
            (kernels.lift)(&mut out, &x, p, m);
            for t in 0..LEN {
                let centred = i128::from(x[t]) - if x[t] > p / 2 { i128::from(p) } else { 0 };
                assert_eq!(i128::from(out[t]), centred.rem_euclid(i128::from(m.value())));
            }
        }
    });
}

fn dots_with_constants(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        for count in [0, 1, 2, 3, 7, 64] {
            let xs = lists(rng, pattern, count, LEN, 1 << 52);
            let consts = words(rng, pattern, count, m.value());
            let mut out = vec![u64::MAX; LEN];
            (kernels.dot_const)(&mut out, &refs(&xs), &consts, m);
            for t in 0..LEN {
                let sum = xs.iter().zip(&consts).map(|(x, &c)| wide(x[t]) * wide(c)).sum();
                assert_eq!(out[t], remainder(sum, m));
            }
        }
    });
}

fn quotients_round_the_sum_of_fractions(kernels: &Kernels) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for count in [0, 1, 2, 5, 30] {
        let primes: Vec<u64> = PRIMES.iter().copied().cycle().skip(2).take(count).collect();
        let inverses: Vec<f64> = primes.iter().map(|&q| 1.0 / q as f64).collect();
        for pattern in 0..4 {
            let xs: Vec<_> = primes.iter().map(|&q| words(&mut rng, pattern, LEN, q)).collect();
            let mut out = vec![u64::MAX; LEN];
            (kernels.quotient)(&mut out, &refs(&xs), &inverses);
            for t in 0..LEN {
                let sum = xs
                    .iter()
                    .zip(&inverses)
                    .fold(0.5, |sum, (x, inverse)| sum + x[t] as f64 * inverse);
                assert_eq!(out[t], sum.floor() as u64);
            }
        }
    }
}

/// The words of a key with these components (the second may be missing), digit by digit, as [`KeyWords`] orders them.
fn interleaved(key0: &[Vec<u64>], key1: &[Vec<u64>], packed: bool) -> Vec<u64> {
    let second = |d| key1.get(d).into_iter();
    let digits = key0.iter().enumerate();
    let components = digits.flat_map(|(d, first)| std::iter::once(first).chain(second(d)));
    let groups = components.flat_map(|words| words.as_chunks().0);
    let stored = |words: &[u64; KEY_WORDS]| {
        let mut stored = [0; PACKED_WORDS];
        pack(words, &mut stored);
        stored
    };
    match packed {
        true => groups.flat_map(stored).collect(),
        false => groups.flatten().copied().collect(),
    }
}

fn key_products(kernels: &Kernels) {
    const LEN: usize = 3 * KEY_WORDS;
    for_each(|m, pattern, rng| {
        let q = m.value();
        for count in [0, 1, 2, 3, 9, 64] {
            let digits = lists(rng, pattern, count, LEN, 2 * q);
            // A digit more than the product has, as for a value below the key's level.
            let [key0, key1] = [(); 2].map(|()| lists(rng, pattern, count + 1, LEN, q));
            let packed = m.bits() <= PACKED_BITS;
            let plain = interleaved(&key0, &key1, false);
            let less = interleaved(&key0, &key1, packed);
            let firsts: Vec<u64> = interleaved(&key0, &[], packed);
            let groups = (0..LEN).step_by(KEY_WORDS);
            let group = |start: usize| {
                key1[..count].iter().flat_map(move |words| words[start..start + KEY_WORDS].to_vec())
            };
            let masks: Vec<u64> = groups.flat_map(group).collect();
            let key = |words, components, packed| KeyWords {
                words,
                digits: count + 1,
                components,
                packed,
            };
            let keys = [
                (key(&plain, 2, false), None),
                (key(&less, 2, packed), None),
                (key(&firsts, 1, packed), Some(&masks[..])),
            ];
            let summand = words(rng, pattern, LEN, q);
            let scalar = m.shoup(q - 1);
            let (target, tables) = permutation(rng, LEN);
            for with_sum in [false, true] {
                let mut expected = [vec![0; LEN], vec![0; LEN]];
                for t in 0..LEN {
                    let dot = |key: &[Vec<u64>]| -> u128 {
                        digits.iter().zip(key).map(|(d, k)| wide(d[t]) * wide(k[t])).sum()
                    };
                    let sum = if with_sum { wide(summand[t]) * wide(scalar.value) } else { 0 };
                    expected[0][t] = remainder(dot(&key0) + sum, m);
                    expected[1][t] = remainder(dot(&key1), m);
                }
                for ((key, masks), with_permutation) in
                    keys.into_iter().flat_map(|k| [(k, false), (k, true)])
                {
                    let mut out = [vec![u64::MAX; LEN], vec![u64::MAX; LEN]];
                    let product = KeyProduct {
                        digits: &refs(&digits),
                        key,
                        masks,
                        next_key: None,
                        add0: with_sum.then_some((summand.as_slice(), scalar)),
                        permutation: with_permutation
                            .then_some(BlockPermutation { target: &target, tables: &tables }),
                    };
                    let [out0, out1] = &mut out;
                    (kernels.key_product)(out0, out1, &product, m);
                    for (found, expected) in out.iter().zip(&expected) {
                        if with_permutation {
                            assert_eq!(*found, permuted(expected, &target, &tables));
                        } else {
                            assert_eq!(found, expected);
                        }
                    }
                }
            }
        }
    });
}

fn permutations_of_blocks(kernels: &Kernels) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (target, tables) = permutation(&mut rng, LEN);
    let input = words(&mut rng, 3, LEN, u64::MAX);
    let mut out = vec![0; LEN];
    (kernels.permute)(&mut out, &input, BlockPermutation { target: &target, tables: &tables });
    assert_eq!(out, permuted(&input, &target, &tables));
}

/// Whether the key product of `count` digits over `words` words accepts a key that says to have `digits` digits.
fn accepts_key(
    kernels: &Kernels,
    words: usize,
    count: usize,
    key: KeyWords<'_>,
    masks: Option<&[u64]>,
) -> bool {
    let m = Modulus::new(97).unwrap();
    let zeros = vec![0; words];
    let product = KeyProduct {
        digits: &vec![&zeros[..]; count],
        key,
        masks,
        next_key: None,
        add0: None,
        permutation: None,
    };
    let (mut out0, mut out1) = (zeros.clone(), zeros.clone());
    let run = std::panic::AssertUnwindSafe(|| {
        (kernels.key_product)(&mut out0, &mut out1, &product, &m);
    });
    std::panic::catch_unwind(run).is_ok()
}

fn lengths_that_wrap_are_refused(kernels: &Kernels) {
    for words in [KEY_WORDS, 8 * KEY_WORDS] {
        let all = vec![0; 2 * 3 * words];
        let key = KeyWords { words: &all, digits: 3, components: 2, packed: false };
        let accepts = |key, masks| accepts_key(kernels, words, 3, key, masks);
        assert!(accepts(key, None));
        let less = &all[..2 * 3 * words / KEY_WORDS * PACKED_WORDS];
        let less = KeyWords { words: less, packed: true, ..key };
        assert!(accepts(less, None));
        assert!(!accepts(KeyWords { words: &less.words[1..], ..less }, None));
        // Masks of more or fewer digits, of no component or of one that is stored.
        let (half, masks) = (KeyWords { words: &all[3 * words..], components: 1, ..key }, &all);
        assert!(accepts(half, Some(&masks[..3 * words])) && !accepts(half, None));
        assert!(!accepts(half, Some(masks)) && !accepts(half, Some(&masks[..2 * words])));
        assert!(!accepts(key, Some(&masks[..3 * words])));
        // So many digits that the words of the key would be 2^64, that is 0, or 2^64 and those there are.
        let wrapping = usize::MAX / (2 * words) + 1;
        for (words_left, digits) in [(0, wrapping), (all.len(), wrapping + 3)] {
            let key = KeyWords { words: &all[..words_left], digits, ..key };
            assert!(!accepts(key, None), "{} {digits}", kernels.name);
        }
    }
}

#[test]
fn kernels_are_forced_by_name() {
    let available = available();
    let best = available[available.len() - 1].name;
    let chosen = |name: Option<&str>| {
        choose(name.map(OsString::from), &available).map(|kernels| kernels.name)
    };
    assert_eq!(chosen(None), Ok(best));
    for kernels in &available {
        assert_eq!(chosen(Some(kernels.name)), Ok(kernels.name));
    }
    for wrong in ["", "AVX2", "avx1024"] {
        assert_eq!(chosen(Some(wrong)), Err(wrong.into()));
    }
    // One that exists, but not on this processor.
    assert!(choose(Some("avx2".into()), &available[..1]).is_err());
    let message = unavailable(OsStr::new("avx1024")).to_string();
    assert!(message.contains("\"avx1024\"") && message.contains(best), "{message}");
}

fn unequal_lengths_are_refused(kernels: &Kernels) {
    let m = Modulus::new(97).unwrap();
    let result = std::panic::catch_unwind(|| (kernels.add)(&mut [0; 16], &[0; 8], &m));
    assert!(result.is_err(), "{}", kernels.name);
    let short = BlockPermutation { target: &[8], tables: &[[0; 8]; 8] };
    let result = std::panic::catch_unwind(|| (kernels.permute)(&mut [0; 8], &[0; 8], short));
    assert!(result.is_err(), "{}", kernels.name);
}
