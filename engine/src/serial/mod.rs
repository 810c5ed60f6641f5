//! Files and messages: a versioned binary form of parameters, keys and ciphertexts.
//!
//! Everything is little-endian:
//!
//! | bytes | content |
//! | --- | --- |
//! | 8 | `SPENCNN\0` |
//! | 2 | format version |
//! | 2 | kind of object |
//! | 32 | fingerprint of the parameters |
//! | 8 | length of the payload |
//! | .. | payload |
//! | 32 | SHA-256 of all before it |
//!
//! Residues are packed to the bits of their prime. Uniform polynomials are stored as the seeds they expand from,
//! which halves keys and fresh symmetric ciphertexts. An object ends where its checksum does, so several may follow
//! each other in one stream. Readers believe nothing: lengths, levels and residues are checked, and memory is taken
//! only for what both the parameters and the declared length allow; what fails is an [`Error`](crate::Error) that
//! says what was found. The checksum is against damage, not against forgery.
//!
//! Wrap files in [`std::io::BufWriter`] or [`std::io::BufReader`].

mod frame;
mod keys;
mod public;
#[cfg(test)]
mod tests;

pub use keys::{
    read_evaluation_keys, read_public_key, read_secret_key_unprotected, write_evaluation_keys,
    write_public_key, write_secret_key_unprotected,
};
pub use public::{
    read_ciphertext, read_parameters, write_ciphertext, write_parameters, write_seeded_ciphertext,
};

/// Version of the format that is written, and the only one that is read. A change of what a stored seed expands to is a
/// new version. Since the third there is no security flag in parameters; since
/// the fourth keys expand chunk by chunk.
pub const FORMAT_VERSION: u16 = 4;

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Parameters = 1,
    SecretKey = 2,
    PublicKey = 3,
    EvaluationKeys = 4,
    Ciphertext = 5,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Parameters,
        Self::SecretKey,
        Self::PublicKey,
        Self::EvaluationKeys,
        Self::Ciphertext,
    ];

    /// How errors call it.
    fn name(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::SecretKey => "a secret key",
            Self::PublicKey => "a public key",
            Self::EvaluationKeys => "evaluation keys",
            Self::Ciphertext => "a ciphertext",
        }
    }

    /// How errors call a kind that was found.
    fn describe(code: u16) -> String {
        let known = Self::ALL.into_iter().find(|&kind| kind as u16 == code);
        known.map_or_else(|| format!("of unknown kind {code}"), |kind| kind.name().to_string())
    }
}
