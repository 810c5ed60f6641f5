//! Networks that run, encrypted or not, and what is measured of them.

pub mod disturbance;
pub mod evaluate;
pub mod execute;
pub mod image_result;
pub mod key_files;
pub mod record;
pub mod statistics;
pub mod validate;
pub mod verdict;
