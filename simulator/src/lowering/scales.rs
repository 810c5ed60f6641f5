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
use crate::config::{SCALES_MILLIBITS, ScalePlan};
use crate::fold::{Folded, Origin, StageKind, Statistics};
use crate::program::room::MARGIN_BITS;
use crate::{Error, Result};

/// Room left above the largest value seen, in bits: what is asked of a program, and a little, as scales are rounded and
/// primes lie beside their nominal sizes.
const HEADROOM_BITS: f64 = MARGIN_BITS + 0.01;
/// Room left above a known bound of the results, in bits: primes lie a little beside their nominal sizes.
const BOUND_HEADROOM_BITS: f64 = 1.0;

impl ScalePlan {
    /// Plans the scales of `folded`, whose squares are not rescaled, for a chain. `beside` is the largest that a slot of the
    /// results is in absolute value which holds no result (folds leave partial sums there), or zero: it needs room as well.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the primes have no room for the values.
    pub fn new(
        folded: &Folded,
        statistics: &Statistics,
        beside: f64,
        chain: &Chain,
    ) -> Result<Self> {
        let rounding = Rounding::new(chain);
        let bits: Vec<f64> = chain.moduli.iter().map(|q| q.log2()).collect();
        let depths = folded.depths();
        let stages = &folded.stages;
        let mut scales: Vec<Option<f64>> = vec![None; stages.len()];
        let mut image = None;
        for k in (0..stages.len()).rev() {
            let StageKind::Linear(_) = &stages[k].kind else { continue };
            let Some(&q) = bits.get(depths[k]) else {
                return Err(Error::Configuration(format!(
                    "layer {:?} needs level {}, the chain has {}",
                    stages[k].name,
                    depths[k],
                    chain.levels()
                )));
            };
            // What nothing reads is the result.
            let scale = *scales[k]
                .get_or_insert_with(|| bits[0] - 1.0 - largest_result(folded, statistics, beside));
            let total = scale + q;
            for part in 0..stages[k].sources.len() {
                let way = Way::to(folded, k, part);
                let Some(before) = way.linear else {
                    // The image's scale costs nothing: half for it, half for the weights.
                    image.get_or_insert(total / f64::from(2 + way.squares));
                    continue;
                };
                if scales[before].is_some() {
                    continue;
                }
                let shared = rounding.share(folded, statistics, total, (k, part), &way);
                scales[before] = Some(shared);
                let size = statistics.stages[before].max.max(1e-12).log2();
                let squared = f64::from(1 + way.squares) * (shared + size);
                let room: f64 = bits[..=depths[k]].iter().sum::<f64>() - 1.0 - HEADROOM_BITS;
                if squared > room {
                    return Err(Error::Configuration(format!(
                        "the square before layer {:?} needs {squared:.0} bits and level {} has room for {room:.0}: \
                         use a larger first prime or smaller ones above",
                        stages[k].name, depths[k]
                    )));
                }
            }
        }
        let layers = stages.iter().zip(&scales);
        let layers = layers.filter_map(|(stage, scale)| {
            scale.map(|scale| Ok((stage.name.clone(), millibits(scale)?)))
        });
        let input = image.unwrap_or(chain.scale.log2());
        Ok(Self {
            input_millibits: millibits(input)?,
            layers_millibits: layers.collect::<Result<_>>()?,
        })
    }

    /// The nominal scale for all, but a smaller one for the results where these need more room than the first prime leaves
    /// them: for networks whose squares are rescaled. None where the nominal scale will do.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the first prime has no room for the results at any scale.
    pub fn nominal(
        folded: &Folded,
        statistics: &Statistics,
        beside: f64,
        chain: &Chain,
    ) -> Result<Option<Self>> {
        let room = chain.moduli[0].log2() - 1.0 - largest_result(folded, statistics, beside);
        let (nominal, last) = (chain.scale.log2(), folded.stages.last());
        let Some(last) = last.filter(|s| room < nominal && matches!(s.kind, StageKind::Linear(_)))
        else {
            return Ok(None);
        };
        let of = |name: &str| if name == last.name { room } else { nominal };
        let layers = folded.linear().map(|(name, _)| Ok((name.to_owned(), millibits(of(name))?)));
        Ok(Some(Self {
            input_millibits: millibits(nominal)?,
            layers_millibits: layers.collect::<Result<_>>()?,
        }))
    }
}

