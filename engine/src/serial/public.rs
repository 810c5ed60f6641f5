//! Parameters and ciphertexts.

use std::io::{Read, Write};

use super::Kind;
use super::frame::{Sink, Source};
use super::sizes::{ciphertext_payload, parameters_payload, seeded_ciphertext_payload};
use super::words::packed_bytes;
use crate::cipher::{Ciphertext, Plaintext, check_scale};
use crate::keys::{SecretKey, expand};
use crate::params::{Chain, Parameters, ParametersLiteral, limits};
use crate::poly::RnsPoly;
use crate::sampling::{self, Seed};
use crate::{Error, Result};

/// `c1` is stored.
const WHOLE: u8 = 0;
/// `c1` expands from a seed.
const SEEDED: u8 = 1;

/// Writes parameters, with their primes spelled out.
///
/// # Errors
/// [`Error::Io`].
pub fn write_parameters(writer: impl Write, params: &Parameters) -> Result<()> {
    let (q, p) = (params.q(), params.p());
    let length = parameters_payload(params);
    let mut sink = Sink::open(writer, Kind::Parameters, params.fingerprint(), length)?;
    let literal = params.literal();
    sink.bytes(&literal.log_n.to_le_bytes())?;
    sink.bytes(&(literal.digit_limbs as u32).to_le_bytes())?;
    sink.bytes(&literal.log_scale.to_le_bytes())?;
    for primes in [q, p] {
        sink.bytes(&(primes.len() as u16).to_le_bytes())?;
        for prime in primes {
            sink.bytes(&prime.to_le_bytes())?;
        }
    }
    sink.finish()
}

/// Reads parameters and checks them as [`Parameters::new`] does. Their literal lists the primes. `allow_insecure` accepts
/// those below 128-bit security; nothing in the file can.
///
/// # Errors
/// [`Error::Decode`] for anything damaged, [`Error::Io`], and those of [`Parameters::new`].
pub fn read_parameters(reader: impl Read, allow_insecure: bool) -> Result<Parameters> {
    let mut source = Source::open(reader, Kind::Parameters)?;
    let log_n = source.u32()?;
    let digit_limbs = source.u32()? as usize;
    let log_scale = f64::from_le_bytes(source.array()?);
    let mut primes = [Vec::new(), Vec::new()];
    for (list, most) in primes.iter_mut().zip([limits::MAX_LEVELS + 1, limits::MAX_SPECIAL]) {
        let count = usize::from(source.u16()?);
        if count > most {
            return Err(source.error(format!("there are {count} primes, expected at most {most}")));
        }
        for _ in 0..count {
            list.push(source.u64()?);
        }
    }
    let found = source.fingerprint();
    // Damage is to be called damage, not bad parameters.
    source.finish()?;
    let [q, p] = primes;
    let chain = Chain::Explicit { q, p };
    let params = Parameters::new(&ParametersLiteral {
        log_n,
        chain,
        log_scale,
        digit_limbs,
        allow_insecure,
    })?;
    if params.fingerprint() != found {
        let reason = format!("fingerprint is {found}, the content has {}", params.fingerprint());
        return Err(Error::Decode { what: Kind::Parameters.name(), reason });
    }
    Ok(params)
}

/// Writes a ciphertext.
///
/// # Errors
/// [`Error::Argument`] when the ciphertext does not fit the parameters, or its scale is one that [`read_ciphertext`]
/// refuses; [`Error::Io`].
pub fn write_ciphertext(
    writer: impl Write,
    params: &Parameters,
    ciphertext: &Ciphertext,
) -> Result<()> {
    let Ciphertext { c0, c1, scale } = ciphertext;
    for poly in [c0, c1] {
        let level = c0.level();
        let fits = poly.n() == params.n() && level <= params.max_level() && poly.level() == level;
        if !fits || poly.is_extended() {
            let (n, level) = (poly.n(), poly.level());
            let found = format!("ring degree {n}, level {level}");
            let (n, level) = (params.n(), params.max_level());
            let expected = format!("ring degree {n}, one level of at most {level}, plain");
            return Err(Error::argument("ciphertext to write", found, expected));
        }
    }
    check_scale("scale of a ciphertext to write", *scale, params, c0.level())?;
    let length = ciphertext_payload(params, c0.level());
    let mut sink = Sink::open(writer, Kind::Ciphertext, params.fingerprint(), length)?;
    write_head(&mut sink, WHOLE, *scale, c0.level())?;
    write_poly(&mut sink, params, c0)?;
    write_poly(&mut sink, params, c1)?;
    sink.finish()
}

