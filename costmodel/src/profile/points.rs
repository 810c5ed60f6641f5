//! The file of a profile's measurements: one JSON object a line.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::check::{Checked, MAX_COUNT, MAX_FILE, at, within};
use crate::error::{Error, Result};
use crate::lines::{self, for_each};
use crate::point::Point;

/// What to do about points that are not those of a profile.
const REMEDY: &str = "put its own file back, or calibrate again (predictions do without)";

/// Where the points of a profile are, and which they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsFile {
    /// Name of the file, which is in the folder of the profile.
    pub file: String,
    /// Number of its lines, each a point.
    pub lines: usize,
    /// SHA-256 of its bytes, 64 hexadecimal digits in lower case.
    pub sha256: String,
}

impl PointsFile {
    /// Checks that this is a file of the profile's own folder, with a length and a hash that can be.
    pub(super) fn check(&self) -> Checked {
        let mut parts = Path::new(&self.file).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(format!("file is {:?}, expected a name without folders", self.file));
        }
        within("lines", self.lines, 1..=MAX_COUNT)?;
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if self.sha256.len() == 64 && self.sha256.bytes().all(digit) {
            return Ok(());
        }
        Err(format!("sha256 is {:?}, expected 64 hexadecimal digits in lower case", self.sha256))
    }
}

/// The text of a file of points, and what the profile says of it; an error tells what point cannot be stored.
pub(super) fn describe(
    path: &Path,
    points: &[Point],
) -> std::result::Result<(String, PointsFile), String> {
    let mut text = String::new();
    for (i, point) in points.iter().enumerate() {
        at(format!("points[{i}]"), point.check())?;
        text.push_str(&serde_json::to_string(point).map_err(|e| e.to_string())?);
        text.push('\n');
    }
    if text.len() as u64 > MAX_FILE {
        return Err(format!("the points take {} bytes, expected at most {MAX_FILE}", text.len()));
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sha256 = hexadecimal(Sha256::new_with_prefix(&text));
    Ok((text, PointsFile { file, lines: points.len(), sha256 }))
}

/// Reads points, which must be those that `expected` tells.
pub(super) fn read(path: &Path, expected: &PointsFile) -> Result<Vec<Point>> {
    let format = |reason: String| Error::Format { path: path.into(), reason };
    let other = |what: &str, found: &dyn std::fmt::Display, expected: &dyn std::fmt::Display| {
        format(format!("{what} {found}, expected {expected} as the profile says: {REMEDY}"))
    };
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format(format!("the points of the profile are not there: {REMEDY}")),
        _ => Error::io(path)(error),
    })?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    if length > MAX_FILE {
        return Err(format(format!("{length} bytes, expected at most {MAX_FILE}")));
    }
    let (mut points, mut hash) = (Vec::new(), Sha256::new());
    for_each(path, BufReader::new(file.take(MAX_FILE)), |line| {
        hash.update(line);
        let point: Point = lines::parse(line).map_err(|fault| fault.reason)?;
        point.check()?;
        points.push(point);
        Ok(())
    })?;
    if points.len() != expected.lines {
        return Err(other("number of lines is", &points.len(), &expected.lines));
    }
    let sha256 = hexadecimal(hash);
    if sha256 != expected.sha256 {
        return Err(other("SHA-256 is", &sha256, &expected.sha256));
    }
    Ok(points)
}

/// A finished hash in lower case.
fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
