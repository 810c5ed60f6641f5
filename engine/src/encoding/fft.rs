//! The canonical embedding as a fast Fourier transform in double precision.
//!
//! Slot `j` of a polynomial `m` is `m(zeta^(5^j))` with `zeta = exp(i pi / N)`. As `5^j` is 1 modulo 4, the
//! coefficients fold to `w_k = m_k + i m_(k + N/2)`, and the slots are `sum_k w_k zeta^(k 5^j)`: a transform of
//! length `n = N/2`. It is computed with the butterflies of Cheon, Kim, Kim, Song (ePrint 2016/421, HEAAN):
//! bit reversal, then stages of length `L = 2, 4, .., n` with the twiddle factors `exp(2 pi i 5^j / 4L)`, which
//! bring the slots out in the order of `j`. The inverse runs backwards.
//!
//! Two stages at a time are merged (radix 4, one third of the twiddle factors being products of the others);
//! the three shortest stages are merged with the bit reversal, over tiles of 8 by 8 values. Real and imaginary
//! parts lie in separate arrays: they are the two halves of the coefficient vector. The loops are written once, over
//! vectors of 8 doubles, and compiled per instruction set; without fused multiply-adds, so that all give the same.

use super::leaf::{Leaf, TILE};
use super::point::{Point, get, minus, plus, plus_minus_i, put, times, times_conjugate};
use super::roots::{powers_of_five, root};
use super::scratch::{Arrays, Scratch};
use crate::vector::instance::{Instance, instances};
use crate::vector::lanes::{LANES, Lanes};

/// Transforms of at most this length run through all their stages before the next one is touched, so that they
/// stay in the first-level cache.
const BLOCK: usize = 1024;

/// Two merged stages of lengths `len` and `len / 2`, or one stage when `radix` is 2.
#[derive(Debug)]
struct Stage {
    len: usize,
    radix: usize,
    /// Twiddle factors, 8 at a time: for radix 4, the real parts and the imaginary parts of `w`, of `w^2` and of
    /// `w^3`; for radix 2, of `w` alone.
    twiddles: Vec<Line>,
}

/// One cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([f64; LANES]);

/// Tables of the transform of one length.
#[derive(Debug)]
pub struct SpecialFft {
    n: usize,
    /// From the longest to the shortest.
    stages: Vec<Stage>,
    leaf: Leaf,
}

impl Stage {
    fn new(len: usize, radix: usize) -> Self {
        let exponents: Vec<usize> = powers_of_five(len / radix, len).collect();
        let mut twiddles = Vec::with_capacity(exponents.len() / LANES * 2 * (radix - 1));
        for eight in exponents.as_chunks::<LANES>().0 {
            for power in 1..radix {
                let roots = eight.map(|g| root(power * g, 4 * len));
                twiddles.extend([Line(roots.map(|w| w.0)), Line(roots.map(|w| w.1))]);
            }
        }
        Self { len, radix, twiddles }
    }

    /// Power `power` of the twiddle factors `j..j + 8`.
    #[inline(always)]
    fn twiddle<V: Lanes>(&self, power: usize, j: usize) -> Point<V> {
        let at = 2 * ((self.radix - 1) * (j / LANES) + power - 1);
        (V::load(&self.twiddles[at].0), V::load(&self.twiddles[at + 1].0))
    }
}

impl SpecialFft {
    /// Fewest slots.
    pub const MIN_SLOTS: usize = 64;

    /// Tables for `n` slots, a power of two, at least 64.
    pub fn new(n: usize) -> Self {
        let mut stages = Vec::new();
        let mut len = n;
        while len > TILE {
            let radix = if len > 2 * TILE { 4 } else { 2 };
            stages.push(Stage::new(len, radix));
            len /= radix;
        }
        Self { n, stages, leaf: Leaf::new(n) }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.n
    }

