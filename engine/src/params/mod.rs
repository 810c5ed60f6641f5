//! Parameters: a literal that a person writes becomes an immutable checked set.
pub mod primes;
