//! JSON-lines journal of evaluated points: a search resumes from it, and shards merge by concatenation.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::evaluate::Evaluated;
use super::obstacle::Obstacle;
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

/// Evaluated points, in memory and, if it has a file, there too.
#[derive(Debug, Default)]
pub struct Journal {
    records: BTreeMap<String, Point>,
    file: Option<(PathBuf, File)>,
}

impl Journal {
    /// A journal in memory only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a file, creating it if there is none, and reads its points. A last line without its end is what
    /// an interruption leaves: it is cut off. Any other line that cannot be read is an error.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .append(true)
            .open(path)
            .map_err(io)?;
        let mut reader = BufReader::new(file);
        let mut journal = Self::new();
        let (mut line, mut number, mut good) = (String::new(), 0, 0u64);
        loop {
            line.clear();
            let bytes = reader.read_line(&mut line).map_err(io)?;
            if bytes == 0 || !line.ends_with('\n') {
                break;
            }
            number += 1;
            let record: Record = serde_json::from_str(&line).map_err(|e| Error::Journal {
                path: path.to_owned(),
                line: number,
                reason: e.to_string(),
            })?;
            journal.records.insert(record.key, record.point);
            good += bytes as u64;
        }
        let file = reader.into_inner();
        file.set_len(good).map_err(io)?;
        journal.file = Some((path.to_owned(), file));
        Ok(journal)
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
    pub fn insert(&mut self, key: String, point: Point) -> Result<()> {
        if let Some((path, file)) = &mut self.file {
            let record = Record { key: key.clone(), point: point.clone() };
            let fault = |e: std::io::Error| Error::Io { path: path.clone(), source: e };
            let mut line = serde_json::to_string(&record).map_err(|e| fault(e.into()))?;
            line.push('\n');
            file.write_all(line.as_bytes()).map_err(fault)?;
        }
        self.records.insert(key, point);
        Ok(())
    }
}
