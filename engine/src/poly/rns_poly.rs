//! A polynomial modulo several primes.

use rayon::prelude::*;
use zeroize::Zeroize;

use crate::buffer::AlignedBuf;
use crate::params::Parameters;
use crate::{Error, Result};

/// A polynomial of degree below N at some level: `level + 1` limbs, and after them the special ones when
/// extended. Limbs are contiguous, N words each, words in `[0, q)`.
///
/// It is always in NTT form: its limbs are NTT values, in bit-reversed order. Coefficients are of another type,
/// [`Coefficients`], so that neither is taken for the other.
#[derive(Clone, Debug)]
pub struct RnsPoly {
    data: AlignedBuf,
    n: usize,
    limbs: usize,
    level: usize,
    extended: bool,
}

/// Limbs of a polynomial.
fn limbs(params: &Parameters, level: usize, extended: bool) -> usize {
    level + 1 + if extended { params.special_count() } else { 0 }
}

impl RnsPoly {
    /// The zero polynomial.
    pub fn zero(params: &Parameters, level: usize, extended: bool) -> Self {
        Self::with_storage(params, params.n(), level, extended, AlignedBuf::zeroed_apart)
    }

    /// Zero polynomials of these levels, extended or not, in memory of their own beside each other: for many that are kept.
    pub fn zeros(params: &Parameters, shapes: &[(usize, bool)]) -> Vec<Self> {
        let words =
            |&(level, extended): &(usize, bool)| limbs(params, level, extended) * params.n();
        let buffers = AlignedBuf::side_by_side(&shapes.iter().map(words).collect::<Vec<_>>());
        let poly = |(&(level, extended), data)| {
            Self::with_storage(params, params.n(), level, extended, |_| data)
        };
        shapes.iter().zip(buffers).map(poly).collect()
    }

