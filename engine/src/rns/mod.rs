//! Conversion between residue number systems: mod-up of a digit, mod-down and rescale.
//!
//! All conversions are of the centred representative and exact but for the rounding of a quotient in
//! double precision (Halevi, Polyakov, Shoup, ePrint 2018/117): the result is `x + e * prod(source)` with
//! `e = 0` unless `x` lies within `2^-47` of `prod/2`, relative, where `e` may be `+-1`. Both are then valid
//! representatives for key switching and differ by one unit in the last place for a mod-down.

mod converter;

pub use converter::{BasisConverter, RnsTables};
