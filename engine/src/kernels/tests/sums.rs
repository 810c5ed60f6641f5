//! Sums of products of every instruction set against 128-bit arithmetic.

use super::*;

#[test]
fn montgomery_dots() {
    for_each(|kernels, m, pattern, rng| {
        let other = Modulus::new(PRIMES[5]).unwrap();
        for count in [1, 2, 3, 9, 64] {
            // The largest words whose sum stays below 2^52.
            let xs = lists(rng, pattern, count, LEN, (1 << 52) / count as u64);
            let consts = words(rng, pattern, count, m.value());
            let others = words(rng, pattern, count, other.value());
            let mut alone = vec![u64::MAX; LEN];
            (kernels.dot_montgomery)(&mut [&mut alone], &refs(&xs), &[&consts], &[m]);
            let [mut first, mut second] = [(); 2].map(|()| vec![u64::MAX; LEN]);
            (kernels.dot_montgomery)(
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
                    assert_eq!(remainder(wide(found) << 52, m), remainder(dot(consts), m));
                }
            }
        }
    });
}

#[test]
fn dots_of_pairs() {
    for_each(|kernels, m, pattern, rng| {
        let q = m.value();
        // 5000 terms overflow 64-bit accumulators of 52-bit halves unless they are folded.
        for (count, len) in [(0, 8), (1, 40), (2, 136), (25, 72), (5000, 24)] {
            let [x0, x1, p] = std::array::from_fn(|_| lists(rng, pattern, count, len, q));
            let (mut out0, mut out1) = (vec![u64::MAX; len], vec![u64::MAX; len]);
            (kernels.dot_pair)(&mut out0, &mut out1, &refs(&x0), &refs(&x1), &refs(&p), m);
            for t in 0..len {
                let dot =
                    |x: &[Vec<u64>]| x.iter().zip(&p).map(|(x, p)| wide(x[t]) * wide(p[t])).sum();
                assert_eq!(out0[t], remainder(dot(&x0), m));
                assert_eq!(out1[t], remainder(dot(&x1), m));
            }
        }
    });
}

#[test]
fn sums_of_squares() {
    for_each(|kernels, m, pattern, rng| {
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

#[test]
fn tensor_products() {
    for_each(|kernels, m, pattern, rng| {
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
