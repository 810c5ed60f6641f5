//! The stages in the harness's order, each a process of its own, with the harness's folders between them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser as _;
use experiments::command::Cli;
use experiments::inputs::images::{self, Pictures};
use experiments::inputs::networks::Source;
use experiments::runs::statistics::argmax;
use simulator::network::Model;

/// Every stage, as the harness calls it, and where it was built.
const STAGES: [(&str, &str); 7] = [
    ("client_key_generation", env!("CARGO_BIN_EXE_client_key_generation")),
    ("server_preprocess_model", env!("CARGO_BIN_EXE_server_preprocess_model")),
    ("client_preprocess_input", env!("CARGO_BIN_EXE_client_preprocess_input")),
    ("client_encode_encrypt_input", env!("CARGO_BIN_EXE_client_encode_encrypt_input")),
    ("server_encrypted_compute", env!("CARGO_BIN_EXE_server_encrypted_compute")),
    ("client_decrypt_decode", env!("CARGO_BIN_EXE_client_decrypt_decode")),
    ("client_postprocess", env!("CARGO_BIN_EXE_client_postprocess")),
];

/// A folder as the harness has it, with a submission that was built.
struct Suite {
    root: tempfile::TempDir,
}

impl Suite {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let build = root.path().join("submission/build");
        fs::create_dir_all(&build).unwrap();
        for (name, built) in STAGES {
            symlink(built, build.join(name)).unwrap();
        }
        let [model, client] = ["model.spencnn", "client.spencnn"].map(|name| build.join(name));
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("lenet5/configuration.toml");
        let compile = ["spencnn", "compile", "--network", "lenet", "--config"].map(Into::into);
        let arguments = compile.into_iter().chain([
            configuration,
            "--model".into(),
            model,
            "--client".into(),
            client,
        ]);
        Cli::parse_from(arguments.map(PathBuf::into_os_string)).execute().unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Runs a stage from the harness's folder, by its whole path.
    fn stage(&self, name: &str, arguments: &[&str]) -> Output {
        let stage = self.path("submission/build").join(name);
        Command::new(stage).args(arguments).current_dir(&self.root).output().unwrap()
    }

    fn succeeds(&self, name: &str, arguments: &[&str]) {
        let output = self.stage(name, arguments);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a stage that fails says.
    fn fails(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.stage(name, arguments);
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Writes images as the harness does.
    fn write_pixels(&self, images: &Pictures) {
        let mut text = String::new();
        for k in 0..images.len() {
            let pixels = images.image(k).unwrap();
            let pixels: Vec<String> = pixels.iter().map(|v| format!("{v:.6}")).collect();
            writeln!(text, "{}", pixels.join(" ")).unwrap();
        }
        let folder = self.path("datasets/small/intermediate");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("test_pixels.txt"), text).unwrap();
    }
}

/// The network without encryption.
fn plain() -> (Source, Model) {
    let source = Source::open("lenet").unwrap();
    let model = source.model("g8-p50").unwrap();
    (source, model)
}

#[test]
fn stages_in_order_classify_ten_images() {
    let suite = Suite::new();
    let (source, model) = plain();
    let images = images::load(&source.network, None, 10, 3).unwrap();
    fs::create_dir_all(suite.path("io/small")).unwrap();

    suite.succeeds("client_key_generation", &["1"]);
    let secret = suite.path("io/small/secret_key/secret.key");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    // The harness says nothing of the size here.
    suite.succeeds("server_preprocess_model", &[]);
    suite.write_pixels(&images);
    suite.succeeds("client_preprocess_input", &["1"]);
    suite.succeeds("client_encode_encrypt_input", &["1"]);
    // The server has neither the secret key nor the images.
    let hidden = suite.path("hidden");
    fs::create_dir(&hidden).unwrap();
    for (folder, name) in
        [("io/small/secret_key", "key"), ("io/small/intermediate", "io"), ("datasets", "data")]
    {
        fs::rename(suite.path(folder), hidden.join(name)).unwrap();
    }
    suite.succeeds("server_encrypted_compute", &["1"]);
    fs::rename(hidden.join("key"), suite.path("io/small/secret_key")).unwrap();
    suite.succeeds("client_decrypt_decode", &["1"]);
    suite.succeeds("client_postprocess", &["1"]);

    for folder in ["public_keys", "ciphertexts_upload", "ciphertexts_download"] {
        let files: Vec<_> = fs::read_dir(suite.path("io/small").join(folder)).unwrap().collect();
        let bytes = files[0].as_ref().unwrap().metadata().unwrap().len();
        assert!(files.len() == 1 && bytes > 10_000, "{folder}: {files:?}, {bytes} bytes");
    }
    let predictions =
        fs::read_to_string(suite.path("io/small/encrypted_model_predictions.txt")).unwrap();
    let expected: String = (0..images.len())
        .map(|k| {
            let image = source.network.normalise(&images.image(k).unwrap()).unwrap();
            format!("{}\n", argmax(&model.forward(&image).unwrap()))
        })
        .collect();
    assert_eq!(predictions, expected);
    // Order matters only if classes differ.
    let right = predictions.lines().zip(0..).filter(|(class, k)| **class == k.to_string());
    assert!(right.count() >= 8, "{predictions}");
}

#[test]
fn stages_say_what_they_miss() {
    let suite = Suite::new();
    for (stage, expected) in [
        ("client_preprocess_input", "datasets/small/intermediate/test_pixels.txt"),
        ("client_encode_encrypt_input", "io/small/secret_key/secret.key"),
        ("server_encrypted_compute", "io/small/public_keys/evaluation.keys"),
        ("client_decrypt_decode", "io/small/secret_key/secret.key"),
        ("client_postprocess", "io/small/intermediate/logits.txt"),
    ] {
        let error = suite.fails(stage, &["1"]);
        assert!(error.contains(expected), "{error}");
        assert!(suite.fails(stage, &["4"]).contains("3 (large)"));
        assert!(suite.fails(stage, &[]).contains("0 arguments, expected one"));
    }
    fs::remove_file(suite.path("submission/build/model.spencnn")).unwrap();
    let error = suite.fails("server_preprocess_model", &[]);
    assert!(error.contains("submission/build/model.spencnn"), "{error}");
}
