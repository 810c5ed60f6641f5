//! The command as a user meets it: help, messages, exit codes.

mod common;

use std::fs;

use costmodel::Machine;

use common::{Tiny, spencnn, stderr, stdout};

const COMMANDS: [&str; 14] = [
    "calibrate",
    "search",
    "merge",
    "run",
    "demo",
    "compare",
    "evaluate",
    "units",
    "validate",
    "compile",
    "keygen",
    "encrypt",
    "infer",
    "decrypt",
];

#[test]
fn help_teaches_every_sub_command() {
    let help = stdout(spencnn().arg("--help").assert().success());
    for word in COMMANDS.into_iter().chain(["Exit codes", "Examples"]) {
        assert!(help.contains(word), "{word}");
    }
    for command in COMMANDS {
        let help = stdout(spencnn().args([command, "--help"]).assert().success());
        assert!(
            help.contains("Examples:") && help.contains(&format!("spencnn {command}")),
            "{command}: {help}"
        );
    }
}

#[test]
fn version_names_the_revision() {
    assert!(stdout(spencnn().arg("--version").assert().success()).contains("revision"));
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["run", "--images", "0"][..],
        &["run", "--threads", "none"],
        &["run", "--memory-limit", "8 apples"],
        &["run", "--baseline", "c"],
        &["calibrate", "--quick", "--full"],
        &["walk"],
        &[],
    ] {
        spencnn().args(arguments).assert().code(2);
    }
    let text = stderr(spencnn().args(["run", "--memory-limit", "8 apples"]).assert().code(2));
    assert!(text.contains("apples") && text.contains("GiB"), "{text}");
}

#[test]
fn wrong_input_ends_with_2_and_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], words: &[&str]| {
        let text =
            stderr(spencnn().env("SPENCNN_HOME", home.path()).args(arguments).assert().code(2));
        for word in words {
            assert!(text.contains(word), "{arguments:?}: {text}");
        }
    };
    check(&["run", "--network", "alexnet"], &["alexnet", "lenet"]);
    check(&["run", "--data", "/nonexistent/folder"], &["/nonexistent/folder", "--data"]);
    check(&["run", "--config", "/nonexistent.toml"], &["/nonexistent.toml"]);
    check(&["run", "--profile", "/nonexistent.toml"], &["/nonexistent.toml", "spencnn calibrate"]);
    check(&["search", "--profile", "/nonexistent.toml"], &["/nonexistent.toml"]);
    check(&["demo", "--profile", "/nonexistent.toml"], &["/nonexistent.toml"]);
    check(&["compare", "--network", "alexnet"], &["alexnet"]);
    let broken = home.path().join("broken.toml");
    fs::write(&broken, "network = \"lenet\"\nvariant = 3\n").unwrap();
    check(&["run", "--config", broken.to_str().unwrap()], &["broken.toml", "variant"]);
}

#[test]
fn no_profile_says_how_to_make_one() {
    // In a folder without profiles.
    let home = tempfile::tempdir().unwrap();
    let text = stderr(
        spencnn()
            .current_dir(home.path())
            .env("SPENCNN_HOME", home.path())
            .arg("search")
            .assert()
            .code(2),
    );
    assert!(text.contains("spencnn calibrate --quick"), "{text}");
}

#[test]
fn a_configuration_for_another_network_is_refused() {
    let tiny = Tiny::new();
    let text =
        stderr(tiny.spencnn().args(["run", "--config"]).arg(tiny.configuration()).assert().code(2));
    assert!(text.contains("\"tiny\"") && text.contains("--network"), "{text}");
}

#[test]
fn a_forced_instruction_set_that_cannot_be_had_ends_with_2() {
    for command in
        ["calibrate", "search", "run", "demo", "compare", "evaluate", "units", "validate"]
    {
        let mut arguments = vec![command];
        if command == "units" {
            arguments.extend(["--config", "none.toml", "--out", "none.safetensors"]);
        }
        let assert = spencnn().env("SPENCNN_ISA", "sse9").args(arguments).assert().code(2);
        let text = stderr(assert);
        assert!(text.contains("SPENCNN_ISA is \"sse9\"") && text.contains("scalar"), "{text}");
    }
}

#[test]
fn a_named_profile_of_other_kernels_is_refused() {
    let tiny = Tiny::new();
    let here = engine::kernels::isa().unwrap();
    let profile = fs::read_to_string(tiny.path("profile.toml")).unwrap();
    let other = if here == "avx2" { "scalar" } else { "avx2" };
    let from = format!("isa = \"{here}\"");
    assert!(profile.contains(&from));
    fs::write(tiny.path("profile.toml"), profile.replace(&from, &format!("isa = \"{other}\"")))
        .unwrap();
    let text = stderr(tiny.run().arg("--allow-insecure").assert().code(2));
    for word in ["profile.toml", here, other, "kernels"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn more_threads_than_there_are_are_told() {
    let tiny = Tiny::new();
    let there = Machine::detect().threads;
    let told = |threads: usize| {
        let mut command = tiny.run_with(&["--threads", &threads.to_string()]);
        stderr(command.arg("--allow-insecure").assert().success()).contains("warning: --threads")
    };
    assert!(told(there + 1));
    assert!(!told(there));
}

#[test]
fn configuration_errors_name_their_place_once() {
    let tiny = Tiny::new();
    let configuration = fs::read_to_string(tiny.configuration()).unwrap();
    let check = |from: &str, to: &str, words: &[&str]| {
        assert!(configuration.contains(from));
        fs::write(tiny.configuration(), configuration.replacen(from, to, 1)).unwrap();
        let text = stderr(tiny.run().arg("--allow-insecure").assert().code(2));
        assert!(text.matches("configuration").count() <= 1, "{text}");
        for word in ["tiny", "dense"].iter().chain(words) {
            assert!(text.contains(word), "{word}: {text}");
        }
    };
    check("levels = 3", "levels = 4000000000", &["parameters.levels is 4000000000"]);
    check("levels = 3", "levels = 9223372036854775807", &["parameters.levels"]);
    check("special = 1\n", "special = 1000000000000\n", &["parameters.special is"]);
    check("tile = 64, blocks = 4", "tile = 48, blocks = 4", &["layer conv1", "tile and blocks"]);
    check("row = 8", "row = 4611686018427387904", &["layer input", "row is 4611686018427387904"]);
    check("\"fc1\"", "\"fc9\"", &["fc9"]);
}
