//! Profiles on disk: an old one is read, and none with numbers that no measurement gives.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use costmodel::fit::fit;
use costmodel::measure::{Plan, run};
use costmodel::{CostModel, Error, KeyStorage, LinearShape, Machine, Profile, Setting, ThreadsBy};

/// Made before profiles said what thread counts were found by.
const OLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/amd-epyc-zen4-2core.toml");

#[test]
fn an_old_profile_is_read() {
    let profile = Profile::load(Path::new(OLD)).unwrap();
    assert_eq!(profile.machine.threads, 2);
    assert_eq!((profile.machine.threads_by, profile.machine.cpus), (ThreadsBy::Unknown, 0));
    CostModel::from_profile(&profile).unwrap();
}

#[test]
fn a_profile_says_what_threads_were_found_by() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.toml");
    let mut profile = Profile::load(Path::new(OLD)).unwrap();
    profile.machine = Machine::detect();
    profile.save(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("threads_by = ") && text.contains("cpus = "));
    assert_eq!(Profile::load(&path).unwrap().machine, profile.machine);
}

/// Every number of a profile in turn, the first of its table and name, is replaced by one that cannot be.
#[test]
fn absurd_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.toml");
    let mut profile = Profile::load(Path::new(OLD)).unwrap();
    // Some of every operation.
    profile.points = profile.points.into_iter().step_by(5).take(25).collect();
    profile.save(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // By table and name.
    let mut numbers = BTreeMap::new();
    let mut table = "";
    for (i, line) in lines.iter().enumerate() {
        if line.starts_with('[') {
            table = line;
        } else if let Some((name, value)) = line.split_once(" = ")
            && value.parse::<f64>().is_ok()
        {
            numbers.entry((table, name)).or_insert((i, value.contains('.')));
        }
    }
    assert!(numbers.len() > 60, "{}", numbers.len());
    for ((table, name), (line, float)) in numbers {
        // Any size of memory, and of nothing else.
        if matches!(name, "version" | "memory_bytes") {
            continue;
        }
        let absurd = if float {
            &["nan", "-nan", "inf", "-inf", "1e300", "-1.0"][..]
        } else {
            &["9223372036854775807", "9223372036854775808", "-1"]
        };
        for value in absurd {
            let changed = format!("{name} = {value}");
            let mut lines = lines.clone();
            lines[line] = &changed;
            fs::write(&path, lines.join("\n")).unwrap();
            let error = Profile::load(&path).err();
            assert!(
                matches!(error, Some(Error::Format { .. })),
                "{table} {name} = {value}: {error:?}"
            );
            let message = error.unwrap().to_string();
            let place = table.trim_matches(['[', ']']);
            let named = [name, value, place].iter().any(|word| message.contains(word));
            assert!(named, "{table} {name} = {value}: {message}");
        }
    }
}

#[test]
fn points_whose_work_cannot_be_counted_are_not_fitted() {
    let profile = Profile::load(Path::new(OLD)).unwrap();
    let mut points = profile.points.clone();
    fit(&points, &profile.machine.caches).unwrap();
    points[3].setting.level = usize::MAX;
    let error = fit(&points, &profile.machine.caches).unwrap_err();
    assert!(error.to_string().contains("setting.level is 18446744073709551615"), "{error}");
    points[3].setting.level = 1;
    let shape = LinearShape {
        sources: 1,
        decomposed: 1,
        rotations: usize::MAX,
        unrotated: 0,
        terms: 1,
        plaintexts: 1,
        plaintext_words: 0,
        outputs: 1,
        rescale: false,
    };
    points[3].operation = costmodel::Primitive::Linear(shape).into();
    assert!(matches!(fit(&points, &profile.machine.caches), Err(Error::Fit(_))));
}

/// The largest counts that are accepted can be computed with.
#[test]
fn predictions_at_the_limits_are_finite() {
    let mut profile = Profile::load(Path::new(OLD)).unwrap();
    for fit in &mut profile.fits {
        fit.families.values_mut().for_each(|spread| spread.points = 1 << 24);
    }
    let model = CostModel::from_profile(&profile).unwrap();
    for threads in [1, 2, 3, 1 << 16] {
        let setting = Setting {
            log_n: 17,
            level: 63,
            special: 16,
            alpha: 1,
            threads,
            wide: true,
            keys: KeyStorage::UNPACKED,
        };
        let p = model.predict(&costmodel::Primitive::Conjugate, &setting);
        assert!(p.low_ms > 0.0 && p.low_ms <= p.median_ms && p.median_ms <= p.high_ms);
        assert!(p.high_ms.is_finite(), "{p:?}");
    }
}

#[test]
fn absurd_plans_are_refused() {
    let with = |change: fn(&mut Plan)| {
        let mut plan = Plan::tiny();
        change(&mut plan);
        run(&plan, &[1], &mut |_| {}, &std::sync::atomic::AtomicBool::new(false), None)
    };
    assert!(matches!(with(|p| p.sets[0].log_n = 64), Err(Error::Engine(_))));
    assert!(matches!(with(|p| p.sets[0].depth = usize::MAX), Err(Error::Engine(_))));
    assert!(matches!(with(|p| p.sets[0].special = 1 << 40), Err(Error::Engine(_))));
    assert!(matches!(with(|p| p.sets[0].alpha = 0), Err(Error::Engine(_))));
    assert!(matches!(with(|p| p.passes = usize::MAX), Err(Error::Plan(_))));
    assert!(matches!(with(|p| p.budget = std::time::Duration::MAX), Err(Error::Plan(_))));
}
