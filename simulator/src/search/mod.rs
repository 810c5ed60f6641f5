//! Search for the configuration to run.
