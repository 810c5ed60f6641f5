//! Files and messages: a versioned binary form of parameters, keys and ciphertexts, and the frame for further objects.
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
//! Objects of other crates are framed the same way: [`write_object`] and [`Source`]. Their kinds are listed in [`Kind`], so
//! that no two have one number and every reader can name what it was given.
//!
//! Wrap files in [`std::io::BufWriter`] or [`std::io::BufReader`].

mod frame;
mod keys;
mod public;
mod sizes;
#[cfg(test)]
mod tests;
mod words;

pub use frame::{Sink, Source, object_bytes, write_object};
pub use keys::{
    bytes_of_evaluation_keys, read_evaluation_keys, read_public_key, read_secret_key_unprotected,
    write_evaluation_keys, write_public_key, write_secret_key_unprotected,
};
pub use public::{
    read_ciphertext, read_parameters, write_ciphertext, write_parameters, write_seeded_ciphertext,
};
pub use sizes::{
    ciphertext_bytes, evaluation_keys_bytes, parameters_bytes, public_key_bytes, secret_key_bytes,
    seeded_ciphertext_bytes,
};

/// Version of the format that is written, and the only one that is read. A change of what a stored seed expands to is a
/// new version. Since the third there is no security flag in parameters; since
/// the fourth keys expand chunk by chunk; since the fifth client specifications and models say how many images share a
/// ciphertext; since the sixth layouts say whether channels are spread; since the seventh patches that phases have in common
/// are sent once.
pub const FORMAT_VERSION: u16 = 7;

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Parameters, with their primes.
    Parameters = 1,
    /// A secret key as it is.
    SecretKey = 2,
    /// A public key.
    PublicKey = 3,
    /// Evaluation keys.
    EvaluationKeys = 4,
    /// A ciphertext.
    Ciphertext = 5,
    /// What a server runs: a program with its weights.
    CompiledModel = 6,
    /// What a client needs to know of a compiled model.
    ClientSpecification = 7,
    /// What stands before the ciphertexts of images.
    EncryptedImages = 8,
    /// What stands before the ciphertexts of results.
    EncryptedResults = 9,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Parameters,
        Self::SecretKey,
        Self::PublicKey,
        Self::EvaluationKeys,
        Self::Ciphertext,
        Self::CompiledModel,
        Self::ClientSpecification,
        Self::EncryptedImages,
        Self::EncryptedResults,
    ];

    /// How errors call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::SecretKey => "a secret key",
            Self::PublicKey => "a public key",
            Self::EvaluationKeys => "evaluation keys",
            Self::Ciphertext => "a ciphertext",
            Self::CompiledModel => "a compiled model",
            Self::ClientSpecification => "a client specification",
            Self::EncryptedImages => "encrypted images",
            Self::EncryptedResults => "encrypted results",
        }
    }

    /// How errors call a kind that was found.
    fn describe(code: u16) -> String {
        let known = Self::ALL.into_iter().find(|&kind| kind as u16 == code);
        known.map_or_else(|| format!("of unknown kind {code}"), |kind| kind.name().to_string())
    }
}
