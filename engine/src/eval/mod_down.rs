//! Division of polynomials by some of their primes: mod-down, rescale, and both at once.

use rayon::prelude::*;

use crate::buffer::AlignedBuf;
use crate::kernels::kernels;
use crate::params::Parameters;
use crate::poly::RnsPoly;
use crate::rns::BasisConverter;

/// Divides polynomials in NTT form by the primes that `converter` converts from, rounding to nearest, and
/// leaves them at `level`. The primes must be among the polynomials' limbs, and all limbs beyond `level`.
pub(super) fn divide(
    params: &Parameters,
    polys: &mut [RnsPoly],
    converter: &BasisConverter,
    level: usize,
) {
    let n = params.n();
    polys.par_iter_mut().for_each(|poly| {
        let from = poly.level();
        let (kept, removed) = poly.words_mut().split_at_mut((level + 1) * n);
        // The limbs to remove follow the kept ones in the order of the converter's sources: q_level first if
        // the division rescales, then the special primes.
        debug_assert_eq!(params.limb_index(from, level + 1), converter.sources()[0]);
        removed.par_chunks_exact_mut(n).enumerate().for_each(|(i, limb)| {
            let index = converter.sources()[i];
            params.table(index).inverse(limb);
            converter.prepare(i, limb, params.modulus(index));
        });
        let mut quotient = AlignedBuf::scratch(n);
        let mut sources: Vec<&[u64]> = removed.chunks_exact(n).collect();
        quotient.par_chunks_mut(n / 2).enumerate().for_each(|(half, out)| {
            let range = half * (n / 2)..(half + 1) * (n / 2);
            let halves: Vec<&[u64]> = sources.iter().map(|s| &s[range.clone()]).collect();
            converter.quotient(out, &halves);
        });
        sources.push(&quotient);
        kept.par_chunks_exact_mut(n).enumerate().for_each_init(
            || AlignedBuf::scratch(n),
            |remainder, (i, limb)| {
                let table = params.table(i);
                converter.convert(remainder, &sources, i, table.modulus());
                table.forward(remainder);
                (kernels().sub_mul_scalar)(limb, remainder, converter.inverse(i), table.modulus());
            },
        );
        poly.shrink(level);
    });
}
