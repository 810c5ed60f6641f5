//! Kernels that treat each word by itself. Ranges are those of [`crate::kernels::Kernels`].

use std::arch::x86_64::*;

use super::arith::{Factor, Prime, V, blocks, blocks_mut, load_block, splat, store_block};
use crate::kernels::contract::BlockPermutation;
use crate::kernels::shape::{Lift, require_len, require_permutation};
use crate::modulus::{Modulus, ShoupScalar};

/// `a = f(a)`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
fn update(a: &mut [u64], f: impl Fn(V) -> V) {
    for x in blocks_mut(a) {
        store_block(x, f(load_block(x)));
    }
}

/// `a = f(a, b)`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
fn update_with(a: &mut [u64], b: &[u64], f: impl Fn(V, V) -> V) {
    require_len(b.len(), a.len());
    for (x, y) in blocks_mut(a).iter_mut().zip(blocks(b)) {
        store_block(x, f(load_block(x), load_block(y)));
    }
}

/// `a += b`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn add(a: &mut [u64], b: &[u64], modulus: &Modulus) {
    let prime = Prime::new(modulus);
    update_with(a, b, |x, y| prime.correct(_mm512_add_epi64(x, y)));
}

/// `a -= b`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn sub(a: &mut [u64], b: &[u64], modulus: &Modulus) {
    let q = splat(modulus.value());
    update_with(a, b, |x, y| {
        let difference = _mm512_sub_epi64(x, y);
        // A negative difference wraps to a huge word.
        _mm512_min_epu64(difference, _mm512_add_epi64(difference, q))
    });
}

/// Products of two variable factors.
struct Product {
    prime: Prime,
    mu: V,
    right: __m128i,
    left: __m128i,
}

impl Product {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn new(modulus: &Modulus) -> Self {
        Self {
            prime: Prime::new(modulus),
            mu: splat(modulus.product_quotient()),
            right: _mm_cvtsi64_si128(i64::from(modulus.bits()) - 1),
            left: _mm_cvtsi64_si128(53 - i64::from(modulus.bits())),
        }
    }

    /// `x * y` in `[0, 3q)`, for `x < 2q`, `y < q`.
    ///
    /// Barrett with `s = bits - 1`: the product is below `2^(2 bits + 1)`, so `c = floor(xy / 2^s)` is
    /// below 2^52. With `mu = floor(2^(52 + s) / q)`, `t = floor(c mu / 2^52)` falls short of `xy / q` by
    /// less than `2^s / q < 1` for the bits cut off, 1 for the rounding of `mu` and 1 for its own, so the
    /// remainder is in `[0, 3q)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn lazy(&self, x: V, y: V) -> V {
        let zero = _mm512_setzero_si512();
        let low = _mm512_madd52lo_epu64(zero, x, y);
        let high = _mm512_madd52hi_epu64(zero, x, y);
        let c =
            _mm512_or_si512(_mm512_sll_epi64(high, self.left), _mm512_srl_epi64(low, self.right));
        let t = _mm512_madd52hi_epu64(zero, c, self.mu);
        _mm512_and_si512(_mm512_madd52lo_epu64(low, t, self.prime.minus_q), self.prime.mask)
    }

    /// `[0, 4q) -> [0, q)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn correct(&self, x: V) -> V {
        self.prime.correct(self.prime.correct_twice(x))
    }
}

/// `out = a * b`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn mul(out: &mut [u64], a: &[u64], b: &[u64], modulus: &Modulus) {
    require_len(a.len(), out.len());
    require_len(b.len(), out.len());
    let product = Product::new(modulus);
    for ((z, x), y) in blocks_mut(out).iter_mut().zip(blocks(a)).zip(blocks(b)) {
        store_block(z, product.correct(product.lazy(load_block(x), load_block(y))));
    }
}

/// `out = a * b + c`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn mul_add(out: &mut [u64], a: &[u64], b: &[u64], c: &[u64], modulus: &Modulus) {
    require_len(a.len(), out.len());
    require_len(b.len(), out.len());
    require_len(c.len(), out.len());
    let product = Product::new(modulus);
    let factors = blocks(a).iter().zip(blocks(b)).zip(blocks(c));
    for (z, ((x, y), w)) in blocks_mut(out).iter_mut().zip(factors) {
        // Below 3q + q.
        let sum = _mm512_add_epi64(product.lazy(load_block(x), load_block(y)), load_block(w));
        store_block(z, product.correct(sum));
    }
}

