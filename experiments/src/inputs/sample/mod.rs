//! A small generator of handwritten-looking digits, and one of coloured clouds, so that the demonstration and the tests
//! need no data set.
//!
//! Every digit is a few pen strokes ([`strokes`]), distorted at random, drawn with an anti-aliased pen
//! ([`render`]) and placed as MNIST places its digits: in a box of 20 x 20 pixels, centred by mass in 28 x 28.
//! The same seed gives the same images on every machine.

mod clouds;
mod render;
mod strokes;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use clouds::{cloud, clouds};

use crate::inputs::data::{Images, Pixels};

/// Channels, rows and columns of a digit.
pub const DIGITS: (usize, usize, usize) = (1, render::SIDE, render::SIDE);

/// A point: x to the right, y down. Strokes are drawn in the unit square.
type Point = [f64; 2];

/// `count` digits with their labels, in the order 0, 1, ..., 9, 0, ...; 1 x 28 x 28, white on black.
pub fn digits(count: usize, seed: u64) -> Images {
    Images {
        source: format!("generated digits, seed {seed}"),
        shape: DIGITS,
        pixels: Pixels::Bytes((0..count).flat_map(|k| digit(seed, k)).collect()),
        labels: Some((0..count).map(digit_label).collect()),
    }
}

/// Pixels of number `k` of the digits of a seed.
pub fn digit(seed: u64, k: usize) -> Vec<u8> {
    let mut rng = generator(seed, k);
    let mut lines = strokes::draw(usize::from(digit_label(k)), &mut rng);
    distort(&mut lines, &mut rng);
    let radius = rng.random_range(1.05..1.55);
    render::render(&lines, radius)
}

/// Label of number `k` of the digits of any seed.
pub fn digit_label(k: usize) -> u8 {
    (k % 10) as u8
}

/// A generator per image, so that an image does not depend on how many come before it.
fn generator(seed: u64, image: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(image as u64);
    rng
}

/// Random slant, rotation and aspect, and a smooth wave.
fn distort(lines: &mut [Vec<Point>], rng: &mut ChaCha8Rng) {
    let slant = rng.random_range(-0.05..0.30);
    let angle: f64 = rng.random_range(-0.09..0.09);
    let aspect = rng.random_range(0.78..1.0);
    let wave: [f64; 4] = std::array::from_fn(|_| rng.random_range(0.0..std::f64::consts::TAU));
    let height = rng.random_range(0.0..0.025);
    let (sin, cos) = angle.sin_cos();
    for point in lines.iter_mut().flatten() {
        let [x, y] = *point;
        let bent_x = x + height * ((4.0 * y + wave[0]).sin() + (5.0 * x + wave[1]).sin());
        let bent_y = y + height * ((4.0 * x + wave[2]).sin() + (5.0 * y + wave[3]).sin());
        let (u, v) = (bent_x - 0.5, bent_y - 0.5);
        let u = aspect * u - slant * v;
        *point = [cos * u - sin * v, sin * u + cos * v];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_and_labelled() {
        let (all, few) = (digits(40, 1), digits(12, 1));
        assert!((0..12).all(|k| few.image(k) == all.image(k)));
        assert_eq!((all.len(), all.label(37)), (40, Some(7)));
        assert_ne!(digits(1, 2).image(0), few.image(0));
    }

    #[test]
    fn pinned() {
        // Another machine or version must draw the same images: results are compared by them.
        let sum: u64 = (0..40)
            .flat_map(|k| digit(1, k))
            .zip(1u64..)
            .map(|(p, k)| u64::from(p) * (k % 251))
            .sum();
        assert_eq!(sum, PINNED);
    }

    const PINNED: u64 = 129763725;

    #[test]
    fn placed_like_mnist() {
        let images = digits(40, 1);
        for k in 0..40 {
            let image = images.image(k).unwrap();
            let mass: f64 = image.iter().sum();
            let at = |f: &dyn Fn(usize) -> usize| {
                image.iter().enumerate().map(|(i, v)| v * f(i) as f64).sum::<f64>() / mass
            };
            let (x, y) = (at(&|i| i % 28), at(&|i| i / 28));
            assert!((x - 13.5).abs() < 0.6 && (y - 13.5).abs() < 0.6, "image {k}: centre {x} {y}");
            assert!((30.0..200.0).contains(&mass), "image {k}: mass {mass}");
            let lit: Vec<usize> = (0..784).filter(|i| image[*i] > 0.5).collect();
            let rows = lit.iter().map(|i| i / 28).max().unwrap()
                - lit.iter().map(|i| i / 28).min().unwrap();
            let cols = lit.iter().map(|i| i % 28).max().unwrap()
                - lit.iter().map(|i| i % 28).min().unwrap();
            assert!(rows.max(cols) <= 20, "image {k}: {rows} x {cols}");
        }
    }
}
