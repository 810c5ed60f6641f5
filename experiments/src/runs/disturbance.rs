//! How far other work on the machine disturbed a measurement.

use std::iter::Sum;

use costmodel::load::pace::DISTURBED_PACE;
use costmodel::load::{DISTURBED_SHARE, Loaded};
use serde::{Deserialize, Serialize};

use crate::runs::execute::Sample;

/// How many of some images other work disturbed: took from them a fiftieth or more of the processor time that they wanted, or
/// slowed their cores.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Disturbance {
    /// Images.
    pub images: usize,
    /// How often one was run again for that.
    pub repeated: usize,
    /// Images disturbed each time, whose least disturbed time was kept.
    pub disturbed: usize,
    /// Images of which the system does not tell whether their threads waited.
    pub unknown: usize,
    /// Sum over the images of how many times as long their cores took for the same as undisturbed ones, 1 each at least.
    #[serde(default)]
    pub paces: f64,
}

impl Disturbance {
    /// Counts samples.
    pub fn of(samples: &[Sample]) -> Self {
        let one = |sample: &Sample| Self {
            images: 1,
            repeated: sample.repeats,
            disturbed: usize::from(sample.load().is_disturbed()),
            unknown: usize::from(sample.load().waits.is_none()),
            paces: sample.load().pace.relative(),
        };
        samples.iter().map(one).sum()
    }

    /// How many times as long cores took for the same as undisturbed ones, on average.
    pub fn pace(&self) -> f64 {
        (self.paces / self.images.max(1) as f64).max(1.0)
    }

    /// In words.
    pub fn describe(&self) -> String {
        let Self { images, repeated, disturbed, unknown, .. } = *self;
        let unknown = match unknown {
            0 => String::new(),
            _ if unknown == images => "; this system does not tell whether threads waited".into(),
            _ => format!("; whether threads waited is unknown of {unknown}"),
        };
        format!(
            "{repeated} images repeated as disturbed, {disturbed} of {images} remained so; cores took {:.2} times as long as \
             undisturbed ones{unknown}",
            self.pace()
        )
    }

    /// That times are not to be relied on, if so.
    pub fn warning(&self) -> Option<String> {
        (self.disturbed > 0).then(|| {
            format!(
                "BUSY MACHINE: in {} of {} images, other work took {:.0} % or more of the processor time wanted, or slowed cores by \
                 {:.0} % or more; medians are those of the other images where there are any, but repeat this when the machine is idle",
                self.disturbed,
                self.images,
                100.0 * DISTURBED_SHARE,
                100.0 * (DISTURBED_PACE - 1.0)
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
            paces: a.paces + b.paces,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_told_and_an_idle_one_not() {
        let quiet = Disturbance { images: 5, repeated: 2, paces: 5.0, ..Disturbance::default() };
        let busy = Disturbance { images: 4, repeated: 4, disturbed: 3, unknown: 0, paces: 6.0 };
        let unknown = Disturbance { images: 2, unknown: 2, paces: 2.0, ..Disturbance::default() };
        assert_eq!((quiet.warning(), unknown.warning()), (None, None));
        let expected = "2 images repeated as disturbed, 0 of 5 remained so; cores took 1.00 times as long as undisturbed ones";
        assert_eq!(quiet.describe(), expected);
        assert!(unknown.describe().contains("does not tell"));
        let all = [quiet, busy, unknown].into_iter().sum::<Disturbance>();
        let warning = all.warning().unwrap();
        assert!(warning.starts_with("BUSY MACHINE: in 3 of 11 images"), "{warning}");
        assert!(
            all.describe().contains("took 1.18 times") && all.describe().ends_with("unknown of 2")
        );
        // A record without paces.
        assert_eq!(Disturbance { images: 2, ..Disturbance::default() }.pace(), 1.0);
    }
}
