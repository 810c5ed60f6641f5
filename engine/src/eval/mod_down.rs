//! Division of polynomials by some of their primes: mod-down, rescale, and both at once.

use std::ops::Range;

use rayon::prelude::*;

use super::rows::{Rows, by_limb, groups};
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

/// So many polynomials divided by the converter's primes, or as they are without one, at `level`.
///
/// `compute` makes the limbs at some adjacent positions, given limb by limb, for each that of every polynomial: those
/// to remove first, which follow `level`, then the kept ones; `size` at a time.
pub(super) fn divided<F>(
    params: &Parameters,
    converter: Option<&BasisConverter>,
    count: usize,
    level: usize,
    size: usize,
    compute: F,
) -> Vec<RnsPoly>
where
    F: Fn(Range<usize>, Vec<Vec<&mut [u64]>>) + Sync,
{
    let mut divisions: Vec<Division<'_>> = converter
        .iter()
        .flat_map(|converter| (0..count).map(|_| Division::new(params, converter)))
        .collect();
    let removed = by_limb(divisions.iter_mut().map(Division::removed));
    groups(level + 1, removed, size)
        .into_par_iter()
        .for_each(|(positions, outputs)| compute(positions, outputs));
    divisions.par_iter_mut().for_each(Division::prepare);
    let mut polys: Vec<RnsPoly> =
        (0..count).map(|_| RnsPoly::scratch(params, level, false)).collect();
    let kept = by_limb(polys.iter_mut().map(RnsPoly::limbs_mut));
    groups(0, kept, size).into_par_iter().for_each(|(positions, outputs)| {
        if divisions.is_empty() {
            compute(positions, outputs);
        } else {
            divide_group(&divisions, positions, outputs, params.n(), &compute);
        }
    });
    polys
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
    let mut rows = Rows::new(polys * positions.len(), n);
    let mut values = rows.rows_mut();
    let lists = positions.clone().map(|_| values.by_ref().take(polys).collect()).collect();
    drop(values);
    compute(positions.clone(), lists);
    let mut by_poly: Vec<Vec<&mut [u64]>> = (0..polys).map(|_| Vec::new()).collect();
    for limb in outputs {
        limb.into_iter().zip(&mut by_poly).for_each(|(out, list)| list.push(out));
    }
    by_poly.into_par_iter().zip(divisions).enumerate().for_each(|(k, (mut outs, division))| {
        let limbs: Vec<&[u64]> = (0..positions.len()).map(|i| rows.row(i * polys + k)).collect();
        division.divide(first, &limbs, &mut outs);
    });
}
