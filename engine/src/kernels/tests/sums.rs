//! Sums of products of every instruction set against 128-bit arithmetic.

use super::*;

for_each_isa!(
    converting_dots,
    dots_of_pairs,
    wrong_lengths_of_pairs_are_refused,
    sums_of_squares,
    tensor_products
);

fn converting_dots(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        let other = Modulus::new(PRIMES[5]).unwrap();
        for count in [1, 2, 3, 9, 64] {
            // The largest words whose sum stays below 2^52.
            let xs = lists(rng, pattern, count, LEN, (1 << 52) / count as u64);
            let consts = words(rng, pattern, count, m.value());
            let others = words(rng, pattern, count, other.value());
            let mut alone = vec![u64::MAX; LEN];
            (kernels.dot_convert)(&mut [&mut alone], &refs(&xs), &[&consts], &[m]);
            let [mut first, mut second] = [(); 2].map(|()| vec![u64::MAX; LEN]);
            (kernels.dot_convert)(
                &mut [&mut first, &mut second],
                &refs(&xs),
                &[&consts, &others],
                &[m, &other],
            );
            for t in 0..LEN {
                let dot = |c: &[u64]| xs.iter().zip(c).map(|(x, &c)| wide(x[t]) * wide(c)).sum();
                for (found, consts, m) in
                    [(alone[t], &consts, m), (first[t], &consts, m), (second[t], &others, &other)]
                {
                    assert!(found < 2 * m.value());
                    assert_eq!(
                        remainder(wide(found) << kernels.convert_radix_bits, m),
                        remainder(dot(consts), m)
                    );
                }
            }
        }
    });
}

fn dots_of_pairs(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        let q = m.value();
        // 4096 and more terms overflow 64-bit accumulators of 52-bit halves unless they are folded.
        for (count, len) in [(0, 8), (1, 40), (2, 136), (25, 72), (4096, 24), (5000, 8)] {
            let [x0, x1] = [(); 2].map(|()| lists(rng, pattern, count, len, q));
            for outputs in 1..=MAX_OUTPUTS {
                for run in [1, 8, 16, 64, 512] {
                    let factors = lists(rng, pattern, count * outputs, len.div_ceil(run), q);
                    let start = lists(rng, pattern, 2 * outputs, len, q);
                    for add in [false, true] {
                        let mut out = start.clone();
                        let mut outs: Vec<[&mut [u64]; 2]> = out
                            .as_chunks_mut::<2>()
                            .0
                            .iter_mut()
                            .map(|[out0, out1]| [&mut out0[..], &mut out1[..]])
                            .collect();
                        let (x0, x1, factors) = (&refs(&x0), &refs(&x1), &refs(&factors));
                        let products = PairProducts { x0, x1, factors, run, add };
                        (kernels.dot_pairs)(&mut outs, &products, m);
                        for (i, (out, start)) in out.iter().zip(&start).enumerate() {
                            let (x, j) = (if i % 2 == 0 { x0 } else { x1 }, i / 2);
                            for t in 0..len {
                                let factor = |k: usize| wide(factors[outputs * k + j][t / run]);
                                let dot: u128 = (0..count).map(|k| wide(x[k][t]) * factor(k)).sum();
                                let expected = dot + if add { wide(start[t]) } else { 0 };
                                assert_eq!(
                                    out[t],
                                    remainder(expected, m),
                                    "{} {q}: {count} terms, output {j} of {outputs}, run {run}",
                                    kernels.name
                                );
                            }
                        }
                    }
                }
            }
        }
    });
}

fn wrong_lengths_of_pairs_are_refused(kernels: &Kernels) {
    let m = Modulus::new(97).unwrap();
    let zeros = [0; 64];
    let accepts = |outputs: usize, terms: [usize; 2], factors: usize, words: usize, run| {
        let mut outs = vec![[0; 64]; 2 * outputs];
        let mut outs: Vec<[&mut [u64]; 2]> = outs
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .map(|[out0, out1]| [&mut out0[..], &mut out1[..]])
            .collect();
        let [x0, x1] = terms.map(|count| vec![&zeros[..]; count]);
        let factors = vec![&zeros[..words]; factors];
        let products = PairProducts { x0: &x0, x1: &x1, factors: &factors, run, add: false };
        let call = std::panic::AssertUnwindSafe(|| {
            (kernels.dot_pairs)(&mut outs, &products, &m);
        });
        std::panic::catch_unwind(call).is_ok()
    };
    assert!(accepts(2, [3, 3], 6, 64, 1) && accepts(2, [3, 3], 6, 4, 16));
    // No output, or too many; components of unequal number; factors missing; runs that are no powers of two from 8 on.
    assert!(!accepts(0, [3, 3], 0, 64, 1) && !accepts(5, [3, 3], 15, 64, 1));
    assert!(!accepts(2, [3, 2], 6, 64, 1) && !accepts(2, [3, 3], 5, 64, 1));
    assert!(!accepts(2, [3, 3], 6, 3, 16) && !accepts(2, [3, 3], 6, 63, 1));
    assert!(!accepts(2, [3, 3], 6, 64, 4) && !accepts(2, [3, 3], 6, 64, 24));
    assert!(!accepts(2, [3, 3], 6, 64, 0));
}

fn sums_of_squares(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        for (count, len) in [(0, 8), (1, 40), (3, 72), (5000, 24)] {
            let [a, b] = std::array::from_fn(|_| lists(rng, pattern, count, len, m.value()));
            let mut out = [vec![u64::MAX; len], vec![u64::MAX; len], vec![u64::MAX; len]];
            let [out0, out1, out2] = &mut out;
            (kernels.square_sum)(out0, out1, out2, &refs(&a), &refs(&b), m);
            for t in 0..len {
                let dot = |x: &[Vec<u64>], y: &[Vec<u64>]| -> u128 {
                    x.iter().zip(y).map(|(x, y)| wide(x[t]) * wide(y[t])).sum()
                };
                assert_eq!(out[0][t], remainder(dot(&a, &a), m));
                assert_eq!(out[1][t], remainder(2 * dot(&a, &b), m));
                assert_eq!(out[2][t], remainder(dot(&b, &b), m));
            }
        }
    });
}

fn tensor_products(kernels: &Kernels) {
    for_each(|m, pattern, rng| {
        let [a0, a1, b0, b1] = std::array::from_fn(|_| words(rng, pattern, LEN, m.value()));
        let mut out = [vec![u64::MAX; LEN], vec![u64::MAX; LEN], vec![u64::MAX; LEN]];
        let [out0, out1, out2] = &mut out;
        (kernels.tensor)([out0, out1, out2], [&a0, &a1, &b0, &b1], m);
        for t in 0..LEN {
            let product = |x: &[u64], y: &[u64]| wide(x[t]) * wide(y[t]);
            assert_eq!(out[0][t], remainder(product(&a0, &b0), m));
            assert_eq!(out[1][t], remainder(product(&a0, &b1) + product(&a1, &b0), m));
            assert_eq!(out[2][t], remainder(product(&a1, &b1), m));
        }
    });
}
