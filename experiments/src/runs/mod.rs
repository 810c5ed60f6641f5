//! Networks that run, encrypted or not, and what is measured of them.

pub mod evaluate;
pub mod execute;
pub mod record;
pub mod validate;
