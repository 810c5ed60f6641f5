//! How far other work on the machine disturbed a measurement.

use std::iter::Sum;

use costmodel::load::DISTURBED_SHARE;
use serde::{Deserialize, Serialize};

use crate::runs::execute::Sample;

/// How many of some images other work disturbed: took from them a fiftieth or more of the processor time that they wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disturbance {
    /// Images.
    pub images: usize,
    /// How often one was run again for that.
    pub repeated: usize,
    /// Images disturbed each time, whose least disturbed time counts.
    pub disturbed: usize,
    /// Images of which the system does not tell.
    pub unknown: usize,
}

impl Disturbance {
    /// Counts samples.
    pub fn of(samples: &[Sample]) -> Self {
        let one = |sample: &Sample| Self {
            images: 1,
            repeated: sample.repeats,
            disturbed: usize::from(sample.load.is_some_and(|load| load.is_disturbed())),
            unknown: usize::from(sample.load.is_none()),
        };
        samples.iter().map(one).sum()
    }

    /// In words.
    pub fn describe(&self) -> String {
        let Self { images, repeated, disturbed, unknown } = *self;
        let told =
            format!("{repeated} images repeated as disturbed, {disturbed} of {images} remained so");
        match unknown {
            0 => told,
            _ if unknown == images => {
                "this system does not tell whether it disturbed images".into()
            }
            _ => format!("{told}, unknown of {unknown}"),
        }
    }

    /// That times are not to be relied on, if so.
    pub fn warning(&self) -> Option<String> {
        (self.disturbed > 0).then(|| {
            format!(
                "BUSY MACHINE: in {} of {} images, other work took {:.0} % or more of the processor time wanted, and measured \
                 times are longer by that; repeat this when the machine is idle",
                self.disturbed,
                self.images,
                100.0 * DISTURBED_SHARE
            )
        })
    }
}

impl Sum for Disturbance {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            images: a.images + b.images,
            repeated: a.repeated + b.repeated,
            disturbed: a.disturbed + b.disturbed,
            unknown: a.unknown + b.unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_told_and_an_idle_one_not() {
        let quiet = Disturbance { images: 5, repeated: 2, ..Disturbance::default() };
        let busy = Disturbance { images: 4, repeated: 4, disturbed: 3, unknown: 0 };
        let unknown = Disturbance { images: 2, unknown: 2, ..Disturbance::default() };
        assert_eq!((quiet.warning(), unknown.warning()), (None, None));
        assert_eq!(quiet.describe(), "2 images repeated as disturbed, 0 of 5 remained so");
        assert!(unknown.describe().contains("does not tell"));
        let all = [quiet, busy, unknown].into_iter().sum::<Disturbance>();
        let warning = all.warning().unwrap();
        assert!(warning.starts_with("BUSY MACHINE: in 3 of 11 images"), "{warning}");
        assert!(all.describe().ends_with("unknown of 2"));
    }
}
