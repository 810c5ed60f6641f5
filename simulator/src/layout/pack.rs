//! Filling slots from a map, and reading a map from slots.

use super::Layout;
use crate::{Error, Result};

/// Slot vectors of a map (`[channel][row][column]`), one per ciphertext, replicas included; zero elsewhere, and so is what
/// nothing reads.
///
/// # Errors
/// Those of [`Layout::check`]; [`Error::Argument`] for another number of values than the map has.
pub fn pack(layout: &Layout, map: &[f64]) -> Result<Vec<Vec<f64>>> {
    layout.check()?;
    if map.len() != layout.shape.len() {
        return Err(Error::argument("length of a map", map.len(), layout.shape.len()));
    }
    let mut out = vec![vec![0.0; layout.slots]; layout.ciphertexts()];
    for (k, v) in map.iter().enumerate() {
        let (x, rest) = (k % layout.shape.width, k / layout.shape.width);
        let (y, c) = (rest % layout.shape.height, rest / layout.shape.height);
        if !layout.is_read(c) {
            continue;
        }
        let (ct, slot) = layout.locate(c, y, x);
        for replica in (slot..layout.slots).step_by(layout.period) {
            out[ct][replica..][..layout.copies()].fill(*v);
        }
    }
    Ok(out)
}

/// The map (`[channel][row][column]`) held by slot vectors; zero where nothing reads it.
///
/// # Errors
/// Those of [`Layout::check`]; [`Error::Argument`] for other numbers of vectors or slots than the layout has.
pub fn unpack(layout: &Layout, ciphertexts: &[Vec<f64>]) -> Result<Vec<f64>> {
    layout.check()?;
    if ciphertexts.len() != layout.ciphertexts() {
        return Err(Error::argument(
            "number of slot vectors",
            ciphertexts.len(),
            layout.ciphertexts(),
        ));
    }
    if let Some(v) = ciphertexts.iter().find(|v| v.len() != layout.slots) {
        return Err(Error::argument("length of a slot vector", v.len(), layout.slots));
    }
    let mut out = Vec::with_capacity(layout.shape.len());
    for c in 0..layout.shape.channels {
        if !layout.is_read(c) {
            out.resize(out.len() + layout.shape.area(), 0.0);
            continue;
        }
        for y in 0..layout.shape.height {
            for x in 0..layout.shape.width {
                let (ct, slot) = layout.locate(c, y, x);
                out.push(ciphertexts[ct][slot]);
            }
        }
    }
    Ok(out)
}
