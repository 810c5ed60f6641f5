//! `spencnn calibrate --export`: what it writes, and what it refuses before anything is measured.

mod common;

use std::fs;

use assert_cmd::Command;
use common::{Tiny, spencnn, stderr};
use costmodel::orbit::OrbitModel;

/// The export of the hasty profile to a file, without the parameters.
fn export(tiny: &Tiny, format: &str, file: &str) -> Command {
    let mut command = tiny.spencnn();
    command.arg("calibrate").arg("--profile").arg(tiny.path("profile.toml"));
    command.args(["--export", format]).arg(tiny.path(file));
    command
}

#[test]
fn a_table_for_heir_is_made_of_a_profile() {
    let tiny = Tiny::new();
    // Predictions need no points.
    fs::remove_file(tiny.path("profile.points.jsonl")).unwrap();
    let written = |more: &[&str]| {
        let parameters = ["--log-n", "14", "--levels", "6"];
        let mut command = export(&tiny, "heir-orbit", "table.json");
        let told = stderr(command.args(parameters).args(more).assert().success());
        assert!(told.contains("table.json") && !told.contains("calibrating ("), "{told}");
        let table: OrbitModel =
            serde_json::from_slice(&fs::read(tiny.path("table.json")).unwrap()).unwrap();
        (table, told)
    };
    let (table, told) = written(&[]);
    assert!(told.contains("--bootstrap-us"), "{told}");
    assert_eq!(table.latency_table.bootstrap, None);
    assert_eq!(table.latency_table.rotate.len(), 6);
    let setting = table.source.setting;
    assert_eq!((setting.log_n, setting.level, setting.threads), (14, 6, 1));
    assert_eq!((setting.special, setting.alpha, setting.wide), (1, 1, false));
    // Every option counts.
    let more = ["--special", "2", "--alpha", "2", "--export-threads", "3", "--prime-bits", "47"];
    let (other, told) = written(&[&more[..], &["--bootstrap-us", "1.5e7"]].concat());
    assert!(!told.contains("null"), "{told}");
    assert_eq!(other.latency_table.bootstrap, Some(vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.5e7]));
    let setting = other.source.setting;
    assert_eq!((setting.special, setting.alpha, setting.threads), (2, 2, 3));
    // Which kernels correct words for such primes is up to the CPU.
    assert_eq!(setting.wide, engine::ntt::corrects(47_f64.exp2(), 14));
    assert_ne!(other.latency_table.rotate, table.latency_table.rotate);
}

#[test]
fn what_cannot_be_exported_is_known_before_measuring() {
    let tiny = Tiny::new();
    let parameters = ["--log-n", "14", "--levels", "6"];
    let check = |mut command: Command, words: &[&str]| {
        let told = stderr(command.assert().code(2));
        for word in words {
            assert!(told.contains(word), "{word}: {told}");
        }
        assert!(!told.contains("calibrating ("), "{told}");
    };
    let with = |format: &str, file: &str, more: &[&str]| {
        let mut command = export(&tiny, format, file);
        command.args(more);
        command
    };
    check(with("xml", "table.json", &parameters), &["\"xml\"", "heir-orbit"]);
    check(with("heir-orbit", "table.json", &["--log-n", "14"]), &["--levels"]);
    let long = ["--log-n", "13", "--levels", "20"];
    check(with("heir-orbit", "table.json", &long), &["parameters of the table", "128-bit"]);
    let digits = [&parameters[..], &["--alpha", "3"]].concat();
    check(with("heir-orbit", "table.json", &digits), &["parameters of the table", "digit"]);
    let below = tiny.path("tiny.toml/table.json");
    check(with("heir-orbit", below.to_str().unwrap(), &parameters), &["cannot be written"]);
    for us in ["0", "-1", "nan"] {
        let bootstrap = [&parameters[..], &["--bootstrap-us", us]].concat();
        check(with("heir-orbit", "table.json", &bootstrap), &["--bootstrap-us"]);
    }
    // The same without a profile to export from, where the measurement would come first.
    let mut measured = spencnn();
    measured.args(["calibrate", "--quick", "--export", "xml", "table.json"]).args(parameters);
    check(measured, &["\"xml\"", "heir-orbit"]);
    for alone in [&["--profile"][..], &["--log-n", "14"], &["--bootstrap-us", "5"]] {
        let mut command = spencnn();
        command.arg("calibrate").args(alone);
        check(command, &["--export"]);
    }
    assert!(!tiny.path("table.json").exists());
}

/// Without a file, `--profile` is the one that is kept for this machine.
#[test]
fn this_machines_profile_is_found() {
    let tiny = Tiny::new();
    let mut command = tiny.spencnn();
    command.current_dir(tiny.folder()).args(["calibrate", "--profile", "--export", "heir-orbit"]);
    command.args(["table.json", "--log-n", "13", "--levels", "3"]);
    let told = stderr(command.assert().code(2));
    assert!(told.contains("no calibration profile"), "{told}");
    let kept = experiments::machine::profiles::slug(&costmodel::Machine::detect().cpu);
    fs::create_dir(tiny.path("profiles")).unwrap();
    fs::copy(tiny.path("profile.toml"), tiny.path(&format!("profiles/{kept}.toml"))).unwrap();
    command.assert().success();
    assert!(tiny.path("table.json").exists());
}
