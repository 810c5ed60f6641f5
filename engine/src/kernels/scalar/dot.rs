//! Sums of products: accumulated in 128 bits, reduced once. Ranges are those of
//! [`crate::kernels::Kernels`].

use super::pointwise::store_permuted;
use crate::kernels::contract::{KEY_WORDS, KeyProduct, MAX_OUTPUTS, PairProducts};
use crate::kernels::packed::unpack;
use crate::kernels::shape::{
    require_key_product, require_pairs, require_slices, require_sums, require_targets,
};
use crate::modulus::Modulus;

/// Terms between reductions: products are below 2^100, so this many sum to less than 2^124.
pub(super) const TERMS: usize = 1 << 24;

/// Adds `x * y` word by word.
#[inline]
fn accumulate(sums: &mut [u128; 8], x: &[u64], y: &[u64]) {
    for ((sum, &a), &b) in sums.iter_mut().zip(x).zip(y) {
        *sum += u128::from(a) * u128::from(b);
    }
}

/// Reduces every sum into `out`.
#[inline]
fn finish(out: &mut [u64], sums: &[u128; 8], modulus: &Modulus) {
    for (word, &sum) in out.iter_mut().zip(sums) {
        *word = modulus.reduce_u128(sum);
    }
}

/// Reduces the sums in place.
#[inline]
fn fold(sums: &mut [u128; 8], modulus: &Modulus) {
    for sum in sums {
        *sum = modulus.reduce_u128(*sum).into();
    }
}

/// `out = sum_i xs[i] * consts[i]`; 64 products below 2^102 stay below 2^108.
pub(super) fn dot_const(out: &mut [u64], xs: &[&[u64]], consts: &[u64], modulus: &Modulus) {
    require_slices(xs, consts.len(), out.len());
    for (t, word) in out.iter_mut().enumerate() {
        let sum = xs.iter().zip(consts).map(|(x, &c)| u128::from(x[t]) * u128::from(c)).sum();
        *word = modulus.reduce_u128(sum);
    }
}

/// [`dot_const`] for each target.
pub(super) fn dot_convert(
    outs: &mut [&mut [u64]],
    xs: &[&[u64]],
    consts: &[&[u64]],
    moduli: &[&Modulus],
) {
    require_targets(outs, consts, moduli);
    for ((out, consts), modulus) in outs.iter_mut().zip(consts).zip(moduli) {
        dot_const(out, xs, consts, modulus);
    }
}

/// `out = floor(1/2 + sum_i xs[i] * inverses[i])`, summed from 1/2 up in the order of `i`, product
/// and sum rounded separately, so that all instruction sets agree.
pub(super) fn quotient(out: &mut [u64], xs: &[&[u64]], inverses: &[f64]) {
    require_slices(xs, inverses.len(), out.len());
    for (t, word) in out.iter_mut().enumerate() {
        let sum =
            xs.iter().zip(inverses).fold(0.5, |sum, (x, inverse)| sum + x[t] as f64 * inverse);
        // The sum is not negative, so truncation is the floor.
        *word = sum as u64;
    }
}

