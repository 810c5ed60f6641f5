//! Networks, layouts, programs and their interpreters.

pub mod program;
