//! The kernels for processors with fused multiply-add of doubles: one source, compiled for AVX2 (four
//! words at a time) and for AVX-512 without IFMA (eight).
//!
//! These processors have no wide integer multiplication, but a double holds any integer up to 2^53,
//! and FMA gives both halves of a product of two such integers exactly: `h = x y` rounded, and
//! `x y - h`. Residues are signed, which halves them, and each module proves that they stay exact.

mod arith;
mod avx2;
mod avx512;
mod constants;
mod dot;
mod forward;
mod inverse;
mod lanes;
mod pairs;
mod pointwise;
mod sums;

use super::contract::{BlockPermutation, Kernels, KeyProduct, PairProducts};
use super::tables::bounds;
use super::tables::transform::TransformTable;
use crate::modulus::{Modulus, ShoupScalar};

/// A module with a table of kernels: safe functions around those compiled for some features.
macro_rules! instance {
    (
        $instance:ident, $name:literal, $lanes:ty, $features:literal;
        $($kernel:ident = $module:ident::$inner:ident, ($($argument:ident: $type:ty),*);)*
    ) => {
        pub(super) mod $instance {
            use super::*;

            $(fn $kernel($($argument: $type),*) {
                #[target_feature(enable = $features)]
                fn compiled($($argument: $type),*) {
                    $module::$inner::<$lanes>($($argument),*)
                }
                // SAFETY: only reachable through `KERNELS`, which is handed out only where the
                // processor has the features.
                unsafe { compiled($($argument),*) }
            })*

            /// To be handed out only where the processor has the features.
            pub(in crate::kernels) static KERNELS: Kernels =
                Kernels {
                    name: $name,
                    corrects,
                    sum_terms: sums::held,
                    outputs: <$lanes as lanes::Lanes>::OUTPUTS,
                    convert_radix_bits: 0,
                    expansion: None,
                    $($kernel),*
                };

            fn corrects(q: u64, log_n: u32) -> bool {
                bounds::corrects(q, log_n, <$lanes as lanes::Lanes>::WORDS)
            }
        }
    };
}

/// The two instances of all kernels.
macro_rules! instances {
    ($($kernels:tt)*) => {
        instance! { four, "avx2", avx2::Avx2, "avx2,fma"; $($kernels)* }
        // Without VL, the compiler keeps to 16 of the 32 registers.
        instance! { eight, "avx512", avx512::Avx512, "avx512f,avx512bw,avx512dq,avx512vl"; $($kernels)* }
    };
}

instances! {
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
    dot_const = dot::dot_const, (out: &mut [u64], xs: &[&[u64]], consts: &[u64], modulus: &Modulus);
    dot_convert = dot::dot_convert,
        (outs: &mut [&mut [u64]], xs: &[&[u64]], consts: &[&[u64]], moduli: &[&Modulus]);
    quotient = dot::quotient, (out: &mut [u64], xs: &[&[u64]], inverses: &[f64]);
    key_product = dot::key_product,
        (out0: &mut [u64], out1: &mut [u64], product: &KeyProduct<'_>, modulus: &Modulus);
    dot_pairs = pairs::dot_pairs,
        (outs: &mut [[&mut [u64]; 2]], products: &PairProducts<'_>, modulus: &Modulus);
    square_sum = dot::square_sum,
        (out0: &mut [u64], out1: &mut [u64], out2: &mut [u64], a: &[&[u64]], b: &[&[u64]], modulus: &Modulus);
    tensor = pointwise::tensor, (out: [&mut [u64]; 3], pairs: [&[u64]; 4], modulus: &Modulus);
    permute = pointwise::permute, (out: &mut [u64], input: &[u64], permutation: BlockPermutation<'_>);
}

/// Tables that this processor can run, slowest first.
pub(super) fn available() -> impl Iterator<Item = &'static Kernels> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    [(avx2, &four::KERNELS), (avx512, &eight::KERNELS)]
        .into_iter()
        .filter_map(|(has, kernels)| has.then_some(kernels))
}
