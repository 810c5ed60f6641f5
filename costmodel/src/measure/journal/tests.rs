//! Resuming, damage, and several processes that share a journal.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use super::*;
use crate::load::pace::Pace;
use crate::load::{Load, Waits};
use crate::operation::Client;

/// Tells a process started by a test which journal to write, and from which pass on.
const CHILD: &str = "SPENCNN_TEST_CALIBRATION_JOURNAL";

/// What a process prints before a pass that is in the file.
const SAFE: &str = "safe:";

fn plan() -> Plan {
    Plan { passes: 1000, ..Plan::tiny() }
}

fn visit(pass: usize) -> Visit {
    let plan = plan();
    let cases = plan.cases(&plan.sets[0]).len();
    Visit {
        pass,
        set: 0,
        seconds: 0.5,
        operations: vec![Client::Decode.into(); cases],
        samples: vec![vec![[1.25, 2.0].map(timed).to_vec(); cases]],
    }
}

fn timed(ns: f64) -> Timed {
    let pace = Pace { threads: 1, transform_ns: 5.0 };
    let waits = Some(Waits { cores_had: 1.0, waited: 0.0, stolen: 0.0 });
    Timed { ns, load: Load { wanted: 1, waits, pace } }
}

fn open(path: &Path) -> Result<Journal> {
    Journal::open(path, &plan(), &[1], &Machine::detect())
}

fn passes(path: &Path) -> BTreeSet<usize> {
    open(path).unwrap().finished.iter().map(|v| v.pass).collect()
}

#[test]
fn resumes_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut journal = open(&path).unwrap();
    journal.append(&visit(0)).unwrap();
    journal.append(&visit(1)).unwrap();
    drop(journal);
    // The last line is cut short.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 7]).unwrap();
    let mut journal = open(&path).unwrap();
    assert_eq!(journal.finished, vec![visit(0)]);
    journal.append(&visit(2)).unwrap();
    drop(journal);
    assert_eq!(open(&path).unwrap().finished, vec![visit(0), visit(2)]);
    // Another thread count is another plan.
    let other = Journal::open(&path, &plan(), &[2], &Machine::detect());
    assert!(matches!(other, Err(Error::Format { .. })));
    fs::write(&path, "no journal\n").unwrap();
    assert!(matches!(open(&path), Err(Error::Format { .. })));
}

#[test]
fn without_a_header_it_is_a_fresh_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    open(&path).unwrap().append(&visit(0)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let (header, visits) = text.split_at(text.find('\n').unwrap() + 1);
    // Empty, with a part of a header, and with visits that nobody knows the plan of.
    for start in ["", &header[..1], &header[..header.len() / 2], visits] {
        fs::write(&path, start).unwrap();
        let mut journal = open(&path).unwrap();
        assert!(journal.finished.is_empty(), "{start}");
        journal.append(&visit(3)).unwrap();
        assert_eq!(open(&path).unwrap().finished, vec![visit(3)], "{start}");
    }
}

#[test]
fn absurd_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    open(&path).unwrap().append(&visit(0)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let list = serde_json::to_string(&[1.25, 2.0].map(timed)).unwrap() + ",";
    for (from, to) in [
        ("\"seconds\":0.5", "\"seconds\":1e300"),
        ("\"seconds\":0.5", "\"seconds\":-1.0"),
        ("\"pass\":0", "\"pass\":1002"),
        ("\"pass\":0", "\"pass\":18446744073709551615"),
        ("\"set\":0", "\"set\":2"),
        ("\"ns\":1.25", "\"ns\":1e300"),
        ("\"transform_ns\":5.0", "\"transform_ns\":0.0"),
        (list.as_str(), ""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        fs::write(&path, changed).unwrap();
        let error = open(&path).err().unwrap();
        assert!(matches!(error, Error::Format { .. }), "{to}: {error}");
        let field = if from == list { "samples" } else { from.split('"').nth(1).unwrap() };
        assert!(
            error.to_string().contains(field) && error.to_string().contains("line "),
            "{error}"
        );
    }
}

/// A process that runs the named test with a task.
fn child(test: &str, path: &Path, first: usize) -> Child {
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    Command::new(env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env(CHILD, format!("{first} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// In a process started by [`child`]: records passes, and prints each when it is in the file. False elsewhere.
fn recorded_as_child(count: usize) -> bool {
    let Ok(task) = env::var(CHILD) else { return false };
    let (first, path) = task.split_once(' ').unwrap();
    let first: usize = first.parse().unwrap();
    let mut journal = open(Path::new(path)).unwrap();
    for pass in first..first + count {
        journal.append(&visit(pass)).unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "\n{SAFE}{pass}").and_then(|()| out.flush()).unwrap();
    }
    true
}

#[test]
fn processes_share_a_journal_without_loss() {
    const COUNT: usize = 20;
    if recorded_as_child(COUNT) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let children: Vec<Child> =
        (0..4).map(|i| child("processes_share_a_journal_without_loss", &path, COUNT * i)).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    assert_eq!(passes(&path), (0..4 * COUNT).collect());
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("\"machine\"").count(), 1, "one header");
}

#[test]
fn a_killed_process_loses_at_most_the_visit_in_hand() {
    const COUNT: usize = 100;
    if recorded_as_child(COUNT) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut safe = BTreeSet::new();
    let rounds = 6;
    for round in 0..rounds {
        let mut child =
            child("a_killed_process_loses_at_most_the_visit_in_hand", &path, COUNT * round);
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut seen = 0;
        for line in out.lines() {
            let Some(pass) = line.unwrap().strip_prefix(SAFE).map(|p| p.parse().unwrap()) else {
                continue;
            };
            safe.insert(pass);
            seen += 1;
            if seen == round {
                child.kill().unwrap();
            }
        }
        // In round 0 it comes to its end.
        assert_eq!(child.wait().unwrap().success(), round == 0);
    }
    let found = passes(&path);
    assert!(found.is_superset(&safe), "{:?} are lost", &safe - &found);
    assert!(found.len() <= safe.len() + rounds);
}
