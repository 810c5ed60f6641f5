//! The inverse transform: the first seven stages of 128 words at a time in registers, then column
//! passes, in the reverse order of the forward transform.
//!
//! A butterfly maps `(x, y)` to `(x + y, (x - y) w)`. Differences come out below 2q, sums grow. For
//! primes with a forward offset (lazy mode) sums grow freely within a pass, up to 32q, and only those
//! that would be too large for the next pass are reduced at its end: a pass of four stages takes
//! words below 2q, a shorter one words below 4q. For larger primes (Harvey's mode) all are kept
//! below 2q.

use std::arch::x86_64::*;

use super::arith::{Factor, Prime, V, load, splat, store};
use super::constants::{Constants, Lanes};
use super::forward::{TAIL_STAGES, plan};
use crate::kernels::scalar;
use crate::kernels::shape::require_len;
use crate::kernels::tables::transform::TransformTable;

/// The pass ends the transform.
const LAST: u64 = 0;
/// Any stage but the last of a pass.
const INNER: u64 = 1;

/// What every stage needs.
struct Context<'a> {
    prime: Prime,
    one_quotient: V,
    /// q times 1, 2, 4, 8, 16.
    multiples: [V; 5],
    /// The constants of the last stage, with 1/N in them.
    last: (Factor, Factor),
    lanes: Lanes,
    twiddles: Constants<'a>,
}

/// Bound of the words, in multiples of q, that a pass of so many stages takes in lazy mode.
const fn bound_in(stages: usize) -> u64 {
    if stages == 4 { 2 } else { 4 }
}

/// Bound of word `i` of a group of `2^stages` after so many stages in lazy mode, in multiples of q,
/// if all were below `bound` q before: only word 0 is a sum throughout; any other was last a
/// difference, below 2q, in the stage of the highest bit of `i`, and has doubled since.
const fn bound_after(stages: usize, i: usize, bound: u64) -> u64 {
    if i == 0 { bound << stages } else { 2 << (stages - 1 - i.ilog2() as usize) }
}

/// See [`crate::kernels::Kernels::ntt_inverse`].
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn inverse(table: &TransformTable, a: &mut [u64]) {
    require_len(a.len(), table.n());
    if table.log_n() <= TAIL_STAGES {
        return (scalar::KERNELS.ntt_inverse)(table, a);
    }
    let q = table.modulus().value();
    let (sums, differences) = table.last_inverse_stage();
    let prime = Prime::new(table.modulus());
    let context = Context {
        prime,
        one_quotient: splat(table.modulus().one().quotient),
        multiples: [splat(q), splat(2 * q), splat(4 * q), splat(8 * q), splat(16 * q)],
        last: (Factor::new(sums), Factor::new(differences)),
        lanes: Lanes::new(),
        twiddles: Constants::new(table.inverse_twiddles(), prime),
    };
    let plan = plan(table.log_n());
    let (words, len) = (a.as_mut_ptr(), a.len());
    // SAFETY: `a` has N words and the tables have N words each.
    unsafe {
        if table.forward_offset().is_some() {
            context.blocks::<true, LAST>(words, len, 1, 1, plan);
        } else {
            context.blocks::<false, LAST>(words, len, 1, 1, plan);
        }
    }
}

// Stages on vectors held in registers; macros for the reasons given in the forward transform.
// Words are below `bound` q before; after a stage, differences are below 2q and sums have doubled.

/// Butterflies of vectors `a` and `b`, below `bound` q, with the constant of a node.
macro_rules! butterflies {
    ($self:ident, $free:ident, $out:ident, $v:ident, $($node:expr => $(($a:literal, $b:literal, $bound:expr)),+;)+) => {
        $({
            $(($v[$a], $v[$b]) = $self.step::<$free, $out>($v[$a], $v[$b], $node, $bound);)+
        })+
    };
}

/// Two stages of four vectors.
macro_rules! four {
    ($self:ident, $free:ident, $out:ident, $v:ident, $node:expr, $bound:expr) => {{
        butterflies!($self, $free, INNER, $v,
            2 * $node => (0, 1, $bound);
            2 * $node + 1 => (2, 3, $bound);
        );
        butterflies!($self, $free, $out, $v, $node => (0, 2, 2 * $bound), (1, 3, 2););
    }};
}

/// Three stages of eight vectors.
macro_rules! eight {
    ($self:ident, $free:ident, $out:ident, $v:ident, $node:expr, $bound:expr) => {{
        butterflies!($self, $free, INNER, $v,
            4 * $node => (0, 1, $bound);
            4 * $node + 1 => (2, 3, $bound);
            4 * $node + 2 => (4, 5, $bound);
            4 * $node + 3 => (6, 7, $bound);
        );
        butterflies!($self, $free, INNER, $v,
            2 * $node => (0, 2, 2 * $bound), (1, 3, 2);
            2 * $node + 1 => (4, 6, 2 * $bound), (5, 7, 2);
        );
        butterflies!($self, $free, $out, $v,
            $node => (0, 4, 4 * $bound), (1, 5, 4), (2, 6, 2), (3, 7, 2);
        );
    }};
}

