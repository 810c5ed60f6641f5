//! The kernels for any processor, word by word, with 128-bit intermediate values.

mod dot;
mod ntt;
mod pointwise;

use super::contract::{Kernels, MAX_OUTPUTS, SumTerms};

/// The scalar table.
pub(super) static KERNELS: Kernels = Kernels {
    name: "scalar",
    // All alike.
    corrects: |_, _| false,
    sum_terms: |_| SumTerms { pairs: dot::TERMS, ..SumTerms::ANY },
    outputs: MAX_OUTPUTS,
    convert_radix_bits: 0,
    expansion: None,
    ntt_forward: ntt::forward,
    ntt_inverse: ntt::inverse,
    add: pointwise::add,
    sub: pointwise::sub,
    mul: pointwise::mul,
    mul_add: pointwise::mul_add,
    mul_sub: pointwise::mul_sub,
    mul_scalar: pointwise::mul_scalar,
    mul_scalar_add: pointwise::mul_scalar_add,
    sub_from_mul_scalar: pointwise::sub_from_mul_scalar,
    lift: pointwise::lift,
    reduce: pointwise::reduce,
    dot_const: dot::dot_const,
    dot_convert: dot::dot_convert,
    quotient: dot::quotient,
    key_product: dot::key_product,
    dot_pairs: dot::dot_pairs,
    square_sum: dot::square_sum,
    tensor: pointwise::tensor,
    permute: pointwise::permute,
};
