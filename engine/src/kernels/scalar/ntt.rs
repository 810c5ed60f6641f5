//! The transforms after Harvey ("Faster arithmetic for number-theoretic transforms", 2014): words
//! stay in `[0, 4q)` forward and `[0, 2q)` backward, and are brought to `[0, q)` at the end.

use crate::kernels::shape::require_len;
use crate::kernels::tables::transform::TransformTable;
use crate::modulus::{Modulus, ShoupScalar, correct};

/// See [`crate::kernels::Kernels::ntt_forward`].
pub(super) fn forward(table: &TransformTable, a: &mut [u64]) {
    require_len(a.len(), table.n());
    let modulus = table.modulus();
    let q = modulus.value();
    let twiddles = table.forward_twiddles();
    let mut blocks = 1;
    while blocks < a.len() {
        let size = a.len() / blocks;
        for (i, block) in a.chunks_exact_mut(size).enumerate() {
            let w = twiddles.get(blocks + i);
            let (low, high) = block.split_at_mut(size / 2);
            for (x, y) in low.iter_mut().zip(high) {
                // Words below 4q, the product below 2q: sums and differences are below 4q again.
                let sum = correct(*x, 2 * q);
                let product = modulus.mul_shoup_lazy(*y, w);
                *x = sum + product;
                *y = sum + 2 * q - product;
            }
        }
        blocks *= 2;
    }
    for word in a {
        *word = correct(correct(*word, 2 * q), q);
    }
}

/// See [`crate::kernels::Kernels::ntt_inverse`].
pub(super) fn inverse(table: &TransformTable, a: &mut [u64]) {
    require_len(a.len(), table.n());
    let modulus = table.modulus();
    let q = modulus.value();
    let twiddles = table.inverse_twiddles();
    let mut blocks = a.len() / 2;
    while blocks > 1 {
        let size = a.len() / blocks;
        for (i, block) in a.chunks_exact_mut(size).enumerate() {
            let w = twiddles.get(blocks + i);
            let (low, high) = block.split_at_mut(size / 2);
            for (x, y) in low.iter_mut().zip(high) {
                // Words below 2q; the difference shifted by 2q is below 4q < 2^52.
                let difference = *x + 2 * q - *y;
                *x = correct(*x + *y, 2 * q);
                *y = modulus.mul_shoup_lazy(difference, w);
            }
        }
        blocks /= 2;
    }
    let (sums, differences) = table.last_inverse_stage();
    let (low, high) = a.split_at_mut(a.len() / 2);
    for (x, y) in low.iter_mut().zip(high) {
        (*x, *y) = last(modulus, *x, *y, sums, differences);
    }
}

/// A butterfly of the last inverse stage, with 1/N in both constants, into `[0, q)`.
#[inline]
fn last(
    modulus: &Modulus,
    x: u64,
    y: u64,
    sum: ShoupScalar,
    difference: ShoupScalar,
) -> (u64, u64) {
    (modulus.mul_shoup(x + y, sum), modulus.mul_shoup(x + 2 * modulus.value() - y, difference))
}
