//! PNG files: chunks whose checksums are forged, pixels that are compressed again.

use std::io::{Read as _, Write as _};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use rand::Rng as _;
use rand::seq::IndexedRandom as _;

use super::bytes::{change, few};
use super::{Format, MOST_BYTES, Rng};

const SIGNATURE: usize = 8;

/// A PNG file.
#[derive(Debug, Clone, Copy)]
pub struct Picture;

/// A kind and its contents.
type Chunk = ([u8; 4], Vec<u8>);

/// Chunks of a file, as far as they are whole.
fn chunks(input: &[u8]) -> Vec<Chunk> {
    let mut rest = input.get(SIGNATURE..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((kind, after)) = after.split_first_chunk::<4>() else { break };
        let Some((data, after)) = after.split_at_checked(length) else { break };
        found.push((*kind, data.to_vec()));
        rest = after.get(4..).unwrap_or_default();
    }
    found
}

fn file(signature: &[u8], chunks: &[Chunk]) -> Vec<u8> {
    let mut out = signature.to_vec();
    for (kind, data) in chunks {
        let mut sum = Crc::new();
        sum.update(kind);
        sum.update(data);
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(kind);
        out.extend(data);
        out.extend(sum.sum().to_be_bytes());
    }
    out
}

impl Format for Picture {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let mut parts = chunks(input);
        if parts.is_empty() || rng.random_range(0..16) == 0 {
            let mut bytes = input.to_vec();
            change(&mut bytes, other, rng);
            return bytes;
        }
        for _ in 0..few(rng) {
            let at = rng.random_range(0..parts.len());
            match rng.random_range(0..8) {
                0 if parts.len() > 1 => drop(parts.remove(at)),
                1 => parts.insert(at, parts[at].clone()),
                2 => parts.extend(chunks(other).choose(rng).cloned()),
                3 => {
                    parts[at].0 = [
                        *b"IDAT", *b"PLTE", *b"tRNS", *b"IEND", *b"tEXt", *b"acTL", *b"iCCP",
                        *b"zTXt",
                    ]
                    .choose(rng)
                    .copied()
                    .unwrap_or(*b"IHDR")
                }
                4 | 5 => change_pixels(&mut parts[at], other, rng),
                _ => change(&mut parts[at].1, other, rng),
            }
        }
        let mut out = file(input.get(..SIGNATURE).unwrap_or_default(), &parts);
        out.truncate(MOST_BYTES);
        out
    }
}

/// Changes what the contents of a chunk are when they are decompressed.
fn change_pixels(chunk: &mut Chunk, other: &[u8], rng: &mut Rng) {
    let mut pixels = Vec::new();
    // What is not compressed stays as it is.
    if ZlibDecoder::new(&chunk.1[..]).take(MOST_BYTES as u64).read_to_end(&mut pixels).is_err() {
        return change(&mut chunk.1, other, rng);
    }
    change(&mut pixels, other, rng);
    let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
    chunk.1 = out.write_all(&pixels).and_then(|()| out.finish()).unwrap_or_default();
}
