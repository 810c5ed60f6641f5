//! What the numbers in profiles and journals may be: they are checked when read, before anything is computed with them.
//!
//! Every check tells what does not hold, field first.

use std::ops::RangeInclusive;

use engine::kernels::SumTerms;
use engine::params::limits;

use crate::fit::{ErrorSummary, Fit, Spread};
use crate::machine::Machine;
use engine::unit::Unit;

use crate::operation::Operation;
use crate::point::{Point, Timing};
use crate::primitive::{Primitive, Setting};
use crate::work::Feature;

/// The result of a check.
pub(crate) type Checked = Result<(), String>;

/// Largest file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 64 << 20;
/// Most threads.
pub(crate) const MAX_THREADS: usize = 1 << 16;
/// Largest number of points, samples, rotations, terms and so on.
pub(crate) const MAX_COUNT: usize = 1 << 24;
/// Longest time of one operation, in nanoseconds: a day.
pub(crate) const MAX_NS: f64 = 86_400e9;
/// Longest calibration, in seconds: a year.
pub(crate) const MAX_SECONDS: f64 = 365.0 * 86_400.0;
/// Largest cost of a unit of work, in nanoseconds: a second.
const MAX_UNIT_NS: f64 = 1e9;
/// Largest relative error or deviation.
const MAX_RELATIVE: f64 = 1e12;
/// Largest cache, in bytes.
const MAX_CACHE: u64 = 1 << 40;