    /// Moves polynomials into memory of their own beside each other.
    pub(crate) fn move_together<'a>(polys: impl Iterator<Item = &'a mut Self>) {
        let polys: Vec<_> = polys.collect();
        let lens: Vec<usize> = polys.iter().map(|poly| poly.data.len()).collect();
        for (poly, mut data) in polys.into_iter().zip(AlignedBuf::side_by_side(&lens)) {
            data.copy_from_slice(&poly.data);
            poly.data = data;
        }
    }

    /// A polynomial of unspecified words, to be overwritten: its memory is recycled. Not for secrets.
    pub(crate) fn scratch(params: &Parameters, level: usize, extended: bool) -> Self {
        Self::with_storage(params, params.n(), level, extended, AlignedBuf::scratch)
    }

    /// Makes room for so many of [`Self::scratch`].
    pub(crate) fn make_room(count: usize, params: &Parameters, level: usize, extended: bool) {
        AlignedBuf::make_room(count, limbs(params, level, extended) * params.n());
    }

    /// As [`Self::scratch`], for a polynomial of another degree over the same primes.
    pub(super) fn scratch_of_degree(
        params: &Parameters,
        n: usize,
        level: usize,
        extended: bool,
    ) -> Self {
        Self::with_storage(params, n, level, extended, AlignedBuf::scratch)
    }

    fn with_storage(
        params: &Parameters,
        n: usize,
        level: usize,
        extended: bool,
        storage: impl FnOnce(usize) -> AlignedBuf,
    ) -> Self {
        let limbs = limbs(params, level, extended);
        Self { data: storage(limbs * n), n, limbs, level, extended }
    }

    /// Checks that this polynomial can belong to `params`: its ring degree, and its level.
    ///
    /// # Errors
    /// [`Error::Argument`] for another ring degree, [`Error::Level`] for a level above the highest.
    pub fn check(&self, params: &Parameters, what: &'static str) -> Result<()> {
        check(self.n, self.level, params, what)
    }

    /// Ring degree.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Level.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Whether the special limbs are present.
    pub fn is_extended(&self) -> bool {
        self.extended
    }

    /// Number of limbs stored.
    pub fn limb_count(&self) -> usize {
        self.limbs
    }

    /// Limb at `position` (see [`Parameters::limb_index`]).
    pub fn limb(&self, position: usize) -> &[u64] {
        &self.data[position * self.n..(position + 1) * self.n]
    }

    /// Mutable limb at `position`.
    pub fn limb_mut(&mut self, position: usize) -> &mut [u64] {
        &mut self.data[position * self.n..(position + 1) * self.n]
    }

    /// All limbs in order.
    pub fn limbs(&self) -> std::slice::ChunksExact<'_, u64> {
        self.words().chunks_exact(self.n)
    }

    /// All limbs in order, mutable.
    pub fn limbs_mut(&mut self) -> std::slice::ChunksExactMut<'_, u64> {
        let n = self.n;
        self.words_mut().chunks_exact_mut(n)
    }

    /// All limbs as a parallel iterator.
    pub fn par_limbs_mut(&mut self) -> rayon::slice::ChunksExactMut<'_, u64> {
        let n = self.n;
        self.words_mut().par_chunks_exact_mut(n)
    }

    /// All words, limb after limb.
    pub fn words(&self) -> &[u64] {
        &self.data
    }

    /// All words, mutable.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.data
    }

    /// The coefficients, in the same memory: every limb is transformed.
    ///
    /// # Panics
    /// If the parameters have not the ring degree and the level of this polynomial.
    pub fn into_coefficients(mut self, params: &Parameters) -> Coefficients {
        let level = self.level;
        self.par_limbs_mut().enumerate().for_each(|(position, limb)| {
            params.table(params.limb_index(level, position)).inverse(limb);
        });
        Coefficients { data: self.data, n: self.n }
    }

    /// The same polynomial at a lower level: its first `level + 1` limbs, without special ones.
    pub fn truncated(&self, level: usize) -> Self {
        let words = (level + 1) * self.n;
        let mut data = AlignedBuf::scratch(words);
        data.copy_from_slice(&self.data[..words]);
        Self { data, n: self.n, limbs: level + 1, level, extended: false }
    }

    /// Every word `run` times over: a polynomial of `run` times the degree.
    pub(super) fn repeated(&self, run: usize) -> Self {
        let mut data = AlignedBuf::scratch(run * self.words().len());
        repeat(&mut data, self.words(), run);
        Self { data, n: run * self.n, ..*self }
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.data.len() * size_of::<u64>()
    }
}

/// Checks that a polynomial of ring degree `n` at `level` can belong to `params`: see [`RnsPoly::check`].
pub(crate) fn check(n: usize, level: usize, params: &Parameters, what: &'static str) -> Result<()> {
    if n != params.n() {
        return Err(Error::argument("ring degree of an operand", n, params.n()));
    }
    if level > params.max_level() {
        return Err(Error::Level { what, found: level, expected: params.max_level() });
    }
    Ok(())
}

/// Writes every word `run` times.
pub(super) fn repeat(out: &mut [u64], words: &[u64], run: usize) {
    out.chunks_exact_mut(run).zip(words).for_each(|(out, &word)| out.fill(word));
}

/// The coefficients of a polynomial of degree below N modulo several primes: limbs of N words in natural order, words in
/// `[0, q)`. See [`RnsPoly::into_coefficients`].
#[derive(Clone, Debug)]
pub struct Coefficients {
    data: AlignedBuf,
    n: usize,
}

impl Coefficients {
    /// All limbs in order.
    pub fn limbs(&self) -> std::slice::ChunksExact<'_, u64> {
        self.data.chunks_exact(self.n)
    }
}

impl Zeroize for RnsPoly {
    fn zeroize(&mut self) {
        self.data.zeroize();
    }
}

impl Zeroize for Coefficients {
    fn zeroize(&mut self) {
        self.data.zeroize();
    }
}
