//! Bytes without structure, and records of one size.

use rand::{Rng as _, seq::IndexedRandom as _};

use super::{Format, MOST_BYTES, Rng};

/// Numbers at which something ends.
const EDGES: [u64; 24] = [
    0,
    1,
    2,
    3,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1 << 40,
    1 << 62,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

/// One of the numbers at which something ends, or near it, or any.
pub(super) fn edge(rng: &mut Rng) -> u64 {
    let edge = EDGES.choose(rng).copied().unwrap_or(0);
    match rng.random_range(0..4) {
        0 => rng.random::<u64>() >> rng.random_range(0..64),
        1 => edge.wrapping_add(rng.random_range(0..5)).wrapping_sub(2),
        _ => edge,
    }
}

/// A number of changes: mostly one, rarely many.
pub(super) fn few(rng: &mut Rng) -> usize {
    1 + rng.random::<u32>().trailing_zeros() as usize
}

/// Changes bytes in one way.
pub(super) fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.extend(other.iter().take(rng.random_range(0..=16)));
        bytes.push(rng.random());
        return;
    }
    let length = bytes.len();
    let at = rng.random_range(0..length);
    // Parts are short as a rule.
    let most = length - at;
    let part = match rng.random_range(0..4) {
        0 => rng.random_range(0..=most),
        _ => rng.random_range(1..=16).min(most),
    };
    match rng.random_range(0..10) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => bytes[at] = bytes[at].wrapping_add(rng.random_range(0..3)).wrapping_sub(1),
        3 | 4 => {
            let word = edge(rng);
            let size = [1, 2, 4, 8].choose(rng).copied().unwrap_or(1).min(most);
            let word = if rng.random() {
                word.to_le_bytes()
            } else {
                (word << (64 - 8 * size)).to_be_bytes()
            };
            bytes[at..at + size].copy_from_slice(&word[..size]);
        }
        5 => drop(bytes.drain(at..at + part)),
        6 => {
            let copy = bytes[at..at + part].to_vec();
            let to = rng.random_range(0..=length);
            bytes.splice(to..to, copy);
        }
        7 => bytes.truncate(at),
        8 => {
            let from = rng.random_range(0..=other.len());
            let taken = rng.random_range(0..=(other.len() - from).min(64));
            bytes.splice(at..at + part.min(taken), other[from..from + taken].iter().copied());
        }
        _ => {
            let new: Vec<u8> = (0..rng.random_range(1..=16)).map(|_| rng.random()).collect();
            bytes.splice(at..at, new);
        }
    }
    bytes.truncate(MOST_BYTES);
}

/// Bytes of which nothing is known.
#[derive(Debug, Clone, Copy)]
pub struct Bytes;

impl Format for Bytes {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let mut bytes = input.to_vec();
        (0..few(rng)).for_each(|_| change(&mut bytes, other, rng));
        bytes
    }
}

/// Records of so many bytes, of which a file has a whole number.
#[derive(Debug, Clone, Copy)]
pub struct Records(pub usize);

impl Format for Records {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let mut bytes = Bytes.change(input, other, rng);
        if rng.random_range(0..4) > 0 {
            let whole = (bytes.len() / self.0).max(1) * self.0;
            bytes.resize(whole, 0);
        }
        bytes
    }
}
