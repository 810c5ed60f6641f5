//! The latency table for HEIR: its form, and what is in it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use costmodel::orbit::OrbitModel;
use costmodel::{CostModel, Error, KeyStorage, Primitive, Profile, Setting};
use engine::kernels::SumTerms;
use serde_json::Value;

const LEVELS: usize = 12;

fn profile() -> Profile {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles");
    Profile::load(&Path::new(folder).join("amd-epyc-zen5-2core.toml")).unwrap()
}

fn top(threads: usize) -> Setting {
    Setting {
        log_n: 15,
        level: LEVELS,
        special: 1,
        alpha: 1,
        threads,
        wide: false,
        sum_terms: SumTerms::ANY,
        keys: KeyStorage::UNPACKED,
    }
}

/// What HEIR's reader does with an array: it takes the numbers, and wants one.
fn numbers(table: &Value, name: &str) -> Option<Vec<f64>> {
    let numbers: Vec<f64> = table[name].as_array()?.iter().filter_map(Value::as_f64).collect();
    (!numbers.is_empty()).then_some(numbers)
}

#[test]
fn the_form_is_the_one_that_heir_reads() {
    let profile = profile();
    let model = CostModel::from_profile(&profile).unwrap();
    for threads in [1, 2] {
        let table = OrbitModel::predict(&profile, &top(threads), Some(69e6)).unwrap();
        let text = serde_json::to_string_pretty(&table).unwrap();
        assert_eq!(serde_json::from_str::<OrbitModel>(&text).unwrap(), table);
        let root: Value = serde_json::from_str(&text).unwrap();
        let found = &root["latencyTable"];
        let names = [
            "addCtCt",
            "addCtPt",
            "mulCtCt",
            "mulCtPt",
            "rotate",
            "negate",
            "rescale",
            "bootstrap",
        ];
        assert_eq!(found.as_object().unwrap().len(), names.len());
        for name in names {
            let values = numbers(found, name).unwrap();
            assert_eq!(values.len(), LEVELS, "{name}");
            if name == "bootstrap" {
                assert_eq!(values[LEVELS - 1], 69e6);
                assert!(values[..LEVELS - 1].iter().all(|us| *us == 0.0));
                continue;
            }
            assert!(values[0] > 0.0, "{name}: {values:?}");
            assert!(values.is_sorted(), "{name} falls with the level: {values:?}");
        }
        // In microseconds, and level 1 comes first.
        let rotate = numbers(found, "rotate").unwrap();
        for (i, us) in rotate.iter().enumerate() {
            let setting = Setting { level: i + 1, ..top(threads) };
            let ms = model.predict(&Primitive::RotateHoisted { rotations: 1 }, &setting).median_ms;
            assert!((us / 1e3 / ms - 1.0).abs() < 1e-12, "level {}: {us} us, {ms} ms", i + 1);
        }
        let at_top = |name: &str| numbers(found, name).unwrap()[LEVELS - 1];
        assert!(at_top("addCtPt") < at_top("addCtCt"));
        assert!(at_top("mulCtPt") < at_top("rescale") && at_top("rescale") < at_top("rotate"));
        assert!(at_top("rotate") < at_top("mulCtCt"));
        assert_eq!(root["source"]["setting"]["threads"], threads);
    }
}

/// No time is made up: without one, HEIR says that the table has none.
#[test]
fn there_is_no_bootstrap_unless_the_caller_knows_one() {
    let table = OrbitModel::predict(&profile(), &top(1), None).unwrap();
    let root = serde_json::to_value(&table).unwrap();
    let found = root["latencyTable"].as_object().unwrap();
    assert_eq!(found["bootstrap"], Value::Null);
    assert_eq!(numbers(&root["latencyTable"], "bootstrap"), None);
    assert_eq!(found.len(), 8);
}

#[test]
fn what_no_engine_has_is_refused() {
    let profile = profile();
    let refused = |change: fn(&mut Setting), bootstrap: Option<f64>, words: &str| {
        let mut setting = top(1);
        change(&mut setting);
        let error = OrbitModel::predict(&profile, &setting, bootstrap).unwrap_err();
        assert!(matches!(error, Error::Table(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(|s| s.level = 0, None, "highest level is 0, expected 1");
    refused(|s| s.level = usize::MAX, None, "setting.level is");
    refused(|s| s.log_n = 99, None, "setting.log_n is 99");
    refused(|s| s.threads = 0, None, "setting.threads is 0");
    for us in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(|_| {}, Some(us), "bootstrap: microseconds is");
    }
}
