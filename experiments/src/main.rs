//! The `spencnn` command.
fn main() {}
