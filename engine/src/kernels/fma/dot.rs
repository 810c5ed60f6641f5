//! Kernels that sum products. Ranges are those of [`crate::kernels::Kernels`].
//!
//! `U` vectors are summed at once, as many as registers and the latency of FMA ask for: two.

use super::arith::Factor;
use super::lanes::Lanes;
use super::pointwise::{mul_scalar, put_permuted};
use super::sums::Sums;
use crate::kernels::contract::{KEY_WORDS, KeyProduct};
use crate::kernels::shape::{
    require_blocks, require_key_product, require_slices, require_sums, require_targets,
};
use crate::modulus::Modulus;

/// Calls `$block` with `U` = 2 while two vectors are left, then with 1: `start` words are done.
macro_rules! by_vectors {
    ($lanes:ident, $len:expr, $start:ident, $unroll:ident => $block:expr) => {
        let mut $start = 0;
        while $start + 2 * $lanes::WORDS <= $len {
            const $unroll: usize = 2;
            $block;
            $start += 2 * $lanes::WORDS;
        }
        while $start < $len {
            const $unroll: usize = 1;
            $block;
            $start += $lanes::WORDS;
        }
    };
}

/// Vector `u` at `start`, as doubles.
///
/// # Safety
/// The slice must have that vector.
#[inline(always)]
pub(super) unsafe fn doubles<L: Lanes>(words: &[u64], start: usize, u: usize) -> L {
    // SAFETY: promised by the caller.
    unsafe { L::load(words.as_ptr().add(start + u * L::WORDS)).into_doubles() }
}

/// Vector `vector` of a group of stored key words, as doubles. No closure, as the compiler may call these, and then every
/// intrinsic within.
///
/// # Safety
/// The group must have that vector.
#[inline(always)]
unsafe fn key_doubles<L: Lanes>(group: &[u64], vector: usize, packed: bool) -> L {
    if packed {
        // SAFETY: promised by the caller.
        unsafe { L::load_packed(group.as_ptr(), vector) }.into_doubles()
    } else {
        // SAFETY: promised by the caller.
        unsafe { doubles(group, 0, vector) }
    }
}

/// `out = sum_i xs[i] * consts[i]`.
#[inline(always)]
pub(super) fn dot_const<L: Lanes>(
    out: &mut [u64],
    xs: &[&[u64]],
    consts: &[u64],
    modulus: &Modulus,
) {
    require_blocks(out.len());
    require_slices(xs, consts.len(), out.len());
    let sums = Sums::<L>::new(modulus, u128::from(modulus.value()) << 52);
    // SAFETY: all slices have `out.len()` words, a multiple of 8.
    by_vectors!(L, out.len(), start, U => unsafe {
        dot_const_block::<L, U>(out, xs, consts, start, &sums)
    });
}

/// # Safety
/// All slices must have `U` vectors at `start`.
#[inline(always)]
unsafe fn dot_const_block<L: Lanes, const U: usize>(
    out: &mut [u64],
    xs: &[&[u64]],
    consts: &[u64],
    start: usize,
    sums: &Sums<L>,
) {
    let mut words = [sums.prime.zero(); U];
    for (xs, consts) in xs.chunks(sums.terms).zip(consts.chunks(sums.terms)) {
        let mut sum = sums.begin_all(words);
        for (x, &c) in xs.iter().zip(consts) {
            let c = L::splat(c as f64);
            for (u, sum) in sum.iter_mut().enumerate() {
                // SAFETY: promised by the caller.
                sum.add(unsafe { doubles(x, start, u) }, c);
            }
        }
        words = sums.end_all(sum);
    }
    for (u, word) in words.into_iter().enumerate() {
        // SAFETY: promised by the caller.
        unsafe { sums.prime.lift(word).store(out.as_mut_ptr().add(start + u * L::WORDS)) };
    }
}

/// See [`crate::kernels::Kernels::dot_montgomery`]. The reduction is not Montgomery's here, and a product with 2^-52 is
/// one more.
#[inline(always)]
pub(super) fn dot_montgomery<L: Lanes>(
    outs: &mut [&mut [u64]],
    xs: &[&[u64]],
    consts: &[&[u64]],
    moduli: &[&Modulus],
) {
    require_targets(outs, consts, moduli);
    for ((out, consts), modulus) in outs.iter_mut().zip(consts).zip(moduli) {
        dot_const::<L>(out, xs, consts, modulus);
        mul_scalar::<L>(out, modulus.radix_inverse(), modulus);
    }
}

/// `out = floor(1/2 + sum_i xs[i] * inverses[i])`, summed from 1/2 up in the order of `i`, product
/// and sum rounded separately, so that all instruction sets agree.
#[inline(always)]
pub(super) fn quotient<L: Lanes>(out: &mut [u64], xs: &[&[u64]], inverses: &[f64]) {
    require_blocks(out.len());
    require_slices(xs, inverses.len(), out.len());
    for start in (0..out.len()).step_by(L::WORDS) {
        let mut sum = L::splat(0.5);
        for (x, &inverse) in xs.iter().zip(inverses) {
            // SAFETY: all slices have `out.len()` words, a multiple of 8.
            sum = sum.add(unsafe { doubles::<L>(x, start, 0) }.mul(L::splat(inverse)));
        }
        // SAFETY: as above.
        unsafe { sum.floor().into_words().store(out.as_mut_ptr().add(start)) };
    }
}

