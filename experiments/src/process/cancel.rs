//! Ctrl-C and SIGTERM: the first asks long work to stop cleanly, the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Context, Result};

use crate::process::exit::Failure;
use crate::process::output::note;

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Installs the handler. Call once, at the start of the program. A hang-up is left to the system, so that `nohup` keeps
/// its meaning.
///
/// # Errors
/// What the system says.
pub fn install() -> Result<()> {
    watch().context("installing the handler of Ctrl-C and SIGTERM")
}

#[cfg(unix)]
fn watch() -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || signals.forever().for_each(|_| asked()))?;
    Ok(())
}

#[cfg(not(unix))]
fn watch() -> Result<()> {
    Ok(ctrlc::set_handler(asked)?)
}

/// The user asks to stop.
fn asked() {
    if CANCELLED.swap(true, Relaxed) {
        std::process::exit(i32::from(crate::process::exit::INTERRUPTED));
    }
    note("\nstopping at the next safe point; Ctrl-C again ends at once");
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
