//! The forward transform: column passes of up to three stages, then the last stages of small blocks in
//! registers.
//!
//! Between the first load and the last store, words are doubles: signed residues that grow by little
//! more than q/2 with each stage. [`crate::kernels::tables::bounds`] says before which passes they must be corrected.
//! Passes go depth first, so that small blocks are finished while they are in the nearest cache.

use super::arith::{Factor, Prime};
use super::constants::Constants;
use super::lanes::Lanes;
use crate::kernels::scalar;
use crate::kernels::shape::require_len;
use crate::kernels::tables::doubles::Doubles;
use crate::kernels::tables::passes::{plan, tail_stages};
use crate::kernels::tables::transform::TransformTable;

/// Butterflies of vectors `a` and `b` with one constant, given as `w: a b, a b, ...; ...`.
macro_rules! butterflies {
    ($self:ident, $v:ident, $($w:expr => $(($a:literal, $b:literal)),+;)+) => {
        $({
            let w = $w;
            $(($v[$a], $v[$b]) = $self.butterfly($v[$a], $v[$b], w);)+
        })+
    };
}

/// What every stage needs.
struct Context<'a, L> {
    prime: Prime<L>,
    constants: Constants<'a>,
}

/// See [`crate::kernels::Kernels::ntt_forward`].
#[inline(always)]
pub(super) fn forward<L: Lanes>(table: &TransformTable, a: &mut [u64]) {
    require_len(a.len(), table.n());
    let tail = tail_stages(L::WORDS);
    if table.log_n() < tail {
        return (scalar::KERNELS.ntt_forward)(table, a);
    }
    let Doubles { forward: constants, corrections, .. } = table.doubles(L::WORDS);
    let context =
        Context { prime: Prime::<L>::new(table.modulus()), constants: Constants(constants) };
    let plan = plan(table.log_n() - tail);
    let correct_tail = corrections[plan.len()];
    let (n, a) = (a.len(), a.as_mut_ptr());
    // Blocks before the last pass, in the order in which they are finished.
    let last = n >> (table.log_n() - tail - plan.last().unwrap_or(&0));
    for at in (0..n).step_by(last) {
        let mut len = n;
        for (&stages, &correct) in plan.iter().zip(corrections) {
            if at.is_multiple_of(len) {
                // SAFETY: the block of `len` words at `at` is within `a`; its node, N / len + at / len,
                // times 2^(stages - 1) is at most N / stride, and the stride at least 8 * WORDS.
                unsafe {
                    let (a, stride, node) = (a.add(at), len >> stages, (n + at) / len);
                    match (len == n, correct) {
                        (true, _) => context.passes::<true, false>(a, stride, node, stages),
                        (_, true) => context.passes::<false, true>(a, stride, node, stages),
                        _ => context.passes::<false, false>(a, stride, node, stages),
                    }
                }
            }
            len >>= stages;
        }
        for at in (at..at + last).step_by(len) {
            // SAFETY: a block of 8 * WORDS words; there are N / (8 * WORDS) of them.
            unsafe {
                match (plan.is_empty(), correct_tail) {
                    (true, _) => context.tail::<true, false>(a.add(at), at / len, n / len),
                    (_, true) => context.tail::<false, true>(a.add(at), at / len, n / len),
                    _ => context.tail::<false, false>(a.add(at), at / len, n / len),
                }
            }
        }
    }
}

