//! Keys.

use std::io::{Read, Write};

use zeroize::Zeroizing;

use super::Kind;
use super::frame::{Sink, Source, object_bytes};
use super::public::{read_level, read_poly, write_poly};
use super::sizes::{evaluation_keys_payload, public_key_payload, secret_key_payload};
use super::words::packed_bytes;
use crate::Result;
use crate::keys::{EvaluationKeys, PublicKey, SecretKey, SwitchingKey};
use crate::params::Parameters;
use crate::sampling::{Seed, Small};

/// Codes of a ternary coefficient.
pub(super) const TERNARY: u64 = 3;

/// Writes the secret key AS IT IS: whoever reads the file can decrypt everything. Keep it where only its owner
/// can read it, or encrypt it, and never send it to the party who computes.
///
/// # Errors
/// [`Error::Io`].
pub fn write_secret_key_unprotected(writer: impl Write, secret: &SecretKey) -> Result<()> {
    let params = secret.params();
    let length = secret_key_payload(params);
    let mut sink = Sink::open(writer, Kind::SecretKey, params.fingerprint(), length)?;
    let codes = secret.coefficients().iter().map(|&c| (i64::from(c) + 1) as u64);
    sink.words(&Zeroizing::new(codes.collect::<Vec<u64>>()), TERNARY)?;
    sink.finish()
}

/// Reads a secret key that lies unprotected.
///
/// # Errors
/// [`Error::Decode`] for anything damaged, [`Error::ForeignParameters`], [`Error::Io`].
pub fn read_secret_key_unprotected(reader: impl Read, params: &Parameters) -> Result<SecretKey> {
    let mut source = Source::open_for(reader, Kind::SecretKey, params.fingerprint())?;
    source.need(secret_key_payload(params))?;
    let mut codes = Zeroizing::new(vec![0; params.n()]);
    source.words(&mut codes, TERNARY)?;
    source.finish()?;
    let mut coefficients = Small::zeroed(params.n());
    coefficients.iter_mut().zip(codes.iter()).for_each(|(c, &code)| *c = code as i8 - 1);
    Ok(SecretKey::from_coefficients(params, coefficients))
}

/// Writes a public key, its uniform half as a seed.
///
/// # Errors
/// [`Error::Io`].
pub fn write_public_key(writer: impl Write, key: &PublicKey) -> Result<()> {
    let params = key.params();
    let length = public_key_payload(params);
    let mut sink = Sink::open(writer, Kind::PublicKey, params.fingerprint(), length)?;
    sink.bytes(&key.seed)?;
    write_poly(&mut sink, params, &key.b)?;
    sink.finish()
}

/// Reads a public key.
///
/// # Errors
/// [`Error::Decode`] for anything damaged, [`Error::ForeignParameters`], [`Error::Io`].
pub fn read_public_key(reader: impl Read, params: &Parameters) -> Result<PublicKey> {
    let mut source = Source::open_for(reader, Kind::PublicKey, params.fingerprint())?;
    let seed: Seed = source.array()?;
    let b = read_poly(&mut source, params, params.max_level())?;
    source.finish()?;
    Ok(PublicKey::from_parts(params, b, seed))
}

/// Writes evaluation keys, their uniform halves as seeds.
///
/// # Errors
/// [`Error::ForeignParameters`] when the keys belong to other parameters; [`Error::Io`].
pub fn write_evaluation_keys(
    writer: impl Write,
    params: &Parameters,
    keys: &EvaluationKeys,
) -> Result<()> {
    keys.fingerprint().check(params.fingerprint(), Kind::EvaluationKeys.name())?;
    let length = payload_of(params, keys);
    let mut sink = Sink::open(writer, Kind::EvaluationKeys, params.fingerprint(), length)?;
    sink.bytes(&[u8::from(keys.relinearisation.is_some())])?;
    if let Some(key) = &keys.relinearisation {
        write_switching_key(&mut sink, params, key)?;
    }
    sink.bytes(&(keys.galois.len() as u32).to_le_bytes())?;
    for (&element, galois) in &keys.galois {
        sink.bytes(&(element as u32).to_le_bytes())?;
        write_switching_key(&mut sink, params, &galois.key)?;
    }
    sink.finish()
}

