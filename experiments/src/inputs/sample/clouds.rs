//! Unlabelled images with the statistics of photographs: neighbouring pixels are alike, channels are alike, and contrast
//! is moderate. White noise would be none: a network of quadratics was never bounded on it.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::generator;
use crate::inputs::data::{Images, Pixels};

/// Random values between which fields are interpolated, along the longer side: coarse to fine.
const GRIDS: [usize; 4] = [2, 4, 8, 16];
/// How far a channel departs from what all have in common.
const COLOUR: f64 = 0.35;

/// `count` images of `(channels, height, width)`. The same seed gives the same images on every machine.
pub fn clouds(shape: (usize, usize, usize), count: usize, seed: u64) -> Images {
    let pixels = Pixels::Bytes((0..count).flat_map(|k| cloud(shape, seed, k)).collect());
    Images { source: format!("generated clouds, seed {seed}"), shape, pixels, labels: None }
}

/// Pixels of number `k` of the clouds of a seed.
pub fn cloud(shape: (usize, usize, usize), seed: u64, k: usize) -> Vec<u8> {
    let (channels, height, width) = shape;
    let mut pixels = Vec::with_capacity(channels * height * width);
    let mut rng = generator(seed, k);
    let mean = rng.random_range(0.35..0.60);
    let deviation = rng.random_range(0.12..0.24);
    let common = field(height, width, &mut rng);
    for _ in 0..channels {
        let own = field(height, width, &mut rng);
        let mixed = common.iter().zip(&own).map(|(c, o)| c + COLOUR * o).collect();
        let values = normalised(mixed);
        let pixel = |v: &f64| 255.0 * (mean + deviation * v).clamp(0.0, 1.0);
        pixels.extend(values.iter().map(|v| pixel(v).round() as u8));
    }
    pixels
}

/// A smooth random field of mean 0 and deviation 1: each grid weighs half as much as the next coarser one.
fn field(height: usize, width: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut sum = vec![0.0; height * width];
    let mut weight = 1.0;
    for grid in GRIDS {
        let values: Vec<f64> =
            (0..(grid + 1) * (grid + 1)).map(|_| rng.random_range(-1.0..1.0)).collect();
        let place = |at: usize| {
            let at = grid as f64 * at as f64 / height.max(width) as f64;
            (at as usize, at.fract())
        };
        for (k, sum) in sum.iter_mut().enumerate() {
            let ((y, v), (x, u)) = (place(k / width), place(k % width));
            let at = |dy: usize, dx: usize| values[(y + dy) * (grid + 1) + x + dx];
            let row = |dy| at(dy, 0) * (1.0 - u) + at(dy, 1) * u;
            *sum += weight * (row(0) * (1.0 - v) + row(1) * v);
        }
        weight /= 2.0;
    }
    normalised(sum)
}

/// The same with mean 0 and deviation 1.
fn normalised(sum: Vec<f64>) -> Vec<f64> {
    let count = sum.len() as f64;
    let mean = sum.iter().sum::<f64>() / count;
    let deviation = (sum.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    sum.iter().map(|v| (v - mean) / deviation.max(1e-9)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_for_the_same_seed() {
        let shape = (3, 32, 32);
        let (all, few) = (clouds(shape, 5, 1), clouds(shape, 2, 1));
        assert_eq!([few.image(0), few.image(1)], [all.image(0), all.image(1)]);
        assert_ne!(clouds(shape, 1, 2).image(0), all.image(0));
        assert_eq!(clouds((2, 5, 9), 3, 1).image(2).unwrap().len(), 90);
    }

    /// Correlation of two lists.
    fn correlation(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
        let pairs: Vec<(f64, f64)> = pairs.collect();
        let n = pairs.len() as f64;
        let (mx, my) = pairs.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
        let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            pairs.iter().map(|p| f(p.0 - mx, p.1 - my)).sum()
        };
        sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
    }

    #[test]
    fn like_photographs() {
        let images = clouds((3, 32, 32), 50, 3);
        for k in 0..50 {
            let image = images.image(k).unwrap();
            let beside = (0..3072).filter(|i| i % 32 < 31).map(|i| (image[i], image[i + 1]));
            let channels = (0..2048).map(|i| (image[i], image[i + 1024]));
            assert!(correlation(beside) > 0.85, "image {k}");
            assert!(correlation(channels) > 0.5, "image {k}");
            let mean = image.iter().sum::<f64>() / 3072.0;
            let deviation = (image.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3072.0).sqrt();
            assert!((0.08..0.25).contains(&deviation), "image {k}: {deviation}");
        }
    }
}
