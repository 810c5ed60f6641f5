//! What goes in and out of the command: streams that are closed or full, signals, files that cannot be written, arguments
//! that are no UTF-8, limits of memory.
#![cfg(unix)]

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use common::{Tiny, spencnn, stderr, stdout};

/// The command, to be spawned.
fn child(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("spencnn"));
    command.args(arguments).env_remove("SPENCNN_DATA");
    command
}

/// The command under a shell that first sets a limit.
fn limited(limit: &str, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new("sh");
    command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")]);
    command.arg(assert_cmd::cargo::cargo_bin("spencnn")).args(arguments).env_remove("SPENCNN_DATA");
    command
}

const EVALUATE: [&str; 5] = ["evaluate", "--images", "3", "--threads", "1"];

#[test]
fn a_closed_standard_output_ends_quietly() {
    let mut started =
        child(&EVALUATE).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(started.stdout.take());
    let output = started.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(!errors.contains("panicked") && !errors.contains("error"), "{errors}");
}

#[test]
fn a_full_standard_output_is_an_error_and_loses_no_file() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let (tiny, folder) = (Tiny::new(), tempfile::tempdir().unwrap());
    let out = folder.path().join("units.safetensors");
    let output = child(&["units", "--network"])
        .arg(tiny.network())
        .arg("--config")
        .arg(tiny.configuration())
        .arg("--out")
        .arg(&out)
        .stdout(full.try_clone().unwrap())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("standard output") && !errors.contains("panicked"), "{errors}");
    assert!(out.is_file());
    // Nobody can be told, but the results are there.
    let output = child(&EVALUATE).stderr(full).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("of 3 right"));
}

#[test]
fn sigterm_stops_a_stream_of_images_cleanly() {
    // A million images made beforehand would not fit.
    let script = "ulimit -v 700000; exec \"$0\" \"$@\"";
    let started = Command::new("sh")
        .args(["-c", script])
        .arg(assert_cmd::cargo::cargo_bin("spencnn"))
        .args(["evaluate", "--images", "1000000", "--threads", "2"])
        .env_remove("SPENCNN_DATA")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3));
    let id = started.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = started.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{errors}");
    let results = String::from_utf8(output.stdout).unwrap();
    assert!(results.contains("INTERRUPTED") && results.contains(" right"), "{results}");
}

/// Arguments for the tiny network; each may start with any bytes.
fn tiny_command(tiny: &Tiny, command: &str) -> assert_cmd::Command {
    let mut started = tiny.spencnn();
    started.arg(command).arg("--network").arg(tiny.network());
    if command != "units" {
        started.args(["--threads", "1", "--profile"]).arg(tiny.path("profile.toml"));
    }
    started
}

#[test]
fn what_cannot_be_written_is_said_before_the_work() {
    let tiny = Tiny::new();
    let below_a_file = tiny.network().join("out");
    for (command, option) in [
        ("search", "--out"),
        ("search", "--journal"),
        ("run", "--plot"),
        ("run", "--journal"),
        ("compare", "--plot"),
        ("compare", "--journal"),
    ] {
        let mut started = tiny_command(&tiny, command);
        // No such variant: an error of the work itself, if it comes to that.
        started.args(["--variant", "none"]).arg(option).arg(&below_a_file);
        let text = stderr(started.assert().code(2));
        assert!(text.contains("cannot be written"), "{command} {option}: {text}");
        assert!(text.contains("tiny.toml/out"), "{command} {option}: {text}");
    }
    let mut units = tiny_command(&tiny, "units");
    units.args(["--config", "/nonexistent.toml", "--out"]).arg(&below_a_file);
    assert!(stderr(units.assert().code(2)).contains("cannot be written"));
    // A calibration takes minutes; its points go to a file of their own.
    let (taken, unnamed) =
        (tiny.path("taken.toml"), tiny.folder().join(OsStr::from_bytes(b"\xff")));
    fs::create_dir(tiny.path("taken.points.jsonl")).unwrap();
    for out in [tiny.folder(), &below_a_file, &taken] {
        let text =
            stderr(spencnn().args(["calibrate", "--quick", "--out"]).arg(out).assert().code(2));
        assert!(text.contains("cannot be written") && !text.contains("calibrating ("), "{text}");
    }
    let mut calibrate = spencnn();
    calibrate.args(["calibrate", "--quick", "--out"]).arg(&unnamed);
    assert!(stderr(calibrate.assert().code(2)).contains("in UTF-8"));
    let mut demo = spencnn();
    demo.env("SPENCNN_HOME", &below_a_file).current_dir(tiny.folder()).arg("demo");
    let text = stderr(demo.assert().code(2));
    assert!(text.contains("cannot be written") && !text.contains("calibrating ("), "{text}");
}

#[test]
fn arguments_need_not_be_utf8_and_files_follow_the_umask() {
    let tiny = Tiny::new();
    let odd = |name: &[u8]| tiny.folder().join(OsStr::from_bytes(name));
    let network = odd(b"tiny\xff.toml");
    fs::copy(tiny.network(), &network).unwrap();
    let out = odd(b"units\xfe.safetensors");
    let mut command = limited("umask 027", &["units", "--json", "--network"]);
    command.arg(&network).arg("--config").arg(tiny.configuration()).arg("--out").arg(&out);
    let report = stdout(command.assert().success());
    assert!(report.contains("units\u{fffd}.safetensors"), "{report}");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn limits_of_the_process_and_of_the_user_come_before_allocation() {
    // Its weights take over a gigabyte while they are made.
    let arguments = ["evaluate", "--network", "vgg5", "--variant", "random", "--images", "1"];
    let text = stderr(limited("ulimit -v 1000000", &arguments).assert().code(2));
    assert!(text.contains("over the limit of") && text.contains("--memory-limit"), "{text}");
    let text = stderr(spencnn().args(arguments).args(["--memory-limit", "100MB"]).assert().code(2));
    assert!(text.contains("over the limit of 100.0 MB"), "{text}");
    let mut search = spencnn();
    search.args(["search", "--network", "vgg5", "--memory-limit", "100MB"]);
    assert!(stderr(search.assert().code(2)).contains("over the limit of 100.0 MB"));
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    for (command, option) in [
        ("search", "--max-drop"),
        ("run", "--max-drop"),
        ("demo", "--max-drop"),
        ("run", "--min-precision"),
        ("units", "--keep"),
    ] {
        for bad in ["nan", "inf", "-inf"] {
            let text = stderr(spencnn().args([command, option, bad]).assert().code(2));
            assert!(text.contains(option) && text.contains("expected a"), "{command}: {text}");
        }
    }
}
