//! Kernels that treat each word by itself. Ranges are those of [`crate::kernels::Kernels`].

use super::arith::{Factor, Prime};
use super::lanes::Lanes;
use crate::kernels::contract::BlockPermutation;
use crate::kernels::shape::{require_blocks, require_len, require_permutation};
use crate::modulus::{Modulus, ShoupScalar};

/// `$to = $value` for each vector, after loading vectors of the slices named; all have as many words.
macro_rules! each {
    ($lanes:ident, $to:ident = |$($name:ident: $from:ident),+| $value:expr) => {{
        let len = $to.len();
        require_blocks(len);
        $(require_len($from.len(), len);)+
        for at in (0..len).step_by($lanes::WORDS) {
            // SAFETY: all slices have `len` words, a multiple of 8.
            unsafe {
                $(let $name = $lanes::load($from.as_ptr().add(at));)+
                $value.store($to.as_mut_ptr().add(at));
            }
        }
    }};
}

/// `a += b`.
#[inline(always)]
pub(super) fn add<L: Lanes>(a: &mut [u64], b: &[u64], modulus: &Modulus) {
    let prime = Prime::<L>::new(modulus);
    each!(L, a = |x: a, y: b| prime.lift_words(prime.less_q(x.add_words(y))));
}

/// `a -= b`.
#[inline(always)]
pub(super) fn sub<L: Lanes>(a: &mut [u64], b: &[u64], modulus: &Modulus) {
    let prime = Prime::<L>::new(modulus);
    each!(L, a = |x: a, y: b| prime.lift_words(x.sub_words(y)));
}

/// `out = a * b`.
#[inline(always)]
pub(super) fn mul<L: Lanes>(out: &mut [u64], a: &[u64], b: &[u64], modulus: &Modulus) {
    let prime = Prime::<L>::new(modulus);
    // `a - q` is in [-q, q).
    each!(L, out = |x: a, y: b| prime.lift(prime.mul_general(prime.shifted(x), y.into_doubles())));
}

/// `out = a * b + c`, below 2q in magnitude before it is reduced.
#[inline(always)]
pub(super) fn mul_add<L: Lanes>(
    out: &mut [u64],
    a: &[u64],
    b: &[u64],
    c: &[u64],
    modulus: &Modulus,
) {
    let prime = Prime::<L>::new(modulus);
    each!(
        L,
        out = |x: a, y: b, z: c| {
            let product = prime.mul_general(prime.shifted(x), y.into_doubles());
            prime.finish(product.add(z.into_doubles()))
        }
    );
}

/// `out += c - a * b`, or without `c`; below 3q in magnitude before it is reduced.
#[inline(always)]
pub(super) fn mul_sub<L: Lanes>(
    out: &mut [u64],
    a: &[u64],
    b: &[u64],
    c: Option<&[u64]>,
    modulus: &Modulus,
) {
    let prime = Prime::<L>::new(modulus);
    let len = out.len();
    require_blocks(len);
    for slice in [a, b].into_iter().chain(c) {
        require_len(slice.len(), len);
    }
    for at in (0..len).step_by(L::WORDS) {
        // SAFETY: all slices have `len` words, a multiple of 8.
        unsafe {
            let x = prime.shifted(L::load(a.as_ptr().add(at)));
            let product = prime.mul_general(x, L::load(b.as_ptr().add(at)).into_doubles());
            let mut sum = L::load(out.as_ptr().add(at)).into_doubles().sub(product);
            if let Some(c) = c {
                sum = sum.add(L::load(c.as_ptr().add(at)).into_doubles());
            }
            prime.finish(sum).store(out.as_mut_ptr().add(at));
        }
    }
}

/// `a *= s`.
#[inline(always)]
pub(super) fn mul_scalar<L: Lanes>(a: &mut [u64], s: ShoupScalar, modulus: &Modulus) {
    let (prime, s) = (Prime::<L>::new(modulus), Factor::new(s, modulus));
    each!(L, a = |x: a| prime.lift(prime.mul(x.into_doubles(), s)));
}

