//! What any command needs of its process: an end, files, output, progress.

pub mod cancel;
pub mod exit;
pub mod files;
pub mod output;
pub mod progress;
