//! The result of a calibration, in two files.
//!
//! `NAME.toml` is for people and for predictions. It says on what machine it was measured, when, and with which revision
//! of the program, and holds the fit, with units in every name. `NAME.points.jsonl` beside it has the measurements, one a
//! line, so that a better fit can be made of them later; nothing else needs it. The first names the second, with its number
//! of lines and its SHA-256, so that files of different calibrations are told from each other.

mod points;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

pub use points::PointsFile;

use crate::check::{Checked, MAX_FILE, MAX_SECONDS, at, within};
use crate::error::{Error, Result};
use crate::fit::{self, Fit};
use crate::load::pace::Pace;
use crate::machine::Machine;
use crate::measure::Measurements;
use crate::point::Point;

/// Version of the format; it changes when the meaning of a field or of the work counts does.
pub const VERSION: u32 = 5;

/// The oldest version whose points mean what those of this one do: they can be fitted again.
const OLDEST_POINTS: u32 = 2;

/// Since this version points say what sums of products hold, and with these kernels that matters: they reduce sums every few terms.
const SUMS_SAID: (u32, [&str; 2]) = (4, ["avx2", "avx512"]);

/// Largest load average.
const MAX_LOAD: f64 = 1e9;

/// Everything a calibration found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Format version.
    pub version: u32,
    /// When the calibration ended, RFC 3339, UTC.
    pub date: String,
    /// Revision of the program that measured, as the caller knows it.
    pub revision: String,
    /// Revision that fitted unit costs to the measurements again, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refitted_by: Option<String>,
    /// Name of the measurement plan.
    pub plan: String,
    /// Load average of the minute before the calibration began; 0 on a quiet machine.
    pub load_average: f64,
    /// Share of the points that other work disturbed each time ([`crate::load`]): about the least disturbed times count there.
    #[serde(default)]
    pub disturbed_share: f64,
    /// How long the calibration took, in seconds.
    pub duration_seconds: f64,
    /// The machine.
    pub machine: Machine,
    /// How fast undisturbed cores were, for each thread count; none of those that measured before this was looked at.
    #[serde(default)]
    pub paces: Vec<Pace>,
    /// Where the measurements are: none until the profile is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsFile>,
    /// Unit costs, one set for each thread count.
    pub fits: Vec<Fit>,
}

impl Profile {
    /// Fits measurements and describes them. [`Self::save`] takes their points.
    ///
    /// # Errors
    /// [`Error::Fit`] when they are too few.
    pub fn new(measurements: &Measurements, revision: &str) -> Result<Self> {
        let fits = fit::fit(&measurements.points, &measurements.machine.caches)?;
        Ok(Self {
            version: VERSION,
            date: rfc3339(SystemTime::now()),
            revision: revision.into(),
            refitted_by: None,
            plan: measurements.plan.clone(),
            load_average: measurements.load_average,
            disturbed_share: measurements.disturbed_share,
            duration_seconds: measurements.duration.as_secs_f64(),
            machine: measurements.machine.clone(),
            paces: measurements.paces.clone(),
            points: None,
            fits,
        })
    }

    /// Reads a profile, and not its points.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Version`]; [`Error::Format`] for more than 64 MiB, for anything that is not a profile or
    /// contradicts itself, and for numbers that no measurement gives: infinite ones and those that are none, times above a
    /// day, unit costs above a second, counts above 2^24, more than 2^16 threads, and parameters beyond the engine's limits.
    pub fn load(path: &Path) -> Result<Self> {
        Self::read(path, VERSION)
    }

    /// Reads a profile of this version or of an earlier one, and fits unit costs to its points as this program counts their
    /// work. Nothing is measured. [`Self::save`] takes the points.
    ///
    /// # Errors
    /// Those of [`Self::load`], [`Self::load_points`] and [`fit::fit`]; [`Error::Version`] for points that leave out what their
    /// kernels' work depends on.
    pub fn refit(path: &Path, revision: &str) -> Result<(Self, Vec<Point>)> {
        let old = Self::read(path, OLDEST_POINTS)?;
        let (since, kernels) = SUMS_SAID;
        if old.version < since && kernels.contains(&old.machine.isa.as_str()) {
            return Err(of_version(path, old.version, false));
        }
        let points = old.load_points(path)?;
        let fits = fit::fit(&points, &old.machine.caches)?;
        let refitted = Self { version: VERSION, refitted_by: Some(revision.into()), fits, ..old };
        refitted.check().map_err(|reason| Error::Format { path: path.into(), reason })?;
        Ok((refitted, points))
    }