impl<L: Lanes> Context<'_, L> {
    /// `(x, y) -> (x + y w, x - y w)`.
    #[inline(always)]
    fn butterfly(&self, x: L, y: L, w: Factor<L>) -> (L, L) {
        let product = self.prime.mul(y, w);
        (x.add(product), x.sub(product))
    }

    /// # Safety
    /// As for [`Self::pass`], with 1 to 3 stages.
    #[inline(always)]
    unsafe fn passes<const FIRST: bool, const CORRECT: bool>(
        &self,
        a: *mut u64,
        stride: usize,
        node: usize,
        stages: u32,
    ) {
        // SAFETY: promised by the caller.
        unsafe {
            match stages {
                1 => self.pass::<FIRST, CORRECT, 2>(a, stride, node),
                2 => self.pass::<FIRST, CORRECT, 4>(a, stride, node),
                _ => self.pass::<FIRST, CORRECT, 8>(a, stride, node),
            }
        }
    }

    /// Stages over the `C` columns of a block, one vector of each at a time. Words come as words if
    /// `FIRST`, else as doubles, and the first half of them is corrected if `CORRECT`.
    ///
    /// # Safety
    /// `a` must be valid for `C * stride` words, `stride` a multiple of `WORDS`, `C / 2 * (node + 1)`
    /// at most `N / WORDS`.
    #[inline(always)]
    unsafe fn pass<const FIRST: bool, const CORRECT: bool, const C: usize>(
        &self,
        a: *mut u64,
        stride: usize,
        node: usize,
    ) {
        macro_rules! w {
            ($level:expr, $i:expr) => {
                // SAFETY: nodes are at most C / 2 * (node + 1) - 1.
                unsafe { self.constants.column::<L>((node << $level) + $i) }
            };
        }
        for at in (0..stride).step_by(L::WORDS) {
            let mut v = [self.prime.zero(); C];
            for (i, v) in v.iter_mut().enumerate() {
                // SAFETY: column i, word `at` is within the block.
                *v = unsafe { L::load(a.add(at + i * stride)) };
                if FIRST {
                    *v = v.into_doubles();
                } else if CORRECT && i < C / 2 {
                    *v = self.prime.correct(*v);
                }
            }
            match C {
                2 => {
                    butterflies!(self, v, w!(0, 0) => (0, 1););
                }
                4 => {
                    butterflies!(self, v, w!(0, 0) => (0, 2), (1, 3););
                    butterflies!(self, v, w!(1, 0) => (0, 1); w!(1, 1) => (2, 3););
                }
                _ => {
                    butterflies!(self, v, w!(0, 0) => (0, 4), (1, 5), (2, 6), (3, 7););
                    butterflies!(self, v, w!(1, 0) => (0, 2), (1, 3); w!(1, 1) => (4, 6), (5, 7););
                    butterflies!(self, v,
                        w!(2, 0) => (0, 1); w!(2, 1) => (2, 3); w!(2, 2) => (4, 5); w!(2, 3) => (6, 7);
                    );
                }
            }
            for (i, v) in v.into_iter().enumerate() {
                // SAFETY: as for the load.
                unsafe { v.store(a.add(at + i * stride)) };
            }
        }
    }

    /// The last stages of block `block` of `blocks`, of `8 * WORDS` words each, into `[0, q)`.
    ///
    /// # Safety
    /// `a` must be valid for a block, `block < blocks = N / (8 * WORDS)`.
    #[inline(always)]
    unsafe fn tail<const FIRST: bool, const CORRECT: bool>(
        &self,
        a: *mut u64,
        block: usize,
        blocks: usize,
    ) {
        // SAFETY: the block, nodes of three stages that have at most N / (2 * WORDS) blocks, and the
        // sets of its groups, of which there are `8 / WORDS` for each block.
        unsafe {
            let mut v = [self.prime.zero(); 8];
            for (i, v) in v.iter_mut().enumerate() {
                *v = L::load(a.add(i * L::WORDS));
                if FIRST {
                    *v = v.into_doubles();
                } else if CORRECT && i < 4 {
                    *v = self.prime.correct(*v);
                }
            }
            macro_rules! w {
                ($level:expr, $i:expr) => {
                    self.constants.column::<L>(((blocks + block) << $level) + $i)
                };
            }
            butterflies!(self, v, w!(0, 0) => (0, 4), (1, 5), (2, 6), (3, 7););
            butterflies!(self, v, w!(1, 0) => (0, 2), (1, 3); w!(1, 1) => (4, 6), (5, 7););
            butterflies!(self, v,
                w!(2, 0) => (0, 1); w!(2, 1) => (2, 3); w!(2, 2) => (4, 5); w!(2, 3) => (6, 7);
            );
            let mut v = L::transpose(v);
            if L::WORDS == 4 {
                macro_rules! w {
                    ($half:expr, $i:expr) => {
                        self.constants.leaf::<L>(2 * block + $half, $i)
                    };
                }
                butterflies!(self, v,
                    w!(0, 0) => (0, 2), (1, 3);
                    w!(1, 0) => (4, 6), (5, 7);
                );
                butterflies!(self, v,
                    w!(0, 1) => (0, 1);
                    w!(0, 2) => (2, 3);
                    w!(1, 1) => (4, 5);
                    w!(1, 2) => (6, 7);
                );
            } else {
                macro_rules! w {
                    ($i:expr) => {
                        self.constants.leaf::<L>(block, $i)
                    };
                }
                butterflies!(self, v, w!(0) => (0, 4), (1, 5), (2, 6), (3, 7););
                butterflies!(self, v, w!(1) => (0, 2), (1, 3); w!(2) => (4, 6), (5, 7););
                butterflies!(self, v,
                    w!(3) => (0, 1); w!(4) => (2, 3); w!(5) => (4, 5); w!(6) => (6, 7);
                );
            }
            for v in &mut v {
                *v = self.prime.finish(*v);
            }
            for (i, v) in L::transpose(v).into_iter().enumerate() {
                v.store(a.add(i * L::WORDS));
            }
        }
    }
}
