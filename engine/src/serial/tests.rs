//! Round trips, and readers against every kind of damage.

mod limits;

use std::io::Read;

use super::frame::HEADER_BYTES;
use super::*;
use crate::cipher::{Ciphertext, Plaintext};
use crate::encoding::Encoder;
use crate::keys::{EvaluationKeys, KeySpec, PublicKey, SecretKey};
use crate::params::{Parameters, ParametersLiteral};
use crate::poly::CHUNK_WORDS;
use crate::{Error, Result};

fn parameters(depth: usize) -> Parameters {
    let mut literal = ParametersLiteral::uniform(11, 30, 21, depth, (1, 30), 1).unwrap();
    literal.allow_insecure = true;
    Parameters::new(&literal).unwrap()
}

fn secret(params: &Parameters) -> SecretKey {
    SecretKey::from_seed(params, [7; 32])
}

fn plaintext(params: &Parameters) -> Plaintext {
    let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64).sin()).collect();
    Encoder::new(params).encode(&values, 1, params.scale(), false).unwrap()
}

fn evaluation_keys(secret: &SecretKey) -> EvaluationKeys {
    let rotations = [(1, 1), (5, 0)].into_iter().collect();
    let spec = KeySpec { relinearisation: Some(1), conjugation: Some(0), rotations };
    EvaluationKeys::generate(secret, &spec).unwrap()
}

fn bytes(write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    out
}

/// Reads an object and forgets it.
type Check = Box<dyn Fn(&[u8]) -> Result<()>>;

/// One object of each kind, with its reader.
fn objects() -> Vec<(&'static str, Vec<u8>, Check)> {
    let params = parameters(2);
    let secret = secret(&params);
    let ciphertext = secret.encrypt(&plaintext(&params)).unwrap();
    let public = PublicKey::generate(&secret);
    let keys = evaluation_keys(&secret);
    let check = |read: fn(&[u8], &Parameters) -> Result<()>| -> Check {
        let params = params.clone();
        Box::new(move |bytes| read(bytes, &params))
    };
    vec![
        (
            "parameters",
            bytes(|out| write_parameters(out, &params)),
            check(|bytes, _| read_parameters(bytes, true).map(drop)),
        ),
        (
            "secret key",
            bytes(|out| write_secret_key_unprotected(out, &secret)),
            check(|bytes, params| read_secret_key_unprotected(bytes, params).map(drop)),
        ),
        (
            "public key",
            bytes(|out| write_public_key(out, &public)),
            check(|bytes, params| read_public_key(bytes, params).map(drop)),
        ),
        (
            "evaluation keys",
            bytes(|out| write_evaluation_keys(out, &params, &keys)),
            check(|bytes, params| read_evaluation_keys(bytes, params).map(drop)),
        ),
        (
            "ciphertext",
            bytes(|out| write_ciphertext(out, &params, &ciphertext)),
            check(|bytes, params| read_ciphertext(bytes, params).map(drop)),
        ),
        (
            "seeded ciphertext",
            bytes(|out| write_seeded_ciphertext(out, &secret, &plaintext(&params))),
            check(|bytes, params| read_ciphertext(bytes, params).map(drop)),
        ),
    ]
}

fn same(a: &Ciphertext, b: &Ciphertext) -> bool {
    a.c0.words() == b.c0.words() && a.c1.words() == b.c1.words() && a.scale == b.scale
}

#[test]
fn parameters_round_trip() {
    for params in [parameters(0), parameters(3)] {
        let file = bytes(|out| write_parameters(out, &params));
        let read = read_parameters(&file[..], true).unwrap();
        assert_eq!(read, params);
        assert_eq!((read.q(), read.p()), (params.q(), params.p()));
    }
}

#[test]
fn secret_keys_round_trip() {
    let params = parameters(2);
    let secret = secret(&params);
    let file = bytes(|out| write_secret_key_unprotected(out, &secret));
    assert_eq!(file.len(), HEADER_BYTES + params.n() / 4 + 32);
    let read = read_secret_key_unprotected(&file[..], &params).unwrap();
    assert_eq!(read.coefficients(), secret.coefficients());
    assert_eq!(read.poly().words(), secret.poly().words());
}

#[test]
fn public_keys_round_trip() {
    let params = parameters(2);
    let key = PublicKey::generate(&secret(&params));
    let read = read_public_key(&bytes(|out| write_public_key(out, &key))[..], &params).unwrap();
    assert_eq!(read.a.words(), key.a.words());
    assert_eq!(read.b.words(), key.b.words());
}

