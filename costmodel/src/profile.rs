//! The result of a calibration, in a file.
//!
//! A profile is TOML with units in every name. It says on what machine it was measured, when, and with which revision of
//! the program; it holds the raw points as well as the fit, so that a better fit can be made of it later.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::check::{Checked, MAX_FILE, MAX_SECONDS, at, within};
use crate::error::{Error, Result};
use crate::fit::{self, Fit};
use crate::machine::Machine;
use crate::measure::Measurements;
use crate::point::Point;
use crate::probe::Probe;

/// Version of the format; it changes when the meaning of a field or of the work counts does.
pub const VERSION: u32 = 1;

/// Largest load average.
const MAX_LOAD: f64 = 1e9;

/// Everything a calibration found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Format version.
    pub version: u32,
    /// When the calibration ended, RFC 3339, UTC.
    pub date: String,
    /// Revision of the program, as the caller knows it.
    pub revision: String,
    /// Name of the measurement plan.
    pub plan: String,
    /// Load average of the minute before the calibration began; 0 on a quiet machine.
    pub load_average: f64,
    /// How long the calibration took, in seconds.
    pub duration_seconds: f64,
    /// The machine.
    pub machine: Machine,
    /// The probe at calibration, one for each thread count.
    pub probes: Vec<Probe>,
    /// Unit costs, one set for each thread count.
    pub fits: Vec<Fit>,
    /// The measurements.
    pub points: Vec<Point>,
}

impl Profile {
    /// Fits measurements and describes them.
    ///
    /// # Errors
    /// [`Error::Fit`] when they are too few.
    pub fn new(measurements: Measurements, revision: &str) -> Result<Self> {
        let fits = fit::fit(&measurements.points, &measurements.machine.caches)?;
        Ok(Self {
            version: VERSION,
            date: rfc3339(SystemTime::now()),
            revision: revision.into(),
            plan: measurements.plan,
            load_average: measurements.load_average,
            duration_seconds: measurements.duration.as_secs_f64(),
            machine: measurements.machine,
            probes: measurements.probes,
            fits,
            points: measurements.points,
        })
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Version`]; [`Error::Format`] for more than 64 MiB, for anything that is not a profile or
    /// contradicts itself, and for numbers that no measurement gives: infinite ones and those that are none, times above a
    /// day, unit costs above a second, counts above 2^24, more than 2^16 threads, and parameters beyond the engine's limits.
    pub fn load(path: &Path) -> Result<Self> {
        let format = |reason: String| Error::Format { path: path.into(), reason };
        let mut text = String::new();
        fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
            .map_err(Error::io(path))?;
        if text.len() as u64 > MAX_FILE {
            return Err(format(format!("it is longer than {MAX_FILE} bytes")));
        }
        // The version comes first: another version's fields may differ.
        let header: Header = toml::from_str(&text).map_err(|e| format(e.to_string()))?;
        if header.version != VERSION {
            return Err(Error::Version {
                path: path.into(),
                found: header.version,
                expected: VERSION,
            });
        }
        let profile: Self = toml::from_str(&text).map_err(|e| format(e.to_string()))?;
        profile.check().map_err(format)?;
        Ok(profile)
    }

    /// Writes the profile: to a neighbouring file first, renamed when complete, so that no reader ever sees a part.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Inconsistent`] for a profile that could not be read again.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.check().map_err(Error::Inconsistent)?;
        let text = toml::to_string(self).map_err(|e| Error::Inconsistent(e.to_string()))?;
        let temporary = temporary_name(path);
        let written = fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, path));
        written.map_err(|source| {
            // The temporary file may not even exist; the first failure is the one to tell.
            let _ = fs::remove_file(&temporary);
            Error::Io { path: path.into(), source }
        })
    }

    /// Checks that the parts agree; tells what does not.
    fn check(&self) -> Checked {
        within("load_average", self.load_average, 0.0..=MAX_LOAD)?;
        within("duration_seconds", self.duration_seconds, 0.0..=MAX_SECONDS)?;
        at("machine", self.machine.check())?;
        for (i, probe) in self.probes.iter().enumerate() {
            at(format!("probes[{i}]"), probe.check())?;
        }
        if self.fits.is_empty() {
            return Err("no fit".into());
        }
        for (i, fit) in self.fits.iter().enumerate() {
            at(format!("fits[{i}] (threads = {})", fit.threads), fit.check())?;
        }
        if self.fits.windows(2).any(|pair| pair[0].threads >= pair[1].threads) {
            return Err("fits are not ordered by thread count".into());
        }
        for (i, point) in self.points.iter().enumerate() {
            at(format!("points[{i}]"), point.check())?;
        }
        Ok(())
    }

    /// The probe made at calibration with a number of threads.
    pub fn probe(&self, threads: usize) -> Option<&Probe> {
        self.probes.iter().find(|p| p.threads == threads)
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Header {
    version: u32,
}

/// A name beside `path` that no other process uses.
fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

/// A time as RFC 3339, in UTC, to the second.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days as i64);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Year, month and day of a number of days since 1970-01-01 (Howard Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59Z");
    }

    #[test]
    fn temporary_files_are_neighbours() {
        let name = temporary_name(Path::new("profiles/a.toml"));
        assert_eq!(name.parent(), Some(Path::new("profiles")));
        assert_ne!(name, Path::new("profiles/a.toml"));
    }
}
