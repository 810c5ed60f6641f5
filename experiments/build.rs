//! Tells the program which revision it was built from, and lists the weight files to embed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rustc-env=SPENCNN_REVISION={}", revision());
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("weights.rs"), weight_list(&root.join("weights"))?)
}

/// The commit, with `-modified` when the sources differ from it; `unknown` outside a git checkout.
fn revision() -> String {
    for folder in
        ["../engine/src", "../costmodel/src", "../simulator/src", "src", "weights", "networks"]
    {
        println!("cargo:rerun-if-changed={folder}");
    }
    // The log of HEAD grows with every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo:rerun-if-changed={log}");
    }
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if !changes.is_empty() => format!("{commit}-modified"),
        _ => commit,
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Rust source of a list of `("network/file.safetensors", bytes)`, sorted.
fn weight_list(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for network in entries(folder)? {
        if network.is_dir() {
            files.extend(
                entries(&network)?
                    .into_iter()
                    .filter(|f| f.extension().is_some_and(|e| e == "safetensors")),
            );
        }
    }
    let mut text = String::from("&[\n");
    for file in files {
        let name =
            file.strip_prefix(folder).unwrap_or(&file).display().to_string().replace('\\', "/");
        // Read from where the crate lies when it is compiled: a list made before the checkout was
        // moved still holds. Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?}))),",
            format!("/weights/{name}")
        );
    }
    text.push_str("]\n");
    Ok(text)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
