//! Which room of the command may know which: each those before it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

/// From the ground up.
const ROOMS: [&str; 7] = ["process", "machine", "inputs", "design", "runs", "report", "command"];

/// The rooms that a folder's files name by `crate::` paths, with the file.
fn named(folder: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, found) in text.match_indices("crate::") {
                let rest = &text[at + found.len()..];
                let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_'));
                let room = &rest[..end.unwrap_or(rest.len())];
                into.push((room.to_owned(), path.display().to_string()));
            }
        }
    }
}

#[test]
fn rooms_know_those_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut arrows = 0;
    for (floor, room) in ROOMS.iter().enumerate() {
        let mut all = Vec::new();
        named(&src.join(room), &mut all);
        for (other, file) in all {
            let at = ROOMS.iter().position(|r| *r == other);
            assert!(at.is_some_and(|at| at <= floor), "{file} names crate::{other}");
            arrows += usize::from(at != Some(floor));
        }
    }
    assert!(arrows > 100, "{arrows}");
}
