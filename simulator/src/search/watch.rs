//! Watching a search, and stopping it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::{Error, Result};

static NEVER: AtomicBool = AtomicBool::new(false);

/// What a search tells, and what it heeds, while it runs.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Once true, the search gives up; points finished by then are in the journal.
    pub stop: &'a AtomicBool,
    /// Told what is being looked at.
    pub note: &'a (dyn Fn(&str) + Sync),
}

impl Default for Watch<'_> {
    /// Nobody watches.
    fn default() -> Self {
        Self { stop: &NEVER, note: &|_| {} }
    }
}

impl Watch<'_> {
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// # Errors
    /// [`Error::Stopped`] once the search is to stop.
    pub(super) fn check(&self) -> Result<()> {
        if self.stopped() { Err(Error::Stopped) } else { Ok(()) }
    }
}
