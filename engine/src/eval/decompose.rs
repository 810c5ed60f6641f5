//! Decomposition of a polynomial into key-switching digits (mod-up).

use rayon::prelude::*;

use crate::buffer::AlignedBuf;
use crate::params::{Digit, Parameters};
use crate::poly::RnsPoly;

/// A polynomial prepared for mod-up: its limbs in coefficient form, scaled for the conversion, and the
/// quotient of every digit. Target limbs are produced on demand, one at a time.
pub(super) struct Decomposition<'a> {
    params: &'a Parameters,
    source: &'a RnsPoly,
    digits: Vec<Digit>,
    prepared: AlignedBuf,
    quotients: AlignedBuf,
}

impl<'a> Decomposition<'a> {
    /// Prepares `source`, a polynomial in NTT form.
    pub fn new(params: &'a Parameters, source: &'a RnsPoly) -> Self {
        let (n, level) = (params.n(), source.level());
        let digits = params.digits(level);
        let mut prepared = AlignedBuf::scratch((level + 1) * n);
        prepared.par_chunks_exact_mut(n).enumerate().for_each(|(i, limb)| {
            limb.copy_from_slice(source.limb(i));
            params.table(i).inverse(limb);
            let d = i / params.digit_limbs();
            let converter = params.rns().mod_up(d, digits[d].len());
            converter.prepare(i - digits[d].start, limb, params.modulus(i));
        });
        let mut quotients = AlignedBuf::scratch(digits.len() * n);
        quotients.par_chunks_exact_mut(n).zip(&digits).enumerate().for_each(|(d, (out, digit))| {
            let sources: Vec<&[u64]> =
                prepared[digit.start * n..digit.end * n].chunks_exact(n).collect();
            params.rns().mod_up(d, digit.len()).quotient(out, &sources);
        });
        Self { params, source, digits, prepared, quotients }
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
        let n = self.params.n();
        let index = self.params.limb_index(self.source.level(), position);
        let table = self.params.table(index);
        let mut sources: Vec<&[u64]> =
            self.prepared[digit.start * n..digit.end * n].chunks_exact(n).collect();
        sources.push(&self.quotients[d * n..(d + 1) * n]);
        self.params.rns().mod_up(d, digit.len()).convert(scratch, &sources, index, table.modulus());
        table.forward(scratch);
        scratch
    }
}
