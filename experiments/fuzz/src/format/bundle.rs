//! Several files that are decoded together, as one input.

use rand::Rng as _;

use super::{Format, Rng};

/// Files in order, each with its own format.
pub struct Bundle(pub Vec<Box<dyn Format>>);

/// One input of several files.
pub fn join(files: &[Vec<u8>]) -> Vec<u8> {
    let file = |file: &Vec<u8>| [&(file.len() as u32).to_le_bytes()[..], file].concat();
    files.iter().flat_map(file).collect()
}

/// The files of an input; what is cut off is short.
pub fn split(mut input: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let (file, after) = rest.split_at((u32::from_le_bytes(*length) as usize).min(rest.len()));
        files.push(file);
        input = after;
    }
    files
}

impl Format for Bundle {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let (files, others) = (split(input), split(other));
        let chosen = rng.random_range(0..self.0.len());
        let file = |k: usize| files.get(k).copied().unwrap_or_default();
        let changed = self.0.iter().enumerate().map(|(k, format)| {
            // Mostly one file of them, which others contradict then.
            if k == chosen || rng.random_range(0..8) == 0 {
                format.change(file(k), others.get(k).copied().unwrap_or_default(), rng)
            } else {
                file(k).to_vec()
            }
        });
        join(&changed.collect::<Vec<_>>())
    }
}
