//! Calibration profiles with their points.

use std::path::{Path, PathBuf};

use costmodel::{CostModel, Profile};

use super::scratch::{Scratch, words};
use crate::format::{Bundle, Format, Lines, Rng, Toml, join, split, with_points};
use crate::target::Target;

pub(super) fn all() -> Vec<Box<dyn Target>> {
    vec![Box::new(Calibration { format: Forged::new(), folder: Scratch::new() })]
}

/// Points that a seed has: the file of a real calibration has many more.
const POINTS: usize = 12;

/// A profile and its points, whose number and hash are mostly forged to fit.
struct Forged(Bundle);

impl Forged {
    fn new() -> Self {
        Self(Bundle(vec![Box::new(Toml), Box::new(Lines)]))
    }
}

impl Format for Forged {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        use rand::Rng as _;
        let changed = self.0.change(input, other, rng);
        if rng.random_range(0..8) == 0 {
            return changed;
        }
        match split(&changed)[..] {
            [profile, points] => join(&[with_points(profile, points, FILE), points.to_vec()]),
            _ => changed,
        }
    }
}

/// Name of the file of points.
const FILE: &str = "p.points.jsonl";

struct Calibration {
    format: Forged,
    folder: Scratch,
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles").join(name)
}

impl Target for Calibration {
    fn name(&self) -> &'static str {
        "profile"
    }

    fn format(&self) -> &dyn Format {
        &self.format
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let read = |name| std::fs::read(shipped(name)).unwrap_or_default();
        let (profile, points) =
            (read("amd-epyc-zen5-2core.toml"), read("amd-epyc-zen5-2core.points.jsonl"));
        let lines: Vec<&[u8]> = points.split_inclusive(|b| *b == b'\n').collect();
        // Of every kind.
        let step = (lines.len() / POINTS).max(1);
        let few: Vec<u8> = lines.into_iter().step_by(step).flatten().copied().collect();
        vec![join(&[with_points(&profile, &few, FILE), few])]
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        let files = split(input);
        let file = |k: usize| files.get(k).copied().unwrap_or_default();
        let path = self.folder.write("p.toml", file(0))?;
        self.folder.write(FILE, file(1))?;
        let profile = Profile::load(&path).map_err(words)?;
        CostModel::from_profile(&profile).map_err(words)?;
        profile.load_points(&path).map(drop).map_err(words)
    }
}
