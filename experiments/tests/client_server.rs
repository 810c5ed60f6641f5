//! Client and server as separate processes, with files or pipes between them.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use common::{Tiny, stderr, stdout};
use serde_json::Value;

/// The command in a folder, for the insecure parameters of the tiny network.
fn step(tiny: &Tiny, arguments: &[&str]) -> Command {
    let mut command = tiny.spencnn();
    command.current_dir(tiny.folder()).args(arguments);
    if arguments[0] != "run" {
        command.arg("--allow-insecure");
    }
    command
}

fn succeed(tiny: &Tiny, arguments: &[&str]) -> String {
    stderr(step(tiny, arguments).assert().success())
}

fn refuse(tiny: &Tiny, arguments: &[&str]) -> String {
    stderr(step(tiny, arguments).assert().code(2))
}

/// Compiles the tiny network and makes keys, under the usual names.
fn prepared() -> Tiny {
    let tiny = Tiny::new();
    succeed(&tiny, &["compile", "--network", "tiny.toml", "--config", "config.toml"]);
    succeed(&tiny, &["keygen", "--public-key", "public.key"]);
    tiny
}

/// Logits of every image, in the order of files and images.
fn logits(output: &str) -> Vec<Vec<f64>> {
    let found: Value = serde_json::from_str(output).unwrap();
    let files = found["files"].as_array().unwrap();
    files.iter().flat_map(|f| per_image(&f["images"])).collect()
}

fn per_image(images: &Value) -> Vec<Vec<f64>> {
    let numbers = |v: &Value| v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    images.as_array().unwrap().iter().map(|image| numbers(&image["logits"])).collect()
}

/// Equal but for noise: to 8 bits of the largest logit of an image.
fn assert_same(found: &[Vec<f64>], expected: &[Vec<f64>]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let largest = expected.iter().fold(0.0f64, |m, v| v.abs().max(m));
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < largest / 256.0, "{found:?} {expected:?}");
        }
    }
}

#[test]
fn separate_processes_give_what_a_run_gives() {
    let tiny = prepared();
    let report = stdout(tiny.run().args(["--allow-insecure", "--json"]).assert().success());
    let report: Value = serde_json::from_str(&report).unwrap();
    let expected = per_image(&report["per_image"]);
    assert_eq!(expected.len(), 3);
    succeed(&tiny, &["encrypt", "--images", "3", "--out", "three.images"]);
    succeed(&tiny, &["infer", "three.images", "--out", "three.results", "--threads", "1"]);
    let decrypt = ["decrypt", "three.results", "--json", "--logits", "logits.csv"];
    let found = stdout(step(&tiny, &decrypt).assert().success());
    assert_same(&logits(&found), &expected);
    let table = fs::read_to_string(tiny.path("logits.csv")).unwrap();
    assert_eq!(table.lines().count(), 4);
    assert!(table.lines().nth(3).unwrap().starts_with("\"three.results\",3,"), "{table}");
    // What the run says of sizes is what files have.
    let size = |name: &str| fs::metadata(tiny.path(name)).unwrap().len();
    for kind in ["sent_bytes", "predicted_sent_bytes"] {
        let bytes = |part: &str| report[kind][part].as_u64().unwrap();
        assert_eq!(bytes("evaluation_keys"), size("evaluation.keys"), "{kind}");
        succeed(&tiny, &["encrypt", "--out", "one.images"]);
        succeed(&tiny, &["infer", "one.images", "--out", "one.results"]);
        assert_eq!(bytes("upload"), size("one.images"), "{kind}");
        assert_eq!(bytes("download"), size("one.results"), "{kind}");
    }
}

