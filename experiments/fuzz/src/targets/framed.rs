//! Decoders of what lies in a frame of the engine.

use super::scratch::words;
use crate::format::{Format, Frame};
use crate::target::Target;

/// Reads an object, or several, and forgets them.
pub(super) struct Framed<R> {
    pub(super) name: &'static str,
    pub(super) seeds: Vec<Vec<u8>>,
    pub(super) read: R,
}

impl<R, E> Target for Framed<R>
where
    R: FnMut(&[u8]) -> Result<(), E>,
    E: std::error::Error + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn format(&self) -> &dyn Format {
        &Frame
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        (self.read)(input).map_err(words)
    }
}

/// What something writes.
///
/// # Errors
/// Those of what writes.
pub(super) fn bytes<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Vec<u8>, E> {
    let mut out = Vec::new();
    write(&mut out)?;
    Ok(out)
}
