//! Discrete Gaussians of any deviation, in whole numbers throughout: noise that hides other noise.
//!
//! Two samples `x`, `y` of deviation `s` make one of deviation `s sqrt(z^2 + 1)`, which is `z x + y` (Micciancio, Walter: Gaussian
//! Sampling over the Integers, CRYPTO 2017): as good as a Gaussian as long as `z^2 + 1` is at most `2 pi (s / eta)^2`, where
//! `eta` is the smoothing parameter of the integers. So deviations grow by squares from step to step, and six steps from 4
//! reach `2^76`. Neither the steps nor the narrow samples that they begin with take time that depends on what is drawn.

use rand::RngCore;
use rand_chacha::ChaCha20Rng;
use zeroize::{Zeroize, Zeroizing};

use crate::ntt::NttTable;
use crate::{Error, Result};

/// Deviation of the narrow samples.
const NARROW: f64 = 4.0;

/// `sqrt(2 pi) / eta`, with `eta = sqrt(ln(2 + 2^81) / pi)`, that of the integers for a distance of `2^-80`.
const SMOOTH: f64 = 0.5929;

/// Largest deviation that can be asked for.
const MOST: f64 = 18_446_744_073_709_551_616.0;

/// Deviations within which all samples lie: narrow ones do within 13.
const TAIL: f64 = 14.0;

/// Factors tried for the last step but one.
const TRIED: u64 = 1000;

/// Samples drawn at a time.
const CHUNK: usize = 256;

/// `2^127 P(|x| <= k)` for `k = 0..52` and deviation [`NARROW`], rounded to the nearest integer.
const TABLE: [u128; 52] = [
    0x0cc42299ea1b284687e59e2805d5c718,
    0x25834e3aeed9f4b8ba63b171eabb976b,
    0x3c0b8b3d0f60a0e205ed0c04fde9c1f1,
    0x4f51612cbc94b56fb7473c199e818c06,
    0x5ecdd3f3d6205128190db541573cfffe,
    0x6a7e59bdef18b4fbd00e7db17fddc3e5,
    0x72c85de95827f7314b985ac3245dd6af,
    0x784def3707ed822292638664a2689ef8,
    0x7bc285bde4f4dcb05eb281f5dcfc557f,
    0x7dca8b7d8cad10e68daa36892ad434ae,
    0x7ee9ba82e4a23648d6fc05b0cbc2ab5c,
    0x7f7eb7ad47bc45684552b54acd586c62,
    0x7fc75432471a1f8aa620078a4b0783cd,
    0x7fe892a40a2e6fcb2d505f54ef9fe455,
    0x7ff6deeff2d262dac5058f84852e7bde,
    0x7ffca5d4adfd0cbef1b2981bd82e88c7,
    0x7ffed727ca5523557ef76431222dba3d,
    0x7fff9f4d494469ba977e653697d04ab1,
    0x7fffe257b2915de9ab48c2c76934347b,
    0x7ffff770170118f6173c4184e2344496,
    0x7ffffdac715a4b35670553a9bc395e17,
    0x7fffff67bbe62d9c3554d9bfd45b1989,
    0x7fffffdb5f9712305b29b4728d112ca3,
    0x7ffffff7b6495e83b71f1b322cd75a06,
    0x7ffffffe3c699d77d91e2cbf427edf6c,
    0x7fffffffa59a45dcd365e31a988fafe9,
    0x7fffffffeefb9b88655fc7178bb653fa,
    0x7ffffffffcfcd9f5e43bbdeb8f5316dc,
    0x7fffffffff7fa67447f1e745a542e296,
    0x7fffffffffebea4a3c888759d30219eb,
    0x7ffffffffffd0b926ee072fa4399ac65,
    0x7fffffffffff9762cffabeaabe79129b,
    0x7ffffffffffff2664ce2e3cb9038199c,
    0x7ffffffffffffe56872e67fe13d9f39e,
    0x7fffffffffffffcf21132aab4e37f426,
    0x7ffffffffffffffab954819a360b388b,
    0x7fffffffffffffff76f39938dc997f21,
    0x7ffffffffffffffff2ee487b45be1f7b,
    0x7ffffffffffffffffed426f71453587d,
    0x7fffffffffffffffffe6bee1cdea0427,
    0x7ffffffffffffffffffe004a149eda01,
    0x7fffffffffffffffffffd9f085a7f6b8,
    0x7ffffffffffffffffffffd56fcb3987f,
    0x7fffffffffffffffffffffd345a3a74c,
    0x7ffffffffffffffffffffffd3d544abd,
    0x7fffffffffffffffffffffffd704e54b,
    0x7ffffffffffffffffffffffffdc454df,
    0x7fffffffffffffffffffffffffe2baf0,
    0x7ffffffffffffffffffffffffffe9785,
    0x7fffffffffffffffffffffffffffefb5,
    0x7fffffffffffffffffffffffffffff4f,
    0x7ffffffffffffffffffffffffffffff9,
];