/// Four stages of sixteen vectors.
macro_rules! sixteen {
    ($self:ident, $free:ident, $out:ident, $v:ident, $node:expr, $bound:expr) => {{
        butterflies!($self, $free, INNER, $v,
            8 * $node => (0, 1, $bound);
            8 * $node + 1 => (2, 3, $bound);
            8 * $node + 2 => (4, 5, $bound);
            8 * $node + 3 => (6, 7, $bound);
            8 * $node + 4 => (8, 9, $bound);
            8 * $node + 5 => (10, 11, $bound);
            8 * $node + 6 => (12, 13, $bound);
            8 * $node + 7 => (14, 15, $bound);
        );
        butterflies!($self, $free, INNER, $v,
            4 * $node => (0, 2, 2 * $bound), (1, 3, 2);
            4 * $node + 1 => (4, 6, 2 * $bound), (5, 7, 2);
            4 * $node + 2 => (8, 10, 2 * $bound), (9, 11, 2);
            4 * $node + 3 => (12, 14, 2 * $bound), (13, 15, 2);
        );
        butterflies!($self, $free, INNER, $v,
            2 * $node => (0, 4, 4 * $bound), (1, 5, 4), (2, 6, 2), (3, 7, 2);
            2 * $node + 1 => (8, 12, 4 * $bound), (9, 13, 4), (10, 14, 2), (11, 15, 2);
        );
        butterflies!($self, $free, $out, $v,
            $node => (0, 8, 8 * $bound), (1, 9, 8), (2, 10, 4), (3, 11, 4),
                (4, 12, 2), (5, 13, 2), (6, 14, 2), (7, 15, 2);
        );
    }};
}

