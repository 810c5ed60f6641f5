//! What is fuzzed.

use crate::format::Format;

/// Memory that decoding may take beside 16 times its input, in bytes.
pub const ALLOWANCE: usize = 64 << 20;

/// A decoder. A new one is a file in [`crate::targets`] and a line in [`crate::targets::all`].
pub trait Target {
    /// Its name, also that of its folders.
    fn name(&self) -> &'static str;

    /// How its inputs are changed.
    fn format(&self) -> &dyn Format;

    /// Inputs to begin with, of which one at least is accepted.
    fn seeds(&self) -> Vec<Vec<u8>>;

    /// Decodes an input; what it says of one that it refuses.
    ///
    /// # Errors
    /// The decoder's own message.
    fn decode(&mut self, input: &[u8]) -> Result<(), String>;

    /// Memory that it may take beside 16 times its input.
    fn allowance(&self) -> usize {
        ALLOWANCE
    }
}