/// A number in a range; never one that is not a number.
pub(crate) fn within<T: PartialOrd + std::fmt::Display>(
    field: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Checked {
    if range.contains(&value) {
        return Ok(());
    }
    Err(format!("{field} is {value}, expected {} to {}", range.start(), range.end()))
}

/// A time in nanoseconds, above zero.
pub(crate) fn time(field: &str, ns: f64) -> Checked {
    within(field, ns, f64::MIN_POSITIVE..=MAX_NS)
        .map_err(|_| format!("{field} is {ns}, expected above 0 and at most {MAX_NS} ns"))
}

/// What is checked by a method of its own, with its place before what is wrong there.
pub(crate) fn at(place: impl std::fmt::Display, checked: Checked) -> Checked {
    checked.map_err(|reason| format!("{place}: {reason}"))
}

impl Timing {
    pub(crate) fn check(&self) -> Checked {
        within("samples", self.samples, 1..=MAX_COUNT)?;
        time("median_ns", self.median_ns)?;
        time("low_quartile_ns", self.low_quartile_ns)?;
        time("high_quartile_ns", self.high_quartile_ns)
    }
}

impl Setting {
    /// Checks that the engine may have such parameters.
    pub(crate) fn check(&self) -> Checked {
        within("setting.log_n", self.log_n, limits::MIN_LOG_N..=limits::MAX_LOG_N)?;
        within("setting.level", self.level, 0..=limits::MAX_LEVELS)?;
        within("setting.special", self.special, 1..=limits::MAX_SPECIAL)?;
        let SumTerms { pairs, keys, conversions, outputs } = self.sum_terms;
        within("setting.sum_terms.pairs", pairs, 1..=MAX_COUNT)?;
        within("setting.sum_terms.keys", keys, 1..=MAX_COUNT)?;
        within("setting.sum_terms.conversions", conversions, 1..=MAX_COUNT)?;
        within("setting.sum_terms.outputs", outputs, 1..=MAX_COUNT)?;
        within("setting.key_pair_bits", self.keys.key_pair_bits, 1..=2 * u64::BITS)?;
        within("setting.alpha", self.alpha, 1..=limits::MAX_LEVELS + 1)?;
        within("setting.threads", self.threads, 1..=MAX_THREADS)
    }
}

impl Operation {
    fn check(&self) -> Checked {
        let count = |field: &str, value: usize| within(field, value, 0..=MAX_COUNT);
        match self {
            Self::Primitive(Primitive::RotateHoisted { rotations }) => {
                count("rotations", *rotations)
            }
            Self::Primitive(Primitive::SumSquares { terms, .. }) => count("terms", *terms),
            Self::Primitive(Primitive::DropLevel { to }) => {
                within("to", *to, 0..=limits::MAX_LEVELS)
            }
            Self::Primitive(Primitive::Linear(shape)) => {
                count("sources", shape.sources)?;
                count("decomposed", shape.decomposed)?;
                count("rotations", shape.rotations)?;
                count("unrotated", shape.unrotated)?;
                count("terms", shape.terms)?;
                count("plaintexts", shape.plaintexts)?;
                count("plaintext_words", shape.plaintext_words)?;
                count("outputs", shape.outputs)?;
                shape.detail.map_or(Ok(()), |detail| {
                    count("detail.keys", detail.keys)?;
                    count("detail.sums", detail.sums)?;
                    count("detail.products", detail.products)?;
                    count("detail.special_products", detail.special_products)?;
                    count("detail.special_plaintexts", detail.special_plaintexts)
                })
            }
            Self::Unit(unit) => match unit {
                Unit::KeyProduct { digits } | Unit::KeyProductHeld { digits } => {
                    count("digits", *digits)
                }
                Unit::PairSum { terms, outputs } | Unit::PeriodicPairSum { terms, outputs } => {
                    count("terms", *terms)?;
                    count("outputs", *outputs)
                }
                Unit::Conversion { rows } => count("rows", *rows),
                Unit::ForwardNtt
                | Unit::InverseNtt
                | Unit::Lift
                | Unit::Scale
                | Unit::Add
                | Unit::Fourier => Ok(()),
            },
            Self::Primitive(_) | Self::Client(_) => Ok(()),
        }
    }
}

impl Point {
    /// Checks that there is a positive time, and that the work can be counted.
    pub(crate) fn check(&self) -> Checked {
        self.setting.check()?;
        at("operation", self.operation.check())?;
        at(format!("time of {:?}", self.operation), self.time.check())
    }
}

impl Machine {
    /// Checks that there is a thread and a cache.
    pub(crate) fn check(&self) -> Checked {
        within("threads", self.threads, 1..=MAX_THREADS)?;
        within("cpus", self.cpus, 0..=MAX_THREADS)?;
        within("caches.l1_bytes", self.caches.l1_bytes, 1..=MAX_CACHE)?;
        within("caches.l2_bytes", self.caches.l2_bytes, 1..=MAX_CACHE)?;
        within("caches.l3_bytes", self.caches.l3_bytes, 1..=MAX_CACHE)
    }
}

impl ErrorSummary {
    fn check(&self) -> Checked {
        within("points", self.points, 0..=MAX_COUNT)?;
        within("median_relative", self.median_relative, 0.0..=MAX_RELATIVE)?;
        within("p90_relative", self.p90_relative, 0.0..=MAX_RELATIVE)?;
        within("max_relative", self.max_relative, 0.0..=MAX_RELATIVE)
    }
}

impl Spread {
    fn check(&self) -> Checked {
        within("points", self.points, 0..=MAX_COUNT)?;
        within("relative_deviation", self.relative_deviation, 0.0..=MAX_RELATIVE)
    }
}

impl Fit {
    /// Checks that every sort of work has a cost, some of them above zero.
    pub(crate) fn check(&self) -> Checked {
        within("threads", self.threads, 1..=MAX_THREADS)?;
        within("min_log_n", self.min_log_n, limits::MIN_LOG_N..=limits::MAX_LOG_N)?;
        within("max_log_n", self.max_log_n, self.min_log_n..=limits::MAX_LOG_N)?;
        within("last_level_bytes", self.last_level_bytes, 1..=MAX_CACHE)?;
        within("noise_relative", self.noise_relative, 0.0..=MAX_RELATIVE)?;
        for feature in Feature::ALL {
            let name = feature.unit_name();
            match self.unit_costs.get(name) {
                Some(cost) => within(name, *cost, 0.0..=MAX_UNIT_NS)?,
                None if feature.is_everywhere() => return Err(format!("no {name}")),
                None => {}
            }
        }
        let unknown = |name: &&String| Feature::ALL.iter().all(|f| f.unit_name() != name.as_str());
        if let Some(name) = self.unit_costs.keys().find(unknown) {
            return Err(format!("unit cost {name} is not known"));
        }
        if self.unit_costs.values().all(|&cost| cost == 0.0) {
            return Err("all unit costs are zero".into());
        }
        at("training", self.training.check())?;
        at("held_out", self.held_out.check())?;
        for (name, spread) in &self.families {
            at(format!("families.{name}"), spread.check())?;
        }
        for (name, summary) in &self.unseen_rings {
            at(format!("unseen_rings.{name}"), summary.check())?;
        }
        Ok(())
    }
}
