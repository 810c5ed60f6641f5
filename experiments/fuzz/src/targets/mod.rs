//! The decoders, each with inputs to begin with.

mod configurations;
mod framed;
mod images;
mod journals;
mod networks;
mod objects;
mod parties;
mod plans;
mod profiles;
mod scratch;

use crate::target::Target;

/// All targets.
pub fn all() -> Vec<Box<dyn Target>> {
    [
        objects::all(),
        parties::all(),
        networks::all(),
        configurations::all(),
        plans::all(),
        images::all(),
        profiles::all(),
        journals::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