impl Context<'_> {
    /// Does `count` adjacent blocks of `len` words, whose last stage has the constants `node`,
    /// `node + 1`, ...: the constants of the two halves of a block are those at `2 node`, `2 node + 1`.
    /// Words come out below `OUT` q, or finished.
    ///
    /// # Safety
    /// `a` must be valid for `count * len` words, and `(node + count) * len` at most N plus `len`.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn blocks<const FREE: bool, const OUT: u64>(
        &self,
        a: *mut u64,
        len: usize,
        node: usize,
        count: usize,
        plan: &[u32],
    ) {
        let Some((&stages, rest)) = plan.split_first() else {
            // SAFETY: below all passes, blocks have 2^TAIL_STAGES words; the rest as promised.
            return unsafe { self.heads::<FREE, OUT>(a, node, count) };
        };
        for block in 0..count {
            let node = node + block;
            let stride = len >> stages;
            // SAFETY: the block is within `a`, and has 2^stages columns of `stride` words; the
            // children's nodes times their length are bounded as the block's.
            unsafe {
                let a = a.add(block * len);
                if stages == 4 {
                    self.blocks::<FREE, 2>(a, stride, node << stages, 1 << stages, rest);
                } else {
                    self.blocks::<FREE, 4>(a, stride, node << stages, 1 << stages, rest);
                }
                match stages {
                    1 => self.pass::<FREE, OUT, 1, 2>(a, stride, node),
                    2 => self.pass::<FREE, OUT, 2, 4>(a, stride, node),
                    3 => self.pass::<FREE, OUT, 3, 8>(a, stride, node),
                    _ => self.pass::<FREE, OUT, 4, 16>(a, stride, node),
                }
            }
        }
    }

    /// `(x, y) -> (x + y, (x - y) w)` for words below `bound` q, a power of two up to 16. In lazy
    /// mode only the low 52 bits of the results count; the sum is below `2 bound` q, at most
    /// 32q <= 2^52, as is what `w` multiplies. In Harvey's mode the bound is 2 throughout.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn butterfly<const FREE: bool>(&self, x: V, y: V, w: Factor, bound: u64) -> (V, V) {
        let sum = _mm512_add_epi64(x, y);
        if FREE {
            let multiple = self.multiples[bound.ilog2() as usize];
            let difference = _mm512_sub_epi64(_mm512_add_epi64(x, multiple), y);
            (sum, self.prime.add_product(_mm512_setzero_si512(), difference, w))
        } else {
            let difference = _mm512_sub_epi64(_mm512_add_epi64(x, self.prime.two_q), y);
            (self.prime.correct_twice(sum), self.prime.mul_lazy(difference, w))
        }
    }

    /// `R` stages over the `C = 2^R` columns of a block, eight words of each at a time.
    ///
    /// # Safety
    /// `a` must be valid for `C * stride` words, `stride` a multiple of 8, `node < N >> (R - 1)`.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn pass<const FREE: bool, const OUT: u64, const R: usize, const C: usize>(
        &self,
        a: *mut u64,
        stride: usize,
        node: usize,
    ) {
        for at in (0..stride).step_by(8) {
            let mut v = [self.one_quotient; C];
            for (i, v) in v.iter_mut().enumerate() {
                // SAFETY: column i, word `at` is within the block.
                *v = unsafe { load(a.add(at + i * stride)) };
            }
            let bound = bound_in(R);
            // SAFETY: nodes of R stages are below N by promise.
            unsafe {
                match R {
                    1 => butterflies!(self, FREE, OUT, v, node => (0, 1, bound);),
                    2 => four!(self, FREE, OUT, v, node, bound),
                    3 => eight!(self, FREE, OUT, v, node, bound),
                    _ => sixteen!(self, FREE, OUT, v, node, bound),
                }
            }
            for (i, &v) in v.iter().enumerate() {
                // SAFETY: as for the load.
                unsafe { store(a.add(at + i * stride), self.settle::<FREE, OUT, R>(v, i, bound)) };
            }
        }
    }

    /// At the end of a pass, reduces the words that are too large for the next one; `bound` as before
    /// the pass.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn settle<const FREE: bool, const OUT: u64, const R: usize>(
        &self,
        v: V,
        i: usize,
        bound: u64,
    ) -> V {
        if FREE && OUT != LAST && bound_after(R, i, bound) > OUT {
            self.prime.reduce_unmasked(v, self.one_quotient)
        } else {
            v
        }
    }

    /// The butterfly of node `node`, or that of the last stage, into `[0, q)`; words below `bound` q.
    ///
    /// # Safety
    /// `node` must be below N.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn step<const FREE: bool, const OUT: u64>(
        &self,
        x: V,
        y: V,
        node: usize,
        bound: u64,
    ) -> (V, V) {
        if OUT == LAST {
            let multiple = self.multiples[if FREE { bound.ilog2() as usize } else { 1 }];
            let difference = _mm512_sub_epi64(_mm512_add_epi64(x, multiple), y);
            (
                self.prime.mul(_mm512_add_epi64(x, y), self.last.0),
                self.prime.mul(difference, self.last.1),
            )
        } else {
            // SAFETY: promised by the caller.
            self.butterfly::<FREE>(x, y, unsafe { self.twiddles.one(node) }, bound)
        }
    }

    /// The first seven stages of `count` adjacent blocks of 128 words, which are below 2q.
    ///
    /// The first three are within groups of eight words. Two such groups `a` and `b` make a pair of
    /// vectors, whose words change places so that each stage finds the two factors of its butterflies
    /// in different vectors; the comments show which words they hold.
    ///
    /// # Safety
    /// `a` must be valid for `128 * count` words and `node + count <= N / 64`.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn heads<const FREE: bool, const OUT: u64>(
        &self,
        a: *mut u64,
        node: usize,
        count: usize,
    ) {
        for block in 0..count {
            let node = node + block;
            // SAFETY: the 128 words of this block.
            unsafe {
                let a = a.add(128 * block);
                let mut v = [self.one_quotient; 16];
                for i in (0..16).step_by(2) {
                    let (first, second) = (load(a.add(8 * i)), load(a.add(8 * i + 8)));
                    // a0 a2 a4 a6 b0 b2 b4 b6 | a1 a3 a5 a7 b1 b3 b5 b7
                    let (x, y) = self.lanes.separate(first, second);
                    let w = self.twiddles.eight(64 * node + 4 * i);
                    (v[i], v[i + 1]) = self.butterfly::<FREE>(x, y, w, 2);
                }
                for i in (0..16).step_by(2) {
                    // a0 a1 a4 a5 b0 b1 b4 b5 | a2 a3 a6 a7 b2 b3 b6 b7
                    let x = _mm512_unpacklo_epi64(v[i], v[i + 1]);
                    let y = _mm512_unpackhi_epi64(v[i], v[i + 1]);
                    let w = self.twiddles.four(32 * node + 2 * i, [0, 0, 1, 1, 2, 2, 3, 3]);
                    (v[i], v[i + 1]) = self.butterfly::<FREE>(x, y, w, 4);
                }
                for i in (0..16).step_by(2) {
                    // a0 a1 b0 b1 a2 a3 b2 b3 | a4 a5 b4 b5 a6 a7 b6 b7
                    let x = _mm512_shuffle_i64x2::<0x88>(v[i], v[i + 1]);
                    let y = _mm512_shuffle_i64x2::<0xDD>(v[i], v[i + 1]);
                    let w = self.twiddles.two(16 * node + i, [0, 0, 1, 1, 0, 0, 1, 1]);
                    (v[i], v[i + 1]) = self.butterfly::<FREE>(x, y, w, 8);
                }
                for i in (0..16).step_by(2) {
                    let mut sum = v[i];
                    if FREE {
                        sum = self.prime.reduce_unmasked(sum, self.one_quotient);
                    }
                    let difference = v[i + 1];
                    v[i] = _mm512_shuffle_i64x2::<0x88>(sum, difference);
                    v[i + 1] = _mm512_shuffle_i64x2::<0xDD>(sum, difference);
                }
                sixteen!(self, FREE, OUT, v, node, 2);
                for (i, &v) in v.iter().enumerate() {
                    store(a.add(8 * i), self.settle::<FREE, OUT, 4>(v, i, 2));
                }
            }
        }
    }
}