/// A discrete Gaussian of large deviation.
#[derive(Debug, Clone, PartialEq)]
pub struct WideGaussian {
    /// Factors `z`, the first step's first.
    steps: Vec<u64>,
    deviation: f64,
}

impl WideGaussian {
    /// One of at least this standard deviation: up to an eighth more from a hundred on, up to a two hundredth from 2^14 on.
    ///
    /// # Errors
    /// [`Error::Argument`] for what is no number, negative, or above `2^64`.
    pub fn at_least(deviation: f64) -> Result<Self> {
        if !(0.0..=MOST).contains(&deviation) {
            let expected = "0 to 2^64";
            return Err(Error::argument("standard deviation of noise", deviation, expected));
        }
        let mut widest = Self { steps: Vec::new(), deviation: NARROW };
        loop {
            if widest.deviation >= deviation {
                return Ok(widest);
            }
            // With two more steps, of which the first is any.
            let found = (1..=widest.most().min(TRIED))
                .flat_map(|z| widest.step(z).reaching(deviation))
                .chain(widest.reaching(deviation))
                .min_by(|a, b| a.deviation.total_cmp(&b.deviation));
            if let Some(found) = found {
                return Ok(found);
            }
            widest = widest.step(widest.most());
        }
    }

    /// Its standard deviation.
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// A magnitude that no sample exceeds.
    pub fn bound(&self) -> f64 {
        TAIL * self.deviation
    }

    /// The largest factor of the next step.
    fn most(&self) -> u64 {
        ((SMOOTH * self.deviation).powi(2) - 1.0).sqrt() as u64
    }

    fn step(&self, z: u64) -> Self {
        let steps = [&self.steps[..], &[z]].concat();
        Self { steps, deviation: self.deviation * (z as f64).hypot(1.0) }
    }

    /// With the smallest step to a deviation; none if that is too large a step.
    fn reaching(&self, deviation: f64) -> Option<Self> {
        let wanted = ((deviation / self.deviation).powi(2) - 1.0).max(1.0).sqrt();
        let z = wanted.ceil() as u64;
        Some(self.step(z)).filter(|found| z <= self.most() && found.deviation >= deviation)
    }

    /// Samples, as many as are asked for.
    pub(crate) fn samples(&self, rng: &mut ChaCha20Rng, count: usize) -> Zeroizing<Vec<i128>> {
        let mut out = Zeroizing::new(vec![0; count]);
        fill(&mut out, &self.steps, rng);
        out
    }
}

/// Fills with samples that so many steps make of narrow ones.
fn fill(out: &mut [i128], steps: &[u64], rng: &mut ChaCha20Rng) {
    let Some((&z, before)) = steps.split_last() else { return narrow(out, rng) };
    fill(out, before, rng);
    let mut others = Zeroizing::new(vec![0; out.len()]);
    fill(&mut others, before, rng);
    out.iter_mut().zip(others.iter()).for_each(|(x, y)| *x = i128::from(z) * *x + y);
}

/// Fills with narrow samples. The magnitude is the number of table entries that a uniform number of 127 bits reaches, and
/// one more bit is the sign; every sample is compared with the whole table.
fn narrow(out: &mut [i128], rng: &mut ChaCha20Rng) {
    let mut words = [[0_u8; 16]; CHUNK];
    for out in out.chunks_mut(CHUNK) {
        let words = &mut words[..out.len()];
        rng.fill_bytes(words.as_flattened_mut());
        for (out, word) in out.iter_mut().zip(&*words) {
            *out = sample(u128::from_le_bytes(*word));
        }
    }
    words.as_flattened_mut().zeroize();
}

/// The narrow sample that 128 uniform bits stand for: the lowest is the sign.
fn sample(word: u128) -> i128 {
    let uniform = word >> 1;
    let magnitude: i128 = TABLE.iter().map(|entry| i128::from(uniform >= *entry)).sum();
    let sign = -((word & 1) as i128);
    (magnitude ^ sign) - sign
}