/// Encrypts under the secret key and writes the ciphertext in half the bytes: `c1` as the seed that it expands
/// from. The file holds nothing secret.
///
/// # Errors
/// [`Error::Level`] when the plaintext's level is above the parameters'; [`Error::Argument`] for a scale that
/// [`read_ciphertext`] refuses; [`Error::Io`].
pub fn write_seeded_ciphertext(
    writer: impl Write,
    secret: &SecretKey,
    plaintext: &Plaintext,
) -> Result<()> {
    let params = secret.params();
    check_scale("scale of a plaintext to write", plaintext.scale, params, plaintext.level())?;
    let mut rng = sampling::os_rng();
    let seed = sampling::fresh_seed(&mut rng);
    let Ciphertext { c0, scale, .. } = secret.encrypt_seeded(plaintext, seed, &mut rng)?;
    let length = seeded_ciphertext_payload(params, c0.level());
    let mut sink = Sink::open(writer, Kind::Ciphertext, params.fingerprint(), length)?;
    write_head(&mut sink, SEEDED, scale, c0.level())?;
    sink.bytes(&seed)?;
    write_poly(&mut sink, params, &c0)?;
    sink.finish()
}

/// Reads a ciphertext of either form. Its scale is from 2^-100 to 2^200, and at most the modulus of its level: beyond that
/// there is no room for a message.
///
/// # Errors
/// [`Error::Decode`] for anything damaged, [`Error::ForeignParameters`], [`Error::Io`].
pub fn read_ciphertext(reader: impl Read, params: &Parameters) -> Result<Ciphertext> {
    let mut source = Source::open_for(reader, Kind::Ciphertext, params.fingerprint())?;
    let form = source.u8()?;
    if form != WHOLE && form != SEEDED {
        return Err(source.error(format!("its form is {form}, expected {WHOLE} or {SEEDED}")));
    }
    let scale = f64::from_le_bytes(source.array()?);
    let level = read_level(&mut source, params)?;
    check_scale("scale", scale, params, level).map_err(|e| source.error(e.to_string()))?;
    let bytes = poly_bytes(params, level);
    let (c0, c1) = if form == SEEDED {
        let seed: Seed = source.array()?;
        source.need(bytes)?;
        let c0 = read_poly(&mut source, params, level)?;
        (c0, expand(params, &seed, level))
    } else {
        source.need(2 * bytes)?;
        (read_poly(&mut source, params, level)?, read_poly(&mut source, params, level)?)
    };
    source.finish()?;
    Ok(Ciphertext { c0, c1, scale })
}

fn write_head(sink: &mut Sink<impl Write>, form: u8, scale: f64, level: usize) -> Result<()> {
    sink.bytes(&[form])?;
    sink.bytes(&scale.to_le_bytes())?;
    sink.bytes(&(level as u16).to_le_bytes())
}

/// Reads a level and checks its range.
pub(super) fn read_level(source: &mut Source<impl Read>, params: &Parameters) -> Result<usize> {
    let (level, highest) = (usize::from(source.u16()?), params.max_level());
    if level > highest {
        return Err(source.error(format!("level is {level}, expected at most {highest}")));
    }
    Ok(level)
}

/// Bytes of a polynomial at `level`, packed.
pub(super) fn poly_bytes(params: &Parameters, level: usize) -> u64 {
    (0..=level).map(|i| packed_bytes(params.n(), params.modulus(i).value())).sum()
}

/// Writes the limbs of a polynomial that is not extended.
pub(super) fn write_poly(
    sink: &mut Sink<impl Write>,
    params: &Parameters,
    poly: &RnsPoly,
) -> Result<()> {
    for (i, limb) in poly.limbs().enumerate() {
        sink.words(limb, params.modulus(i).value())?;
    }
    Ok(())
}

/// Reads a polynomial that is not extended.
pub(super) fn read_poly(
    source: &mut Source<impl Read>,
    params: &Parameters,
    level: usize,
) -> Result<RnsPoly> {
    source.need(poly_bytes(params, level))?;
    let mut poly = RnsPoly::scratch(params, level, false);
    for (i, limb) in poly.limbs_mut().enumerate() {
        source.words(limb, params.modulus(i).value())?;
    }
    Ok(poly)
}
