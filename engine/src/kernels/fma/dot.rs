//! Kernels that sum products. Ranges are those of [`crate::kernels::Kernels`].
//!
//! `U` vectors are summed at once, as many as registers and the latency of FMA ask for: two.

use super::arith::Factor;
use super::lanes::Lanes;
use super::pointwise::put_permuted;
use super::sums::{Sums, of_conversions, of_digits, of_residues};
use crate::kernels::contract::{KEY_WORDS, KeyProduct};
use crate::kernels::packed::stored_words;
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
    let sums = Sums::<L>::new(modulus, of_conversions(modulus.value()));
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

/// [`dot_const`] for each target.
#[inline(always)]
pub(super) fn dot_convert<L: Lanes>(
    outs: &mut [&mut [u64]],
    xs: &[&[u64]],
    consts: &[&[u64]],
    moduli: &[&Modulus],
) {
    require_targets(outs, consts, moduli);
    for ((out, consts), modulus) in outs.iter_mut().zip(consts).zip(moduli) {
        dot_const::<L>(out, xs, consts, modulus);
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
    match (product.key.packed, product.masks) {
        (true, None) => key_product_as::<L, true, false>(out0, out1, product, &[], modulus),
        (false, None) => key_product_as::<L, false, false>(out0, out1, product, &[], modulus),
        (true, Some(masks)) => key_product_as::<L, true, true>(out0, out1, product, masks, modulus),
        (false, Some(masks)) => {
            key_product_as::<L, false, true>(out0, out1, product, masks, modulus);
        }
    }
}

/// The same of a key that is packed or not, and whose second components are masks if they are `APART`.
#[inline(always)]
fn key_product_as<L: Lanes, const PACKED: bool, const APART: bool>(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    masks: &[u64],
    modulus: &Modulus,
) {
    /// Vectors summed at once.
    const U: usize = 2;
    let sums = Sums::<L>::new(modulus, of_digits(modulus.value()));
    for start in (0..out0.len()).step_by(U * L::WORDS) {
        let mut words = [[[0; 8]; U]; 2];
        // SAFETY: all slices have the lengths that `require_key_product` checks: `out0.len()` is a multiple of KEY_WORDS, and
        // that of U vectors.
        unsafe {
            let vectors =
                key_words::<L, U, PACKED, APART>(product, masks, out0.len(), start, &sums, modulus);
            for (words, vectors) in words.iter_mut().zip(vectors) {
                for (u, vector) in vectors.into_iter().enumerate() {
                    sums.prime
                        .lift(vector)
                        .store(words.as_mut_ptr().cast::<u64>().add(u * L::WORDS));
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
    }
}

/// Residues of both outputs at `start` of a chunk of `len` words, before the permutation, at most `(q + 1)/2` in magnitude.
///
/// # Safety
/// All slices of the product must have `len` words, a multiple of KEY_WORDS, and `U` vectors at `start` within one group; the
/// key must have the components and words for all digits, packed or not as said, and the masks, if `APART`, too.
#[inline(always)]
unsafe fn key_words<L: Lanes, const U: usize, const PACKED: bool, const APART: bool>(
    product: &KeyProduct<'_>,
    masks: &[u64],
    len: usize,
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
    let (group, first) = (start / KEY_WORDS, start % KEY_WORDS / L::WORDS);
    // Where the next component is, and the next digit.
    let component = product.key.stored_chunk(len);
    let digit_words = if APART { component } else { 2 * component };
    let mut key = product.key.at_group(start);
    // Without a next key, what is used anyway is asked for: that costs little.
    let mut next = product.next_key.map_or(key, |next| next.at_group(start));
    // The cache lines of a group that it falls to these vectors to ask for.
    let block = start % KEY_WORDS / 8;
    let lines = block..(block + U * L::WORDS / 8).min(stored_words(PACKED) / 8);
    let mut mask = masks.as_ptr().wrapping_add(product.digits.len() * group * KEY_WORDS);
    for digits in product.digits.chunks(sums.terms) {
        let mut sum0 = sums.begin_all(words[0]);
        let mut sum1 = sums.begin_all(words[1]);
        for digit in digits {
            for line in lines.clone() {
                L::prefetch_second(next.wrapping_add(8 * line));
                if !APART {
                    L::prefetch_second(next.wrapping_add(component + 8 * line));
                }
            }
            for u in 0..U {
                // SAFETY: promised by the caller.
                let (digit, key0, key1) = unsafe {
                    (
                        doubles(digit, start, u),
                        key_vector::<L, PACKED>(key, first + u),
                        if APART {
                            key_vector::<L, false>(mask, first + u)
                        } else {
                            key_vector::<L, PACKED>(key.add(component), first + u)
                        },
                    )
                };
                sum0[u].add(digit, key0);
                sum1[u].add(digit, key1);
            }
            key = key.wrapping_add(digit_words);
            next = next.wrapping_add(digit_words);
            mask = mask.wrapping_add(KEY_WORDS);
        }
        words = [sums.end_all(sum0), sums.end_all(sum1)];
    }
    words
}

/// Vector `vector` of a group of words of one digit and component, packed or not, as doubles. No closure, as the compiler may
/// call these, and then every intrinsic within.
///
/// # Safety
/// The group must be readable for its stored words, and have that vector.
#[inline(always)]
unsafe fn key_vector<L: Lanes, const PACKED: bool>(group: *const u64, vector: usize) -> L {
    // SAFETY: promised by the caller.
    let words = unsafe {
        if PACKED { L::load_packed(group, vector) } else { L::load(group.add(vector * L::WORDS)) }
    };
    words.into_doubles()
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
    let sums = Sums::<L>::new(modulus, of_residues(modulus.value()));
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
