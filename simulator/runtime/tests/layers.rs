//! Which module may know what: nothing that a server consists of can name what makes keys or decrypts.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Rust files of a folder and below.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    fs::read_dir(path).unwrap().flat_map(|entry| files(&entry.unwrap().path())).collect()
}

/// Code without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn names(code: &str, name: &str) -> bool {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
}

#[test]
fn nothing_of_a_server_names_secrets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Its own modules, those that it shares with the client, and what of the simulator executes programs.
    let interpreter = root.join("../src/interpret/encrypted");
    let places = [
        root.join("src/server"),
        root.join("src/message.rs"),
        root.join("src/wire.rs"),
        root.join("src/error.rs"),
        interpreter.join("session.rs"),
        interpreter.join("execution.rs"),
        interpreter.join("plaintexts.rs"),
    ];
    let all: Vec<PathBuf> = places.iter().flat_map(|place| files(place)).collect();
    assert!(all.len() > 10 && all.iter().any(|path| path.ends_with("server/mod.rs")));
    let secrets =
        ["SecretKey", "PublicKey", "Client", "ClientSpec", "Encryptor", "generate", "decrypt"];
    for path in &all {
        let code = code(path);
        for name in secrets {
            assert!(!names(&code, name), "{} names {name}", path.display());
        }
        assert!(!code.contains("client::"), "{} knows the client", path.display());
    }
    // The names are those that a client has.
    let client = files(&root.join("src/client")).iter().map(|path| code(path)).collect::<String>();
    for name in secrets {
        assert!(names(&client, name), "{name}");
    }
}

#[test]
fn the_command_of_a_server_names_none_either() {
    let command =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/src/command/infer.rs");
    let code = code(&command);
    for name in ["SecretKey", "PublicKey", "Client", "ClientSpec", "ClientArgs", "Encryptor"] {
        assert!(!names(&code, name), "infer names {name}");
    }
    assert!(names(&code, "Server"));
}

#[test]
fn no_prices_are_in_it() {
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        assert!(!names(&code(&path), "costmodel"), "{}", path.display());
    }
}
