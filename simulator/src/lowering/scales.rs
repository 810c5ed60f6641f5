//! Which scale each linear stage's result, and that of each quadratic kept as it is, gets when squares are not all rescaled.
//!
//! A linear stage takes its input at twice (in bits) the scale `s'` of the stage before, multiplies by weights at scale `w` and
//! divides by a prime `q`: in bits, `s = 2 s' + w - q`. So once the scale of the last result is fixed by the first prime, every stage
//! has one choice: how to share `s + q = 2 s' + w` between its weights and the values before the square. Roundings depend on it:
//! - that of the rescale before the square, `r = sqrt(N (2N/3 + 1) / 12) / 2^s'` a slot, which reaches the result as
//!   `sqrt(t) W 2 u sqrt(p) r` (t weights a result of root mean square W, values u squared, p of them summed by a pool);
//! - that of the encoded weights, `e = sqrt(N / 12) / 2^w` a slot, which reaches it as `sqrt(t) v e` (inputs v);
//! - where the square is rescaled by a prime `q'`, that rescale's at the scale `2 s' - q'`, as `sqrt(t) W sqrt(p)` times it; then
//!   `s + q + q' = 2 s' + w`.
//!
//! A quadratic `a x^2 + b x + c` rounds its square, and encodes `a` and `b`, at scales that follow from that of `x` and its own.
//! The sum of the squares of these errors is least at one `s'`; for two of them, `a` and `b` being the base-2 logarithms of the
//! factors without the scales, at `(s + q + a - b - 1/2) / 3`. Values and weights enter by their sizes only, so any gain of a
//! folded network cancels.

use crate::chain::Chain;
use crate::config::{SCALES_MILLIBITS, ScalePlan};
use crate::fold::{Folded, Origin, Stage, StageKind, Statistics};
use crate::program::room::MARGIN_BITS;
use crate::{Error, Result};

/// Room left above the largest value seen, in bits: what is asked of a program, and a little, as scales are rounded and
/// primes lie beside their nominal sizes.
const HEADROOM_BITS: f64 = MARGIN_BITS + 0.01;
/// Room left above a known bound of the results, in bits: primes lie a little beside their nominal sizes.
const BOUND_HEADROOM_BITS: f64 = 1.0;

