//! Objects of the engine, and those that are framed like them: a header, a payload, and a checksum, which is forged.

use rand::Rng as _;
use sha2::{Digest, Sha256};

use super::bytes::{change, few};
use super::{Format, Rng};

/// Bytes of a header; its last eight are the length of the payload.
const HEADER: usize = 8 + 2 + 2 + 32 + 8;
/// Bytes of a checksum.
const CHECKSUM: usize = 32;
/// Bytes at the beginning of a payload that say what the rest is.
const START: usize = 64;

/// Objects with headers and checksums, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Frame;

/// The objects of a stream, each with all its bytes; what is no object is the last.
fn objects(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(length) = rest.get(HEADER - 8..HEADER).and_then(|b| b.first_chunk()) {
        let payload = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let whole = payload.saturating_add(HEADER + CHECKSUM);
        let Some((object, after)) = rest.split_at_checked(whole) else { break };
        found.push(object);
        rest = after;
    }
    if !rest.is_empty() {
        found.push(rest);
    }
    found
}

/// The payload of an object; nothing of what is none.
fn payload(object: &[u8]) -> &[u8] {
    object.get(HEADER..object.len().saturating_sub(CHECKSUM)).unwrap_or_default()
}

impl Format for Frame {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let (mine, others) = (objects(input), objects(other));
        let chosen = rng.random_range(0..mine.len().max(1));
        let is_object = mine.get(chosen).is_some_and(|object| object.len() >= HEADER + CHECKSUM);
        if !is_object || rng.random_range(0..32) == 0 {
            let mut bytes = input.to_vec();
            change(&mut bytes, other, rng);
            return bytes;
        }
        let other = others.get(chosen).map_or(&[][..], |object| payload(object));
        let changed = object(mine[chosen], other, rng);
        let objects = mine.iter().enumerate();
        objects
            .flat_map(|(k, object)| if k == chosen { &changed[..] } else { *object })
            .copied()
            .collect()
    }
}

/// An object with a changed payload.
fn object(object: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let (mut header, mut content) = (object[..HEADER].to_vec(), payload(object).to_vec());
    let length = content.len();
    for _ in 0..few(rng) {
        if rng.random() && content.len() > START {
            let mut start: Vec<u8> = content.drain(..START).collect();
            change(&mut start, other, rng);
            start.append(&mut content);
            content = start;
        } else {
            change(&mut content, other, rng);
        }
    }
    if rng.random_range(0..4) > 0 {
        content.resize(length, 0);
    }
    if rng.random_range(0..16) == 0 {
        let at = rng.random_range(0..HEADER);
        header[at] ^= 1 << rng.random_range(0..8);
    }
    if rng.random_range(0..16) > 0 {
        header[HEADER - 8..].copy_from_slice(&(content.len() as u64).to_le_bytes());
    }
    let mut out = [header, content].concat();
    out.extend(Sha256::digest(&out));
    out
}