    /// The stages longer than a block, and the others.
    fn split(&self) -> (&[Stage], &[Stage]) {
        self.stages.split_at(self.stages.iter().take_while(|stage| stage.len > BLOCK).count())
    }

    /// Slots to coefficients: `re` and `im` hold the slots and are overwritten, `out` receives the `2n`
    /// coefficients times `n`.
    pub fn inverse(&self, re: &mut [f64], im: &mut [f64], out: &mut [f64]) {
        debug_assert!(re.len() == self.n && im.len() == self.n && out.len() == 2 * self.n);
        inverse(Instance::chosen(), self, re, im, out);
    }

    /// Coefficients to slots: `input` holds the `2n` coefficients, `re` and `im` receive the slots.
    pub fn forward(&self, input: &[f64], re: &mut [f64], im: &mut [f64]) {
        debug_assert!(re.len() == self.n && im.len() == self.n && input.len() == 2 * self.n);
        forward(Instance::chosen(), self, input, re, im);
    }
}

instances! {
fn inverse<V>(fft: &SpecialFft, re: &mut [f64], im: &mut [f64], out: &mut [f64]) {
    let (long, short) = fft.split();
    for stage in long {
        inverse_stage::<V>(stage, re, im);
    }
    let block = short.first().map_or(re.len(), |stage| stage.len);
    for (re, im) in re.chunks_exact_mut(block).zip(im.chunks_exact_mut(block)) {
        for stage in short {
            inverse_stage::<V>(stage, re, im);
        }
    }
    fft.leaf.inverse::<V>(re, im, out);
}
}

instances! {
fn forward<V>(fft: &SpecialFft, input: &[f64], re: &mut [f64], im: &mut [f64]) {
    fft.leaf.forward::<V>(input, re, im);
    let (long, short) = fft.split();
    let block = short.first().map_or(re.len(), |stage| stage.len);
    for (re, im) in re.chunks_exact_mut(block).zip(im.chunks_exact_mut(block)) {
        for stage in short.iter().rev() {
            forward_stage::<V>(stage, re, im);
        }
    }
    for stage in long.iter().rev() {
        forward_stage::<V>(stage, re, im);
    }
}
}

#[inline(always)]
fn inverse_stage<V: Lanes>(stage: &Stage, re: &mut [f64], im: &mut [f64]) {
    let count = stage.len / stage.radix;
    for (re, im) in re.chunks_exact_mut(stage.len).zip(im.chunks_exact_mut(stage.len)) {
        if stage.radix == 2 {
            for j in (0..count).step_by(LANES) {
                let (a, b) = (get::<V>(re, im, j), get::<V>(re, im, j + count));
                put(re, im, j, plus(a, b));
                put(re, im, j + count, times_conjugate(minus(a, b), stage.twiddle(1, j)));
            }
            continue;
        }
        for j in (0..count).step_by(LANES) {
            let (a, b) = (get::<V>(re, im, j), get::<V>(re, im, j + count));
            let (c, d) = (get::<V>(re, im, j + 2 * count), get::<V>(re, im, j + 3 * count));
            let (s, t, u, v) = (plus(a, c), plus(b, d), minus(a, c), minus(b, d));
            put(re, im, j, plus(s, t));
            put(re, im, j + count, times_conjugate(minus(s, t), stage.twiddle(2, j)));
            let (p, m) = plus_minus_i(u, v);
            put(re, im, j + 2 * count, times_conjugate(p, stage.twiddle(1, j)));
            put(re, im, j + 3 * count, times_conjugate(m, stage.twiddle(3, j)));
        }
    }
}

