//! Division of polynomials by some of their primes: mod-down, rescale, and both at once.

use std::ops::Range;

use rayon::prelude::*;

use super::rows::{Rows, by_limb, groups};
use crate::cipher::Ciphertext;
use crate::kernels::kernels;
use crate::params::Parameters;
use crate::poly::RnsPoly;
use crate::rns::BasisConverter;

/// The division of one polynomial, rounding to nearest, by the primes that a converter converts from.
///
/// The limbs to remove come first, all together; then any limb to keep can be divided by itself. So a limb that a
/// sum or product has just made is divided while it is in the cache, and written once.
pub(super) struct Division<'a> {
    params: &'a Parameters,
    converter: &'a BasisConverter,
    /// The removed limbs in the order of the converter's sources, and the quotient where there are several.
    rows: Rows,
}

impl<'a> Division<'a> {
    /// A division whose removed limbs are to be filled in.
    pub(super) fn new(params: &'a Parameters, converter: &'a BasisConverter) -> Self {
        Self { params, converter, rows: Rows::new(converter.rows(), params.n()) }
    }

    /// The limbs to remove, to be written in NTT form: q_level first if the division rescales, then the special ones.
    pub(super) fn removed(&mut self) -> impl Iterator<Item = &mut [u64]> {
        self.rows.rows_mut().take(self.converter.sources().len())
    }

    /// Prepares the conversion, once the removed limbs are there.
    pub(super) fn prepare(&mut self) {
        let sources = self.converter.sources();
        self.rows.par_rows_mut().zip(sources).enumerate().for_each(|(i, (limb, &index))| {
            self.params.table(index).inverse(limb);
            self.converter.prepare(i, limb, self.params.modulus(index));
        });
        if self.converter.rows() > sources.len() {
            let mut rows: Vec<&mut [u64]> = self.rows.rows_mut().collect();
            if let Some((quotient, rows)) = rows.split_last_mut() {
                let rows: Vec<&[u64]> = rows.iter().map(|row| &**row).collect();
                self.converter.quotient(quotient, &rows);
            }
        }
    }

    /// `outs` are the quotient's limbs from number `first` on, from the dividend's, all in NTT form.
    pub(super) fn divide(&self, first: usize, limbs: &[&[u64]], outs: &mut [&mut [u64]]) {
        let sources: Vec<&[u64]> =
            (0..self.converter.rows()).map(|row| self.rows.row(row)).collect();
        let mut targets: Vec<_> =
            outs.iter_mut().enumerate().map(|(i, out)| (first + i, &mut **out)).collect();
        self.converter.convert(&sources, &mut targets, |i| self.params.modulus(i));
        targets.par_iter_mut().zip(limbs).for_each(|((i, out), limb)| {
            let table = self.params.table(*i);
            table.forward(out);
            let inverse = self.converter.inverse(*i);
            (kernels().sub_from_mul_scalar)(out, limb, inverse, table.modulus());
        });
    }
}

/// Divides polynomials in NTT form by their last prime; all of one level.
pub(super) fn rescale<const K: usize>(params: &Parameters, polys: [&RnsPoly; K]) -> [RnsPoly; K] {
    let level = polys.first().map_or(0, |poly| poly.level());
    let mut divisions = polys.map(|_| Division::new(params, params.rns().rescale(level)));
    divisions.par_iter_mut().zip(&polys).for_each(|(division, poly)| {
        division.removed().for_each(|limb| limb.copy_from_slice(poly.limb(level)));
        division.prepare();
    });
    let mut out = polys.map(|_| RnsPoly::scratch(params, level - 1, false));
    // Limb by limb, so that both polynomials use one transform's constants.
    let limbs = by_limb(out.iter_mut().map(RnsPoly::limbs_mut));
    limbs.into_par_iter().enumerate().for_each(|(i, list)| {
        for ((division, poly), out) in divisions.iter().zip(&polys).zip(list) {
            division.divide(i, &[poly.limb(i)], &mut [out]);
        }
    });
    out
}

