//! Fuzzing of every decoder: what reads files and messages of strangers.
//!
//! A [`target::Target`] is a decoder with inputs that it accepts. A [`format::Format`] changes such an input by its structure,
//! and repairs what would hide the rest: lengths, checksums, compression. [`run`] decodes one changed input after the other,
//! and keeps those to which the decoder says what it has not said before. A panic, more than a second of the processor, and
//! more memory than 64 MB and 16 times the input are findings.
//!
//! The command runs many processes for long, [`record`] is what they leave; a test runs a few thousand inputs.

pub mod format;
pub mod memory;
pub mod record;
pub mod run;
pub mod target;
pub mod targets;
pub mod watch;