#[inline(always)]
fn forward_stage<V: Lanes>(stage: &Stage, re: &mut [f64], im: &mut [f64]) {
    let count = stage.len / stage.radix;
    for (re, im) in re.chunks_exact_mut(stage.len).zip(im.chunks_exact_mut(stage.len)) {
        if stage.radix == 2 {
            for j in (0..count).step_by(LANES) {
                let (a, b) = (get::<V>(re, im, j), get::<V>(re, im, j + count));
                let b = times(b, stage.twiddle(1, j));
                put(re, im, j, plus(a, b));
                put(re, im, j + count, minus(a, b));
            }
            continue;
        }
        for j in (0..count).step_by(LANES) {
            let (a, b) = (get::<V>(re, im, j), get::<V>(re, im, j + count));
            let (c, d) = (get::<V>(re, im, j + 2 * count), get::<V>(re, im, j + 3 * count));
            let b = times(b, stage.twiddle(2, j));
            let c = times(c, stage.twiddle(1, j));
            let d = times(d, stage.twiddle(3, j));
            let (s, t, u, v) = (plus(a, b), minus(a, b), plus(c, d), minus(c, d));
            put(re, im, j, plus(s, u));
            put(re, im, j + 2 * count, minus(s, u));
            let (p, m) = plus_minus_i(t, v);
            put(re, im, j + count, m);
            put(re, im, j + 3 * count, p);
        }
    }
}

/// The transform of an encoding of zeros alone, with its working memory, to be timed: zeros stay small however often they are
/// transformed.
pub(crate) struct Zeros(SpecialFft);

impl Zeros {
    /// Of ring degree `2^log_n`.
    pub(crate) fn new(log_n: u32) -> Self {
        Self(SpecialFft::new(1 << (log_n - 1)))
    }

    /// Transforms them.
    pub(crate) fn transform(&self) {
        let mut scratch = Scratch::new(self.0.slots());
        let Arrays { re, im, coefficients } = scratch.arrays();
        self.0.inverse(re, im, coefficients);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots by the definition, with exact exponents.
    fn slots(coefficients: &[f64]) -> Vec<(f64, f64)> {
        let big_n = coefficients.len();
        let mut galois = 1;
        (0..big_n / 2)
            .map(|_| {
                let sum = coefficients.iter().enumerate().fold((0.0, 0.0), |acc, (k, &m)| {
                    let (c, s) = root(k * galois, 2 * big_n);
                    (acc.0 + m * c, acc.1 + m * s)
                });
                galois = galois * 5 % (2 * big_n);
                sum
            })
            .collect()
    }

    fn pseudo_random(count: usize) -> Vec<f64> {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn agrees_with_the_definition() {
        for n in [64, 128, 256, 1024] {
            let fft = SpecialFft::new(n);
            let coefficients = pseudo_random(2 * n);
            let expected = slots(&coefficients);
            for instance in Instance::available() {
                let (mut re, mut im) = (vec![0.0; n], vec![0.0; n]);
                forward(instance, &fft, &coefficients, &mut re, &mut im);
                for (j, &(er, ei)) in expected.iter().enumerate() {
                    let error = (re[j] - er).hypot(im[j] - ei);
                    assert!(error < 1e-12, "n {n} slot {j}: error {error:e}");
                }
            }
        }
    }

    #[test]
    fn inverse_undoes_forward_and_all_instances_agree_exactly() {
        for log_n in 6..=16 {
            let n = 1_usize << log_n;
            let fft = SpecialFft::new(n);
            let coefficients = pseudo_random(2 * n);
            let mut first: Option<(Vec<f64>, Vec<f64>)> = None;
            for instance in Instance::available() {
                let (mut re, mut im) = (vec![0.0; n], vec![0.0; n]);
                forward(instance, &fft, &coefficients, &mut re, &mut im);
                let slots = re.clone();
                let mut back = vec![0.0; 2 * n];
                inverse(instance, &fft, &mut re, &mut im, &mut back);
                for (k, (b, c)) in back.iter().zip(&coefficients).enumerate() {
                    let error = (b / n as f64 - c).abs();
                    assert!(error < 2e-15, "n {n} coefficient {k}: error {error:e}");
                }
                match &first {
                    None => first = Some((slots, back)),
                    Some((s, b)) => assert!(*s == slots && *b == back),
                }
            }
        }
    }
}
