//! Decomposition of a polynomial into key-switching digits (mod-up).

use std::ops::Range;

use rayon::prelude::*;

use super::rows::Rows;
use crate::params::{Digit, Parameters};
use crate::poly::RnsPoly;

/// A polynomial prepared for mod-up: its limbs in coefficient form, scaled for the conversion, and the
/// quotient of every digit of several limbs. See [`Digits`].
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

    /// Digit `d` at some limbs, given by their positions, in NTT form; not for limbs that the digit contains.
    fn convert(&self, d: usize, targets: &mut [(usize, &mut [u64])]) {
        let digit = &self.digits[d];
        let converter = self.params.rns().mod_up(d, digit.len());
        let mut sources: Vec<&[u64]> = digit.clone().map(|i| self.limbs.row(i)).collect();
        if converter.rows() > sources.len() {
            sources.push(self.quotients.row(d));
        }
        let index = |position| self.params.limb_index(self.source.level(), position);
        let mut targets: Vec<_> =
            targets.iter_mut().map(|(position, out)| (index(*position), &mut **out)).collect();
        converter.convert(&sources, &mut targets, |i| self.params.modulus(i));
        targets.par_iter_mut().for_each(|(index, out)| self.params.table(*index).forward(out));
    }
}

/// All digits of some decompositions at a few adjacent limbs. A few at a time, because a conversion reads all limbs
/// of its digit, and should do so for several targets at once; not all, because they would leave the caches.
pub(super) struct Digits<'a> {
    decompositions: &'a [Option<&'a Decomposition<'a>>],
    positions: Range<usize>,
    /// Digits before those of each source.
    starts: Vec<usize>,
    digits: usize,
    rows: Rows,
}

impl<'a> Digits<'a> {
    /// The digits at these limbs.
    fn new(
        decompositions: &'a [Option<&'a Decomposition<'a>>],
        positions: Range<usize>,
        n: usize,
    ) -> Self {
        let counts = decompositions.iter().map(|d| d.map_or(0, Decomposition::len));
        let mut digits = 0;
        let mut starts = Vec::with_capacity(decompositions.len());
        for count in counts {
            starts.push(digits);
            digits += count;
        }
        let mut rows = Rows::new(digits * positions.len(), n);
        let owners = decompositions.iter().flatten().flat_map(|&decomposition| {
            (0..decomposition.len()).map(move |d| (decomposition, d, Vec::new()))
        });
        let mut owners: Vec<_> = owners.collect();
        for (i, row) in rows.rows_mut().enumerate() {
            let (decomposition, d, targets) = &mut owners[i % digits];
            let position = positions.start + i / digits;
            if !decomposition.digits[*d].contains(&position) {
                targets.push((position, row));
            }
        }
        owners.into_par_iter().for_each(|(decomposition, d, mut targets)| {
            decomposition.convert(d, &mut targets);
        });
        Self { decompositions, positions, starts, digits, rows }
    }

    /// Makes the digits at some adjacent limbs, and then the outputs of each limb with them, in parallel.
    pub fn for_each<T: Send>(
        decompositions: &'a [Option<&'a Decomposition<'a>>],
        positions: Range<usize>,
        n: usize,
        outputs: Vec<T>,
        limb: impl Fn(usize, &Self, T) + Sync,
    ) {
        let digits = Self::new(decompositions, positions.clone(), n);
        positions
            .into_par_iter()
            .zip(outputs)
            .for_each(|(position, outputs)| limb(position, &digits, outputs));
    }

    /// The digits of source `source` at the limb at `position`, in NTT form, in `[0, q)`.
    pub fn of(&self, source: usize, position: usize) -> Vec<&[u64]> {
        let Some(decomposition) = &self.decompositions[source] else { return Vec::new() };
        let first = (position - self.positions.start) * self.digits + self.starts[source];
        let digits = decomposition.digits.iter().enumerate();
        let limb = |(d, digit): (usize, &Digit)| {
            if digit.contains(&position) {
                decomposition.source.limb(position)
            } else {
                self.rows.row(first + d)
            }
        };
        digits.map(limb).collect()
    }
}

/// Bytes of scratch rows that one task fills before it reads them: a share of the last-level cache.
const GROUP_BYTES: usize = 8 << 20;

/// From so many sources on, a conversion reads more than its rows can cost.
const MANY_SOURCES: usize = 4;

/// What a key switch at some level consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchShape {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Limbs of what is switched: its level and one.
    pub limbs: usize,
    /// Limbs of a digit; the last one may have fewer.
    pub digit_limbs: usize,
    /// Special primes.
    pub special: usize,
}

impl SwitchShape {
    /// That of a switch at `level`.
    pub(super) fn new(params: &Parameters, level: usize) -> Self {
        Self::at(params.log_n(), level, params.digit_limbs(), params.special_count())
    }

    /// That of a switch at `level` for a ring degree of `2^log_n`, with digits of so many limbs (one at least) and so many special
    /// primes.
    pub fn at(log_n: u32, level: usize, digit_limbs: usize, special: usize) -> Self {
        Self { log_n, limbs: level + 1, digit_limbs: digit_limbs.max(1), special }
    }

    /// Digits.
    pub fn digits(&self) -> usize {
        self.limbs.div_ceil(self.digit_limbs)
    }

    /// Digits of several limbs: only the last one may have a single limb where others have more.
    pub fn digits_of_several(&self) -> usize {
        match self.digit_limbs {
            1 => 0,
            size => self.digits() - usize::from(self.limbs % size == 1),
        }
    }

    /// How many limbs a task makes at a time of so many sums, from so many decompositions: two, as a conversion for two reads its
    /// sources once; one where digits have a single limb, so that there is nothing to share, or the rows are too many.
    pub fn group_limbs(&self, decompositions: usize, sums: usize) -> usize {
        if decompositions == 0 || self.digits_of_several() == 0 {
            return 1;
        }
        let rows = decompositions * self.digits() + 2 * sums;
        let fits = (2 * rows * size_of::<u64>()) << self.log_n <= GROUP_BYTES;
        if fits || self.special >= MANY_SOURCES { 2 } else { 1 }
    }
}