impl ScalePlan {
    /// Plans the scales of `folded`, whose squares are not all rescaled, for a chain. `beside` is the largest that a slot of the
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
        let bits: Vec<f64> = chain.moduli.iter().map(|q| q.log2()).collect();
        let depths = folded.depths();
        let errors = Errors {
            folded,
            statistics,
            depths: &depths,
            bits: &bits,
            rounding: Rounding::new(chain),
        };
        let stages = &folded.stages;
        let mut scales: Vec<Option<f64>> = vec![None; stages.len()];
        let mut image = None;
        for k in (0..stages.len()).rev() {
            if !is_planned(&stages[k]) {
                continue;
            }
            if depths[k] >= bits.len() {
                return Err(Error::Configuration(format!(
                    "layer {:?} needs level {}, the chain has {}",
                    stages[k].name,
                    depths[k],
                    chain.levels()
                )));
            }
            // What nothing reads is the result.
            let scale = *scales[k]
                .get_or_insert_with(|| bits[0] - 1.0 - largest_result(folded, statistics, beside));
            for part in 0..stages[k].sources.len() {
                let way = Way::to(folded, k, part);
                let Some(before) = way.planned else {
                    // The image's scale costs nothing: half for it, half for the weights.
                    image.get_or_insert((scale + bits[depths[k]]) / 2.0);
                    continue;
                };
                if scales[before].is_some() {
                    continue;
                }
                let shared = errors.share(scale, (k, part), &way);
                scales[before] = Some(shared);
                let size = statistics.stages[before].max.max(1e-12).log2();
                let (level, squared) = match way.squares.last() {
                    Some(first) => (depths[*first], 2.0 * (shared + size)),
                    None => (depths[k], shared + size),
                };
                let room: f64 = bits[..=level].iter().sum::<f64>() - 1.0 - HEADROOM_BITS;
                if squared > room {
                    return Err(Error::Configuration(format!(
                        "the square before layer {:?} needs {squared:.0} bits and level {level} has room for {room:.0}: \
                         use a larger first prime or smaller ones above",
                        stages[k].name
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

/// Whether the scale of a stage's result can be chosen.
fn is_planned(stage: &Stage) -> bool {
    matches!(stage.kind, StageKind::Linear(_) | StageKind::Quadratic(_))
}

/// The way back from a part of a planned stage to the planned stage before it.
struct Way {
    /// That stage; none if it is the image.
    planned: Option<usize>,
    /// The stage whose result the part reads; none if it is the image.
    source: Option<usize>,
    /// The squares on the way, the last one first.
    squares: Vec<usize>,
    /// Values summed by pools on the way.
    summed: usize,
}

/// The number of a stage; none for the image.
fn number(origin: Origin) -> Option<usize> {
    match origin {
        Origin::Image => None,
        Origin::Stage(k) => Some(k),
    }
}

impl Way {
    fn to(folded: &Folded, stage: usize, part: usize) -> Self {
        let source = number(folded.stages[stage].sources[part]);
        let mut way = Self { planned: source, source, squares: Vec::new(), summed: 1 };
        while let Some(k) = way.planned {
            match &folded.stages[k].kind {
                StageKind::Linear(_) | StageKind::Quadratic(_) => break,
                StageKind::SumPool { kernel, .. } => way.summed *= kernel.0 * kernel.1,
                StageKind::Square { .. } => way.squares.push(k),
            }
            way.planned = number(folded.stages[k].sources[0]);
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
}

/// An error of a stage's result that depends on the scale `2^s` of the stage before: `2^(bits - slope s)`.
struct Term {
    bits: f64,
    slope: f64,
}

impl Term {
    /// An error of `size` times a rounding (`rounding` its logarithm) at the scale `2^(slope s + offset)`.
    fn new(size: f64, rounding: f64, slope: f64, offset: f64) -> Self {
        Self { bits: size.max(1e-12).log2() + rounding - offset, slope }
    }
}

/// What the errors of a planned stage's results depend on.
struct Errors<'a> {
    folded: &'a Folded,
    statistics: &'a Statistics,
    depths: &'a [usize],
    bits: &'a [f64],
    rounding: Rounding,
}

impl Errors<'_> {
    /// Scale of the stage before, as a base-2 logarithm, for a result of `2^scale`.
    fn share(&self, scale: f64, (stage, part): (usize, usize), way: &Way) -> f64 {
        let Rounding { rescale, encoding } = self.rounding;
        let (stages, level) = (&self.folded.stages, self.depths[stage]);
        let size =
            |k: Option<usize>| k.map_or(self.statistics.image, |k| self.statistics.stages[k]).rms;
        let value = size(way.source);
        // Scales are 2^(slope s + offset): that of the stage before, then that after each square. Every rescale on the way makes
        // an error, which the squares after it multiply.
        let (mut slope, mut offset) = (1.0, 0.0);
        let mut read = vec![(1.0, slope, offset)];
        for &k in way.squares.iter().rev() {
            let root = size(number(stages[k].sources[0]));
            read.iter_mut().for_each(|(error, _, _)| *error *= 2.0 * root);
            (slope, offset) = (2.0 * slope, 2.0 * offset);
            if stages[k].levels() > 0 {
                offset -= self.bits[self.depths[k]];
                read.push((1.0, slope, offset));
            }
        }
        let (gain, mut terms) = match &stages[stage].kind {
            StageKind::Quadratic(q) => {
                let (a, b) = (rms(q.a.iter()), rms(q.b.iter()));
                // The square loses one prime, the sum of the products the next.
                let product = scale + self.bits[level - 1];
                let (twice, less) = (2.0 * slope, 2.0 * offset - self.bits[level]);
                let terms = vec![
                    Term::new(a, rescale, twice, less),
                    Term::new(value * value, encoding, -twice, product - less),
                    Term::new(value, encoding, -slope, product - offset),
                ];
                (2.0 * a * value + b, terms)
            }
            StageKind::Linear(linear) => {
                let total = scale + self.bits[level] - offset;
                if way.squares.is_empty() {
                    return total / 2.0;
                }
                let kept = linear.parts().skip(part).take(1).flat_map(|p| &p.weights);
                let weight = rms(kept.filter(|w| **w != 0.0));
                (weight, vec![Term::new(value, encoding, -slope, total)])
            }
            StageKind::Square { .. } | StageKind::SumPool { .. } => (1.0, Vec::new()),
        };
        let summed = gain * (way.summed as f64).sqrt();
        let read = read.into_iter();
        terms.extend(
            read.map(|(error, slope, offset)| Term::new(summed * error, rescale, slope, offset)),
        );
        least(&terms)
    }
}

/// Root mean square; zero of none.
fn rms<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), v| (sum + v * v, count + 1));
    (sum / count.max(1) as f64).sqrt()
}

/// Where the sum of the squares of the terms is least: it is convex in `s`, and its slope is found zero by halving.
fn least(terms: &[Term]) -> f64 {
    // Logarithm of the sum of the squares times their slopes, of the terms whose slope has a sign.
    let sum = |s: f64, sign: f64| {
        let falling = terms.iter().filter(|t| t.slope * sign > 0.0);
        let each = falling.map(|t| 2.0 * (t.bits - t.slope * s) + t.slope.abs().log2());
        let each: Vec<f64> = each.collect();
        let most = each.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + each.iter().map(|e| (e - most).exp2()).sum::<f64>().log2()
    };
    let limit = |millibits: &i32| f64::from(*millibits) / 1000.0;
    let (mut low, mut high) = (limit(SCALES_MILLIBITS.start()), limit(SCALES_MILLIBITS.end()));
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        match sum(middle, 1.0) > sum(middle, -1.0) {
            true => low = middle,
            false => high = middle,
        }
    }
    (low + high) / 2.0
}

/// Halvings of the range of scales: to less than a hundredth of the precision to which plans are kept.
const HALVINGS: usize = 32;

fn millibits(bits: f64) -> Result<i32> {
    let rounded = (bits * 1000.0).round() as i32;
    if bits.is_nan() || !SCALES_MILLIBITS.contains(&rounded) {
        return Err(Error::Configuration(format!(
            "a scale of 2^{bits:.1} is of no use: use larger primes"
        )));
    }
    Ok(rounded)
}