/// `a += b * s`.
#[inline(always)]
pub(super) fn mul_scalar_add<L: Lanes>(
    a: &mut [u64],
    b: &[u64],
    s: ShoupScalar,
    modulus: &Modulus,
) {
    let (prime, s) = (Prime::<L>::new(modulus), Factor::new(s, modulus));
    // Below 2q in magnitude.
    each!(L, a = |x: a, y: b| prime.finish(x.into_doubles().add(prime.mul(y.into_doubles(), s))));
}

/// `b = (a - b) * s`.
#[inline(always)]
pub(super) fn sub_from_mul_scalar<L: Lanes>(
    b: &mut [u64],
    a: &[u64],
    s: ShoupScalar,
    modulus: &Modulus,
) {
    let (prime, s) = (Prime::<L>::new(modulus), Factor::new(s, modulus));
    // The exponents cancel; the difference is in (-2q, q).
    each!(
        L,
        b = |y: b, x: a| { prime.lift(prime.mul(x.with_exponent().sub(y.with_exponent()), s)) }
    );
}

/// `out` is `x` centred modulo `p`, modulo q. With `h = (p + 1) / 2`, `x - h` is in `[-h, p / 2]`, its remainder modulo
/// p is less by `h - p` than the centred number, which is below 2^50 in magnitude.
#[inline(always)]
pub(super) fn lift<L: Lanes>(out: &mut [u64], x: &[u64], p: u64, modulus: &Modulus) {
    let prime = Prime::<L>::new(modulus);
    let half = p.div_ceil(2);
    let (modulo, words) = (L::splat_word(p), L::splat_word(half));
    let difference = L::splat(half as f64 - p as f64);
    each!(
        L,
        out =
            |x: x| { prime.finish(x.sub_words(words).lift(modulo).into_doubles().add(difference)) }
    );
}

/// `out = a mod q`. As q >= 3, the quotients are below 2^51.
#[inline(always)]
pub(super) fn reduce<L: Lanes>(out: &mut [u64], a: &[u64], modulus: &Modulus) {
    let prime = Prime::<L>::new(modulus);
    each!(L, out = |x: a| prime.finish(x.into_doubles()));
}

/// The tensor product of two pairs. The middle word is a sum of two products below q in magnitude.
#[inline(always)]
pub(super) fn tensor<L: Lanes>(out: [&mut [u64]; 3], pairs: [&[u64]; 4], modulus: &Modulus) {
    let prime = Prime::<L>::new(modulus);
    let [out0, out1, out2] = out;
    let len = out0.len();
    require_blocks(len);
    for found in [out1.len(), out2.len()].into_iter().chain(pairs.map(<[u64]>::len)) {
        require_len(found, len);
    }
    let [a0, a1, b0, b1] = pairs;
    for at in (0..len).step_by(L::WORDS) {
        // SAFETY: all slices have `len` words, a multiple of 8.
        unsafe {
            let x0 = L::load(a0.as_ptr().add(at)).into_doubles();
            let x1 = L::load(a1.as_ptr().add(at)).into_doubles();
            let y0 = L::load(b0.as_ptr().add(at)).into_doubles();
            let y1 = L::load(b1.as_ptr().add(at)).into_doubles();
            let cross = prime.mul_general(x0, y1).add(prime.mul_general(x1, y0));
            prime.lift(prime.mul_general(x0, y0)).store(out0.as_mut_ptr().add(at));
            prime.finish(cross).store(out1.as_mut_ptr().add(at));
            prime.lift(prime.mul_general(x1, y1)).store(out2.as_mut_ptr().add(at));
        }
    }
}

/// `out = permutation(input)`.
#[inline(always)]
pub(super) fn permute<L: Lanes>(out: &mut [u64], input: &[u64], permutation: BlockPermutation<'_>) {
    require_len(input.len(), out.len());
    require_permutation(&permutation, out.len());
    put_permuted::<L>(out, input.as_chunks().0, permutation.target, permutation.tables);
}

/// Writes blocks where `targets` say, through the lane permutations that these name.
#[inline(always)]
pub(super) fn put_permuted<L: Lanes>(
    out: &mut [u64],
    blocks: &[[u64; 8]],
    targets: &[u32],
    tables: &[[u64; 8]; 8],
) {
    let out = out.as_chunks_mut().0;
    for (block, &target) in blocks.iter().zip(targets) {
        L::permute_block(&mut out[target as usize >> 3], block, &tables[target as usize & 7]);
    }
}
