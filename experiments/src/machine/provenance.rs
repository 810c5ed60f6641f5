//! Where a result comes from: program, machine, time and command line.

use std::ffi::OsString;
use std::time::{SystemTime, UNIX_EPOCH};

use costmodel::{Machine, ThreadsBy};
use serde::Serialize;

/// The revision that this program was built from; `unknown` outside a git checkout.
pub const REVISION: &str = env!("SPENCNN_REVISION");

/// What a report says about its making.
#[derive(Debug, Clone, Serialize)]
pub struct Provenance {
    /// Revision of the program.
    pub revision: String,
    /// When, in UTC (`2026-01-31T12:00:00Z`).
    pub date: String,
    /// Command line.
    pub command: String,
    /// CPU model.
    pub cpu: String,
    /// Instruction set of the engine's kernels.
    pub isa: String,
    /// Hardware threads that this process found.
    pub machine_threads: usize,
    /// What that number was found by.
    pub machine_threads_by: ThreadsBy,
    /// CPUs of the machine that are switched on, whoever may use them; 0 where the system does not tell.
    pub machine_cpus: usize,
    /// Memory of the machine.
    pub machine_memory_bytes: u64,
    /// First-level data cache of a core.
    pub l1_bytes: u64,
    /// Second-level cache of a core.
    pub l2_bytes: u64,
    /// Last-level cache.
    pub l3_bytes: u64,
    /// File name of the calibration profile used, if any.
    pub profile: Option<String>,
    /// Seed of everything random but the encryption itself, which is never seeded.
    pub seed: u64,
}

impl Provenance {
    /// The provenance of a result made now by this process.
    pub fn now(profile: Option<String>, seed: u64) -> Self {
        let machine = Machine::detect();
        Self {
            revision: REVISION.into(),
            date: date(SystemTime::now()),
            command: command_line(),
            cpu: machine.cpu,
            isa: machine.isa,
            machine_threads: machine.threads,
            machine_threads_by: machine.threads_by,
            machine_cpus: machine.cpus,
            machine_memory_bytes: machine.memory_bytes,
            l1_bytes: machine.caches.l1_bytes,
            l2_bytes: machine.caches.l2_bytes,
            l3_bytes: machine.caches.l3_bytes,
            profile: profile.map(|path| file_name(&path)),
            seed,
        }
    }
}

/// The last part of a path.
fn file_name(path: &str) -> String {
    std::path::Path::new(path)
        .file_name()
        .map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The arguments of this process, the program by its name alone.
fn command_line() -> String {
    shown(std::env::args_os())
}

/// Arguments as text, the program by its name alone. Bytes that are no UTF-8 show as replacement characters.
fn shown(arguments: impl Iterator<Item = OsString>) -> String {
    let rest = arguments.skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("spencnn".to_owned()).chain(rest).collect::<Vec<_>>().join(" ")
}

/// A time in UTC, to the second.
pub fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil((seconds / 86_400) as i64);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a number of days since 1970-01-01 (Hinnant, "chrono-compatible date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59Z");
    }

    #[test]
    fn revision_is_never_empty() {
        assert!(!REVISION.is_empty());
    }
}
