//! Encoded messages.

use std::borrow::Cow;
use std::ops::Deref;

use crate::Result;
use crate::buffer::AlignedBuf;
use crate::params::Parameters;
use crate::poly::{RnsPoly, SubringPoly};

/// An encoded message: one polynomial in NTT form.
///
/// It is kept with all its words, N a limb, or, if its slots have a short period T
/// ([`crate::encoding::Encoder::encode_periodic`]), with those that differ, about 2T a limb. Every operation takes both.
#[derive(Clone, Debug)]
pub struct Plaintext {
    pub(crate) poly: PlaintextPoly,
    /// Scale of the encoding.
    pub scale: f64,
}

/// The polynomial of a plaintext.
#[derive(Clone, Debug)]
pub(crate) enum PlaintextPoly {
    /// With all its words.
    Full(RnsPoly),
    /// One of a subring.
    Subring(SubringPoly),
}

/// All words of a limb of a plaintext.
pub(crate) enum Limb<'a> {
    Stored(&'a [u64]),
    Expanded(AlignedBuf),
}

impl Plaintext {
    /// A plaintext of a polynomial in NTT form, of the ring degree of the parameters.
    pub fn new(poly: RnsPoly, scale: f64) -> Self {
        Self { poly: PlaintextPoly::Full(poly), scale }
    }

    /// Moves those of a subring into memory of their own beside each other: for many that are kept.
    pub fn move_short_together<'a>(plaintexts: impl Iterator<Item = &'a mut Self>) {
        RnsPoly::move_together(plaintexts.filter_map(|plaintext| match &mut plaintext.poly {
            PlaintextPoly::Full(_) => None,
            PlaintextPoly::Subring(poly) => Some(poly.values_mut()),
        }));
    }

    /// Ring degree.
    pub fn n(&self) -> usize {
        match &self.poly {
            PlaintextPoly::Full(poly) => poly.n(),
            PlaintextPoly::Subring(poly) => poly.n(),
        }
    }

    /// Level.
    pub fn level(&self) -> usize {
        match &self.poly {
            PlaintextPoly::Full(poly) => poly.level(),
            PlaintextPoly::Subring(poly) => poly.level(),
        }
    }

    /// Whether the special limbs are present.
    pub fn is_extended(&self) -> bool {
        match &self.poly {
            PlaintextPoly::Full(poly) => poly.is_extended(),
            PlaintextPoly::Subring(poly) => poly.is_extended(),
        }
    }

    /// Adjacent words of a limb for which one is kept: 1 unless the polynomial is one of a subring, then a power of two of
    /// at least [`SubringPoly::MIN_RUN`].
    pub fn run(&self) -> usize {
        match &self.poly {
            PlaintextPoly::Full(_) => 1,
            PlaintextPoly::Subring(poly) => poly.run(),
        }
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.poly {
            PlaintextPoly::Full(poly) => poly.bytes(),
            PlaintextPoly::Subring(poly) => poly.bytes(),
        }
    }

    /// The polynomial with all its words.
    pub fn poly(&self) -> Cow<'_, RnsPoly> {
        match &self.poly {
            PlaintextPoly::Full(poly) => Cow::Borrowed(poly),
            PlaintextPoly::Subring(poly) => Cow::Owned(poly.expanded()),
        }
    }

    /// Checks that this plaintext can belong to `params`: its ring degree, and its level.
    ///
    /// # Errors
    /// As for [`RnsPoly::check`].
    pub fn check(&self, params: &Parameters, what: &'static str) -> Result<()> {
        crate::poly::check(self.n(), self.level(), params, what)
    }

    /// The polynomial at a lower level (or the same): all words of its first `level + 1` limbs, without special ones.
    pub(crate) fn truncated(&self, level: usize) -> RnsPoly {
        match &self.poly {
            PlaintextPoly::Full(poly) => poly.truncated(level),
            PlaintextPoly::Subring(poly) => poly.truncated(level),
        }
    }

    /// All words of the limb at `position` (see [`Parameters::limb_index`]).
    pub(crate) fn limb(&self, position: usize) -> Limb<'_> {
        match &self.poly {
            PlaintextPoly::Full(poly) => Limb::Stored(poly.limb(position)),
            PlaintextPoly::Subring(poly) => Limb::Expanded(poly.expanded_limb(position)),
        }
    }

    /// The words that are kept of the limb at `position`: one for each run.
    pub(crate) fn kept(&self, position: usize) -> &[u64] {
        match &self.poly {
            PlaintextPoly::Full(poly) => poly.limb(position),
            PlaintextPoly::Subring(poly) => poly.limb(position),
        }
    }
}

impl Deref for Limb<'_> {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        match self {
            Self::Stored(words) => words,
            Self::Expanded(words) => words,
        }
    }
}
