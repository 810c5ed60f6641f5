//! Plans: searched for, written to a folder, and run from it.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{spencnn, stderr, stdout};
use serde_json::Value;

const PROFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/amd-epyc-zen5-2core.toml");

#[test]
fn a_plan_is_found_written_and_waits_for_training() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan");
    let search = |more: &[&str]| {
        let mut command = spencnn();
        let given = ["search", "--patterns", "--quick", "--log-n", "14", "--threads", "2"];
        command.args(given).args(["--profile", PROFILE, "--max-drop", "0.01", "--out"]);
        command.arg(&plan).args(more).assert()
    };
    let found = search(&["--json"]).success();
    let found: Value = serde_json::from_str(&stdout(found)).unwrap();
    let front = found["plans"]["front"].as_array().unwrap();
    let number = |plan: &Value, path: &str| plan.pointer(path).unwrap().as_f64().unwrap();
    // Fastest first, and each slower one loses less; none more than was asked for.
    for pair in front.windows(2) {
        let latency = "/evaluated/latency_ms";
        assert!(number(&pair[0], latency) <= number(&pair[1], latency));
        assert!(number(&pair[0], "/expected_drop") >= number(&pair[1], "/expected_drop"));
    }
    assert!(front.len() >= 2);
    assert!(front.iter().all(|plan| number(plan, "/upper_drop") <= 1.0));
    assert!(number(&found, "/plans/configurations") > 1e3);
    // Networks left out of the fit are missed by less than a point in the median.
    assert!(number(&found, "/accuracy/median_error") < 1.0);
    for file in
        ["configuration.toml", "network.toml", "training.toml", "units.safetensors", "plan.json"]
    {
        assert!(plan.join(file).is_file(), "{file}");
    }
    let description = fs::read_to_string(plan.join("network.toml")).unwrap();
    assert!(description.contains("name = \"plan\""), "{description}");
    // Without trained weights there is nothing to run.
    let message = stderr(spencnn().args(["run", "--plan"]).arg(&plan).assert().code(2));
    assert!(message.contains("has not been trained"), "{message}");
    let message = stderr(spencnn().args(["run", "--plan"]).arg(folder.path()).assert().code(2));
    assert!(message.contains("plan.json") && message.contains("search --patterns"), "{message}");
}