/// Base-2 logarithm of the room that results need: of their bound, or what was seen of them, and of what lies beside.
fn largest_result(folded: &Folded, statistics: &Statistics, beside: f64) -> f64 {
    let results = match folded.stages.last().and_then(|s| s.bound) {
        Some(bound) => bound.log2() + BOUND_HEADROOM_BITS,
        None => {
            let seen = statistics.stages.last().map_or(1.0, |s| s.max);
            seen.max(f64::MIN_POSITIVE).log2() + HEADROOM_BITS
        }
    };
    if beside > 0.0 { results.max(beside.log2() + HEADROOM_BITS) } else { results }
}

/// The way back from a part of a linear stage to the linear stage before it.
struct Way {
    /// That stage; none if it is the image.
    linear: Option<usize>,
    /// The stage whose result the part reads; none if it is the image.
    source: Option<usize>,
    /// Squares on the way: none or one.
    squares: u32,
    /// Values summed by pools on the way.
    summed: usize,
}

impl Way {
    fn to(folded: &Folded, stage: usize, part: usize) -> Self {
        let number = |origin| match origin {
            Origin::Image => None,
            Origin::Stage(k) => Some(k),
        };
        let source = number(folded.stages[stage].sources[part]);
        let mut way = Self { linear: source, source, squares: 0, summed: 1 };
        while let Some(k) = way.linear {
            match &folded.stages[k].kind {
                StageKind::Linear(_) => break,
                StageKind::SumPool { kernel, .. } => way.summed *= kernel * kernel,
                StageKind::Square { .. } | StageKind::Quadratic(_) => way.squares += 1,
            }
            way.linear = number(folded.stages[k].sources[0]);
        }
        way
    }
}

/// Base-2 logarithms of the roundings of a ring degree, in slots at scale one.
struct Rounding {
    rescale: f64,
    encoding: f64,
}

impl Rounding {
    fn new(chain: &Chain) -> Self {
        let n = 2.0 * chain.slots as f64;
        Self {
            rescale: (n * (2.0 * n / 3.0 + 1.0) / 12.0).log2() / 2.0,
            encoding: (n / 12.0).log2() / 2.0,
        }
    }

    /// Scale of the stage before, of `total` bits that it (twice, if it is squared) and the weights have together.
    fn share(
        &self,
        folded: &Folded,
        statistics: &Statistics,
        total: f64,
        (stage, part): (usize, usize),
        way: &Way,
    ) -> f64 {
        if way.squares == 0 {
            return total / 2.0;
        }
        let size = |k: Option<usize>| k.map_or(statistics.image, |k| statistics.stages[k]).rms;
        let weight = match &folded.stages[stage].kind {
            StageKind::Linear(linear) => {
                let kept = linear.parts().skip(part).take(1).flat_map(|p| &p.weights);
                let (sum, count) = kept
                    .filter(|w| **w != 0.0)
                    .fold((0.0, 0usize), |(sum, count), w| (sum + w * w, count + 1));
                (sum / count.max(1) as f64).sqrt()
            }
            _ => 1.0,
        };
        let a = weight * 2.0 * size(way.linear) * (way.summed as f64).sqrt();
        let a = a.max(1e-12).log2() + self.rescale;
        let b = size(way.source).max(1e-12).log2() + self.encoding;
        (total + a - b - 0.5) / 3.0
    }
}

fn millibits(bits: f64) -> Result<i32> {
    let rounded = (bits * 1000.0).round() as i32;
    if bits.is_nan() || !SCALES_MILLIBITS.contains(&rounded) {
        return Err(Error::Configuration(format!(
            "a scale of 2^{bits:.1} is of no use: use larger primes"
        )));
    }
    Ok(rounded)
}
