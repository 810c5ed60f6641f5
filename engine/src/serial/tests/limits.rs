//! Files that ask for what no file may: memory, insecure parameters, scales.

use sha2::{Digest, Sha256};

use super::*;

#[test]
fn parameter_files_cannot_accept_less_security() {
    let params = parameters(3);
    assert!(params.literal().allow_insecure && !params.is_secure());
    let file = bytes(|out| write_parameters(out, &params));
    // Refused whatever any byte of the content says, and accepted only by the caller.
    let content = HEADER_BYTES..file.len() - 32;
    for (at, byte) in content.flat_map(|at| [0, 1, 0xff].map(|byte| (at, byte))) {
        let mut changed = file[..file.len() - 32].to_vec();
        changed[at] = byte;
        changed.extend(Sha256::digest(&changed));
        assert!(read_parameters(&changed[..], false).is_err(), "byte {at} is {byte}");
    }
    assert!(matches!(read_parameters(&file[..], false), Err(Error::Insecure { .. })));
    assert!(!read_parameters(&file[..], true).unwrap().is_secure());
    let mut literal = ParametersLiteral::uniform(13, 46, 46, 1, (1, 46), 1).unwrap();
    literal.allow_insecure = true;
    let secure = bytes(|out| write_parameters(out, &Parameters::new(&literal).unwrap()));
    assert!(read_parameters(&secure[..], false).unwrap().is_secure());
}

#[test]
fn absurd_scales_are_neither_written_nor_read() {
    let params = parameters(2);
    let secret = secret(&params);
    let valid = secret.encrypt(&plaintext(&params)).unwrap();
    let file = bytes(|out| write_ciphertext(out, &params, &valid));
    let with = |scale: f64| {
        let written = write_ciphertext(Vec::new(), &params, &Ciphertext { scale, ..valid.clone() });
        let plaintext = Plaintext { scale, ..plaintext(&params) };
        let seeded = write_seeded_ciphertext(Vec::new(), &secret, &plaintext);
        let mut changed = file[..file.len() - 32].to_vec();
        changed[HEADER_BYTES + 1..][..8].copy_from_slice(&scale.to_le_bytes());
        changed.extend(Sha256::digest(&changed));
        (written, seeded, read_ciphertext(&changed[..], &params).map(drop))
    };
    let room = params.modulus(0).value() as f64 * params.modulus(1).value() as f64;
    for good in [1e-30, 1.0, params.scale(), 0.999 * room] {
        assert!(matches!(with(good), (Ok(()), Ok(()), Ok(()))), "{good}");
    }
    let absurd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1024.0];
    for bad in absurd.into_iter().chain([1.001 * room, 1e300, f64::MAX, 1e-31, 5e-324]) {
        let (written, seeded, read) = with(bad);
        assert!(matches!(written, Err(Error::Argument { .. })), "{bad}: {written:?}");
        assert!(matches!(seeded, Err(Error::Argument { .. })), "{bad}: {seeded:?}");
        assert!(matches!(read, Err(Error::Decode { .. })), "{bad}: {read:?}");
    }
}

/// Endless zeros behind some bytes, counted.
struct Endless<'a> {
    start: &'a [u8],
    read: usize,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.read += buffer.len();
        let known = self.start.read(buffer)?;
        buffer[known..].fill(0);
        Ok(buffer.len())
    }
}

#[test]
fn declared_lengths_and_counts_are_not_believed() {
    let params = parameters(2);
    let header = |kind: Kind, length: u64| {
        let mut header = b"SPENCNN\0".to_vec();
        header.extend(FORMAT_VERSION.to_le_bytes());
        header.extend((kind as u16).to_le_bytes());
        header.extend(params.fingerprint().0);
        header.extend(length.to_le_bytes());
        header
    };
    let reason = |result: Result<()>| match result {
        Err(Error::Decode { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    for length in [1 << 40, u64::MAX] {
        // Zeros are valid residues: the reader takes what the parameters allow, no more, and then complains.
        for kind in [Kind::PublicKey, Kind::SecretKey, Kind::EvaluationKeys] {
            let start = header(kind, length);
            let mut reader = Endless { start: &start, read: 0 };
            let result = match kind {
                Kind::PublicKey => read_public_key(&mut reader, &params).map(drop),
                Kind::SecretKey => read_secret_key_unprotected(&mut reader, &params).map(drop),
                _ => read_evaluation_keys(&mut reader, &params).map(drop),
            };
            assert!(reason(result).contains("bytes left, expected none"));
            assert!(reader.read < 30_000, "{kind:?} read {}", reader.read);
        }
    }
    // Short ones are noticed before memory is taken.
    let start = header(Kind::PublicKey, 40);
    let result = read_public_key(Endless { start: &start, read: 0 }, &params).map(drop);
    let expected = crate::serial::public::poly_bytes(&params, 2);
    assert_eq!(reason(result), format!("the payload has 8 bytes left, expected {expected} more"));

    let keys = |payload: &[u8]| {
        let start = [header(Kind::EvaluationKeys, u64::MAX), payload.to_vec()].concat();
        reason(read_evaluation_keys(Endless { start: &start, read: 0 }, &params).map(drop))
    };
    assert_eq!(keys(&[2]), "the relinearisation flag is 2, expected 0 or 1");
    assert_eq!(keys(&[1, 9, 0]), "level is 9, expected at most 2");
    assert_eq!(
        keys(&[0, 255, 255, 255, 255]),
        "there are 4294967295 automorphism keys, expected at most 2048"
    );
    assert_eq!(keys(&[0, 1, 0, 0, 0]), "a Galois element is 0, expected odd and from 3 to 4095");
    assert_eq!(keys(&[0, 1, 0, 0, 0, 4]), "a Galois element is 4, expected odd and from 3 to 4095");
    assert_eq!(
        keys(&[0, 1, 0, 0, 0, 1, 16]),
        "a Galois element is 4097, expected odd and from 3 to 4095"
    );

    let ciphertext = |payload: &[u8]| {
        let start = [header(Kind::Ciphertext, u64::MAX), payload.to_vec()].concat();
        reason(read_ciphertext(Endless { start: &start, read: 0 }, &params).map(drop))
    };
    assert_eq!(ciphertext(&[2]), "its form is 2, expected 0 or 1");
    let scaled = |rest: &[u8]| [&[0][..], &1024_f64.to_le_bytes()[..], rest].concat();
    assert_eq!(ciphertext(&scaled(&[3, 0])), "level is 3, expected at most 2");
    assert_eq!(ciphertext(&[0]), "scale: found 0e0, expected 2^-100 to 2^30.0 at level 0");
    let q = params.modulus(0).value();
    let word = scaled(&[&[0, 0][..], &(q as u32).to_le_bytes()[..]].concat());
    assert_eq!(ciphertext(&word), format!("a residue is {q}, expected below {q}"));
}