/// Bytes of the file of these keys, which must be of these parameters.
pub fn bytes_of_evaluation_keys(params: &Parameters, keys: &EvaluationKeys) -> u64 {
    object_bytes(payload_of(params, keys))
}

fn payload_of(params: &Parameters, keys: &EvaluationKeys) -> u64 {
    let relinearisation = keys.relinearisation.as_ref().map(SwitchingKey::level);
    let galois = keys.galois.values().map(|g| g.key.level());
    evaluation_keys_payload(params, relinearisation, galois)
}

/// Reads evaluation keys. Takes memory key by key, as they arrive.
///
/// # Errors
/// [`Error::Decode`] for anything damaged, [`Error::ForeignParameters`], [`Error::Io`].
pub fn read_evaluation_keys(reader: impl Read, params: &Parameters) -> Result<EvaluationKeys> {
    let mut source = Source::open_for(reader, Kind::EvaluationKeys, params.fingerprint())?;
    let relinearisation = match source.u8()? {
        0 => None,
        1 => Some(read_switching_key(&mut source, params)?),
        other => {
            let reason = format!("the relinearisation flag is {other}, expected 0 or 1");
            return Err(source.error(reason));
        }
    };
    let (count, most) = (source.u32()? as usize, params.n());
    if count > most {
        return Err(
            source.error(format!("there are {count} automorphism keys, expected at most {most}"))
        );
    }
    let mut galois = Vec::new();
    // Odd elements from 3 to 2N - 1, ascending.
    let (mut least, most) = (3, 2 * params.n() - 1);
    for _ in 0..count {
        let element = source.u32()? as usize;
        if element < least || element > most || element.is_multiple_of(2) {
            let expected = format!("odd and from {least} to {most}");
            return Err(source.error(format!("a Galois element is {element}, expected {expected}")));
        }
        least = element + 2;
        galois.push((element, read_switching_key(&mut source, params)?));
    }
    source.finish()?;
    Ok(EvaluationKeys::from_parts(params, relinearisation, galois))
}

/// The bodies of a key in the order of its file: for each limb, each digit, as (limb, digit, prime).
fn bodies(params: &Parameters, level: usize) -> impl Iterator<Item = (usize, usize, u64)> {
    let digits = params.digits(level).len();
    let (params, limbs) = (params.clone(), level + 1 + params.special_count());
    (0..limbs * digits).map(move |i| {
        let limb = i / digits;
        (limb, i % digits, params.modulus(params.limb_index(level, limb)).value())
    })
}

fn bodies_bytes(params: &Parameters, level: usize) -> u64 {
    bodies(params, level).map(|(_, _, q)| packed_bytes(params.n(), q)).sum()
}

/// Bytes of a switching key: its level, its seed, its bodies.
pub(super) fn switching_key_bytes(params: &Parameters, level: usize) -> u64 {
    (2 + size_of::<Seed>()) as u64 + bodies_bytes(params, level)
}

fn write_switching_key(
    sink: &mut Sink<impl Write>,
    params: &Parameters,
    key: &SwitchingKey,
) -> Result<()> {
    sink.bytes(&(key.level() as u16).to_le_bytes())?;
    sink.bytes(key.seed())?;
    let mut body = vec![0; params.n()];
    for (limb, digit, q) in bodies(params, key.level()) {
        key.body(limb, digit, &mut body);
        sink.words(&body, q)?;
    }
    Ok(())
}

fn read_switching_key(source: &mut Source<impl Read>, params: &Parameters) -> Result<SwitchingKey> {
    let level = read_level(source, params)?;
    let seed: Seed = source.array()?;
    source.need(bodies_bytes(params, level))?;
    let mut key = SwitchingKey::with_masks(params, level, seed);
    let mut body = vec![0; params.n()];
    for (limb, digit, q) in bodies(params, level) {
        source.words(&mut body, q)?;
        key.set_body(params, limb, digit, &body);
    }
    Ok(key)
}
