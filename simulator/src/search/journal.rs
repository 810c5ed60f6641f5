//! JSON-lines journal of evaluated points: a search resumes from it, and shards merge by concatenation.

use std::collections::BTreeMap;
use std::path::Path;

use costmodel::lines::Lines;
use serde::{Deserialize, Serialize};

use super::evaluate::Evaluated;
use super::obstacle::Obstacle;
use crate::Result;

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

/// Evaluated points, in memory and, if it has a file, there too.
#[derive(Debug, Default)]
pub struct Journal {
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
        Ok(Self { records, file: Some(file) })
    }

    /// What was found at a point, if it has been evaluated.
    pub fn get(&self, key: &str) -> Option<&Point> {
        self.records.get(key)
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Adds a point, in the file first.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn insert(&mut self, key: String, point: Point) -> Result<()> {
        let record = Record { key, point };
        if let Some(file) = &mut self.file {
            file.append(&record)?;
        }
        self.records.insert(record.key, record.point);
        Ok(())
    }
}
