//! The forward transform: column passes of up to four stages, then the last seven stages of 128 words
//! at a time, all in registers.
//!
//! Passes go depth first, so that small blocks are finished while they are in the nearest cache.
//! Two ways to bound the words: *lazy* for primes with a [`TransformTable::forward_offset`], where no word
//! is corrected or even masked before the end (only its low 52 bits count); and Harvey's for larger
//! ones, where words are below 4q at every stage.

use std::arch::x86_64::*;

use super::arith::{Factor, Prime, V, load, splat, store};
use super::constants::{Constants, Lanes};
use crate::kernels::scalar;
use crate::kernels::shape::require_len;
use crate::kernels::tables::transform::TransformTable;

/// Words corrected to `[0, 2q)` before each addition.
const HARVEY: u8 = 0;
/// Words run freely.
const LAZY: u8 = 1;
/// The first lazy pass, which adds the offset.
const LAZY_FIRST: u8 = 2;

/// Stages done in registers at the end.
pub(super) const TAIL_STAGES: u32 = 7;

/// Stages of each column pass: as few passes as possible, the shorter ones first.
pub(super) fn plan(log_n: u32) -> &'static [u32] {
    match log_n - TAIL_STAGES {
        1 => &[1],
        2 => &[2],
        3 => &[3],
        4 => &[4],
        5 => &[2, 3],
        6 => &[3, 3],
        7 => &[3, 4],
        8 => &[2, 3, 3],
        9 => &[3, 3, 3],
        _ => &[3, 3, 4],
    }
}

/// What every stage needs.
struct Context<'a> {
    prime: Prime,
    one_quotient: V,
    offset: V,
    lanes: Lanes,
    twiddles: Constants<'a>,
}

/// See [`crate::kernels::Kernels::ntt_forward`].
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn forward(table: &TransformTable, a: &mut [u64]) {
    require_len(a.len(), table.n());
    if table.log_n() <= TAIL_STAGES {
        return (scalar::KERNELS.ntt_forward)(table, a);
    }
    let prime = Prime::new(table.modulus());
    let context = Context {
        prime,
        one_quotient: splat(table.modulus().one().quotient),
        offset: splat(table.forward_offset().unwrap_or(0)),
        lanes: Lanes::new(),
        twiddles: Constants::new(table.forward_twiddles(), prime),
    };
    let (words, len) = (a.as_mut_ptr(), a.len());
    // SAFETY: `a` has N words and the tables have N words each.
    unsafe {
        if table.forward_offset().is_some() {
            context.blocks::<LAZY_FIRST, LAZY>(words, len, 1, 1, plan(table.log_n()));
        } else {
            context.blocks::<HARVEY, HARVEY>(words, len, 1, 1, plan(table.log_n()));
        }
    }
}

// Stages on vectors held in registers. Macros, because the compiler keeps an array in registers only
// where all indices are constants, and because it must not turn these into calls. Butterflies of one
// stage follow each other, as each waits long for its own results.

/// Butterflies of vectors `a` and `b` with the constant of node `n`, given as `n: a b, a b, ...; ...`.
macro_rules! butterflies {
    ($self:ident, $mode:ident, $v:ident, $($node:expr => $(($a:literal, $b:literal)),+;)+) => {
        $({
            let w = $self.twiddles.one($node);
            $(($v[$a], $v[$b]) = $self.butterfly::<$mode>($v[$a], $v[$b], w);)+
        })+
    };
}

/// Two stages of four vectors.
macro_rules! four {
    ($self:ident, $mode:ident, $v:ident, $node:expr) => {{
        butterflies!($self, $mode, $v, $node => (0, 2), (1, 3););
        butterflies!($self, $mode, $v, 2 * $node => (0, 1); 2 * $node + 1 => (2, 3););
    }};
}

/// Three stages of eight vectors.
macro_rules! eight {
    ($self:ident, $mode:ident, $v:ident, $node:expr) => {{
        butterflies!($self, $mode, $v, $node => (0, 4), (1, 5), (2, 6), (3, 7););
        butterflies!($self, $mode, $v,
            2 * $node => (0, 2), (1, 3);
            2 * $node + 1 => (4, 6), (5, 7);
        );
        butterflies!($self, $mode, $v,
            4 * $node => (0, 1);
            4 * $node + 1 => (2, 3);
            4 * $node + 2 => (4, 5);
            4 * $node + 3 => (6, 7);
        );
    }};
}

