//! Compressed files: what is in them is changed, and compressed again.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzReader, XzWriter};
use rand::Rng as _;

use super::bytes::change;
use super::{Format, MOST_BYTES, Rng};

/// A gzip file of what has another format.
pub struct Gzip(pub Box<dyn Format>);

/// An xz file of what has another format.
pub struct Xz(pub Box<dyn Format>);

/// As gzip writes it.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).unwrap_or_default()
}

/// As xz writes it.
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let written = XzWriter::new(&mut out, XzOptions::with_preset(0)).and_then(|mut writer| {
        writer.write_all(bytes)?;
        writer.finish().map(drop)
    });
    if written.is_err() {
        out.clear();
    }
    out
}

/// What can be read of a stream, up to the longest input.
fn unpacked(reader: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What is damaged is read as far as it goes.
    let _ = reader.take(MOST_BYTES as u64).read_to_end(&mut bytes);
    bytes
}

/// Changes what is inside, or, now and then, the compressed bytes.
fn packed(
    inner: &dyn Format,
    (input, other): (&[u8], &[u8]),
    rng: &mut Rng,
    pack: fn(&[u8]) -> Vec<u8>,
    unpack: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    if rng.random_range(0..3) == 0 {
        let mut bytes = input.to_vec();
        change(&mut bytes, other, rng);
        return bytes;
    }
    pack(&inner.change(&unpack(input), &unpack(other), rng))
}

impl Format for Gzip {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        packed(&*self.0, (input, other), rng, gzip, |b| unpacked(MultiGzDecoder::new(b)))
    }
}

impl Format for Xz {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        packed(&*self.0, (input, other), rng, xz, |b| unpacked(XzReader::new(b, true)))
    }
}
