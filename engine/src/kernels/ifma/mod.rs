//! The kernels for processors with AVX-512 IFMA: eight words at a time, 52-bit multiply-add.
//!
//! `vpmadd52luq` and `vpmadd52huq` add the low or high 52 bits of a 52x52-bit product to a 64-bit
//! word, and ignore the upper 12 bits of both factors. Hence two ideas that all of this uses:
//! reductions are computed modulo 2^52 without masking in between, wherever the result is known to
//! lie in `[0, 2^52)`; and sums of products are kept as a low and a high half in separate words.

mod arith;
mod constants;
mod dot;
mod expand;
mod forward;
mod inverse;
mod montgomery;
mod pairs;
mod pointwise;
mod sums;

use super::contract::{BlockPermutation, Kernels, KeyProduct, MAX_OUTPUTS, PairProducts, SumTerms};
use super::masks::{CIPHER_KEY_BYTES, Expansion, MaskStream, RoundKeys};
use super::tables::offset::forward_offset;
use super::tables::transform::TransformTable;
use crate::modulus::{Modulus, RADIX_BITS, ShoupScalar};

/// Whether this processor has all that the functions below are compiled for.
pub(super) fn supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("aes")
        && is_x86_feature_detected!("vaes")
}

/// The table: safe functions around those compiled for AVX-512.
macro_rules! table {
    ($($name:ident = $inner:path, ($($argument:ident: $type:ty),*);)*) => {
        $(fn $name($($argument: $type),*) {
            // SAFETY: only reachable through `KERNELS`, which is handed out only when `supported()`.
            unsafe { $inner($($argument),*) }
        })*

        /// The AVX-512 IFMA table; to be handed out only when [`supported`].
        pub(super) static KERNELS: Kernels =
            Kernels {
                name: "avx512ifma",
                corrects,
                sum_terms: |_| SumTerms { pairs: arith::MAX_TERMS, ..SumTerms::ANY },
                outputs: MAX_OUTPUTS,
                convert_radix_bits: RADIX_BITS,
                expansion: Some(EXPANSION),
                $($name),*
            };
    };
}

/// See [`Kernels::corrects`]: both directions run freely under the same condition. The smallest transforms are the portable ones.
fn corrects(q: u64, log_n: u32) -> bool {
    log_n > forward::TAIL_STAGES && forward_offset(q, log_n).is_none()
}

/// How masks are made.
const EXPANSION: Expansion = Expansion { round_keys, key_product: key_product_with_masks };

fn round_keys(key: &[u8; CIPHER_KEY_BYTES]) -> RoundKeys {
    // SAFETY: only reachable through `KERNELS`, which is handed out only when `supported()`.
    unsafe { expand::round_keys(key) }
}

fn key_product_with_masks(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    stream: &MaskStream<'_>,
    masks: &mut [u64],
    modulus: &Modulus,
) {
    // SAFETY: as above.
    unsafe { dot::key_product_with_masks(out0, out1, product, stream, masks, modulus) }
}

table! {
    ntt_forward = forward::forward, (table: &TransformTable, a: &mut [u64]);
    ntt_inverse = inverse::inverse, (table: &TransformTable, a: &mut [u64]);
    add = pointwise::add, (a: &mut [u64], b: &[u64], modulus: &Modulus);
    sub = pointwise::sub, (a: &mut [u64], b: &[u64], modulus: &Modulus);
    mul = pointwise::mul, (out: &mut [u64], a: &[u64], b: &[u64], modulus: &Modulus);
    mul_add = pointwise::mul_add,
        (out: &mut [u64], a: &[u64], b: &[u64], c: &[u64], modulus: &Modulus);
    mul_sub = pointwise::mul_sub,
        (out: &mut [u64], a: &[u64], b: &[u64], c: Option<&[u64]>, modulus: &Modulus);
    mul_scalar = pointwise::mul_scalar, (a: &mut [u64], s: ShoupScalar, modulus: &Modulus);
    mul_scalar_add = pointwise::mul_scalar_add,
        (a: &mut [u64], b: &[u64], s: ShoupScalar, modulus: &Modulus);
    sub_from_mul_scalar = pointwise::sub_from_mul_scalar,
        (b: &mut [u64], a: &[u64], s: ShoupScalar, modulus: &Modulus);
    lift = pointwise::lift, (out: &mut [u64], x: &[u64], p: u64, modulus: &Modulus);
    reduce = pointwise::reduce, (out: &mut [u64], a: &[u64], modulus: &Modulus);
    dot_const = sums::dot_const, (out: &mut [u64], xs: &[&[u64]], consts: &[u64], modulus: &Modulus);
    dot_convert = montgomery::dot_convert,
        (outs: &mut [&mut [u64]], xs: &[&[u64]], consts: &[&[u64]], moduli: &[&Modulus]);
    quotient = sums::quotient, (out: &mut [u64], xs: &[&[u64]], inverses: &[f64]);
    key_product = dot::key_product,
        (out0: &mut [u64], out1: &mut [u64], product: &KeyProduct<'_>, modulus: &Modulus);
    dot_pairs = pairs::dot_pairs,
        (outs: &mut [[&mut [u64]; 2]], products: &PairProducts<'_>, modulus: &Modulus);
    square_sum = sums::square_sum,
        (out0: &mut [u64], out1: &mut [u64], out2: &mut [u64], a: &[&[u64]], b: &[&[u64]], modulus: &Modulus);
    tensor = sums::tensor, (out: [&mut [u64]; 3], pairs: [&[u64]; 4], modulus: &Modulus);
    permute = pointwise::permute, (out: &mut [u64], input: &[u64], permutation: BlockPermutation<'_>);
}