#[test]
fn evaluation_keys_round_trip() {
    let params = parameters(2);
    let keys = evaluation_keys(&secret(&params));
    let file = bytes(|out| write_evaluation_keys(out, &params, &keys));
    // Half the words, of 21 or 30 bits in place of 48; in memory the other half may be missing, too.
    let components = crate::keys::KeyForm::of_prime(f64::from(1 << 30)).components as usize;
    assert!(file.len() < 2 * keys.bytes() / (3 * components));
    let read = read_evaluation_keys(&file[..], &params).unwrap();
    assert_eq!(read.fingerprint(), keys.fingerprint());
    assert_eq!(read.bytes(), keys.bytes());
    let all = |keys: &EvaluationKeys| -> Vec<(usize, Vec<u64>)> {
        let galois = keys.galois.iter().map(|(&element, g)| (element, &g.key));
        let relinearisation = keys.relinearisation.iter().map(|key| (0, key));
        let halves = |key: &crate::keys::SwitchingKey| -> Vec<u64> {
            let limbs = 0..key.level() + 1 + params.special_count();
            let level = key.level();
            let chunks = |i| (0..params.n() / CHUNK_WORDS).map(move |chunk| (i, chunk));
            let words = |(i, chunk)| {
                let numbers = key.masks(level, i, chunk, key.digits()).map(|stream| stream.numbers);
                [key.words(level, i, chunk).words, numbers.unwrap_or_default()].concat()
            };
            limbs.flat_map(chunks).flat_map(words).collect()
        };
        relinearisation.chain(galois).map(|(element, key)| (element, halves(key))).collect()
    };
    assert_eq!(all(&read), all(&keys));

    // None at all is a set of keys too.
    let none = EvaluationKeys::generate(&secret(&params), &KeySpec::default()).unwrap();
    let file = bytes(|out| write_evaluation_keys(out, &params, &none));
    assert_eq!(read_evaluation_keys(&file[..], &params).unwrap().bytes(), 0);
}

#[test]
fn ciphertexts_round_trip() {
    let params = parameters(2);
    let (secret, plaintext) = (secret(&params), plaintext(&params));
    let ciphertext = secret.encrypt(&plaintext).unwrap();
    let whole = bytes(|out| write_ciphertext(out, &params, &ciphertext));
    assert!(same(&read_ciphertext(&whole[..], &params).unwrap(), &ciphertext));

    let seeded = bytes(|out| write_seeded_ciphertext(out, &secret, &plaintext));
    assert!(seeded.len() < whole.len() / 2 + 200);
    let read = read_ciphertext(&seeded[..], &params).unwrap();
    let encoder = Encoder::new(&params);
    let expected = encoder.decode(&plaintext).unwrap();
    let decoded = encoder.decode(&secret.decrypt(&read).unwrap()).unwrap();
    // Errors of deviation 3.19 in every coefficient.
    let bound = 7.0 * 3.2 * (params.n() as f64).sqrt() / params.scale();
    assert!(decoded.iter().zip(&expected).all(|(d, e)| (d - e).abs() < bound));
}

#[test]
fn sizes_are_known_before() {
    let params = parameters(2);
    let secret = secret(&params);
    let rotations = [(1, 1), (5, 0)].into_iter().collect();
    let spec = KeySpec { relinearisation: Some(1), conjugation: Some(0), rotations };
    assert_eq!(
        bytes_of_evaluation_keys(&params, &evaluation_keys(&secret)),
        evaluation_keys_bytes(&params, &spec)
    );
    let level = plaintext(&params).level();
    let sizes = [
        parameters_bytes(&params),
        secret_key_bytes(&params),
        public_key_bytes(&params),
        evaluation_keys_bytes(&params, &spec),
        ciphertext_bytes(&params, level),
        seeded_ciphertext_bytes(&params, level),
    ];
    for ((name, file, _), size) in objects().into_iter().zip(sizes) {
        assert_eq!(file.len() as u64, size, "{name}");
    }
}

#[test]
fn further_objects_have_the_same_frame() {
    let params = parameters(0);
    let write = |payload: fn(&mut Sink<&mut dyn std::io::Write>) -> Result<()>| {
        bytes(|out| write_object(out, Kind::CompiledModel, params.fingerprint(), payload))
    };
    let file = write(|sink| {
        sink.u8(1)?;
        sink.u16(2)?;
        sink.u32(3)?;
        sink.u64(4)?;
        sink.f64(0.1)?;
        sink.words(&[5, 6, 7], 8)
    });
    assert_eq!(file.len() as u64, object_bytes(1 + 2 + 4 + 8 + 8 + 2));
    let open = || Source::open_for(&file[..], Kind::CompiledModel, params.fingerprint()).unwrap();
    let mut source = open();
    assert_eq!(source.fingerprint(), params.fingerprint());
    let numbers = (source.u8().unwrap(), source.u16().unwrap(), source.u32().unwrap());
    assert_eq!(numbers, (1, 2, 3));
    assert_eq!((source.u64().unwrap(), source.f64().unwrap()), (4, 0.1));
    let mut words = [0; 3];
    source.words(&mut words, 8).unwrap();
    assert_eq!(words, [5, 6, 7]);
    source.finish().unwrap();
    assert!(open().finish().is_err(), "a payload that is not used up");
    // Less or more than was announced is never written.
    let sink = || Sink::open(Vec::new(), Kind::CompiledModel, params.fingerprint(), 4).unwrap();
    assert!(matches!(sink().finish(), Err(Error::Argument { .. })));
    assert!(matches!(sink().u64(1), Err(Error::Argument { .. })));
}

