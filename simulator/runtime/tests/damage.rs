//! Files that are damaged, or forged.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Tiny, bytes};
use engine::serial;
use runtime::client::{Client, ClientSpec};
use runtime::server::CompiledModel;
use sha2::{Digest, Sha256};

type Check = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// A file of each kind of this crate, with its reader, and where its last object begins.
fn files() -> Vec<(&'static str, Vec<u8>, usize, Check)> {
    let tiny = Tiny::new(3, 3);
    let first = serial::parameters_bytes(&tiny.spec.params) as usize;
    let client = Client::generate(tiny.spec.clone()).unwrap();
    let message = bytes(|out| client.write_images(out, [Tiny::image(0)].into_iter()));
    let images = tiny.spec.images().unwrap();
    let read = move |mut file: &[u8]| -> Result<(), String> {
        let count = images.open(&mut file).map_err(|e| e.to_string())?;
        let count = count.ok_or("nothing is there")?;
        (0..count)
            .try_for_each(|_| images.read(&mut file, &mut 1).map(drop).map_err(|e| e.to_string()))
    };
    vec![
        (
            "client",
            bytes(|out| tiny.spec.write(out)),
            first,
            Box::new(|file| ClientSpec::read(file, true).map(drop).map_err(|e| e.to_string())),
        ),
        (
            "model",
            bytes(|out| tiny.compiled.write(out)),
            first,
            Box::new(|file| CompiledModel::read(file, true).map(drop).map_err(|e| e.to_string())),
        ),
        ("images", message, 0, Box::new(read)),
    ]
}

/// Places of a file: both ends of it, the surroundings of `middle`, and some between.
fn places(length: usize, middle: usize) -> impl Iterator<Item = usize> {
    let near = move |at: usize, place: usize| at.abs_diff(place) < 200;
    (0..length)
        .filter(move |&at| near(at, 0) || near(at, length) || near(at, middle) || at % 211 == 0)
}

#[test]
fn every_truncation_is_an_error() {
    for (name, file, first, read) in files() {
        read(&file).unwrap();
        for length in places(file.len(), first) {
            let error = read(&file[..length]).unwrap_err();
            let known = ["cut off", "nothing is there"].iter().any(|k| error.contains(k));
            assert!(known, "{name} cut to {length}: {error}");
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    for (name, file, first, read) in files() {
        for at in places(file.len(), first) {
            for bit in [0, 3, 7] {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                assert!(read(&damaged).is_err(), "{name}: bit {bit} of byte {at}");
            }
        }
    }
}

/// What is read of a file whose checksum was made to match is refused or well formed; it never panics.
#[test]
fn forged_files_are_refused_or_fit() {
    let tiny = Tiny::new(3, 3);
    let mut refused = 0;
    for (name, file, first, read) in files() {
        let end = file.len() - 32;
        if name == "images" {
            continue;
        }
        let payload = first + 52;
        let dense = (payload..end).filter(|at| at - payload < 400 || end - at < 400);
        for at in dense.chain((payload..end).step_by(97)) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut forged = file[..end].to_vec();
                forged[at] = value;
                let checksum = Sha256::digest(&forged[first..]);
                forged.extend(checksum);
                match read(&forged) {
                    Err(error) => refused += usize::from(!error.contains("checksum")),
                    Ok(()) if name == "model" => {
                        let model = CompiledModel::read(&forged[..], true).unwrap();
                        model.memory(model.plaintexts);
                        let chain = model.params().into();
                        model.program.check(&chain).unwrap();
                    }
                    Ok(()) => {
                        let spec = ClientSpec::read(&forged[..], true).unwrap();
                        spec.check().unwrap();
                        spec.sizes().unwrap();
                        drop(spec.pack(&[Tiny::image(0)]));
                    }
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
    assert!(tiny.spec.check().is_ok());
}

#[test]
fn lengths_and_counts_are_not_believed() {
    for (name, file, first, read) in files() {
        let at = first + 44;
        for length in [0, 1, 1 << 40, u64::MAX] {
            let mut forged = file.clone();
            forged[at..at + 8].copy_from_slice(&u64::to_le_bytes(length));
            assert!(read(&forged).is_err(), "{name}: {length}");
        }
        // Every number in a payload that may be a count, as large as it gets, in a payload that claims to be endless.
        for place in (first + 52..(first + 452).min(file.len() - 36)).step_by(1) {
            let mut forged = file.clone();
            forged[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            forged[place..place + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            assert!(read(&forged).is_err(), "{name}: {place}");
        }
    }
}

#[test]
fn other_kinds_and_insecure_parameters_are_named() {
    let all = files();
    let (client, model) = (&all[0].1, &all[1].1);
    let error = CompiledModel::read(&client[..], true).unwrap_err().to_string();
    assert!(error.contains("a client specification, expected a compiled model"), "{error}");
    let error = ClientSpec::read(&model[..], true).unwrap_err().to_string();
    assert!(error.contains("a compiled model, expected a client specification"), "{error}");
    assert!(CompiledModel::read(&model[..], false).is_err(), "its parameters are insecure");
    assert!(ClientSpec::read(&client[..], false).is_err());
}
