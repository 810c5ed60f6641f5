//! Which scale each linear stage's result gets when squares are not rescaled.
//!
//! A stage takes its input at twice (in bits) the scale `s'` of the stage before, multiplies by weights at scale `w` and divides by
//! a prime `q`: in bits, `s = 2 s' + w - q`. So once the scale of the last result is fixed by the first prime, every stage has one choice:
//! how to share `s + q = 2 s' + w` between its weights and the values before the square. Two roundings depend on it:
//! - that of the rescale before the square, `r = sqrt(N (2N/3 + 1) / 12) / 2^s'` a slot, which reaches the result as
//!   `sqrt(t) W 2 u sqrt(p) r` (t weights a result of root mean square W, values u squared, p of them summed by a pool);
//! - that of the encoded weights, `e = sqrt(N / 12) / 2^w` a slot, which reaches it as `sqrt(t) v e` (inputs v).
//!
//! The sum of their squares is least at `s' = (s + q + a - b - 1/2) / 3`, with `a` and `b` the base-2 logarithms of the two factors
//! without the scales. Values and weights enter by their sizes only, so any gain of a folded network cancels.

use crate::chain::Chain;
use crate::config::ScalePlan;
use crate::fold::{Folded, StageKind, Statistics};
use crate::{Error, Result};

/// Room left above the largest value seen, in bits: values up to this factor larger still decrypt.
const HEADROOM_BITS: f64 = 3.0;
/// Room left above a known bound of the results, in bits: primes lie a little beside their nominal sizes.
const BOUND_HEADROOM_BITS: f64 = 1.0;

impl ScalePlan {
    /// Plans the scales of `folded` for a chain whose level is just its number of linear stages.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the primes have no room for the values.
    pub fn new(folded: &Folded, statistics: &Statistics, chain: &Chain) -> Result<Self> {
        let n = 2.0 * chain.slots as f64;
        let rescale_rounding = (n * (2.0 * n / 3.0 + 1.0) / 12.0).log2() / 2.0;
        let encoding_rounding = (n / 12.0).log2() / 2.0;
        let linear: Vec<usize> = (0..folded.stages.len())
            .filter(|&k| matches!(folded.stages[k].kind, StageKind::Linear(_)))
            .collect();
        let bits: Vec<f64> = chain.moduli.iter().map(|q| q.log2()).collect();
        let largest = match folded.stages.last().and_then(|s| s.bound) {
            Some(bound) => bound.log2() + BOUND_HEADROOM_BITS,
            None => {
                let seen = statistics.stages.last().map_or(1.0, |s| s.max);
                seen.max(f64::MIN_POSITIVE).log2() + HEADROOM_BITS
            }
        };
        let mut scale = bits[0] - 1.0 - largest;
        let mut layers = Vec::with_capacity(linear.len());
        for (depth, &k) in linear.iter().enumerate().rev() {
            let level = linear.len() - depth;
            let Some(&q) = bits.get(level) else {
                return Err(Error::Configuration(format!(
                    "{} linear layers need {} levels, the chain has {}",
                    linear.len(),
                    linear.len(),
                    chain.levels()
                )));
            };
            layers.push((folded.stages[k].name.clone(), millibits(scale)?));
            let total = scale + q;
            if depth == 0 {
                // The image's scale costs nothing: half for it, half for the weights.
                scale = total / 2.0;
                break;
            }
            let before = linear[depth - 1];
            let StageKind::Linear(stage) = &folded.stages[k].kind else { continue };
            let kept: Vec<f64> =
                stage.weights.iter().filter(|w| **w != 0.0).map(|w| w * w).collect();
            let weight = (kept.iter().sum::<f64>() / kept.len().max(1) as f64).sqrt();
            let summed: usize = folded.stages[before..k]
                .iter()
                .map(|s| {
                    if let StageKind::SumPool { kernel, .. } = s.kind { kernel * kernel } else { 1 }
                })
                .product();
            let value = statistics.stages[before].rms;
            let a = (weight * 2.0 * value * (summed as f64).sqrt()).max(1e-12).log2()
                + rescale_rounding;
            let b = statistics.stages[k - 1].rms.max(1e-12).log2() + encoding_rounding;
            scale = (total + a - b - 0.5) / 3.0;
            let squared = 2.0 * scale + 2.0 * statistics.stages[before].max.max(1e-12).log2();
            let room: f64 = bits[..=level].iter().sum::<f64>() - 1.0 - HEADROOM_BITS;
            if squared > room {
                return Err(Error::Configuration(format!(
                    "the square before layer {:?} needs {squared:.0} bits and level {level} has room for {room:.0}: \
                     use a larger first prime or smaller ones above",
                    folded.stages[k].name
                )));
            }
        }
        layers.reverse();
        Ok(Self { input_millibits: millibits(scale)?, layers_millibits: layers })
    }
}

fn millibits(bits: f64) -> Result<u32> {
    if !(8.0..200.0).contains(&bits) {
        return Err(Error::Configuration(format!(
            "a scale of 2^{bits:.1} is of no use: use larger primes"
        )));
    }
    Ok((bits * 1000.0).round() as u32)
}
