//! Which module may know which: none, directly or through others, itself.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Modules that `crate::` paths of a file or a folder's files name.
fn named(path: &Path, into: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            named(&entry.unwrap().path(), into);
        }
        return;
    }
    let text = std::fs::read_to_string(path).unwrap();
    for (at, found) in text.match_indices("crate::") {
        let rest = &text[at + found.len()..];
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        into.insert(rest[..end].to_owned());
    }
}

#[test]
fn modules_know_each_other_in_one_direction() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut knows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        named(&path, knows.entry(module).or_default());
    }
    // Names of items, such as `crate::Result`, begin with a capital and leave an empty name.
    for (module, others) in &mut knows {
        others.retain(|other| !other.is_empty() && other != module);
    }
    assert!(knows["lowering"].contains("program") && knows["lowering"].contains("config"));
    // What knows nothing that is left can go, until nothing is left but circles.
    while let Some(free) = knows.iter().find(|(_, others)| others.is_empty()) {
        let free = free.0.clone();
        knows.remove(&free);
        knows.values_mut().for_each(|others| {
            others.remove(&free);
        });
    }
    assert!(knows.is_empty(), "circles: {knows:?}");
}
