//! Folders of plans.

use experiments::design::plan::PlanFolder;
use serde_json::json;
use simulator::config::Configuration;
use simulator::search::Evaluated;

use super::scratch::{CONFIGURATION, NETWORK, Scratch, weights, words};
use crate::format::{Bundle, Format, Json, Tensors, Toml, join, split};
use crate::target::Target;

pub(super) fn all() -> Vec<Box<dyn Target>> {
    let formats: Vec<Box<dyn Format>> =
        vec![Box::new(Json), Box::new(Toml), Box::new(Toml), Box::new(Toml), Box::new(Tensors)];
    vec![Box::new(Plan { format: Bundle(formats), folder: Scratch::new() })]
}

/// What is in it, in the order of the formats.
const FILES: [&str; 5] =
    ["plan.json", "network.toml", "configuration.toml", "plan.toml", "plan.safetensors"];

struct Plan {
    format: Bundle,
    folder: Scratch,
}

impl Target for Plan {
    fn name(&self) -> &'static str {
        "plan"
    }

    fn format(&self) -> &dyn Format {
        &self.format
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let json = json().unwrap_or_default();
        let texts = [json.as_str(), NETWORK, CONFIGURATION, "test_accuracy = 0.875\nepochs = 3\n"];
        let mut files: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).to_vec();
        files.push(weights().unwrap_or_default());
        vec![join(&files)]
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        let files = split(input);
        for (k, name) in FILES.iter().enumerate() {
            self.folder.write(name, files.get(k).copied().unwrap_or_default())?;
        }
        let told = |error: anyhow::Error| format!("{error:#}");
        let plan = PlanFolder::read(self.folder.folder()).map_err(told)?;
        let source = plan.source().map_err(told)?;
        plan.accuracy_line().map_err(told)?;
        let text = std::fs::read_to_string(plan.configuration()).map_err(words)?;
        Configuration::from_toml(&text).and_then(|c| c.check()).map_err(words)?;
        source.model("dense").map(drop).map_err(told)
    }
}

/// A plan of the small network, as a search writes it.
fn json() -> Option<String> {
    let plan = simulator::search::Plan {
        evaluated: Evaluated {
            configuration: Configuration::from_toml(CONFIGURATION).ok()?,
            latency_ms: 12.5,
            layers: Vec::new(),
            memory: Default::default(),
            memory_on_demand: Default::default(),
            accuracy: None,
            precision: None,
        },
        layers: Vec::new(),
        expected_drop: 0.5,
        upper_drop: 1.5,
    };
    let mut plan = serde_json::to_value(plan).ok()?;
    plan["dense_accuracy"] = json!(0.9);
    let choice = json!({ "groups": 2, "shuffled": false, "family": "sub-block", "eighths": 3 });
    let mut layer = choice.clone();
    layer["layer"] = json!("conv1");
    layer["kept"] = json!({ "groups": 0.5, "units": 0.75 });
    layer["next"] = json!([{ "choice": choice, "latency_ms": -0.5, "drop": 0.25 }]);
    plan["layers"] = json!([layer]);
    Some(plan.to_string())
}
