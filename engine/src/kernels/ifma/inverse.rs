//! The inverse transform: the first six stages of 64 words at a time in registers, then column
//! passes, in the reverse order of the forward transform.
//!
//! A butterfly maps `(x, y)` to `(x + y, (x - y) w)`. Differences come out below 2q, sums grow. For
//! primes with a forward offset (lazy mode) sums grow freely within a pass, up to 32q, and only those
//! that would be too large for the next pass are reduced at its end: a pass of four stages takes
//! words below 2q, a shorter one words below 4q. For larger primes (Harvey's mode) all are kept
//! below 2q.

use std::arch::x86_64::*;

use super::arith::{Factor, Prime, V, load, splat, store};
use super::forward::{TAIL_STAGES, plan};
use crate::kernels::scalar;
use crate::kernels::shape::require_len;
use crate::ntt::{NttTable, Twiddles};

/// The pass ends the transform.
const LAST: u64 = 0;

/// What every stage needs.
struct Context<'a> {
    prime: Prime,
    one_quotient: V,
    /// q times 1, 2, 4, 8, 16.
    multiples: [V; 5],
    /// The constants of the last stage, with 1/N in them.
    last: (Factor, Factor),
    twiddles: &'a Twiddles,
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
pub(super) fn inverse(table: &NttTable, a: &mut [u64]) {
    require_len(a.len(), table.n());
    if table.log_n() <= TAIL_STAGES {
        return (scalar::KERNELS.ntt_inverse)(table, a);
    }
    let q = table.modulus().value();
    let (sums, differences) = table.last_inverse_stage();
    let context = Context {
        prime: Prime::new(table.modulus()),
        one_quotient: splat(table.modulus().one().quotient),
        multiples: [splat(q), splat(2 * q), splat(4 * q), splat(8 * q), splat(16 * q)],
        last: (Factor::new(sums), Factor::new(differences)),
        twiddles: table.inverse_twiddles(),
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
            // SAFETY: nodes of R stages are below N by promise.
            unsafe { self.columns::<FREE, OUT, R, C>(&mut v, node, bound_in(R)) };
            for (i, &v) in v.iter().enumerate() {
                // SAFETY: as for the load.
                unsafe { store(a.add(at + i * stride), v) };
            }
        }
    }

    /// The butterflies of `R` stages on `C = 2^R` vectors of words below `bound` q.
    ///
    /// # Safety
    /// `node < N >> (R - 1)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn columns<const FREE: bool, const OUT: u64, const R: usize, const C: usize>(
        &self,
        v: &mut [V; C],
        node: usize,
        bound: u64,
    ) {
        for stage in 0..R {
            let half = 1 << stage;
            if OUT == LAST && stage == R - 1 {
                for i in 0..half {
                    let bound = if FREE { bound_after(stage, i, bound) } else { 2 };
                    (v[i], v[i + half]) = self.last_butterfly(v[i], v[i + half], bound);
                }
                return;
            }
            for block in 0..C >> (stage + 1) {
                // SAFETY: below 2^R node <= N by promise.
                let w = unsafe { self.factor((node << (R - 1 - stage)) + block) };
                for i in 0..half {
                    let (x, y) = (2 * half * block + i, 2 * half * block + i + half);
                    (v[x], v[y]) =
                        self.butterfly::<FREE>(v[x], v[y], w, bound_after(stage, i, bound));
                }
            }
        }
        if FREE {
            for (i, v) in v.iter_mut().enumerate() {
                if bound_after(R, i, bound) > OUT {
                    *v = self.prime.reduce_unmasked(*v, self.one_quotient);
                }
            }
        }
    }

    /// The butterfly of the last stage, for words below `bound` q, into `[0, q)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    fn last_butterfly(&self, x: V, y: V, bound: u64) -> (V, V) {
        let multiple = self.multiples[bound.ilog2() as usize];
        let difference = _mm512_sub_epi64(_mm512_add_epi64(x, multiple), y);
        (
            self.prime.mul(_mm512_add_epi64(x, y), self.last.0),
            self.prime.mul(difference, self.last.1),
        )
    }

    /// The first six stages of `count` adjacent blocks of 64 words, which are below 2q.
    ///
    /// # Safety
    /// `a` must be valid for `64 * count` words and `node + count <= N / 32`.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn heads<const FREE: bool, const OUT: u64>(
        &self,
        a: *mut u64,
        node: usize,
        count: usize,
    ) {
        for block in 0..count {
            let node = node + block;
            // SAFETY: the 64 words of this block.
            unsafe {
                let a = a.add(64 * block);
                let mut v = [self.one_quotient; 8];
                for pair in 0..4 {
                    let (x, y) = (load(a.add(16 * pair)), load(a.add(16 * pair + 8)));
                    (v[2 * pair], v[2 * pair + 1]) = self.pair::<FREE>(x, y, 8 * node + 2 * pair);
                }
                self.columns::<FREE, OUT, 3, 8>(&mut v, node, 2);
                for (i, &v) in v.iter().enumerate() {
                    store(a.add(8 * i), v);
                }
            }
        }
    }

    /// The first three stages of the words of `a` (node `node`, even) and `b` (node `node + 1`),
    /// from below 2q to below 2q. The comments show which words of `a` and `b` a vector holds.
    ///
    /// # Safety
    /// `4 * node + 8 <= N`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
    unsafe fn pair<const FREE: bool>(&self, a: V, b: V, node: usize) -> (V, V) {
        let (values, quotients) = (self.twiddles.values.as_ptr(), self.twiddles.quotients.as_ptr());
        // a0 a2 a4 a6 b0 b2 b4 b6 | a1 a3 a5 a7 b1 b3 b5 b7
        let x = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
        let y = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b);
        // SAFETY: constants 4 node to 4 node + 7.
        let w = unsafe {
            Factor { value: load(values.add(4 * node)), quotient: load(quotients.add(4 * node)) }
        };
        let (s, d) = self.butterfly::<FREE>(x, y, w, 2);
        // a0 a1 a4 a5 b0 b1 b4 b5 | a2 a3 a6 a7 b2 b3 b6 b7
        let x = _mm512_unpacklo_epi64(s, d);
        let y = _mm512_unpackhi_epi64(s, d);
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
        let (s, d) = self.butterfly::<FREE>(x, y, w, 4);
        // a0 a1 b0 b1 a2 a3 b2 b3 | a4 a5 b4 b5 a6 a7 b6 b7
        let x = _mm512_shuffle_i64x2::<0x88>(s, d);
        let y = _mm512_shuffle_i64x2::<0xDD>(s, d);
        // SAFETY: node + 1 is below N.
        let w = unsafe {
            let (first, second) = (self.factor(node), self.factor(node + 1));
            Factor {
                value: _mm512_mask_mov_epi64(first.value, 0xCC, second.value),
                quotient: _mm512_mask_mov_epi64(first.quotient, 0xCC, second.quotient),
            }
        };
        let (mut s, d) = self.butterfly::<FREE>(x, y, w, 8);
        if FREE {
            s = self.prime.reduce_unmasked(s, self.one_quotient);
        }
        (_mm512_shuffle_i64x2::<0x88>(s, d), _mm512_shuffle_i64x2::<0xDD>(s, d))
    }
}