/// See [`crate::kernels::Kernels::key_product`]; 64 products below 2^101 and one more stay below 2^108.
pub(super) fn key_product(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    modulus: &Modulus,
) {
    require_key_product(product, out0.len(), out1.len());
    for start in (0..out0.len()).step_by(8) {
        let block = start..start + 8;
        let (mut sums0, mut sums1) = ([0_u128; 8], [0_u128; 8]);
        if let Some((words, scalar)) = product.add0 {
            accumulate(&mut sums0, &words[block.clone()], &[scalar.value; 8]);
        }
        let (group, within) = (start / KEY_WORDS, start % KEY_WORDS);
        let (stored, length) = (product.key.stored(), product.key.stored_chunk(out0.len()));
        let masks = product.masks.map(|masks| &masks[group * KEY_WORDS * product.digits.len()..]);
        let keys = product.key.words.chunks_exact(product.key.components * length);
        for (d, (digit, keys)) in product.digits.iter().zip(keys).enumerate() {
            if let Some(masks) = masks {
                accumulate(
                    &mut sums1,
                    &digit[block.clone()],
                    &masks[KEY_WORDS * d + within..][..8],
                );
            }
            for (sums, key) in [&mut sums0, &mut sums1].into_iter().zip(keys.chunks_exact(length)) {
                let key = &key[group * stored..][..stored];
                let mut unpacked = [0; 8];
                let key = match product.key.packed {
                    true => {
                        unpack(&key[within / 4 * 3..][..6], &mut unpacked);
                        &unpacked
                    }
                    false => &key[within..within + 8],
                };
                accumulate(sums, &digit[block.clone()], key);
            }
        }
        match product.permutation {
            None => {
                finish(&mut out0[block.clone()], &sums0, modulus);
                finish(&mut out1[block], &sums1, modulus);
            }
            Some(permutation) => {
                let (mut words0, mut words1) = ([0; 8], [0; 8]);
                finish(&mut words0, &sums0, modulus);
                finish(&mut words1, &sums1, modulus);
                let target = permutation.target[start / 8];
                store_permuted(out0, &words0, target, permutation.tables);
                store_permuted(out1, &words1, target, permutation.tables);
            }
        }
    }
}

/// See [`crate::kernels::Kernels::dot_pairs`].
pub(super) fn dot_pairs(
    outs: &mut [[&mut [u64]; 2]],
    products: &PairProducts<'_>,
    modulus: &Modulus,
) {
    require_pairs(outs, products);
    let PairProducts { x0, x1, factors, run, add } = *products;
    let outputs = outs.len();
    for start in (0..outs[0][0].len()).step_by(8) {
        let block = start..start + 8;
        let mut sums = [[[0_u128; 8]; 2]; MAX_OUTPUTS];
        if add {
            for (sums, out) in sums.iter_mut().zip(outs.iter()) {
                for (sums, out) in sums.iter_mut().zip(out) {
                    accumulate(sums, &out[block.clone()], &[1; 8]);
                }
            }
        }
        for (k, (x0, x1)) in x0.iter().zip(x1).enumerate() {
            let (x0, x1) = (&x0[block.clone()], &x1[block.clone()]);
            for ([sums0, sums1], p) in sums.iter_mut().zip(&factors[outputs * k..][..outputs]) {
                let p: &[u64] = if run == 1 { &p[block.clone()] } else { &[p[start / run]; 8] };
                accumulate(sums0, x0, p);
                accumulate(sums1, x1, p);
            }
            if k % TERMS == TERMS - 1 {
                sums.as_flattened_mut().iter_mut().for_each(|sums| fold(sums, modulus));
            }
        }
        for (out, sums) in outs.iter_mut().zip(&sums) {
            for (out, sums) in out.iter_mut().zip(sums) {
                finish(&mut out[block.clone()], sums, modulus);
            }
        }
    }
}

/// `out0 = sum a_k^2`, `out1 = sum 2 a_k b_k`, `out2 = sum b_k^2`.
pub(super) fn square_sum(
    out0: &mut [u64],
    out1: &mut [u64],
    out2: &mut [u64],
    a: &[&[u64]],
    b: &[&[u64]],
    modulus: &Modulus,
) {
    require_sums([out0.len(), out1.len(), out2.len()], [a, b]);
    for start in (0..out0.len()).step_by(8) {
        let block = start..start + 8;
        let mut sums = [[0_u128; 8]; 3];
        for (k, (a, b)) in a.iter().zip(b).enumerate() {
            let (a, b) = (&a[block.clone()], &b[block.clone()]);
            accumulate(&mut sums[0], a, a);
            accumulate(&mut sums[1], a, b);
            accumulate(&mut sums[2], b, b);
            if k % TERMS == TERMS - 1 {
                sums.iter_mut().for_each(|sums| fold(sums, modulus));
            }
        }
        sums[1].iter_mut().for_each(|sum| *sum *= 2);
        finish(&mut out0[block.clone()], &sums[0], modulus);
        finish(&mut out1[block.clone()], &sums[1], modulus);
        finish(&mut out2[block], &sums[2], modulus);
    }
}
