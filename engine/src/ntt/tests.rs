use super::*;
use crate::kernels::testing::for_each_isa;
use crate::kernels::{Kernels, available};
use crate::modulus::primes::{is_prime, ntt_primes};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn table(bits: u32, log_n: u32) -> NttTable {
    let q = ntt_primes(bits, log_n, 1, &[]).unwrap()[0];
    NttTable::new(Modulus::new(q).unwrap(), log_n).unwrap()
}

/// The largest prime below `2^bits` for the ring degree.
fn largest(bits: u32, log_n: u32) -> NttTable {
    largest_below(1 << bits, log_n)
}

/// The largest prime below a bound for the ring degree.
fn largest_below(bound: u64, log_n: u32) -> NttTable {
    let mut q = ((bound - 2) >> (log_n + 1) << (log_n + 1)) + 1;
    while !is_prime(q) {
        q -= 2 << log_n;
    }
    NttTable::new(Modulus::new(q).unwrap(), log_n).unwrap()
}

fn random(rng: &mut ChaCha8Rng, n: usize, bound: u64) -> Vec<u64> {
    (0..n).map(|_| rng.random_range(0..bound)).collect()
}

/// Words at the ends of the allowed range, and random ones.
fn inputs(table: &NttTable) -> Vec<Vec<u64>> {
    let (n, q) = (table.n(), table.modulus().value());
    let mut rng = ChaCha8Rng::seed_from_u64(q);
    vec![
        vec![0; n],
        vec![q - 1; n],
        vec![2 * q - 1; n],
        (0..n).map(|i| if i % 2 == 0 { 2 * q - 1 } else { 0 }).collect(),
        (0..n).map(|i| if i < n / 2 { 0 } else { 2 * q - 1 }).collect(),
        (0..n).map(|i| u64::from(i == 1)).collect(),
        random(&mut rng, n, 2 * q),
    ]
}

/// Runs the check for every class of primes.
fn for_each(log_ns: &[u32], check: impl Fn(&NttTable)) {
    for &log_n in log_ns {
        for bits in [20, 30, 45, 46, 47, 48, 50] {
            if bits >= log_n + 6 {
                [table(bits, log_n), largest(bits, log_n)].iter().for_each(&check);
            }
        }
    }
}

for_each_isa!(
    forward_evaluates_at_odd_powers_of_the_root,
    products_are_negacyclic,
    inverse_undoes_forward,
    agrees_with_scalar_kernels,
    subrings_have_the_words_of_the_ring,
);

fn forward_evaluates_at_odd_powers_of_the_root(kernels: &Kernels) {
    for_each(&[5, 6, 7, 8], |table| {
        let (n, m) = (table.n(), table.modulus());
        let psi = table.table.forward_twiddles().get(n / 2).value;
        assert_eq!(m.pow(psi, n as u64), m.value() - 1);
        for input in inputs(table) {
            let mut output = input.clone();
            (kernels.ntt_forward)(&table.table, &mut output);
            for (i, &word) in output.iter().enumerate() {
                let brv = i.reverse_bits() >> (usize::BITS - table.log_n());
                let point = m.pow(psi, 2 * brv as u64 + 1);
                let value =
                    input.iter().rev().fold(0, |sum, &a| m.add(m.mul(sum, point), a % m.value()));
                assert_eq!(word, value, "{} word {i} mod {}", kernels.name, m.value());
            }
        }
    });
}

fn products_are_negacyclic(kernels: &Kernels) {
    for_each(&[5, 8], |table| {
        let (n, m) = (table.n(), table.modulus());
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (a, b) = (random(&mut rng, n, m.value()), random(&mut rng, n, m.value()));
        let mut expected = vec![0; n];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let product = m.mul(x, y);
                let word = &mut expected[(i + j) % n];
                *word = if i + j < n { m.add(*word, product) } else { m.sub(*word, product) };
            }
        }
        let (mut x, mut y) = (a, b);
        (kernels.ntt_forward)(&table.table, &mut x);
        (kernels.ntt_forward)(&table.table, &mut y);
        let mut product = vec![0; n];
        (kernels.mul)(&mut product, &x, &y, m);
        (kernels.ntt_inverse)(&table.table, &mut product);
        assert_eq!(product, expected, "{} mod {}", kernels.name, m.value());
    });
}

fn inverse_undoes_forward(kernels: &Kernels) {
    for_each(&[5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17], |table| {
        let q = table.modulus().value();
        for input in inputs(table) {
            let mut words = input.clone();
            (kernels.ntt_forward)(&table.table, &mut words);
            assert!(words.iter().all(|&word| word < q));
            (kernels.ntt_inverse)(&table.table, &mut words);
            let expected: Vec<u64> = input.iter().map(|a| a % q).collect();
            assert!(words == expected, "{} N = {} mod {q}", kernels.name, table.n());
        }
    });
}

fn agrees_with_scalar_kernels(kernels: &Kernels) {
    for log_n in 5..=17 {
        // Also the primes next to where some instruction set begins to correct words: 2^52 / 20, 2^48,
        // and the largest without corrections in between of the 52-bit forward transform, 2^46.2 to 2^46.9.
        let powers = [24, 45, 46, 47, 48, 49, 50].map(|bits| 1 << bits);
        let bounds = (0..8).map(|eighth| (1 << 46) + (eighth << 43));
        for bound in powers.into_iter().chain(bounds).chain([(1 << 52) / 20]) {
            let table = largest_below(bound, log_n);
            for input in inputs(&table) {
                let transform = |kernels: &Kernels| {
                    let (mut forward, mut inverse) = (input.clone(), input.clone());
                    (kernels.ntt_forward)(&table.table, &mut forward);
                    (kernels.ntt_inverse)(&table.table, &mut inverse);
                    (forward, inverse)
                };
                assert!(
                    transform(kernels) == transform(available()[0]),
                    "{} N = 2^{log_n} below {bound}",
                    kernels.name
                );
            }
        }
    }
}

#[test]
fn unsuitable_moduli_are_errors() {
    let modulus = Modulus::new(1_032_193).unwrap();
    assert!(NttTable::new(modulus, 13).is_ok());
    assert!(NttTable::new(modulus, 17).is_err());
    assert!(NttTable::new(modulus, 4).is_err());
    assert!(NttTable::new(modulus, 18).is_err());
    assert!(NttTable::new(Modulus::new(65_537 * 257).unwrap(), 5).is_err());
}

fn subrings_have_the_words_of_the_ring(kernels: &Kernels) {
    for bits in [30, 46, 50] {
        let whole = table(bits, 12);
        let mut rng = ChaCha8Rng::seed_from_u64(u64::from(bits));
        for log_m in [5, 6, 9, 12] {
            let part = whole.subring(log_m);
            let (m, run) = (part.n(), whole.n() / part.n());
            let coefficients = random(&mut rng, m, whole.modulus().value());
            let mut all = vec![0; whole.n()];
            coefficients.iter().zip(all.iter_mut().step_by(run)).for_each(|(&c, a)| *a = c);
            let mut words = coefficients.clone();
            (kernels.ntt_forward)(&part.table, &mut words);
            (kernels.ntt_forward)(&whole.table, &mut all);
            for (i, &word) in all.iter().enumerate() {
                assert_eq!(word, words[i / run], "{} {bits} 2^{log_m} {i}", kernels.name);
            }
            (kernels.ntt_inverse)(&part.table, &mut words);
            assert_eq!(words, coefficients, "{} {bits} 2^{log_m}", kernels.name);
        }
    }
}
