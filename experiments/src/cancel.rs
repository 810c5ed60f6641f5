//! Ctrl-C: the first asks long work to stop cleanly, the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Context, Result};

use crate::exit::Failure;

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Installs the handler. Call once, at the start of the program.
pub fn install() -> Result<()> {
    ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Relaxed) {
            std::process::exit(i32::from(crate::exit::INTERRUPTED));
        }
        eprintln!("\nstopping at the next safe point; Ctrl-C again ends at once");
    })
    .context("installing the handler of Ctrl-C")
}

/// The flag that long work watches.
pub fn flag() -> &'static AtomicBool {
    &CANCELLED
}

/// Whether the user has asked to stop.
pub fn requested() -> bool {
    CANCELLED.load(Relaxed)
}

/// An error if the user has asked to stop.
pub fn check() -> Result<()> {
    if requested() { Err(Failure::Interrupted.into()) } else { Ok(()) }
}