/// Four stages of sixteen vectors.
macro_rules! sixteen {
    ($self:ident, $mode:ident, $v:ident, $node:expr) => {{
        butterflies!($self, $mode, $v,
            $node => (0, 8), (1, 9), (2, 10), (3, 11), (4, 12), (5, 13), (6, 14), (7, 15);
        );
        butterflies!($self, $mode, $v,
            2 * $node => (0, 4), (1, 5), (2, 6), (3, 7);
            2 * $node + 1 => (8, 12), (9, 13), (10, 14), (11, 15);
        );
        butterflies!($self, $mode, $v,
            4 * $node => (0, 2), (1, 3);
            4 * $node + 1 => (4, 6), (5, 7);
            4 * $node + 2 => (8, 10), (9, 11);
            4 * $node + 3 => (12, 14), (13, 15);
        );
        butterflies!($self, $mode, $v,
            8 * $node => (0, 1);
            8 * $node + 1 => (2, 3);
            8 * $node + 2 => (4, 5);
            8 * $node + 3 => (6, 7);
            8 * $node + 4 => (8, 9);
            8 * $node + 5 => (10, 11);
            8 * $node + 6 => (12, 13);
            8 * $node + 7 => (14, 15);
        );
    }};
}

impl Context<'_> {
    /// Finishes `count` adjacent blocks of `len` words, whose first stage has the constants `node`,
    /// `node + 1`, ...: the constants of the two halves of a block are those at `2 node`, `2 node + 1`.
    ///
    /// # Safety
    /// `a` must be valid for `count * len` words, and `(node + count) * len` at most N plus `len`.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn blocks<const MODE: u8, const NEXT: u8>(
        &self,
        a: *mut u64,
        len: usize,
        node: usize,
        count: usize,
        plan: &[u32],
    ) {
        let Some((&stages, rest)) = plan.split_first() else {
            // SAFETY: after all passes, blocks have 2^TAIL_STAGES words; the rest as promised.
            return unsafe { self.tails::<NEXT>(a, node, count) };
        };
        for block in 0..count {
            let node = node + block;
            let stride = len >> stages;
            // SAFETY: the block is within `a`, and has 2^stages columns of `stride` words; the
            // children's nodes times their length are bounded as the block's.
            unsafe {
                let a = a.add(block * len);
                match stages {
                    1 => self.pass::<MODE, 1, 2>(a, stride, node),
                    2 => self.pass::<MODE, 2, 4>(a, stride, node),
                    3 => self.pass::<MODE, 3, 8>(a, stride, node),
                    _ => self.pass::<MODE, 4, 16>(a, stride, node),
                }
                self.blocks::<NEXT, NEXT>(a, stride, node << stages, 1 << stages, rest);
            }
        }
    }

    /// `(x, y) -> (x + y w, x - y w)`, with 2q added to the difference in Harvey's mode.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn butterfly<const MODE: u8>(&self, x: V, y: V, w: Factor) -> (V, V) {
        if MODE == HARVEY {
            // x < 4q becomes x < 2q; sum and difference are below 4q <= 2^52.
            let x = self.prime.correct_twice(x);
            let product = self.prime.mul_lazy(y, w);
            let shifted = _mm512_add_epi64(x, self.prime.two_q);
            (_mm512_add_epi64(x, product), _mm512_sub_epi64(shifted, product))
        } else {
            // The offset keeps x - product from going below 0, see `forward_offset`.
            let sum = self.prime.add_product(x, y, w);
            (sum, _mm512_sub_epi64(_mm512_add_epi64(x, x), sum))
        }
    }

    /// `R` stages over the `C = 2^R` columns of a block, eight words of each at a time.
    ///
    /// # Safety
    /// `a` must be valid for `C * stride` words, `stride` a multiple of 8, `node < N >> (R - 1)`.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn pass<const MODE: u8, const R: usize, const C: usize>(
        &self,
        a: *mut u64,
        stride: usize,
        node: usize,
    ) {
        for at in (0..stride).step_by(8) {
            let mut v = [self.offset; C];
            for (i, v) in v.iter_mut().enumerate() {
                // SAFETY: column i, word `at` is within the block.
                *v = unsafe { load(a.add(at + i * stride)) };
                if MODE == LAZY_FIRST && i < C / 2 {
                    *v = _mm512_add_epi64(*v, self.offset);
                }
            }
            // SAFETY: nodes of R stages are below N by promise.
            unsafe {
                match R {
                    1 => butterflies!(self, MODE, v, node => (0, 1);),
                    2 => four!(self, MODE, v, node),
                    3 => eight!(self, MODE, v, node),
                    _ => sixteen!(self, MODE, v, node),
                }
            }
            for (i, &v) in v.iter().enumerate() {
                // SAFETY: as for the load.
                unsafe { store(a.add(at + i * stride), v) };
            }
        }
    }

    /// The last seven stages of `count` adjacent blocks of 128 words.
    ///
    /// The last three are within groups of eight words. Two such groups `a` and `b` make a pair of
    /// vectors, whose words change places so that each stage finds the two factors of its butterflies
    /// in different vectors; the comments show which words they hold.
    ///
    /// # Safety
    /// `a` must be valid for `128 * count` words and `node + count <= N / 64`.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn tails<const MODE: u8>(&self, a: *mut u64, node: usize, count: usize) {
        for block in 0..count {
            let node = node + block;
            // SAFETY: the 128 words of this block.
            unsafe {
                let a = a.add(128 * block);
                let mut v = [self.offset; 16];
                for (i, v) in v.iter_mut().enumerate() {
                    *v = load(a.add(8 * i));
                }
                sixteen!(self, MODE, v, node);
                for i in (0..16).step_by(2) {
                    // a0 a1 a2 a3 b0 b1 b2 b3 | a4 a5 a6 a7 b4 b5 b6 b7
                    let x = _mm512_shuffle_i64x2::<0x44>(v[i], v[i + 1]);
                    let y = _mm512_shuffle_i64x2::<0xEE>(v[i], v[i + 1]);
                    (v[i], v[i + 1]) = self.butterfly::<MODE>(
                        x,
                        y,
                        self.twiddles.two(16 * node + i, [0, 0, 0, 0, 1, 1, 1, 1]),
                    );
                }
                for i in (0..16).step_by(2) {
                    // a0 a1 a4 a5 b0 b1 b4 b5 | a2 a3 a6 a7 b2 b3 b6 b7
                    let (x, y) = self.lanes.mix_quarters(v[i], v[i + 1]);
                    (v[i], v[i + 1]) = self.butterfly::<MODE>(
                        x,
                        y,
                        self.twiddles.four(32 * node + 2 * i, [0, 0, 1, 1, 2, 2, 3, 3]),
                    );
                }
                for i in (0..16).step_by(2) {
                    // a0 a2 a4 a6 b0 b2 b4 b6 | a1 a3 a5 a7 b1 b3 b5 b7
                    let x = _mm512_unpacklo_epi64(v[i], v[i + 1]);
                    let y = _mm512_unpackhi_epi64(v[i], v[i + 1]);
                    (v[i], v[i + 1]) =
                        self.butterfly::<MODE>(x, y, self.twiddles.eight(64 * node + 4 * i));
                }
                for v in &mut v {
                    *v = self.finish::<MODE>(*v);
                }
                for i in (0..16).step_by(2) {
                    let (x, y) = self.lanes.interleave(v[i], v[i + 1]);
                    store(a.add(8 * i), x);
                    store(a.add(8 * i + 8), y);
                }
            }
        }
    }

    /// Reduces to `[0, q)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn finish<const MODE: u8>(&self, x: V) -> V {
        if MODE == HARVEY {
            self.prime.correct(self.prime.correct_twice(x))
        } else {
            self.prime.reduce(x, self.one_quotient)
        }
    }
}
