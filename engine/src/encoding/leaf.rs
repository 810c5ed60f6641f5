//! The three shortest stages of the transform together with its bit reversal.
//!
//! The stages of length 8, 4 and 2 act within 8 neighbouring values and have the same factors everywhere. The
//! bit reversal sends value `r` of block `b` to position `brv(r) n/8 + brv(b)`. Taking the 8 blocks whose
//! numbers differ in the top three bits makes the destinations of each `r` 8 neighbours: so one works on tiles
//! of 8 blocks, transposed in between, and all memory is read and written in whole vectors.

use super::point::{Point, get, minus, plus, put, times, times_conjugate};
use super::roots::{powers_of_five, root};
use crate::vector::lanes::{LANES, Lanes};

/// Side of a tile.
pub(super) const TILE: usize = LANES;

/// 8 by 8 values: 8 vectors.
type Tile<V> = [Point<V>; TILE];

/// Bit reversal of three bits.
const REVERSED: [usize; TILE] = [0, 4, 2, 6, 1, 5, 3, 7];

/// Factors of the short stages.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Length 8.
    w8: [(f64, f64); 4],
    /// Length 4.
    w4: [(f64, f64); 2],
    /// Length 2.
    w2: (f64, f64),
    /// Bit reversal of the tile numbers.
    order: Vec<u32>,
}

impl Leaf {
    pub(super) fn new(n: usize) -> Self {
        let mut w8 = [(0.0, 0.0); 4];
        let mut w4 = [(0.0, 0.0); 2];
        w8.iter_mut().zip(powers_of_five(4, 8)).for_each(|(w, g)| *w = root(g, 32));
        w4.iter_mut().zip(powers_of_five(2, 4)).for_each(|(w, g)| *w = root(g, 16));
        let tiles = (n / (TILE * TILE)) as u32;
        let reverse =
            |c: u32| if tiles == 1 { 0 } else { c.reverse_bits() >> (tiles.leading_zeros() + 1) };
        Self { w8, w4, w2: root(1, 8), order: (0..tiles).map(reverse).collect() }
    }

    /// Last stages of the inverse: `re`, `im` to `out`, real parts in its first half.
    #[inline(always)]
    pub(super) fn inverse<V: Lanes>(&self, re: &[f64], im: &[f64], out: &mut [f64]) {
        let n = re.len();
        let (out_re, out_im) = out.split_at_mut(n);
        let (w8, w4, w2) = self.factors::<V>();
        for (c, &reversed) in self.order.iter().enumerate() {
            let mut x = transpose(rows::<V>(re, im, c * TILE));
            for (j, &w) in w8.iter().enumerate() {
                down(&mut x, j, j + 4, w);
            }
            for base in [0, 4] {
                down(&mut x, base, base + 2, w4[0]);
                down(&mut x, base + 1, base + 3, w4[1]);
            }
            for base in [0, 2, 4, 6] {
                down(&mut x, base, base + 1, w2);
            }
            for (r, &x) in x.iter().enumerate() {
                put(out_re, out_im, REVERSED[r] * (n / TILE) + reversed as usize * TILE, x);
            }
        }
    }

    /// First stages of the forward transform: `input`, real parts in its first half, to `re` and `im`.
    #[inline(always)]
    pub(super) fn forward<V: Lanes>(&self, input: &[f64], re: &mut [f64], im: &mut [f64]) {
        let n = re.len();
        let (in_re, in_im) = input.split_at(n);
        let (w8, w4, w2) = self.factors::<V>();
        for (c, &reversed) in self.order.iter().enumerate() {
            let mut x = rows::<V>(in_re, in_im, reversed as usize * TILE);
            for base in [0, 2, 4, 6] {
                up(&mut x, base, base + 1, w2);
            }
            for base in [0, 4] {
                up(&mut x, base, base + 2, w4[0]);
                up(&mut x, base + 1, base + 3, w4[1]);
            }
            for (j, &w) in w8.iter().enumerate() {
                up(&mut x, j, j + 4, w);
            }
            for (lane, x) in transpose(x).into_iter().enumerate() {
                put(re, im, c * TILE + REVERSED[lane] * (n / TILE), x);
            }
        }
    }

    /// The factors in every lane.
    #[inline(always)]
    fn factors<V: Lanes>(&self) -> ([Point<V>; 4], [Point<V>; 2], Point<V>) {
        let zero = (V::splat(0.0), V::splat(0.0));
        let (mut w8, mut w4) = ([zero; 4], [zero; 2]);
        for (lanes, w) in w8.iter_mut().zip(self.w8).chain(w4.iter_mut().zip(self.w4)) {
            *lanes = (V::splat(w.0), V::splat(w.1));
        }
        (w8, w4, (V::splat(self.w2.0), V::splat(self.w2.1)))
    }
}

// Loops, here and in the vector types: a closure handed to a method of arrays may be left out of line, where it has not
// the features of its caller, and passes vectors through memory.

/// The tile whose row `r` begins at `start` in the part number `brv(r)` of eight.
#[inline(always)]
fn rows<V: Lanes>(re: &[f64], im: &[f64], start: usize) -> Tile<V> {
    let mut x = [get::<V>(re, im, start); TILE];
    for r in 1..TILE {
        x[r] = get(re, im, start + REVERSED[r] * (re.len() / TILE));
    }
    x
}

#[inline(always)]
fn transpose<V: Lanes>(mut tile: Tile<V>) -> Tile<V> {
    let (mut x, mut y) = ([tile[0].0; TILE], [tile[0].1; TILE]);
    for i in 1..TILE {
        (x[i], y[i]) = tile[i];
    }
    (x, y) = (V::transpose(x), V::transpose(y));
    for i in 0..TILE {
        tile[i] = (x[i], y[i]);
    }
    tile
}

/// Butterfly of the inverse transform on rows `a` and `b`.
#[inline(always)]
fn down<V: Lanes>(x: &mut Tile<V>, a: usize, b: usize, w: Point<V>) {
    (x[a], x[b]) = (plus(x[a], x[b]), times_conjugate(minus(x[a], x[b]), w));
}

/// Butterfly of the forward transform on rows `a` and `b`.
#[inline(always)]
fn up<V: Lanes>(x: &mut Tile<V>, a: usize, b: usize, w: Point<V>) {
    let t = times(x[b], w);
    (x[a], x[b]) = (plus(x[a], t), minus(x[a], t));
}
