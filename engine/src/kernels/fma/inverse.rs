//! The inverse transform: the first stages of small blocks in registers, then column passes, in the
//! reverse order of the forward transform.
//!
//! A butterfly maps `(x, y)` to `(x + y, (x - y) w)`: products come out below `5/8 q`, sums grow. Which
//! of them are corrected, and why that suffices, is said at [`crate::kernels::tables::bounds::inverse_is_free`].

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

/// Corrects some vectors, for large primes only.
macro_rules! correct {
    ($self:ident, $free:ident, $v:ident, $($i:literal),+) => {
        if !$free {
            $($v[$i] = $self.prime.correct($v[$i]);)+
        }
    };
}

/// What every stage needs.
struct Context<'a, L> {
    prime: Prime<L>,
    constants: Constants<'a>,
    /// The constants of the last stage, with 1/N in them.
    sums: Factor<L>,
    differences: Factor<L>,
}

/// See [`crate::kernels::Kernels::ntt_inverse`].
#[inline(always)]
pub(super) fn inverse<L: Lanes>(table: &TransformTable, a: &mut [u64]) {
    require_len(a.len(), table.n());
    if table.log_n() < tail_stages(L::WORDS) {
        return (scalar::KERNELS.ntt_inverse)(table, a);
    }
    let Doubles { inverse: constants, free_inverse, .. } = table.doubles(L::WORDS);
    let (sums, differences) = table.last_inverse_stage();
    let context = Context {
        prime: Prime::<L>::new(table.modulus()),
        constants: Constants(constants),
        sums: Factor::new(sums, table.modulus()),
        differences: Factor::new(differences, table.modulus()),
    };
    if *free_inverse {
        context.run::<true>(table.log_n(), a);
    } else {
        context.run::<false>(table.log_n(), a);
    }
}

