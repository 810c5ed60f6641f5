//! Files that are whole, with a right checksum, and ask for what no file may.

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
