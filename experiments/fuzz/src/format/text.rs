//! Texts: TOML, JSON, and lines of JSON.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use sha2::{Digest as _, Sha256};

use super::bytes::{change, few};
use super::tree::Tree;
use super::{Format, MOST_BYTES, Rng};

/// Numbers as texts may have them and values may not.
const NUMBERS: [&str; 10] = [
    "1e999",
    "-1e999",
    "nan",
    "inf",
    "-0",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "1e-999",
    "0x7fffffffffffffff",
    "9223372036854775807",
];

/// A TOML file.
#[derive(Debug, Clone, Copy)]
pub struct Toml;

/// A JSON file.
#[derive(Debug, Clone, Copy)]
pub struct Json;

/// A file of lines, each in JSON.
#[derive(Debug, Clone, Copy)]
pub struct Lines;

/// Changes the tree that a text stands for, or, now and then, the text.
fn text(
    (input, other): (&[u8], &[u8]),
    rng: &mut Rng,
    read: fn(&str) -> Option<Tree>,
    write: impl Fn(&Tree) -> Option<String>,
) -> Vec<u8> {
    let tree = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(read);
    if rng.random_range(0..6) > 0
        && let Some(mut changed) = tree(input)
    {
        let other = tree(other).unwrap_or(Tree::Empty);
        (0..few(rng)).for_each(|_| changed.change(&other, rng));
        if let Some(text) = write(&changed).filter(|text| text.len() <= MOST_BYTES) {
            return text.into_bytes();
        }
    }
    let mut bytes = input.to_vec();
    for _ in 0..few(rng) {
        match rng.random_range(0..3) {
            0 => replace_number(&mut bytes, rng),
            1 => change_lines(&mut bytes, other, rng),
            _ => change(&mut bytes, other, rng),
        }
    }
    bytes.truncate(MOST_BYTES);
    bytes
}

/// Puts an odd number in the place of one.
fn replace_number(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let is_digit = |b: &u8| b.is_ascii_digit();
    let begins = |k: usize| is_digit(&bytes[k]) && (k == 0 || !is_digit(&bytes[k - 1]));
    let starts: Vec<usize> = (0..bytes.len()).filter(|k| begins(*k)).collect();
    let Some(&start) = starts.choose(rng) else { return };
    let end = start + bytes[start..].iter().take_while(|b| is_digit(b)).count();
    let number = NUMBERS.choose(rng).copied().unwrap_or("0");
    bytes.splice(start..end, number.bytes());
}

/// Removes, doubles or moves a line, or takes one from elsewhere.
fn change_lines(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let others: Vec<&[u8]> = other.split_inclusive(|b| *b == b'\n').collect();
    let Some(last) = lines.len().checked_sub(1) else { return };
    let at = rng.random_range(0..=last);
    match rng.random_range(0..4) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(rng.random_range(0..=last), lines[at]),
        2 => lines.swap(at, last),
        _ => lines.extend(others.choose(rng)),
    }
    *bytes = lines.concat();
}

/// A profile that says how many points a file has, and their hash; as it was if it is no TOML.
pub(crate) fn with_points(profile: &[u8], points: &[u8], file: &str) -> Vec<u8> {
    let tree = std::str::from_utf8(profile).ok().and_then(Tree::from_toml);
    let with = |mut tree: Tree| {
        let table = tree.get_mut("points")?;
        let lines = points.split_inclusive(|b| *b == b'\n').count();
        let hash: String =
            Sha256::digest(points).iter().map(|byte| format!("{byte:02x}")).collect();
        table.set("file", Tree::Text(file.to_owned()));
        table.set("lines", Tree::Whole(lines as i64));
        table.set("sha256", Tree::Text(hash));
        tree.to_toml()
    };
    tree.and_then(with).map_or_else(|| profile.to_vec(), String::into_bytes)
}

impl Format for Toml {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        text((input, other), rng, Tree::from_toml, Tree::to_toml)
    }
}

impl Format for Json {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        text((input, other), rng, Tree::from_json, |tree| Some(tree.to_json()))
    }
}

impl Format for Lines {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> =
            input.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        if lines.is_empty() || rng.random_range(0..6) == 0 {
            let mut bytes = input.to_vec();
            change_lines(&mut bytes, other, rng);
            return bytes;
        }
        let at = rng.random_range(0..lines.len());
        let others: Vec<&[u8]> = other.split_inclusive(|b| *b == b'\n').collect();
        let other = others.choose(rng).copied().unwrap_or_default();
        lines[at] = Json.change(&lines[at], other, rng);
        if rng.random_range(0..16) > 0 && !lines[at].ends_with(b"\n") {
            lines[at].push(b'\n');
        }
        lines.concat()
    }
}