impl<L: Lanes> Context<'_, L> {
    /// The whole transform of `2^log_n` words.
    #[inline(always)]
    fn run<const FREE: bool>(&self, log_n: u32, a: &mut [u64]) {
        let tail = tail_stages(L::WORDS);
        let plan = plan(log_n - tail);
        let (n, a) = (a.len(), a.as_mut_ptr());
        let small = 8 * L::WORDS;
        // Blocks of the first pass.
        let first = small << plan.last().unwrap_or(&0);
        for start in (0..n).step_by(first) {
            for at in (start..start + first).step_by(small) {
                // SAFETY: a block of 8 * WORDS words; there are N / (8 * WORDS) of them.
                unsafe {
                    if plan.is_empty() {
                        self.head::<FREE, true>(a.add(at), at / small, n / small);
                    } else {
                        self.head::<FREE, false>(a.add(at), at / small, n / small);
                    }
                }
            }
            let end = start + first;
            let mut stride = small;
            for &stages in plan.iter().rev() {
                let len = stride << stages;
                if !end.is_multiple_of(len) {
                    break;
                }
                // SAFETY: the block of `len` words that ends at `end` is within `a`; its node,
                // N / len + at / len, times 2^(stages - 1) is at most N / stride.
                unsafe {
                    let at = end - len;
                    let (a, node) = (a.add(at), (n + at) / len);
                    if len == n {
                        self.passes::<FREE, true>(a, stride, node, stages);
                    } else {
                        self.passes::<FREE, false>(a, stride, node, stages);
                    }
                }
                stride = len;
            }
        }
    }

    /// `(x, y) -> (x + y, (x - y) w)`.
    #[inline(always)]
    fn butterfly(&self, x: L, y: L, w: Factor<L>) -> (L, L) {
        (x.add(y), self.prime.mul(x.sub(y), w))
    }

    /// A butterfly of the last stage, into words in `[0, q)`.
    #[inline(always)]
    fn last(&self, x: L, y: L) -> (L, L) {
        (
            self.prime.lift(self.prime.mul(x.add(y), self.sums)),
            self.prime.lift(self.prime.mul(x.sub(y), self.differences)),
        )
    }

    /// # Safety
    /// As for [`Self::pass`], with 1 to 3 stages.
    #[inline(always)]
    unsafe fn passes<const FREE: bool, const LAST: bool>(
        &self,
        a: *mut u64,
        stride: usize,
        node: usize,
        stages: u32,
    ) {
        // SAFETY: promised by the caller.
        unsafe {
            match stages {
                1 => self.pass::<FREE, LAST, 2>(a, stride, node),
                2 => self.pass::<FREE, LAST, 4>(a, stride, node),
                _ => self.pass::<FREE, LAST, 8>(a, stride, node),
            }
        }
    }

    /// Stages over the `C` columns of a block, one vector of each at a time.
    ///
    /// # Safety
    /// `a` must be valid for `C * stride` words, `stride` a multiple of `WORDS`, `C / 2 * (node + 1)`
    /// at most `N / WORDS`.
    #[inline(always)]
    unsafe fn pass<const FREE: bool, const LAST: bool, const C: usize>(
        &self,
        a: *mut u64,
        stride: usize,
        node: usize,
    ) {
        for at in (0..stride).step_by(L::WORDS) {
            let mut v = [self.prime.zero(); C];
            for (i, v) in v.iter_mut().enumerate() {
                // SAFETY: column i, word `at` is within the block.
                *v = unsafe { L::load(a.add(at + i * stride)) };
            }
            // SAFETY: nodes are bounded as promised by the caller.
            unsafe { self.stages::<FREE, LAST, C>(&mut v, node) };
            for (i, v) in v.into_iter().enumerate() {
                // SAFETY: as for the load.
                unsafe { v.store(a.add(at + i * stride)) };
            }
        }
    }

    /// The stages of a pass over `C` vectors.
    ///
    /// # Safety
    /// `C / 2 * (node + 1)` must be at most `N / WORDS`.
    #[inline(always)]
    unsafe fn stages<const FREE: bool, const LAST: bool, const C: usize>(
        &self,
        v: &mut [L; C],
        node: usize,
    ) {
        macro_rules! w {
            ($level:expr, $i:expr) => {
                // SAFETY: nodes are at most C / 2 * (node + 1) - 1.
                unsafe { self.constants.column::<L>((node << $level) + $i) }
            };
        }
        match C {
            2 => {}
            4 => {
                butterflies!(self, v, w!(1, 0) => (0, 1); w!(1, 1) => (2, 3););
                correct!(self, FREE, v, 0, 2);
            }
            _ => {
                butterflies!(self, v,
                    w!(2, 0) => (0, 1); w!(2, 1) => (2, 3); w!(2, 2) => (4, 5); w!(2, 3) => (6, 7);
                );
                correct!(self, FREE, v, 0, 2, 4, 6);
                butterflies!(self, v, w!(1, 0) => (0, 2), (1, 3); w!(1, 1) => (4, 6), (5, 7););
            }
        }
        let half = C / 2;
        if LAST {
            for i in 0..half {
                (v[i], v[i + half]) = self.last(v[i], v[i + half]);
            }
        } else {
            let w = w!(0, 0);
            for i in 0..half {
                (v[i], v[i + half]) = self.butterfly(v[i], v[i + half], w);
            }
            if FREE || C == 2 {
                v[0] = self.prime.correct(v[0]);
            } else if C == 8 {
                v[1] = self.prime.correct(v[1]);
            }
        }
    }

    /// The first stages of block `block` of `blocks`, of `8 * WORDS` words each.
    ///
    /// # Safety
    /// `a` must be valid for a block, `block < blocks = N / (8 * WORDS)`.
    #[inline(always)]
    unsafe fn head<const FREE: bool, const LAST: bool>(
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
            }
            let mut v = L::transpose(v);
            for v in &mut v {
                *v = v.into_doubles();
            }
            if L::WORDS == 4 {
                macro_rules! w {
                    ($half:expr, $i:expr) => {
                        self.constants.leaf::<L>(2 * block + $half, $i)
                    };
                }
                butterflies!(self, v,
                    w!(0, 1) => (0, 1);
                    w!(0, 2) => (2, 3);
                    w!(1, 1) => (4, 5);
                    w!(1, 2) => (6, 7);
                );
                correct!(self, FREE, v, 0, 2, 4, 6);
                butterflies!(self, v,
                    w!(0, 0) => (0, 2), (1, 3);
                    w!(1, 0) => (4, 6), (5, 7);
                );
                if FREE {
                    v[0] = self.prime.correct(v[0]);
                    v[4] = self.prime.correct(v[4]);
                }
            } else {
                macro_rules! w {
                    ($i:expr) => {
                        self.constants.leaf::<L>(block, $i)
                    };
                }
                butterflies!(self, v,
                    w!(3) => (0, 1); w!(4) => (2, 3); w!(5) => (4, 5); w!(6) => (6, 7);
                );
                correct!(self, FREE, v, 0, 2, 4, 6);
                butterflies!(self, v, w!(1) => (0, 2), (1, 3); w!(2) => (4, 6), (5, 7););
                butterflies!(self, v, w!(0) => (0, 4), (1, 5), (2, 6), (3, 7););
                let sum = if FREE { 0 } else { 1 };
                v[sum] = self.prime.correct(v[sum]);
            }
            let mut v = L::transpose(v);
            self.stages::<FREE, LAST, 8>(&mut v, blocks + block);
            for (i, v) in v.into_iter().enumerate() {
                v.store(a.add(i * L::WORDS));
            }
        }
    }
}