/// What sums are divided by, if by anything: by the special primes where they are in the extended basis, and by the last
/// prime where they are rescaled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Divisor {
    /// Level of the sums.
    pub(super) level: usize,
    pub(super) extended: bool,
    pub(super) rescale: bool,
}

impl Divisor {
    /// The conversion from the primes to divide by; none where there are none.
    pub(super) fn converter(self, params: &Parameters) -> Option<&BasisConverter> {
        match (self.extended, self.rescale) {
            (true, rescale) => Some(params.rns().mod_down(self.level, rescale)),
            (false, true) => Some(params.rns().rescale(self.level)),
            (false, false) => None,
        }
    }

    /// Level of the quotients.
    fn level_after(self) -> usize {
        self.level - usize::from(self.rescale)
    }

    /// What it divides scales by: sums in the extended basis have the factor P.
    fn of_scale(self, params: &Parameters) -> f64 {
        if self.rescale { params.modulus(self.level).value() as f64 } else { 1.0 }
    }
}

/// Ciphertexts of divided sums, one for each scale that a sum has.
///
/// `compute` makes the limbs at some adjacent positions, given limb by limb, for each that of both components of every
/// sum: those to remove first, which follow the kept ones' level, then the kept ones; `size` at a time.
pub(super) fn divided<F>(
    params: &Parameters,
    divisor: Divisor,
    scales: &[f64],
    size: usize,
    compute: F,
) -> Vec<Ciphertext>
where
    F: Fn(Range<usize>, Vec<Vec<&mut [u64]>>) + Sync,
{
    let level = divisor.level_after();
    let converter = divisor.converter(params);
    let mut divisions: Vec<[Division<'_>; 2]> = converter
        .iter()
        .flat_map(|converter| {
            scales.iter().map(|_| [(); 2].map(|()| Division::new(params, converter)))
        })
        .collect();
    let components = divisions.as_flattened_mut();
    let removed = by_limb(components.iter_mut().map(Division::removed));
    groups(level + 1, removed, size)
        .into_par_iter()
        .for_each(|(positions, outputs)| compute(positions, outputs));
    components.par_iter_mut().for_each(Division::prepare);
    let component = || RnsPoly::scratch(params, level, false);
    let mut ciphertexts: Vec<Ciphertext> = scales
        .iter()
        .map(|scale| Ciphertext {
            c0: component(),
            c1: component(),
            scale: scale / divisor.of_scale(params),
        })
        .collect();
    let polys = ciphertexts.iter_mut().flat_map(|ct| [&mut ct.c0, &mut ct.c1]);
    let kept = by_limb(polys.map(RnsPoly::limbs_mut));
    groups(0, kept, size).into_par_iter().for_each(|(positions, outputs)| {
        if converter.is_none() {
            compute(positions, outputs);
        } else {
            divide_group(divisions.as_flattened(), positions, outputs, params.n(), &compute);
        }
    });
    ciphertexts
}

/// Computes some limbs of several polynomials by `compute`, into scratch rows, and divides them into `outputs`; both
/// are given limb by limb, for each limb that of every polynomial.
fn divide_group<F>(
    divisions: &[Division<'_>],
    positions: Range<usize>,
    outputs: Vec<Vec<&mut [u64]>>,
    n: usize,
    compute: &F,
) where
    F: Fn(Range<usize>, Vec<Vec<&mut [u64]>>),
{
    let (first, polys) = (positions.start, divisions.len());
    let rows = Rows::by_limb(polys, positions.clone(), n, compute);
    let mut by_poly: Vec<Vec<&mut [u64]>> = (0..polys).map(|_| Vec::new()).collect();
    for limb in outputs {
        limb.into_iter().zip(&mut by_poly).for_each(|(out, list)| list.push(out));
    }
    by_poly.into_par_iter().zip(divisions).enumerate().for_each(|(k, (mut outs, division))| {
        let limbs: Vec<&[u64]> = (0..positions.len()).map(|i| rows.row(i * polys + k)).collect();
        division.divide(first, &limbs, &mut outs);
    });
}
