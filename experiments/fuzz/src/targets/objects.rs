//! Objects of the engine: parameters, keys, ciphertexts.

use engine::encoding::Encoder;
use engine::keys::{EvaluationKeys, KeySpec, PublicKey, SecretKey};
use engine::params::{Parameters, ParametersLiteral};
use engine::serial::{
    read_ciphertext, read_evaluation_keys, read_parameters, read_public_key,
    read_secret_key_unprotected, write_ciphertext, write_evaluation_keys, write_parameters,
    write_public_key, write_secret_key_unprotected, write_seeded_ciphertext,
};
use engine::{Error, Result};

use super::framed::{Framed, bytes};
use crate::target::Target;

/// Reads an object of these parameters and forgets it.
type Read = fn(&[u8], &Parameters) -> Result<()>;

fn parameters(depth: usize) -> Result<Parameters> {
    let mut literal = ParametersLiteral::uniform(11, 30, 21, depth, (1, 30), 1)?;
    literal.allow_insecure = true;
    Parameters::new(&literal)
}

/// One of each kind; none if the engine does not make them, which is told.
pub(super) fn all() -> Vec<Box<dyn Target>> {
    made().unwrap_or_else(|error: Error| {
        eprintln!("no objects of the engine: {error}");
        Vec::new()
    })
}

fn made() -> Result<Vec<Box<dyn Target>>> {
    let params = parameters(1)?;
    let secret = SecretKey::from_seed(&params, [7; 32]);
    let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64).sin()).collect();
    let plaintext = Encoder::new(&params).encode(&values, 1, params.scale(), false)?;
    let ciphertext = secret.encrypt(&plaintext)?;
    let rotations = [(1, 1), (5, 0)].into_iter().collect();
    let spec = KeySpec { relinearisation: Some(1), conjugation: Some(0), rotations };
    let keys = EvaluationKeys::generate(&secret, &spec)?;
    let none = EvaluationKeys::generate(&secret, &KeySpec::default())?;
    let object = |name, read: Read, seeds| -> Box<dyn Target> {
        let params = params.clone();
        Box::new(Framed { name, seeds, read: move |input: &[u8]| read(input, &params) })
    };
    Ok(vec![
        object(
            "parameters",
            |bytes, _| read_parameters(bytes, true).map(drop),
            vec![
                bytes(|out| write_parameters(out, &params))?,
                bytes(|out| write_parameters(out, &parameters(0)?))?,
                bytes(|out| write_parameters(out, &parameters(3)?))?,
            ],
        ),
        object(
            "secret-key",
            |bytes, params| read_secret_key_unprotected(bytes, params).map(drop),
            vec![bytes(|out| write_secret_key_unprotected(out, &secret))?],
        ),
        object(
            "public-key",
            |bytes, params| read_public_key(bytes, params).map(drop),
            vec![bytes(|out| write_public_key(out, &PublicKey::generate(&secret)))?],
        ),
        object(
            "evaluation-keys",
            |bytes, params| read_evaluation_keys(bytes, params).map(drop),
            vec![
                bytes(|out| write_evaluation_keys(out, &params, &keys))?,
                bytes(|out| write_evaluation_keys(out, &params, &none))?,
            ],
        ),
        object(
            "ciphertext",
            |bytes, params| read_ciphertext(bytes, params).map(drop),
            vec![
                bytes(|out| write_ciphertext(out, &params, &ciphertext))?,
                bytes(|out| write_seeded_ciphertext(out, &secret, &plaintext))?,
            ],
        ),
    ])
}