/// Two images share a ciphertext, and the client file says so: the same commands, and each image's logits.
#[test]
fn images_that_share_ciphertexts_go_through_files() {
    let tiny = Tiny::of_two_images();
    let note = succeed(&tiny, &["compile", "--network", "tiny.toml", "--config", "config.toml"]);
    assert!(note.contains("a ciphertext's 2 images"), "{note}");
    succeed(&tiny, &["keygen"]);
    let report = stdout(tiny.run().args(["--allow-insecure", "--json"]).assert().success());
    let report: Value = serde_json::from_str(&report).unwrap();
    let expected = per_image(&report["per_image"]);
    succeed(&tiny, &["encrypt", "--images", "3", "--out", "three.images"]);
    let infer = ["infer", "three.images", "--out", "three.results", "--threads", "2"];
    for more in [&[][..], &["--batch"]] {
        let note = succeed(&tiny, &[&infer, more].concat());
        assert!(note.contains("3 images in 2 inferences"), "{note}");
        let found = stdout(step(&tiny, &["decrypt", "three.results", "--json"]).assert().success());
        assert_same(&logits(&found), &expected);
    }
    // Each image counts as a result that is shown.
    let share = ["decrypt", "three.results", "--share-safe", "--min-precision", "0"];
    let with = |queries| [&share[..], &["--statistical-bits", "1", "--queries", queries]].concat();
    let text = refuse(&tiny, &with("2"));
    assert!(text.contains("results to be shown is more than 2"), "{text}");
    step(&tiny, &with("3")).assert().success();
}