/// `out += c - a * b`, or `out -= a * b`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn mul_sub(out: &mut [u64], a: &[u64], b: &[u64], c: Option<&[u64]>, modulus: &Modulus) {
    require_len(a.len(), out.len());
    require_len(b.len(), out.len());
    let product = Product::new(modulus);
    let prime = &product.prime;
    let three_q = _mm512_add_epi64(prime.two_q, prime.q);
    let factors = blocks(a).iter().zip(blocks(b));
    if let Some(c) = c {
        require_len(c.len(), out.len());
        for ((z, (x, y)), w) in blocks_mut(out).iter_mut().zip(factors).zip(blocks(c)) {
            let r = product.lazy(load_block(x), load_block(y));
            // Below 2q, brought below q; then in (0, 4q).
            let sum = prime.correct(_mm512_add_epi64(load_block(z), load_block(w)));
            store_block(z, product.correct(_mm512_sub_epi64(_mm512_add_epi64(sum, three_q), r)));
        }
        return;
    }
    for (z, (x, y)) in blocks_mut(out).iter_mut().zip(factors) {
        let r = product.lazy(load_block(x), load_block(y));
        // In (0, 4q).
        let difference = _mm512_sub_epi64(_mm512_add_epi64(load_block(z), three_q), r);
        store_block(z, product.correct(difference));
    }
}

/// `a *= s`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn mul_scalar(a: &mut [u64], s: ShoupScalar, modulus: &Modulus) {
    let (prime, s) = (Prime::new(modulus), Factor::new(s));
    update(a, |x| prime.mul(x, s));
}

/// `a += b * s`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn mul_scalar_add(a: &mut [u64], b: &[u64], s: ShoupScalar, modulus: &Modulus) {
    let (prime, s) = (Prime::new(modulus), Factor::new(s));
    // Below 3q before correction.
    update_with(a, b, |x, y| {
        prime.correct(prime.correct_twice(_mm512_add_epi64(x, prime.mul_lazy(y, s))))
    });
}

/// `b = (a - b) * s`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn sub_from_mul_scalar(b: &mut [u64], a: &[u64], s: ShoupScalar, modulus: &Modulus) {
    let (prime, s) = (Prime::new(modulus), Factor::new(s));
    // The difference, shifted by 2q, is in (0, 3q).
    update_with(b, a, |y, x| prime.mul(_mm512_sub_epi64(_mm512_add_epi64(x, prime.two_q), y), s));
}

/// `out` is `x` centred modulo `p`, modulo q.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn lift(out: &mut [u64], x: &[u64], p: u64, modulus: &Modulus) {
    let lift = Lift::new(p, modulus);
    let (half, shift) = (splat(lift.half), splat(lift.shift));
    let shifted = |x| _mm512_mask_add_epi64(x, _mm512_cmpgt_epu64_mask(x, half), x, shift);
    if lift.is_reduced(modulus) {
        update_with(out, x, |_, x| shifted(x));
    } else {
        let prime = Prime::new(modulus);
        let one_quotient = splat(modulus.one().quotient);
        update_with(out, x, |_, x| prime.reduce(shifted(x), one_quotient));
    }
}

/// `out = a mod q`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn reduce(out: &mut [u64], a: &[u64], modulus: &Modulus) {
    let prime = Prime::new(modulus);
    let one_quotient = splat(modulus.one().quotient);
    update_with(out, a, |_, x| prime.reduce(x, one_quotient));
}

/// `out = permutation(input)`.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn permute(out: &mut [u64], input: &[u64], permutation: BlockPermutation<'_>) {
    require_len(input.len(), out.len());
    require_permutation(&permutation, out.len());
    let out = blocks_mut(out);
    for (block, &target) in blocks(input).iter().zip(permutation.target) {
        store_permuted(out, load_block(block), target, permutation.tables);
    }
}

/// Writes one block where `target` says, through the lane permutation that it names.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn store_permuted(out: &mut [[u64; 8]], words: V, target: u32, tables: &[[u64; 8]; 8]) {
    let lanes = load_block(&tables[target as usize & 7]);
    store_block(&mut out[target as usize >> 3], _mm512_permutexvar_epi64(lanes, words));
}
