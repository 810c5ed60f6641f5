//! Kernels that treat each word by itself. Ranges are those of [`crate::kernels::Kernels`].

use crate::kernels::contract::BlockPermutation;
use crate::kernels::shape::{Lift, require_blocks, require_len, require_permutation};
use crate::modulus::{Modulus, ShoupScalar};

/// `a += b`.
pub(super) fn add(a: &mut [u64], b: &[u64], modulus: &Modulus) {
    require_len(b.len(), a.len());
    for (x, &y) in a.iter_mut().zip(b) {
        *x = modulus.add(*x, y);
    }
}

/// `a -= b`.
pub(super) fn sub(a: &mut [u64], b: &[u64], modulus: &Modulus) {
    require_len(b.len(), a.len());
    for (x, &y) in a.iter_mut().zip(b) {
        *x = modulus.sub(*x, y);
    }
}

/// `out = a * b`.
pub(super) fn mul(out: &mut [u64], a: &[u64], b: &[u64], modulus: &Modulus) {
    require_len(a.len(), out.len());
    require_len(b.len(), out.len());
    for ((z, &x), &y) in out.iter_mut().zip(a).zip(b) {
        *z = modulus.mul(x, y);
    }
}

/// `out = a * b + c`.
pub(super) fn mul_add(out: &mut [u64], a: &[u64], b: &[u64], c: &[u64], modulus: &Modulus) {
    require_len(a.len(), out.len());
    require_len(b.len(), out.len());
    require_len(c.len(), out.len());
    for (((z, &x), &y), &w) in out.iter_mut().zip(a).zip(b).zip(c) {
        *z = modulus.reduce_u128(u128::from(x) * u128::from(y) + u128::from(w));
    }
}

/// `out += c - a * b`, or `out -= a * b`.
pub(super) fn mul_sub(out: &mut [u64], a: &[u64], b: &[u64], c: Option<&[u64]>, modulus: &Modulus) {
    require_len(a.len(), out.len());
    require_len(b.len(), out.len());
    for ((z, &x), &y) in out.iter_mut().zip(a).zip(b) {
        *z = modulus.sub(*z, modulus.mul(x, y));
    }
    if let Some(c) = c {
        add(out, c, modulus);
    }
}

/// `a *= s`.
pub(super) fn mul_scalar(a: &mut [u64], s: ShoupScalar, modulus: &Modulus) {
    for x in a {
        *x = modulus.mul_shoup(*x, s);
    }
}

/// `a += b * s`.
pub(super) fn mul_scalar_add(a: &mut [u64], b: &[u64], s: ShoupScalar, modulus: &Modulus) {
    require_len(b.len(), a.len());
    for (x, &y) in a.iter_mut().zip(b) {
        *x = modulus.add(*x, modulus.mul_shoup(y, s));
    }
}

/// `b = (a - b) * s`.
pub(super) fn sub_from_mul_scalar(b: &mut [u64], a: &[u64], s: ShoupScalar, modulus: &Modulus) {
    require_len(a.len(), b.len());
    for (y, &x) in b.iter_mut().zip(a) {
        // In (0, 3q), below 2^52.
        *y = modulus.mul_shoup(x + 2 * modulus.value() - *y, s);
    }
}

/// `out` is `x` centred modulo `p`, modulo q.
pub(super) fn lift(out: &mut [u64], x: &[u64], p: u64, modulus: &Modulus) {
    require_len(x.len(), out.len());
    let Lift { half, shift } = Lift::new(p, modulus);
    for (z, &x) in out.iter_mut().zip(x) {
        let shifted = x.wrapping_add(if x > half { shift } else { 0 });
        *z = modulus.mul_shoup(shifted, modulus.one());
    }
}

/// `out = a mod q`.
pub(super) fn reduce(out: &mut [u64], a: &[u64], modulus: &Modulus) {
    require_len(a.len(), out.len());
    for (z, &x) in out.iter_mut().zip(a) {
        *z = modulus.mul_shoup(x, modulus.one());
    }
}

/// The tensor product of two pairs.
pub(super) fn tensor(out: [&mut [u64]; 3], [a0, a1, b0, b1]: [&[u64]; 4], modulus: &Modulus) {
    let [out0, out1, out2] = out;
    let len = out0.len();
    for found in [out1.len(), out2.len(), a0.len(), a1.len(), b0.len(), b1.len()] {
        require_len(found, len);
    }
    for t in 0..len {
        out0[t] = modulus.mul(a0[t], b0[t]);
        let cross = u128::from(a0[t]) * u128::from(b1[t]) + u128::from(a1[t]) * u128::from(b0[t]);
        out1[t] = modulus.reduce_u128(cross);
        out2[t] = modulus.mul(a1[t], b1[t]);
    }
}

/// `out = permutation(input)`.
pub(super) fn permute(out: &mut [u64], input: &[u64], permutation: BlockPermutation<'_>) {
    require_len(input.len(), out.len());
    require_permutation(&permutation, out.len());
    for (block, &target) in input.chunks_exact(8).zip(permutation.target) {
        store_permuted(out, block, target, permutation.tables);
    }
}

/// Writes one 8-word block where `target` says, through the lane permutation that it names.
#[inline]
pub(super) fn store_permuted(out: &mut [u64], block: &[u64], target: u32, tables: &[[u64; 8]; 8]) {
    require_blocks(block.len());
    let start = 8 * (target as usize >> 3);
    let lanes = &tables[target as usize & 7];
    for (word, &lane) in out[start..start + 8].iter_mut().zip(lanes) {
        *word = block[lane as usize & 7];
    }
}
