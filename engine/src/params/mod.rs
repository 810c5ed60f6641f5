//! Parameters: a literal that a person writes becomes an immutable checked set through one
//! constructor.

pub mod limits;
mod literal;
mod security;
mod set;

pub use literal::{Chain, ParametersLiteral};
pub use security::max_log_qp;
pub use set::{Digit, Fingerprint, Parameters};
