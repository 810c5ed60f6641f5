//! JSON-lines journal of evaluated points: a search resumes from it, and those of shards are merged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use costmodel::lines::Lines;
use serde::{Deserialize, Serialize};

use super::evaluate::Evaluated;
use super::obstacle::Obstacle;
use crate::config::Configuration;
use crate::{Error, Result};

/// What was found at a point.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Point {
    /// The best configurations, cheapest first. None means that there is no way to do it.
    pub found: Vec<Evaluated>,
    /// Why there are no more.
    #[serde(default)]
    pub refused: Vec<Obstacle>,
}

/// One line: a point and what was found there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Variant, weights, parameters, space and pricer of the point.
    pub key: String,
    /// What was found there.
    #[serde(flatten)]
    pub point: Point,
}

/// Evaluated points, in memory and, if it has a file, there too. Searches of several threads may share it: each sees what the others
/// have found so far.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    records: BTreeMap<String, Point>,
    file: Option<Lines>,
}

impl Journal {
    /// A journal in memory only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a file, creating it if there is none, and reads its points. Several processes may have it open: each adds to
    /// it what it finds, and sees what was there when it opened it.
    ///
    /// # Errors
    /// [`crate::Error::Journal`] for a line that is no point, but for those that an interruption cut short;
    /// [`crate::Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = Lines::open(path)?;
        let records = file.lock()?.read::<Record>()?;
        let records = records.into_iter().map(|(_, record)| (record.key, record.point)).collect();
        Ok(Self(Mutex::new(Inner { records, file: Some(file) })))
    }

    /// What was found at a point, if it has been evaluated.
    pub fn get(&self, key: &str) -> Option<Point> {
        self.inner().records.get(key).cloned()
    }

    /// Those of the configurations found, at whatever point, that are wanted.
    pub(super) fn configurations(
        &self,
        wanted: impl Fn(&Configuration) -> bool,
    ) -> Vec<Configuration> {
        let inner = self.inner();
        let all = inner.records.values().flat_map(|point| &point.found);
        all.map(|found| &found.configuration).filter(|c| wanted(c)).cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A point is added by one statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.inner().records.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.inner().records.is_empty()
    }

    /// Adds a point, in the file first.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn insert(&self, key: String, point: Point) -> Result<()> {
        let record = Record { key, point };
        let mut inner = self.inner();
        if let Some(file) = &mut inner.file {
            file.append(&record)?;
        }
        inner.records.insert(record.key, record.point);
        Ok(())
    }
}

/// Journals put together: each point once, in the order of keys.
#[derive(Debug, Default)]
pub struct MergedJournal {
    /// By key: the point as it stands in its file, and which.
    points: BTreeMap<String, (Point, PathBuf)>,
}

impl MergedJournal {
    /// Adds the points of a file. Lines that an interruption cut short are left out.
    ///
    /// # Errors
    /// [`Error::Journal`] for a line that is no point; [`Error::Argument`] for a point of which another file says
    /// something else; [`Error::Io`], if there is no such file.
    pub fn add(&mut self, path: &Path) -> Result<()> {
        let records = Lines::open_to_read(path)?.lock()?.read::<Record>()?;
        for (line, Record { key, point }) in records {
            match self.points.get(&key) {
                Some((known, of)) if *known != point => {
                    let found = format!("line {line} of {} says otherwise: {key}", path.display());
                    let expected = format!("what {} says of that point", of.display());
                    return Err(Error::argument("point of a journal", found, expected));
                }
                Some(_) => {}
                None => {
                    self.points.insert(key, (point, path.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The journal's lines.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a point that JSON cannot say.
    pub fn lines(&self) -> Result<String> {
        let mut lines = String::new();
        for (key, (point, _)) in &self.points {
            let record = Record { key: key.clone(), point: point.clone() };
            let line = serde_json::to_string(&record);
            lines += &line.map_err(|e| Error::Configuration(e.to_string()))?;
            lines.push('\n');
        }
        Ok(lines)
    }
}
