//! How large files are, known before they are written.

use super::frame::object_bytes;
use super::keys::{TERNARY, switching_key_bytes};
use super::public::poly_bytes;
use super::words::packed_bytes;
use crate::keys::KeySpec;
use crate::params::Parameters;
use crate::sampling::Seed;

/// Form, scale and level of a ciphertext.
const HEAD_BYTES: u64 = 1 + 8 + 2;
/// A seed.
const SEED_BYTES: u64 = size_of::<Seed>() as u64;
/// The element of an automorphism.
const ELEMENT_BYTES: u64 = 4;
/// Whether there is a relinearisation key, and the number of others.
const COUNTS_BYTES: u64 = 1 + 4;

/// Payload of parameters.
pub(super) fn parameters_payload(params: &Parameters) -> u64 {
    let primes = params.max_level() + 1 + params.special_count();
    (4 + 4 + 8 + 2 * 2 + 8 * primes) as u64
}

/// Payload of a secret key.
pub(super) fn secret_key_payload(params: &Parameters) -> u64 {
    packed_bytes(params.n(), TERNARY)
}

/// Payload of a public key.
pub(super) fn public_key_payload(params: &Parameters) -> u64 {
    SEED_BYTES + poly_bytes(params, params.max_level())
}

/// Payload of a ciphertext.
pub(super) fn ciphertext_payload(params: &Parameters, level: usize) -> u64 {
    HEAD_BYTES + 2 * poly_bytes(params, level)
}

/// Payload of a ciphertext with a seed.
pub(super) fn seeded_ciphertext_payload(params: &Parameters, level: usize) -> u64 {
    HEAD_BYTES + SEED_BYTES + poly_bytes(params, level)
}

/// Bytes of a file of parameters.
pub fn parameters_bytes(params: &Parameters) -> u64 {
    object_bytes(parameters_payload(params))
}

/// Bytes of a file of a secret key.
pub fn secret_key_bytes(params: &Parameters) -> u64 {
    object_bytes(secret_key_payload(params))
}

/// Bytes of a file of a public key.
pub fn public_key_bytes(params: &Parameters) -> u64 {
    object_bytes(public_key_payload(params))
}

/// Bytes of a file of a ciphertext at `level`, at most the parameters' highest.
pub fn ciphertext_bytes(params: &Parameters, level: usize) -> u64 {
    object_bytes(ciphertext_payload(params, level))
}

/// Bytes of a file of a fresh ciphertext at `level`, at most the parameters' highest, that was encrypted under the secret key.
pub fn seeded_ciphertext_bytes(params: &Parameters, level: usize) -> u64 {
    object_bytes(seeded_ciphertext_payload(params, level))
}

/// Bytes of a file of the evaluation keys of a specification, whose levels are at most the parameters' highest.
pub fn evaluation_keys_bytes(params: &Parameters, spec: &KeySpec) -> u64 {
    let galois = spec.rotations.values().copied().chain(spec.conjugation);
    object_bytes(evaluation_keys_payload(params, spec.relinearisation, galois))
}

/// Payload of evaluation keys of these levels.
pub(super) fn evaluation_keys_payload(
    params: &Parameters,
    relinearisation: Option<usize>,
    galois: impl Iterator<Item = usize>,
) -> u64 {
    let key = |level: usize| switching_key_bytes(params, level);
    let galois: u64 = galois.map(|level| ELEMENT_BYTES + key(level)).sum();
    COUNTS_BYTES + relinearisation.map_or(0, key) + galois
}
