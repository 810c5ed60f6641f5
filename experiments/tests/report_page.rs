//! `--report`: the page is well-formed, has everything that `--json` prints, takes names as text, and loads nothing.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::HashSet;
use std::fs;

use assert_cmd::Command;
use common::{Tiny, shipped_profile, stderr, stdout};
use roxmltree::{Document, ParsingOptions};

/// Runs a command with `--json` and `--report`: what it prints, and the page.
fn page(tiny: &Tiny, mut command: Command) -> (String, String) {
    let path = tiny.path("out/page.html");
    command.args(["--json", "--report"]).arg(&path);
    let json = stdout(command.assert().success());
    // Nothing but the page is left of writing it.
    assert_eq!(fs::read_dir(tiny.path("out")).unwrap().count(), 1);
    (json, fs::read_to_string(&path).unwrap())
}

/// Checks a page against the JSON of the same command.
fn check(json: &str, page: &str) {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(page, options).unwrap();
    for element in document.descendants().filter(|n| n.is_element()) {
        let name = element.tag_name().name();
        assert!(!["script", "link", "iframe", "object", "base", "use"].contains(&name), "{name}");
        for attribute in element.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on") && name != "href", "{name}");
            assert!(name != "src" || value.starts_with("data:image/png;base64,"), "{value}");
        }
    }
    let policy = document.descendants().find(|n| n.has_attribute("http-equiv")).unwrap();
    assert!(policy.attribute("content").unwrap().starts_with("default-src 'none'"));
    let mut cells = HashSet::new();
    for cell in document.descendants().filter(|n| n.has_tag_name("td")) {
        let text = cell.text().unwrap_or("");
        cells.extend(text.split(", ").chain([text]).map(str::to_owned));
    }
    // The JSON has a value on every line.
    let (mut numbers, mut texts) = (0, 0);
    for line in json.lines() {
        let line = line.trim().trim_end_matches(',');
        let value = line.split_once("\": ").map_or(line, |(_, value)| value);
        if value.parse::<f64>().is_ok() {
            assert!(cells.contains(value), "{line} is not on the page");
            numbers += 1;
        } else if let Ok(text) = serde_json::from_str::<String>(value) {
            let text = text.replace('\n', " ");
            assert!(cells.contains(&text), "{line} is not on the page");
            texts += 1;
        }
    }
    assert!(numbers > 50 && texts > 10, "{numbers} numbers and {texts} texts: {json}");
}

fn search(tiny: &Tiny, what: &str) -> Command {
    let mut command = tiny.spencnn();
    command.args([what, "--threads", "1", "--space", "paper", "--log-n", "13", "--network"]);
    command.arg(tiny.network()).arg("--profile").arg(tiny.path("profile.toml"));
    command
}

#[test]
fn of_a_run() {
    let tiny = Tiny::new();
    let mut command = tiny.run();
    command.arg("--allow-insecure");
    let (json, page) = page(&tiny, command);
    check(&json, &page);
    for words in [
        "INSECURE PARAMETERS",
        "predicted and measured by layer",
        "Where time goes",
        "Where memory goes",
        "The labels of these images are unknown",
        "Machine and provenance",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(words), "{words}");
    }
    // Three images, each in both lists, and a pair of bars for each layer.
    assert_eq!(page.matches("data:image/png").count(), 6);
    for layer in ["conv1", "fc1"] {
        assert_eq!(page.matches(&format!("<title>{layer}: ")).count(), 3, "{layer}");
    }
}

/// Names come from files of others: nothing in them is markup.
#[test]
fn of_a_run_with_hostile_names() {
    let tiny = Tiny::new();
    let name = r#"</style><script src="http://x/">alert(1)</script> & "co""#;
    for (file, line) in [("tiny.toml", "name = \"tiny\""), ("config.toml", "network = \"tiny\"")] {
        let key = line.split_once(' ').unwrap().0;
        let text = fs::read_to_string(tiny.path(file)).unwrap();
        fs::write(tiny.path(file), text.replace(line, &format!("{key} = '{name}'"))).unwrap();
    }
    let mut command = tiny.run();
    command.arg("--allow-insecure");
    let (json, page) = page(&tiny, command);
    check(&json, &page);
    assert!(page.contains("&lt;/style&gt;&lt;script src=&quot;http://x/&quot;&gt;"), "{page}");
}

#[test]
fn of_a_comparison_and_a_search() {
    let tiny = Tiny::new();
    let text = fs::read_to_string(tiny.network()).unwrap();
    let other = "\n[[variant]]\nname = \"other\"\nweights = \"tiny.safetensors\"\naccuracy = 0.4\n";
    fs::write(tiny.network(), text + other).unwrap();
    let mut command = search(&tiny, "compare");
    command.args(["--images", "1", "--baseline", "b", "--max-drop", "0.2"]);
    let (json, compared) = page(&tiny, command);
    check(&json, &compared);
    assert!(compared.contains("over B (fastest dense)") && compared.contains("Beside baselines"));

    let mut command = search(&tiny, "search");
    command.args(["--no-refine", "--max-drop", "0.2"]);
    let (json, searched) = page(&tiny, command);
    check(&json, &searched);
    for words in ["Pareto front of latency", "The fastest by layer", "accuracy, %", "<circle"] {
        assert!(searched.contains(words), "{words}");
    }
}

/// Plans of LeNet, priced by the profile of the tree.
#[test]
fn of_a_search_for_plans() {
    let tiny = Tiny::new();
    let mut command = tiny.spencnn();
    command.args(["search", "--patterns", "--quick", "--log-n", "14", "--threads", "2"]);
    command.args(["--max-drop", "0.01", "--profile"]).arg(shipped_profile(tiny.folder()));
    let (json, page) = page(&tiny, command);
    check(&json, &page);
    for words in ["expected drop, points", "its expected drop of accuracy", "<circle"] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn of_a_validation() {
    let tiny = Tiny::new();
    let mut command = tiny.spencnn();
    command.args(["validate", "--configurations", "2", "--images", "2", "--threads", "1"]);
    command.args(["--least-seconds", "0"]);
    command.args(["--log-n", "13", "--network"]).arg(tiny.network());
    command.arg("--profile").arg(tiny.path("profile.toml"));
    let (json, page) = page(&tiny, command);
    check(&json, &page);
    assert_eq!(page.matches("<circle").count(), 2);
    assert!(page.contains("class=\"band\"") && page.contains("within 5 %"));
}

/// The page takes the place of an older one when it is complete, and where it cannot be written, that is known before.
#[test]
fn is_written_at_once_or_not_at_all() {
    let tiny = Tiny::new();
    let (old, kept) = (tiny.path("page.html"), tiny.path("kept.html"));
    fs::write(&old, "old").unwrap();
    fs::hard_link(&old, &kept).unwrap();
    tiny.run().arg("--allow-insecure").arg("--report").arg(&old).assert().success();
    assert!(fs::read_to_string(&old).unwrap().ends_with("</html>\n"));
    assert_eq!(fs::read_to_string(&kept).unwrap(), "old");

    for what in ["run", "compare", "search", "validate"] {
        let mut command = tiny.spencnn();
        // No such network: the page is asked for first.
        command.args([what, "--network", "none.toml", "--report"]).arg(tiny.folder());
        let said = stderr(command.assert().code(2));
        assert!(said.contains("it is a folder") && !said.contains("none.toml"), "{what}: {said}");
    }
}
