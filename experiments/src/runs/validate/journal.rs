//! What was drawn and executed so far, in a file of JSON lines that a later run goes on from.

use std::path::Path;

use anyhow::Result;
use costmodel::lines::Lines;
use serde::{Deserialize, Serialize};

use super::{Drawn, Executed};

/// A line: of what run, and what it found.
#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    #[serde(flatten)]
    found: Found,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Found {
    /// What was drawn for a network.
    Drawn { network: String, drawn: Vec<Drawn> },
    /// What executing one of those gave.
    Executed(Box<Executed>),
}

/// A journal: in memory, and in a file if it has one. Lines of other options, profiles and revisions, which have other keys,
/// stay as they are.
pub struct Journal {
    key: String,
    file: Option<Lines>,
    drawn: Vec<(String, Vec<Drawn>)>,
    executed: Vec<Executed>,
}

impl Journal {
    /// Opens a file, creating it if there is none, and reads what a run of this key has found.
    ///
    /// # Errors
    /// A line that is none of a journal's, but for those that an interruption cut short; what the system says.
    pub fn open(path: Option<&Path>, key: String) -> Result<Self> {
        let mut journal = Self { key, file: None, drawn: Vec::new(), executed: Vec::new() };
        let Some(path) = path else { return Ok(journal) };
        let mut file = Lines::open(path)?;
        let lines = file.lock()?.read::<Line>()?;
        for (_, Line { key, found }) in lines {
            if key == journal.key {
                journal.keep(found);
            }
        }
        journal.file = Some(file);
        Ok(journal)
    }

    fn keep(&mut self, found: Found) {
        match found {
            Found::Drawn { network, drawn } => self.drawn.push((network, drawn)),
            Found::Executed(executed) => self.executed.push(*executed),
        }
    }

    fn add(&mut self, found: Found) -> Result<()> {
        let line = Line { key: self.key.clone(), found };
        if let Some(file) = &mut self.file {
            file.append(&line)?;
        }
        self.keep(line.found);
        Ok(())
    }

    /// What was drawn for a network, if that is known.
    pub fn drawn(&self, network: &str) -> Option<&[Drawn]> {
        self.drawn.iter().find(|(name, _)| name == network).map(|(_, drawn)| drawn.as_slice())
    }

    /// What executing a configuration gave, if that is known.
    pub fn executed(&self, drawn: &Drawn) -> Option<&Executed> {
        self.executed.iter().find(|e| e.drawn == *drawn)
    }

    /// Adds what was drawn.
    ///
    /// # Errors
    /// What the system says.
    pub fn add_drawn(&mut self, network: &str, drawn: Vec<Drawn>) -> Result<()> {
        self.add(Found::Drawn { network: network.into(), drawn })
    }

    /// Adds what executing a configuration gave.
    ///
    /// # Errors
    /// What the system says.
    pub fn add_executed(&mut self, executed: Executed) -> Result<()> {
        self.add(Found::Executed(Box::new(executed)))
    }
}