/// Residues of samples modulo the table's prime, in NTT form, into `out`, which has as many words.
pub(crate) fn transform(samples: &[i128], out: &mut [u64], table: &NttTable) {
    let modulus = table.modulus();
    for (word, &x) in out.iter_mut().zip(samples) {
        let residue = modulus.reduce_u128(x.unsigned_abs());
        // Branch-free: the negative is taken of all, and chosen by a mask.
        let negative = (x >> 127) as u64;
        *word = (residue & !negative) | (modulus.neg(residue) & negative);
    }
    table.forward(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use rand::SeedableRng;

    /// `exp(-k^2 / 32) 2^400`, rounded down a little.
    fn density(k: u64) -> BigUint {
        let one = BigUint::from(1_u32) << 400_u32;
        let (mut term, mut sum) = (one.clone(), one.clone());
        for i in 1..600_u64 {
            term = term * (k * k) / (32 * i);
            sum += &term;
        }
        (one << 400_u32) / sum
    }

    #[test]
    fn table_is_that_of_the_distribution() {
        assert_eq!(2.0 * NARROW * NARROW, 32.0);
        let weight = |k| density(k) * if k == 0 { 1_u32 } else { 2 };
        let total: BigUint = (0..80).map(weight).sum();
        let mut sum = BigUint::ZERO;
        for (k, &entry) in TABLE.iter().enumerate() {
            sum += weight(k as u64);
            let rounded = ((&sum << 128_u32) / &total + 1_u32) >> 1_u32;
            assert_eq!(rounded, BigUint::from(entry), "{k}");
        }
    }

    #[test]
    fn entries_divide_magnitudes() {
        for (k, &entry) in TABLE.iter().enumerate() {
            let k = k as i128;
            for (bit, sign) in [(0, 1), (1, -1)] {
                assert_eq!(sample(2 * (entry - 1) + bit), sign * k);
                assert_eq!(sample(2 * entry + bit), sign * (k + 1));
            }
        }
        assert_eq!(sample(u128::MAX), -52);
    }

    #[test]
    fn deviations_are_reached_by_steps_that_are_smooth() {
        let eta = ((2.0 + 81_f64.exp2()).ln() / std::f64::consts::PI).sqrt();
        assert!(SMOOTH <= std::f64::consts::TAU.sqrt() / eta && SMOOTH > 0.592);
        for bits in 0..=640 {
            let wanted = (f64::from(bits) / 10.0).exp2();
            let found = WideGaussian::at_least(wanted).unwrap();
            let most = match bits {
                0..67 => wanted.max(NARROW) * 1.45,
                67..140 => wanted * 1.125,
                _ => wanted * 1.005,
            };
            assert!((wanted..=most).contains(&found.deviation()), "{wanted}: {found:?}");
            let mut deviation = NARROW;
            for &z in &found.steps {
                let grown = (z as f64).powi(2) + 1.0;
                assert!(grown <= std::f64::consts::TAU * (deviation / eta).powi(2), "{found:?}");
                deviation *= grown.sqrt();
            }
            assert!((deviation / found.deviation() - 1.0).abs() < 1e-12);
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY, 2e19] {
            assert!(WideGaussian::at_least(bad).is_err());
        }
    }

    /// Mean, variance, and shares beyond one, two and three deviations, within six standard errors.
    #[test]
    fn samples_are_gaussian() {
        let n = 1 << 16;
        for wanted in [4.0, 300.0, 1e7, 1e18] {
            let gaussian = WideGaussian::at_least(wanted).unwrap();
            let samples = gaussian.samples(&mut ChaCha20Rng::from_seed([7; 32]), n);
            let x: Vec<f64> = samples.iter().map(|x| *x as f64 / gaussian.deviation()).collect();
            let count = n as f64;
            let mean = x.iter().sum::<f64>() / count;
            let variance = x.iter().map(|x| x * x).sum::<f64>() / count;
            assert!(mean.abs() < 6.0 / count.sqrt(), "{wanted}: {mean}");
            assert!((variance - 1.0).abs() < 6.0 * (2.0 / count).sqrt(), "{wanted}: {variance}");
            assert!(x.iter().all(|x| x.abs() * gaussian.deviation() <= gaussian.bound()));
            if wanted < 100.0 {
                continue;
            }
            for (k, share) in [(1.0, 0.317_310_5), (2.0, 0.045_500_3), (3.0, 0.002_699_8)] {
                let beyond = x.iter().filter(|x| x.abs() > k).count() as f64;
                let error = 6.0 * (count * share).sqrt();
                assert!((beyond - count * share).abs() < error, "{wanted} {k}: {beyond}");
            }
            // The lowest bits are as good as any: each of eight remainders equally often.
            for remainder in 0..8 {
                let found = samples.iter().filter(|x| x.rem_euclid(8) == remainder).count() as f64;
                assert!((found - count / 8.0).abs() < 6.0 * (count / 8.0).sqrt(), "{remainder}");
            }
        }
    }
}
