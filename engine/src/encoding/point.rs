//! Complex numbers, one per lane, with real and imaginary parts in separate arrays.

use crate::vector::lanes::{LANES, Lanes};

/// Eight complex numbers.
pub(super) type Point<V> = (V, V);

#[inline(always)]
fn load<V: Lanes>(from: &[f64], at: usize) -> V {
    let values = from[at..].first_chunk::<LANES>();
    V::load(values.unwrap_or(&[0.0; LANES]))
}

/// Reads from `at` on.
#[inline(always)]
pub(super) fn get<V: Lanes>(re: &[f64], im: &[f64], at: usize) -> Point<V> {
    (load(re, at), load(im, at))
}

#[inline(always)]
fn store<V: Lanes>(to: &mut [f64], at: usize, value: V) {
    if let Some(values) = to[at..].first_chunk_mut::<LANES>() {
        value.store(values);
    }
}

/// Writes from `at` on.
#[inline(always)]
pub(super) fn put<V: Lanes>(re: &mut [f64], im: &mut [f64], at: usize, value: Point<V>) {
    store(re, at, value.0);
    store(im, at, value.1);
}

#[inline(always)]
pub(super) fn plus<V: Lanes>(a: Point<V>, b: Point<V>) -> Point<V> {
    (a.0.add(b.0), a.1.add(b.1))
}

#[inline(always)]
pub(super) fn minus<V: Lanes>(a: Point<V>, b: Point<V>) -> Point<V> {
    (a.0.sub(b.0), a.1.sub(b.1))
}

/// `a + i b` and `a - i b`.
#[inline(always)]
pub(super) fn plus_minus_i<V: Lanes>(a: Point<V>, b: Point<V>) -> (Point<V>, Point<V>) {
    ((a.0.sub(b.1), a.1.add(b.0)), (a.0.add(b.1), a.1.sub(b.0)))
}

#[inline(always)]
pub(super) fn times<V: Lanes>(a: Point<V>, w: Point<V>) -> Point<V> {
    (a.0.mul(w.0).sub(a.1.mul(w.1)), a.0.mul(w.1).add(a.1.mul(w.0)))
}

/// `a` times the conjugate of `w`.
#[inline(always)]
pub(super) fn times_conjugate<V: Lanes>(a: Point<V>, w: Point<V>) -> Point<V> {
    (a.0.mul(w.0).add(a.1.mul(w.1)), a.1.mul(w.0).sub(a.0.mul(w.1)))
}
