//! A search in parts gives what one search gives.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use common::{Tiny, spencnn, stderr, stdout};
use serde_json::Value;

fn search(tiny: &Tiny, journal: &Path, more: &[&str]) -> Command {
    let mut command = tiny.spencnn();
    command.args(["search", "--threads", "1", "--log-n", "13", "--max-drop", "1", "--json"]);
    command.args(["--variant", "dense,random", "--no-refine", "--network"]);
    command.arg(tiny.network()).arg("--profile").arg(tiny.path("profile.toml"));
    command.arg("--journal").arg(journal).args(more);
    command
}

fn merge(journals: &[PathBuf], out: &Path) -> Command {
    let mut command = spencnn();
    command.arg("merge").args(journals).arg("--out").arg(out);
    command
}

/// A report without what is told of the moment.
fn report(text: &str) -> Value {
    let mut report: Value = serde_json::from_str(text).unwrap();
    report.as_object_mut().unwrap().remove("provenance").unwrap();
    report
}

#[test]
fn merged_shards_are_one_search() {
    let tiny = Tiny::new();
    let whole = tiny.path("whole.jsonl");
    let expected = report(&stdout(search(&tiny, &whole, &[]).assert().success()));
    let shards: Vec<PathBuf> = (1..=3).map(|i| tiny.path(&format!("{i}.jsonl"))).collect();
    for (shard, path) in ["1/3", "2/3", "3/3"].into_iter().zip(&shards) {
        search(&tiny, path, &["--shard", shard]).assert().success();
    }
    // Two variants: the third has nothing to do.
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    let counts: Vec<usize> = shards.iter().map(|path| lines(path)).collect();
    assert!(counts[0] > 0 && counts[1] > 0 && counts[2] == 0, "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), lines(&whole));
    let [sorted, merged] = ["sorted.jsonl", "merged.jsonl"].map(|name| tiny.path(name));
    merge(&[whole], &sorted).assert().success();
    merge(&shards, &merged).assert().success();
    let bytes = fs::read(&merged).unwrap();
    assert_eq!(bytes, fs::read(&sorted).unwrap());
    // Nothing is evaluated anew, and the result is that of one search.
    assert_eq!(report(&stdout(search(&tiny, &merged, &[]).assert().success())), expected);
    assert_eq!(fs::read(&merged).unwrap(), bytes);

    // A shard that was killed within a line goes on.
    let text = fs::read_to_string(&shards[1]).unwrap();
    fs::write(&shards[1], &text[..text.len() - 40]).unwrap();
    let cut = tiny.path("cut.jsonl");
    merge(&shards, &cut).assert().success();
    assert_eq!(lines(&cut) + 1, lines(&merged));
    search(&tiny, &shards[1], &["--shard", "2/3"]).assert().success();
    merge(&shards, &cut).assert().success();
    assert_eq!(fs::read(&cut).unwrap(), bytes);
}

#[test]
fn what_cannot_be_merged_is_refused() {
    let tiny = Tiny::new();
    let [one, two, out] = ["one.jsonl", "two.jsonl", "out.jsonl"].map(|name| tiny.path(name));
    let text = stderr(merge(std::slice::from_ref(&one), &out).assert().code(2));
    assert!(text.contains("one.jsonl"), "{text}");
    assert!(!one.exists() && !out.exists());
    search(&tiny, &one, &["--shard", "1/3"]).assert().success();
    let text = fs::read_to_string(&one).unwrap();
    let line = text.lines().find(|line| line.contains("\"latency_ms\":")).unwrap();
    let changed = line.replacen("\"latency_ms\":", "\"latency_ms\":1", 1);
    fs::write(&two, changed + "\n").unwrap();
    fs::write(&out, "as it was").unwrap();
    let text = stderr(merge(&[one, two], &out).assert().code(2));
    assert!(text.contains("line 1 of ") && text.contains("two.jsonl"), "{text}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "as it was");
    // Without a journal a part of a search would be lost.
    let mut command = tiny.spencnn();
    command.args(["search", "--shard", "1/2"]).assert().code(2);
}
