//! Journals: of searches, of validations, of times of programs.

use std::path::Path;

use costmodel::Machine;
use costmodel::point::Timing;
use costmodel::timings::{Origin, Timings};
use experiments::runs::validate::{self, Drawn, Executed, Measured};
use experiments::runs::verdict::Verdict;
use simulator::config::Configuration;
use simulator::precision::{Demand, Precision};
use simulator::program::PlaintextForm;
use simulator::search::{self, LayerPrice, Record};

use super::scratch::{CONFIGURATION, Scratch, words};
use crate::format::{Format, Lines};
use crate::target::Target;

pub(super) fn all() -> Vec<Box<dyn Target>> {
    let origin = Origin::new(&Machine::detect(), "build".into());
    let journal = |name, seed: Option<String>, open: Open| -> Box<dyn Target> {
        let seeds = seed.map(String::into_bytes).into_iter().collect();
        Box::new(Journal { name, seeds, open, folder: Scratch::new() })
    };
    vec![
        journal(
            "search-journal",
            search_lines(),
            Box::new(|path| search::Journal::open(path).map(drop).map_err(words)),
        ),
        journal(
            "validate-journal",
            validation_lines(),
            Box::new(|path| {
                validate::Journal::open(Some(path), "k".into())
                    .map(drop)
                    .map_err(|e| format!("{e:#}"))
            }),
        ),
        journal(
            "timings",
            timing_lines(&origin),
            Box::new(move |path| {
                Timings::open(Some(path), origin.clone()).map(drop).map_err(words)
            }),
        ),
    ]
}

/// Opens a journal and forgets it.
type Open = Box<dyn Fn(&Path) -> Result<(), String>>;

struct Journal {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    open: Open,
    folder: Scratch,
}

impl Target for Journal {
    fn name(&self) -> &'static str {
        self.name
    }

    fn format(&self) -> &dyn Format {
        &Lines
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        (self.open)(&self.folder.write("journal.jsonl", input)?)
    }
}

fn configuration() -> Option<Configuration> {
    Configuration::from_toml(CONFIGURATION).ok()
}

/// A point with a configuration, and one with reasons why there is none.
fn search_lines() -> Option<String> {
    let found = search::Evaluated {
        configuration: configuration()?,
        latency_ms: 12.5,
        layers: vec![LayerPrice { layer: "conv1".into(), latency_ms: 12.5 }],
        memory: Default::default(),
        memory_on_demand: Default::default(),
        accuracy: Some(0.5),
        precision: Some(Precision::EXACT),
    };
    let refused = vec![
        search::Obstacle::Layouts { log_n: 11 },
        search::Obstacle::Precision { log_n: 11, found: 3.5, asked: Demand::Relative(8.0) },
    ];
    let records = [
        Record {
            key: "one".into(),
            point: search::Point { found: vec![found], refused: Vec::new() },
        },
        Record { key: "two".into(), point: search::Point { found: Vec::new(), refused } },
    ];
    records.iter().map(|record| Some(serde_json::to_string(record).ok()? + "\n")).collect()
}

/// What was drawn, and what executing it gave.
fn validation_lines() -> Option<String> {
    let drawn = Drawn {
        configuration: configuration()?,
        plaintexts: PlaintextForm::OnDemand { batch_bytes: 1 << 20 },
        memory_bytes: 1 << 25,
    };
    let folder = Scratch::new();
    let path = folder.path("lines");
    let mut journal = validate::Journal::open(Some(&path), "k".into()).ok()?;
    journal.add_drawn("tiny", vec![drawn.clone()]).ok()?;
    let measured = Measured {
        network: "tiny".into(),
        variant: "dense".into(),
        ring_degree: 2048,
        special: 1,
        plaintexts: "stored".into(),
        threads: 1,
        predicted_ms: 3.0,
        refined_ms: None,
        measured_ms: 3.25,
        pace: 1.25,
        latencies_ms: vec![3.25],
        kinds: Default::default(),
        verdict: Verdict {
            class_agreement: Some(1.0),
            ties_within_noise: 0,
            logit_precision_bits: 10.0,
            logit_relative_precision_bits: 11.0,
        },
        disturbance: Default::default(),
    };
    let failures = vec!["too much memory".into()];
    let executed =
        Executed { drawn, measured_memory_bytes: Some(7), measured: vec![measured], failures };
    journal.add_executed(executed).ok()?;
    std::fs::read_to_string(path).ok()
}

/// Times of a program of this origin, and of another.
fn timing_lines(origin: &Origin) -> Option<String> {
    let timing = Timing { median_ns: 2.0, low_quartile_ns: 1.0, high_quartile_ns: 3.0, samples: 5 };
    let mut line = serde_json::to_value(origin).ok()?;
    let table = line.as_object_mut()?;
    table.append(serde_json::to_value(timing).ok()?.as_object_mut()?);
    let numbers = [("threads", 1), ("log_n", 11), ("instructions", 2)];
    table.extend(numbers.map(|(key, number)| (key.to_owned(), number.into())));
    let mut lines = String::new();
    for (key, build) in [("a", None), ("b", None), ("a", Some("other"))] {
        let mut line = line.clone();
        line["key"] = key.into();
        if let Some(build) = build {
            line["build"] = build.into();
        }
        lines += &(line.to_string() + "\n");
    }
    Some(lines)
}