#[test]
fn files_of_each_image_public_keys_and_pipes() {
    let tiny = prepared();
    succeed(&tiny, &["encrypt", "--images", "2", "--out", "two.images"]);
    succeed(&tiny, &["infer", "two.images", "--out", "two.results"]);
    let note =
        succeed(&tiny, &["infer", "two.images", "--batch", "--threads", "2", "--out", "batch"]);
    assert!(note.contains("2 images, 2 at a time"), "{note}");
    let [one, batch] = ["two.results", "batch"].map(|name| fs::read(tiny.path(name)).unwrap());
    assert!(one == batch, "batches give other results");
    let decrypt = |files: &[&str]| {
        let arguments = [&["decrypt", "--json"], files].concat();
        logits(&stdout(step(&tiny, &arguments).assert().success()))
    };
    let expected = decrypt(&["two.results"]);
    let public =
        ["encrypt", "--public-key", "public.key", "--images", "2", "--split", "--out", "in"];
    succeed(&tiny, &public);
    let inputs = ["in/image-000001.images", "in/image-000002.images"];
    let on_demand = ["--out-dir", "out", "--plaintexts", "on-demand"];
    succeed(&tiny, &[&["infer"], &inputs[..], &on_demand].concat());
    assert_same(&decrypt(&["out/image-000001.results", "out/image-000002.results"]), &expected);
    // The second image alone, through pipes.
    let second = ["encrypt", "--image-index", "2", "--out", "-"];
    let images = step(&tiny, &second).assert().success().get_output().stdout.clone();
    let infer = step(&tiny, &["infer", "-", "--out", "-"]).write_stdin(images).assert().success();
    let results = infer.get_output().stdout.clone();
    let decrypted =
        step(&tiny, &["decrypt", "-", "--json"]).write_stdin(results).assert().success();
    assert_same(&logits(&stdout(decrypted)), &expected[1..]);
    let text = stdout(step(&tiny, &["decrypt", "two.results"]).assert().success());
    assert!(text.contains("two.results, image 2: class "), "{text}");
    let times = stdout(
        step(&tiny, &["infer", "two.images", "--out", "two.results", "--json"]).assert().success(),
    );
    let times: Value = serde_json::from_str(&times).unwrap();
    assert_eq!(times["images_ms"].as_array().unwrap().len(), 2);
    assert!(times["prepare_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_was_made_under_other_parameters_is_refused() {
    let tiny = prepared();
    succeed(&tiny, &["encrypt", "--out", "a.images"]);
    succeed(&tiny, &["infer", "a.images", "--out", "a.results"]);
    let text = fs::read_to_string(tiny.configuration()).unwrap();
    fs::write(tiny.path("other.toml"), text.replace("levels = 3", "levels = 4")).unwrap();
    let (network, config) = (["compile", "--network", "tiny.toml"], ["--config", "other.toml"]);
    let files = ["--model", "other.model", "--client", "other.client"];
    succeed(&tiny, &[&network[..], &config, &files].concat());
    let other = ["--client", "other.client"];
    let made = ["--secret", "other.secret", "--keys", "other.keys", "--public-key", "other.public"];
    succeed(&tiny, &[&["keygen"], &other[..], &made].concat());
    for (arguments, named) in [
        (
            &["encrypt", "--secret", "other.secret", "--out", "x"][..],
            ["other.secret", "client.spencnn"],
        ),
        (
            &["encrypt", "--public-key", "other.public", "--out", "x"],
            ["other.public", "client.spencnn"],
        ),
        (&["encrypt", "--client", "other.client", "--out", "x"], ["secret.key", "other.client"]),
        (
            &["infer", "a.images", "--keys", "other.keys", "--out", "x"],
            ["other.keys", "model.spencnn"],
        ),
        (
            &["infer", "a.images", "--model", "other.model", "--out", "x"],
            ["evaluation.keys", "other.model"],
        ),
        (
            &["infer", "a.images", "--model", "other.model", "--keys", "other.keys", "--out", "x"],
            ["a.images", "other.model"],
        ),
        (&["decrypt", "a.results", "--secret", "other.secret"], ["other.secret", "client.spencnn"]),
        (
            &["decrypt", "a.results", "--client", "other.client", "--secret", "other.secret"],
            ["a.results", "other.client"],
        ),
    ] {
        let text = refuse(&tiny, arguments);
        assert!(named.iter().all(|name| text.contains(name)), "{arguments:?}: {text}");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let fingerprints =
            words.filter(|w| w.len() == 16 && w.chars().all(|c| c.is_ascii_hexdigit()));
        assert!(fingerprints.count() >= 2, "{arguments:?}: {text}");
        assert!(!tiny.path("x").exists(), "{arguments:?} wrote something");
    }
    // Files of a wrong kind.
    let text = refuse(&tiny, &["infer", "a.results", "--out", "x"]);
    assert!(text.contains("encrypted results, expected encrypted images"), "{text}");
    let text = refuse(&tiny, &["keygen", "--client", "model.spencnn", "--secret", "y"]);
    assert!(text.contains("a compiled model, expected a client specification"), "{text}");
}

#[test]
fn secrets_stay_with_their_owner() {
    let tiny = prepared();
    let secret = fs::read(tiny.path("secret.key")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name: &str| fs::metadata(tiny.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("secret.key"), 0o600);
        fs::write(tiny.path("plain"), "x").unwrap();
        assert_eq!(mode("evaluation.keys"), mode("plain"));
        fs::set_permissions(tiny.path("secret.key"), fs::Permissions::from_mode(0o644)).unwrap();
        let text = succeed(&tiny, &["encrypt", "--out", "a.images"]);
        assert!(text.contains("others can read the secret key secret.key"), "{text}");
    }
    // It is not replaced unless that is asked for.
    let text = refuse(&tiny, &["keygen"]);
    assert!(text.contains("secret.key is there already") && text.contains("--force"), "{text}");
    assert_eq!(fs::read(tiny.path("secret.key")).unwrap(), secret);
    let packed = &secret[52..secret.len() - 32];
    for name in ["model.spencnn", "client.spencnn", "evaluation.keys", "public.key"] {
        let file = fs::read(tiny.path(name)).unwrap();
        let known: std::collections::HashSet<&[u8]> = packed.windows(16).collect();
        assert!(!file.windows(16).any(|w| known.contains(w)), "{name}");
        let text = refuse(&tiny, &["encrypt", "--secret", name, "--out", "x"]);
        assert!(text.contains("expected a secret key"), "{text}");
    }
    succeed(&tiny, &["keygen", "--force"]);
    assert_ne!(fs::read(tiny.path("secret.key")).unwrap(), secret);
}

#[test]
fn damaged_files_are_errors_and_nothing_is_left() {
    let tiny = prepared();
    succeed(&tiny, &["encrypt", "--images", "2", "--out", "a.images"]);
    succeed(&tiny, &["infer", "a.images", "--out", "a.results"]);
    let commands = [
        ("model.spencnn", &["infer", "a.images", "--out", "x"][..]),
        ("evaluation.keys", &["infer", "a.images", "--out", "x"]),
        ("a.images", &["infer", "a.images", "--out", "x"]),
        ("client.spencnn", &["encrypt", "--out", "x"]),
        ("secret.key", &["encrypt", "--out", "x"]),
        ("a.results", &["decrypt", "a.results", "--logits", "x"]),
    ];
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().count();
    let before = entries(tiny.folder());
    for (name, arguments) in commands {
        let path = tiny.path(name);
        let whole = fs::read(&path).unwrap();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            bytes
        };
        let more = [&whole[..], b"more"].concat();
        for damaged in
            [whole[..whole.len() - 1].to_vec(), flipped(whole.len() / 2), flipped(3), more]
        {
            fs::write(&path, damaged).unwrap();
            let text = refuse(&tiny, arguments);
            assert!(text.contains(name), "{text}");
            // Not even a temporary file.
            assert_eq!(entries(tiny.folder()), before, "{arguments:?}");
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn memory_and_outputs_are_checked_before() {
    let tiny = prepared();
    succeed(&tiny, &["encrypt", "--out", "a.images"]);
    let limited = ["infer", "a.images", "--out", "x", "--memory-limit", "1kB"];
    let text = refuse(&tiny, &limited);
    assert!(text.contains("--memory-limit") && text.contains("on-demand"), "{text}");
    let text = refuse(&tiny, &["infer", "a.images", "--out", "-", "--json"]);
    assert!(text.contains("standard output"), "{text}");
    let text = refuse(&tiny, &["infer", "a.images", "a.images", "--out-dir", "results"]);
    assert!(text.contains("a.results"), "{text}");
    let text = refuse(&tiny, &["infer", "a.images", "a.images", "--out", "x"]);
    assert!(text.contains("--out-dir"), "{text}");
    step(&tiny, &["compile", "--network", "tiny.toml"]).assert().code(2);
}

#[test]
fn lenet_by_two_parties() {
    let tiny = Tiny::new();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/lenet.toml");
    let run = ["run", "--config", config, "--profile", "profile.toml", "--no-baselines"];
    let run = [&run[..], &["--images", "2", "--json"]].concat();
    let report = stdout(step(&tiny, &run).assert().success());
    let report: Value = serde_json::from_str(&report).unwrap();
    let secure = |arguments: &[&str]| {
        stdout(tiny.spencnn().current_dir(tiny.folder()).args(arguments).assert().success())
    };
    secure(&["compile", "--config", config]);
    secure(&["keygen"]);
    secure(&["encrypt", "--images", "2", "--out", "digits.images"]);
    secure(&["infer", "digits.images", "--out", "digits.results"]);
    let found = logits(&secure(&["decrypt", "digits.results", "--json"]));
    assert_same(&found, &per_image(&report["per_image"]));
    assert_eq!(
        report["sent_bytes"]["evaluation_keys"].as_u64().unwrap(),
        fs::metadata(tiny.path("evaluation.keys")).unwrap().len()
    );
}

#[test]
fn results_to_be_shown_have_noise() {
    let tiny = prepared();
    succeed(&tiny, &["encrypt", "--images", "2", "--out", "a.images"]);
    succeed(&tiny, &["infer", "a.images", "--out", "a.results"]);
    let logits = |arguments: &[&str]| -> Vec<f64> {
        logits(&stdout(step(&tiny, arguments).assert().success())).concat()
    };
    let own = logits(&["decrypt", "a.results", "--json"]);
    let share = ["decrypt", "a.results", "--json", "--share-safe", "--min-precision", "0"];
    let with = |more: &[&'static str]| [&share[..], more].concat();
    // Too much noise, or more results than it is for: nothing is told.
    let text = refuse(&tiny, &with(&["--statistical-bits", "80", "--queries", "2"]));
    assert!(text.contains("search with --min-precision"), "{text}");
    let text = refuse(&tiny, &with(&["--statistical-bits", "1"]));
    assert!(text.contains("results to be shown is more than 1"), "{text}");
    let shown = logits(&with(&["--statistical-bits", "1", "--queries", "2"]));
    let again = logits(&with(&["--statistical-bits", "1", "--queries", "2"]));
    assert_eq!(shown.len(), own.len());
    assert!(shown != own && shown != again);
    let largest = own.iter().fold(0.0f64, |m, v| v.abs().max(m));
    // No bit of precision need be left, but then no logit is off by more than the largest.
    assert!(shown.iter().zip(&own).all(|(a, b)| (a - b).abs() < largest), "{shown:?} {own:?}");
}
