//! The forward transform: column passes of up to four stages, then the last six stages of 64 words
//! at a time, all in registers.
//!
//! Passes go depth first, so that small blocks are finished while they are in the nearest cache.
//! Two ways to bound the words: *lazy* for primes with a [`NttTable::forward_offset`], where no word
//! is corrected or even masked before the end (only its low 52 bits count); and Harvey's for larger
//! ones, where words are below 4q at every stage.

use std::arch::x86_64::*;

use super::arith::{Factor, Prime, V, load, splat, store};
use crate::kernels::scalar;
use crate::kernels::shape::require_len;
use crate::ntt::{NttTable, Twiddles};

/// Words corrected to `[0, 2q)` before each addition.
const HARVEY: u8 = 0;
/// Words run freely.
const LAZY: u8 = 1;
/// The first lazy pass, which adds the offset.
const LAZY_FIRST: u8 = 2;

/// Stages done in registers at the end.
pub(super) const TAIL_STAGES: u32 = 6;

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
        8 => &[4, 4],
        9 => &[3, 3, 3],
        10 => &[3, 3, 4],
        _ => &[3, 4, 4],
    }
}

/// What every stage needs.
struct Context<'a> {
    prime: Prime,
    one_quotient: V,
    offset: V,
    twiddles: &'a Twiddles,
}

/// See [`crate::kernels::Kernels::ntt_forward`].
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
pub(super) fn forward(table: &NttTable, a: &mut [u64]) {
    require_len(a.len(), table.n());
    if table.log_n() <= TAIL_STAGES {
        return (scalar::KERNELS.ntt_forward)(table, a);
    }
    let context = Context {
        prime: Prime::new(table.modulus()),
        one_quotient: splat(table.modulus().one().quotient),
        offset: splat(table.forward_offset().unwrap_or(0)),
        twiddles: table.forward_twiddles(),
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

    /// Constant `k` in all lanes.
    ///
    /// # Safety
    /// `k` must be below N.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn factor(&self, k: usize) -> Factor {
        // SAFETY: promised by the caller.
        unsafe {
            Factor {
                value: splat(*self.twiddles.values.as_ptr().add(k)),
                quotient: splat(*self.twiddles.quotients.as_ptr().add(k)),
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
            unsafe { self.columns::<MODE, R, C>(&mut v, node) };
            for (i, &v) in v.iter().enumerate() {
                // SAFETY: as for the load.
                unsafe { store(a.add(at + i * stride), v) };
            }
        }
    }

    /// The butterflies of `R` stages on `C = 2^R` vectors.
    ///
    /// # Safety
    /// `node < N >> (R - 1)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn columns<const MODE: u8, const R: usize, const C: usize>(
        &self,
        v: &mut [V; C],
        node: usize,
    ) {
        for stage in 0..R {
            let half = C >> (stage + 1);
            for block in 0..1 << stage {
                // SAFETY: below 2^R node <= N by promise.
                let w = unsafe { self.factor((node << stage) + block) };
                for i in 2 * half * block..2 * half * block + half {
                    (v[i], v[i + half]) = self.butterfly::<MODE>(v[i], v[i + half], w);
                }
            }
        }
    }

    /// The last six stages of `count` adjacent blocks of 64 words.
    ///
    /// # Safety
    /// `a` must be valid for `64 * count` words and `node + count <= N / 32`.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn tails<const MODE: u8>(&self, a: *mut u64, node: usize, count: usize) {
        for block in 0..count {
            let node = node + block;
            // SAFETY: the 64 words of this block.
            unsafe {
                let a = a.add(64 * block);
                let mut v = [self.offset; 8];
                for (i, v) in v.iter_mut().enumerate() {
                    *v = load(a.add(8 * i));
                }
                self.columns::<MODE, 3, 8>(&mut v, node);
                for pair in 0..4 {
                    let (x, y) =
                        self.pair::<MODE>(v[2 * pair], v[2 * pair + 1], 8 * node + 2 * pair);
                    store(a.add(16 * pair), x);
                    store(a.add(16 * pair + 8), y);
                }
            }
        }
    }

    /// The last three stages of the words of `a` (node `node`, even) and `b` (node `node + 1`), and
    /// the reduction to `[0, q)`.
    ///
    /// Each stage needs the two factors of its butterflies in different vectors. The comments show
    /// which words of `a` and `b` a vector holds.
    ///
    /// # Safety
    /// `4 * node + 8 <= N`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn pair<const MODE: u8>(&self, a: V, b: V, node: usize) -> (V, V) {
        let (values, quotients) = (self.twiddles.values.as_ptr(), self.twiddles.quotients.as_ptr());
        // a0 a1 a2 a3 b0 b1 b2 b3 | a4 a5 a6 a7 b4 b5 b6 b7
        let x = _mm512_shuffle_i64x2::<0x44>(a, b);
        let y = _mm512_shuffle_i64x2::<0xEE>(a, b);
        // SAFETY: node + 1 is below N.
        let w = unsafe {
            let (first, second) = (self.factor(node), self.factor(node + 1));
            Factor {
                value: _mm512_mask_mov_epi64(first.value, 0xF0, second.value),
                quotient: _mm512_mask_mov_epi64(first.quotient, 0xF0, second.quotient),
            }
        };
        let (s, d) = self.butterfly::<MODE>(x, y, w);
        // a0 a1 a4 a5 b0 b1 b4 b5 | a2 a3 a6 a7 b2 b3 b6 b7
        let x = _mm512_permutex2var_epi64(s, _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), d);
        let y = _mm512_permutex2var_epi64(s, _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), d);
        let twice = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
        // SAFETY: constants 2 node to 2 node + 3.
        let w = unsafe {
            let four =
                |p: *const u64| _mm512_castsi256_si512(_mm256_loadu_si256(p.add(2 * node).cast()));
            Factor {
                value: _mm512_permutexvar_epi64(twice, four(values)),
                quotient: _mm512_permutexvar_epi64(twice, four(quotients)),
            }
        };
        let (s, d) = self.butterfly::<MODE>(x, y, w);
        // a0 a2 a4 a6 b0 b2 b4 b6 | a1 a3 a5 a7 b1 b3 b5 b7
        let x = _mm512_unpacklo_epi64(s, d);
        let y = _mm512_unpackhi_epi64(s, d);
        // SAFETY: constants 4 node to 4 node + 7.
        let w = unsafe {
            Factor { value: load(values.add(4 * node)), quotient: load(quotients.add(4 * node)) }
        };
        let (s, d) = self.butterfly::<MODE>(x, y, w);
        let (s, d) = (self.finish::<MODE>(s), self.finish::<MODE>(d));
        (
            _mm512_permutex2var_epi64(s, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), d),
            _mm512_permutex2var_epi64(s, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), d),
        )
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