    /// Reads a profile of this version, or of an earlier one from `oldest` on, whose unit costs may be of other sorts of work and are
    /// not checked.
    fn read(path: &Path, oldest: u32) -> Result<Self> {
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
        if !(oldest..=VERSION).contains(&header.version) {
            let refits = (OLDEST_POINTS..VERSION).contains(&header.version);
            return Err(of_version(path, header.version, refits));
        }
        let profile: Self = toml::from_str(&text).map_err(|e| format(e.to_string()))?;
        let check = if profile.version == VERSION { Self::check } else { Self::check_origin };
        check(&profile).map_err(format)?;
        Ok(profile)
    }

    /// Reads the points of a profile that was read from `path`, or saved there.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] for a profile that has not been saved; [`Error::Io`]; [`Error::Format`], with the line and the
    /// field, for a file that is missing, longer than 64 MiB, has other lines than the profile says, or points with
    /// numbers that [`Self::load`] would refuse.
    pub fn load_points(&self, path: &Path) -> Result<Vec<Point>> {
        let unsaved = || Error::Inconsistent("it has no file of points: save it first".into());
        let file = self.points.as_ref().ok_or_else(unsaved)?;
        points::read(&path.with_file_name(&file.file), file)
    }

    /// The file that the points of a profile at `path` are written to: `NAME.points.jsonl` for `NAME.toml`.
    ///
    /// # Errors
    /// [`Error::Format`] for a path without a name, or with one that cannot be written in the profile as it is no UTF-8.
    pub fn points_path(path: &Path) -> Result<PathBuf> {
        let found = path.with_extension("points.jsonl");
        match found.file_name() {
            Some(name) if path.file_name().is_some() && name.to_str().is_some() => Ok(found),
            _ => Err(Error::Format {
                path: path.into(),
                reason: "a profile needs a file name, in UTF-8: choose another one".into(),
            }),
        }
    }

    /// Writes the profile to `path` and the points that it was fitted to beside it, and remembers where they are. Both go to
    /// temporary files first and are renamed when complete, the points before the profile: no reader ever sees a part, and
    /// if only the points came to be renamed, the profile before them does not take them for its own.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] as of [`Self::points_path`]; [`Error::Inconsistent`] for a profile or points that
    /// could not be read again.
    pub fn save(&mut self, path: &Path, points: &[Point]) -> Result<()> {
        let beside = Self::points_path(path)?;
        for file in [path, &beside] {
            if fs::metadata(file).is_ok_and(|found| !found.is_file()) {
                let reason = "it is no regular file: choose another name for the profile".into();
                return Err(Error::Format { path: file.into(), reason });
            }
        }
        let (lines, file) = points::describe(&beside, points).map_err(Error::Inconsistent)?;
        let saved = Self { points: Some(file), ..self.clone() };
        saved.check().map_err(Error::Inconsistent)?;
        let text = toml::to_string(&saved).map_err(|e| Error::Inconsistent(e.to_string()))?;
        let lines = complete(&beside, lines.as_bytes()).map_err(Error::io(&beside))?;
        let profile = complete(path, text.as_bytes()).map_err(Error::io(path))?;
        lines.persist(&beside).map_err(|e| Error::io(&beside)(e.error))?;
        profile.persist(path).map_err(|e| Error::io(path)(e.error))?;
        *self = saved;
        Ok(())
    }

    /// Checks what says where and when it was measured.
    fn check_origin(&self) -> Checked {
        within("load_average", self.load_average, 0.0..=MAX_LOAD)?;
        within("disturbed_share", self.disturbed_share, 0.0..=1.0)?;
        self.paces.iter().try_for_each(|pace| at("paces", pace.check()))?;
        within("duration_seconds", self.duration_seconds, 0.0..=MAX_SECONDS)?;
        at("machine", self.machine.check())
    }

    /// Checks that the parts agree; tells what does not.
    fn check(&self) -> Checked {
        self.check_origin()?;
        if self.fits.is_empty() {
            return Err("no fit".into());
        }
        for (i, fit) in self.fits.iter().enumerate() {
            at(format!("fits[{i}] (threads = {})", fit.threads), fit.check())?;
        }
        if self.fits.windows(2).any(|pair| pair[0].threads >= pair[1].threads) {
            return Err("fits are not ordered by thread count".into());
        }
        match &self.points {
            Some(file) => at("points", file.check()),
            None => Err("no points: expected a table with file, lines and sha256".into()),
        }
    }
}

/// The error of a profile of another version, whose measurements can be fitted again or not.
fn of_version(path: &Path, found: u32, refits: bool) -> Error {
    Error::Version { path: path.into(), found, expected: VERSION, refits }
}

/// What every version has.
#[derive(Deserialize)]
struct Header {
    version: u32,
}

/// A temporary file beside `path` that is complete and on the disk; it goes if it is not renamed.
fn complete(path: &Path, bytes: &[u8]) -> std::io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // As for any new file; without this, only its owner may read a temporary one.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
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
}
