//! Decomposition of a polynomial into key-switching digits (mod-up).

use rayon::prelude::*;

use super::rows::Rows;
use crate::params::{Digit, Parameters};
use crate::poly::RnsPoly;
use crate::rns::BasisConverter;

/// A polynomial prepared for mod-up: its limbs in coefficient form, scaled for the conversion, and the
/// quotient of every digit of several limbs. Target limbs are produced on demand, one at a time.
pub(super) struct Decomposition<'a> {
    params: &'a Parameters,
    source: &'a RnsPoly,
    digits: Vec<Digit>,
    limbs: Rows,
    quotients: Rows,
}

impl<'a> Decomposition<'a> {
    /// Prepares `source`, a polynomial in NTT form.
    pub fn new(params: &'a Parameters, source: &'a RnsPoly) -> Self {
        let (n, level) = (params.n(), source.level());
        let digits = params.digits(level);
        let mut limbs = Rows::new(level + 1, n);
        limbs.par_rows_mut().enumerate().for_each(|(i, limb)| {
            limb.copy_from_slice(source.limb(i));
            params.table(i).inverse(limb);
            let d = i / params.digit_limbs();
            let converter = params.rns().mod_up(d, digits[d].len());
            converter.prepare(i - digits[d].start, limb, params.modulus(i));
        });
        let multiple = |digit: &Digit| usize::from(digit.len() > 1);
        let mut quotients = Rows::new(digits.iter().map(multiple).sum(), n);
        // Only the last digit may be a single limb, so the quotients are numbered as the digits.
        quotients.par_rows_mut().zip(&digits).enumerate().for_each(|(d, (out, digit))| {
            let sources: Vec<&[u64]> = digit.clone().map(|i| limbs.row(i)).collect();
            params.rns().mod_up(d, digit.len()).quotient(out, &sources);
        });
        Self { params, source, digits, limbs, quotients }
    }

    /// Number of digits.
    pub fn len(&self) -> usize {
        self.digits.len()
    }

    /// Limb `position` of digit `d` in NTT form: the source's own limb where the digit contains it, else
    /// converted into `scratch` (N words).
    pub fn limb<'b>(&'b self, d: usize, position: usize, scratch: &'b mut [u64]) -> &'b [u64] {
        let digit = &self.digits[d];
        if digit.contains(&position) {
            return self.source.limb(position);
        }
        let index = self.params.limb_index(self.source.level(), position);
        let table = self.params.table(index);
        let converter: &BasisConverter = self.params.rns().mod_up(d, digit.len());
        let mut sources: Vec<&[u64]> = digit.clone().map(|i| self.limbs.row(i)).collect();
        if converter.rows() > sources.len() {
            sources.push(self.quotients.row(d));
        }
        converter.convert(scratch, &sources, index, table.modulus());
        table.forward(scratch);
        scratch
    }
}
