//! A search's journal: damage, and several processes that share it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use simulator::Error;
use simulator::search::{Journal, Point};

/// Tells a process started by a test which journal to write, and the name of its points.
const CHILD: &str = "SPENCNN_TEST_SEARCH_JOURNAL";

/// What a process prints before a point that is in the file.
const SAFE: &str = "safe:";

/// Long enough for a line to be more than one write of the system.
fn key(name: &str, point: usize) -> String {
    format!("{name} {point} {}", "x".repeat(100_000))
}

/// A process that runs the named test with a task.
fn child(test: &str, path: &Path, name: usize) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, format!("{name} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// In a process started by [`child`]: adds points, opening the journal again now and then, and prints each when it is in
/// the file. False elsewhere.
fn added_as_child(count: usize) -> bool {
    let Ok(task) = env::var(CHILD) else { return false };
    let (name, path) = task.split_once(' ').unwrap();
    let mut journal = Journal::open(Path::new(path)).unwrap();
    for point in 0..count {
        if point % 4 == 0 {
            journal = Journal::open(Path::new(path)).unwrap();
        }
        journal.insert(key(name, point), Point::default()).unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "\n{SAFE}{point}").and_then(|()| out.flush()).unwrap();
    }
    true
}

#[test]
fn processes_share_a_journal_without_loss() {
    const COUNT: usize = 25;
    if added_as_child(COUNT) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let test = "processes_share_a_journal_without_loss";
    let children: Vec<Child> = (0..4).map(|name| child(test, &path, name)).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.len(), 4 * COUNT);
    for (name, point) in (0..4).flat_map(|name| (0..COUNT).map(move |point| (name, point))) {
        assert!(journal.get(&key(&name.to_string(), point)).is_some(), "{name} {point}");
    }
}

#[test]
fn killed_processes_lose_at_most_the_point_in_hand() {
    if added_as_child(60) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut safe, mut killed) = (BTreeSet::new(), 0);
    for round in 0..5 {
        // Both at work at once; one is killed after some points, the other one after some more.
        let test = "killed_processes_lose_at_most_the_point_in_hand";
        let children = [2 * round, 2 * round + 1].map(|name| (name, child(test, &path, name)));
        for (name, mut child) in children {
            let out = BufReader::new(child.stdout.take().unwrap());
            let mut seen = 0;
            for line in out.lines() {
                let line = line.unwrap();
                let Some(point) = line.strip_prefix(SAFE) else { continue };
                safe.insert(key(&name.to_string(), point.parse().unwrap()));
                seen += 1;
                if seen == 1 + round {
                    child.kill().unwrap();
                }
            }
            killed += usize::from(!child.wait().unwrap().success());
        }
    }
    let journal = Journal::open(&path).unwrap();
    for key in &safe {
        assert!(journal.get(key).is_some(), "{} is lost", &key[..10]);
    }
    assert!(killed > 0 && journal.len() <= safe.len() + killed);
}

#[test]
fn torn_lines_are_kept_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    Journal::open(&path).unwrap().insert("a".into(), Point::default()).unwrap();
    Journal::open(&path).unwrap().insert("b".into(), Point::default()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for cut in 1..text.len() / 2 {
        let torn = &text[..text.len() - cut];
        fs::write(&path, torn).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert!(journal.get("a").is_some());
        assert_eq!(fs::read_to_string(&path).unwrap(), torn, "opening changes nothing");
        journal.insert("c".into(), Point::default()).unwrap();
        let again = Journal::open(&path).unwrap();
        assert!(again.get("a").is_some() && again.get("c").is_some());
        assert_eq!(again.len(), if cut == 1 { 3 } else { 2 });
    }
    // Lines that no interruption leaves.
    for wrong in ["{}\n", "[1]\n", "{\"key\": 1, \"found\": []}\n", "nonsense\n"] {
        fs::write(&path, format!("{text}{wrong}")).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(matches!(error, Error::Journal { line: 3, .. }), "{wrong}: {error}");
    }
    fs::write(&path, "").unwrap();
    assert!(Journal::open(&path).unwrap().is_empty());
}