#[test]
fn objects_follow_each_other_in_a_stream() {
    let params = parameters(2);
    let secret = secret(&params);
    let stream = bytes(|out| {
        write_parameters(&mut *out, &params)?;
        write_seeded_ciphertext(&mut *out, &secret, &plaintext(&params))?;
        write_secret_key_unprotected(out, &secret)
    });
    let mut stream = &stream[..];
    let params = read_parameters(&mut stream, true).unwrap();
    read_ciphertext(&mut stream, &params).unwrap();
    read_secret_key_unprotected(&mut stream, &params).unwrap();
    assert!(stream.is_empty());
}

#[test]
fn every_truncation_is_an_error() {
    for (name, file, read) in objects() {
        read(&file).unwrap();
        // All of the ends, and a sample of the middle.
        let lengths = (0..file.len()).filter(|&l| l < 200 || l + 80 > file.len() || l % 199 == 0);
        for length in lengths {
            match read(&file[..length]) {
                Err(Error::Decode { reason, .. }) => {
                    assert_eq!(reason, "it is cut off", "{name} {length}")
                }
                other => panic!("{name} cut to {length}: {other:?}"),
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    for (name, file, read) in objects() {
        let bits = (0..8 * file.len())
            .filter(|&bit| bit < 8 * 150 || bit + 8 * 40 > 8 * file.len() || bit % 997 == 0);
        for bit in bits {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let fingerprint = (12..44).contains(&(bit / 8));
            match read(&damaged) {
                Err(Error::ForeignParameters { .. }) => assert!(fingerprint, "{name} bit {bit}"),
                Err(Error::Decode { .. }) => {}
                other => panic!("{name} with bit {bit} flipped: {other:?}"),
            }
        }
    }
}

#[test]
fn random_bytes_are_errors() {
    let mut state = 1_u64;
    for (name, file, read) in objects() {
        for round in 0..200 {
            let mut damaged = file.clone();
            // Behind a header that is in order.
            for byte in damaged.iter_mut().skip(HEADER_BYTES + round % 50) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
            assert!(matches!(read(&damaged), Err(Error::Decode { .. })), "{name} {round}");
        }
    }
}

#[test]
fn errors_say_what_the_object_is() {
    let params = parameters(2);
    let secret = secret(&params);
    let mut file = bytes(|out| write_secret_key_unprotected(out, &secret));
    let message = |bytes: &[u8], params: &Parameters| match read_ciphertext(bytes, params) {
        Ok(_) => "no error".to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        message(&file, &params),
        "decoding a ciphertext: the object is a secret key, expected a ciphertext"
    );
    file[10] = 77;
    assert_eq!(
        message(&file, &params),
        "decoding a ciphertext: the object is of unknown kind 77, expected a ciphertext"
    );
    // The first version and the third, whose seeds expanded in another way, the second, whose parameters had a security
    // flag, the fourth, whose models said nothing of several images in a ciphertext, the fifth, whose layouts said nothing of
    // spread channels, and the sixth, whose clients made patches for each phase.
    for old in [1, 2, 3, 4, 5, 6] {
        file[8] = old;
        let expected = format!("decoding a ciphertext: format version is {old}, expected 7");
        assert_eq!(message(&file, &params), expected);
    }
    file[0] = b'X';
    assert_eq!(
        message(&file, &params),
        "decoding a ciphertext: it begins with \"XPENCNN\\x00\", expected \"SPENCNN\\x00\""
    );
    let other = parameters(1);
    let file = bytes(|out| write_seeded_ciphertext(out, &secret, &plaintext(&params)));
    let expected = format!(
        "a ciphertext was made under parameters {}, this evaluator uses {}",
        params.fingerprint(),
        other.fingerprint()
    );
    assert_eq!(message(&file, &other), expected);
    let mut damaged = file.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(
        message(&damaged, &params),
        "decoding a ciphertext: the checksum does not match: it is damaged"
    );
}

#[test]
fn writers_refuse_what_does_not_fit() {
    let (params, other) = (parameters(2), parameters(1));
    let keys = evaluation_keys(&secret(&params));
    let result = write_evaluation_keys(Vec::new(), &other, &keys);
    assert!(matches!(result, Err(Error::ForeignParameters { .. })));
    let ciphertext = Ciphertext::zero(&params, 2, 1.0);
    let error = write_ciphertext(Vec::new(), &other, &ciphertext).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ciphertext to write: found ring degree 2048, level 2, \
         expected ring degree 2048, one level of at most 1, plain"
    );
}

/// A device that is full, or that cannot be read.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("broken"))
    }
}

impl std::io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("full"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn failing_devices_are_named() {
    let params = parameters(1);
    assert_eq!(write_parameters(Broken, &params).unwrap_err().to_string(), "parameters: full");
    assert_eq!(read_parameters(Broken, true).unwrap_err().to_string(), "parameters: broken");
}