/// See [`crate::kernels::Kernels::key_product`].
#[inline(always)]
pub(super) fn key_product<L: Lanes>(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    modulus: &Modulus,
) {
    require_key_product(product, out0.len(), out1.len());
    // A digit below 2q times a key word below q.
    let sums = Sums::<L>::new(modulus, 2 * u128::from(modulus.value()).pow(2));
    by_vectors!(L, out0.len(), start, U => {
        let mut words = [[[0; 8]; 2]; 2];
        // SAFETY: all slices have `out0.len()` words, a multiple of 8.
        unsafe {
            let vectors = key_words::<L, U>(product, out0.len(), start, &sums, modulus);
            for (words, vectors) in words.iter_mut().zip(vectors) {
                for (u, vector) in vectors.into_iter().enumerate() {
                    sums.prime.lift(vector).store(words.as_mut_ptr().cast::<u64>().add(u * L::WORDS));
                }
            }
        }
        let blocks = U * L::WORDS / 8;
        let (first, [words0, words1]) = (start / 8, &words);
        match &product.permutation {
            None => {
                out0.as_chunks_mut().0[first..first + blocks].copy_from_slice(&words0[..blocks]);
                out1.as_chunks_mut().0[first..first + blocks].copy_from_slice(&words1[..blocks]);
            }
            Some(permutation) => {
                let targets = &permutation.target[first..first + blocks];
                put_permuted::<L>(out0, &words0[..blocks], targets, permutation.tables);
                put_permuted::<L>(out1, &words1[..blocks], targets, permutation.tables);
            }
        }
    });
}

/// Residues of both outputs at `start` of a chunk of so many words, before the permutation, at most `(q + 1)/2` in magnitude.
///
/// # Safety
/// All slices of the product must have `U` vectors at `start`.
#[inline(always)]
unsafe fn key_words<L: Lanes, const U: usize>(
    product: &KeyProduct<'_>,
    chunk: usize,
    start: usize,
    sums: &Sums<L>,
    modulus: &Modulus,
) -> [[L; U]; 2] {
    let mut words = [[sums.prime.zero(); U]; 2];
    if let Some((summand, scalar)) = product.add0 {
        let factor = Factor::new(scalar, modulus);
        for (u, word) in words[0].iter_mut().enumerate() {
            // SAFETY: promised by the caller.
            *word = sums.prime.mul(unsafe { doubles(summand, start, u) }, factor);
        }
    }
    let digits = product.digits.chunks(sums.terms);
    let (stored, group) = (product.key.stored(), start / KEY_WORDS);
    let (key, length) = (product.key.words, product.key.stored_chunk(chunk));
    let stored_digit = product.key.components * length;
    let masks = product.masks.map(|masks| &masks[product.digits.len() * group * KEY_WORDS..]);
    let first = start % KEY_WORDS / L::WORDS;
    for (i, (digits, key)) in digits.zip(key.chunks(stored_digit * sums.terms)).enumerate() {
        let mut sum0 = sums.begin_all(words[0]);
        let mut sum1 = sums.begin_all(words[1]);
        for (d, (digit, key)) in digits.iter().zip(key.chunks_exact(stored_digit)).enumerate() {
            let (key0, key1) = key.split_at(length);
            let part = group * stored..(group + 1) * stored;
            let (key0, key1) = (&key0[part.clone()], key1.get(part).unwrap_or_default());
            let mask = masks.map(|masks| &masks[KEY_WORDS * (i * sums.terms + d)..][..KEY_WORDS]);
            for u in 0..U {
                // SAFETY: promised by the caller.
                let digit = unsafe { doubles(digit, start, u) };
                // SAFETY: the group has that vector, as the caller promises.
                sum0[u].add(digit, unsafe { key_doubles(key0, first + u, product.key.packed) });
                // SAFETY: as above; masks are not packed.
                let key1 = unsafe {
                    match mask {
                        Some(mask) => doubles(mask, 0, first + u),
                        None => key_doubles(key1, first + u, product.key.packed),
                    }
                };
                sum1[u].add(digit, key1);
            }
        }
        words = [sums.end_all(sum0), sums.end_all(sum1)];
    }
    words
}

/// `out0 = sum a_k^2`, `out1 = sum 2 a_k b_k`, `out2 = sum b_k^2`.
#[inline(always)]
pub(super) fn square_sum<L: Lanes>(
    out0: &mut [u64],
    out1: &mut [u64],
    out2: &mut [u64],
    a: &[&[u64]],
    b: &[&[u64]],
    modulus: &Modulus,
) {
    require_sums([out0.len(), out1.len(), out2.len()], [a, b]);
    let sums = Sums::<L>::new(modulus, u128::from(modulus.value()).pow(2));
    for start in (0..out0.len()).step_by(L::WORDS) {
        let mut words = [sums.prime.zero(); 3];
        for (a, b) in a.chunks(sums.terms).zip(b.chunks(sums.terms)) {
            let mut sum = sums.begin_all(words);
            for (a, b) in a.iter().zip(b) {
                // SAFETY: all slices have `out0.len()` words, a multiple of 8.
                let (a, b) = unsafe { (doubles(a, start, 0), doubles(b, start, 0)) };
                sum[0].add(a, a);
                sum[1].add(a, b);
                sum[2].add(b, b);
            }
            words = sums.end_all(sum);
        }
        // SAFETY: as above. Twice the middle sum is at most q + 1.
        unsafe {
            sums.prime.lift(words[0]).store(out0.as_mut_ptr().add(start));
            sums.prime.finish(words[1].add(words[1])).store(out1.as_mut_ptr().add(start));
            sums.prime.lift(words[2]).store(out2.as_mut_ptr().add(start));
        }
    }
}
