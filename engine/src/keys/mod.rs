//! Secret, public and evaluation keys.

mod evaluation;
mod form;
mod public;
mod secret;
mod sharing;
mod switching;

pub use evaluation::{EvaluationKeys, GaloisKey, KeySpec};
pub(crate) use form::Form;
pub use form::KeyForm;
pub use public::PublicKey;
pub use secret::SecretKey;
pub(crate) use secret::expand;
pub use switching::SwitchingKey;
