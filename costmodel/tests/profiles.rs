//! Profiles on disk: an old one is read, and none with numbers that no measurement gives.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use costmodel::fit::fit;
use costmodel::measure::{Plan, run};
use costmodel::point::Point;
use costmodel::{CostModel, Error, KeyStorage, LinearShape, Machine, Profile, Setting, ThreadsBy};
use engine::kernels::SumTerms;
use serde_json::Value;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/amd-epyc-zen5-2core.toml");

/// Made before profiles said what thread counts were found by.
#[test]
fn an_old_profile_is_read() {
    let (_folder, path, _) = small();
    let text = fs::read_to_string(&path).unwrap();
    let newer = |line: &&str| !line.starts_with("threads_by = ") && !line.starts_with("cpus = ");
    let old: Vec<&str> = text.lines().filter(newer).collect();
    assert_eq!(old.len() + 2, text.lines().count());
    fs::write(&path, old.join("\n")).unwrap();
    let profile = Profile::load(&path).unwrap();
    assert_eq!(profile.machine.threads, 2);
    assert_eq!((profile.machine.threads_by, profile.machine.cpus), (ThreadsBy::Unknown, 0));
    CostModel::from_profile(&profile).unwrap();
}

/// Every profile of this repository is there with its points.
#[test]
fn shipped_profiles_are_whole() {
    let folder = Path::new(SHIPPED).parent().unwrap();
    let mut found = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let points = Profile::load(&path).unwrap().load_points(&path).unwrap();
            // The quick plan has two times 325.
            assert!(points.len() > 600, "{}", path.display());
            found += 1;
        }
    }
    assert!(found >= 1, "{found}");
}

#[test]
fn a_profile_says_what_threads_were_found_by() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.toml");
    let mut profile = Profile::load(Path::new(SHIPPED)).unwrap();
    profile.machine = Machine::detect();
    profile.save(&path, &some_points(&profile)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("threads_by = ") && text.contains("cpus = "));
    assert_eq!(Profile::load(&path).unwrap().machine, profile.machine);
}

/// Some of every operation.
fn some_points(old: &Profile) -> Vec<Point> {
    let all = old.load_points(Path::new(SHIPPED)).unwrap();
    let step = all.len() / 25;
    all.into_iter().step_by(step).take(25).collect()
}

/// A small profile in a folder of its own, and where it and its points are.
fn small() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.toml");
    let mut profile = Profile::load(Path::new(SHIPPED)).unwrap();
    let points = some_points(&profile);
    profile.save(&path, &points).unwrap();
    let beside = folder.path().join("small.points.jsonl");
    assert_eq!(Profile::points_path(&path).unwrap(), beside);
    (folder, path, beside)
}

/// What is wrong with the points of a profile.
fn wrong_points(path: &Path) -> String {
    let error = Profile::load(path).unwrap().load_points(path).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    error.to_string()
}

/// Every number of a profile in turn, the first of its table and name, is replaced by one that cannot be.
#[test]
fn absurd_numbers_are_refused() {
    let (_folder, path, _) = small();
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
    assert!(numbers.len() > 40, "{}", numbers.len());
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

/// The same with every number of a point of every kind: the error names file, line and field.
#[test]
fn absurd_numbers_in_points_are_refused() {
    let (_folder, path, beside) = small();
    let text = fs::read_to_string(&beside).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut seen = BTreeSet::new();
    for (i, line) in lines.iter().enumerate() {
        let point: Value = serde_json::from_str(line).unwrap();
        for (part, fields) in point.as_object().unwrap() {
            for (name, number) in fields.as_object().into_iter().flatten() {
                if !number.is_number()
                    || !seen.insert((point["operation"]["kind"].to_string(), name.clone()))
                {
                    continue;
                }
                let absurd = if number.is_f64() {
                    &["1e300", "-1.0", "0.0", "null", "1e999", "\"1\""][..]
                } else {
                    &["9223372036854775807", "18446744073709551616", "-1", "0.5", "null"]
                };
                for value in absurd {
                    let changed = line
                        .replace(&format!("\"{name}\":{number}"), &format!("\"{name}\":{value}"));
                    assert_ne!(changed, *line, "{name}");
                    let mut lines = lines.clone();
                    lines[i] = &changed;
                    fs::write(&beside, lines.join("\n")).unwrap();
                    let message = wrong_points(&path);
                    for words in [
                        &["small.points.jsonl"][..],
                        &[&format!("line {}: ", i + 1)],
                        &[part, name],
                    ] {
                        assert!(
                            words.iter().any(|w| message.contains(w)),
                            "{name} = {value}: {message}"
                        );
                    }
                }
            }
        }
    }
    assert!(seen.len() > 60, "{}", seen.len());
}

#[test]
fn predictions_need_no_points() {
    let (_folder, path, beside) = small();
    fs::remove_file(&beside).unwrap();
    let profile = Profile::load(&path).unwrap();
    CostModel::from_profile(&profile).unwrap();
    let message = wrong_points(&path);
    for word in ["small.points.jsonl", "not there", "calibrate again"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn points_of_another_calibration_are_told() {
    let (folder, path, beside) = small();
    let text = fs::read_to_string(&beside).unwrap();
    let first = text.lines().next().unwrap();
    // One point more, one less, an order that is another one; a line that was torn.
    for (changed, word) in [
        (format!("{text}{first}\n"), "number of lines is 26, expected 25"),
        (text[first.len() + 1..].to_owned(), "number of lines is 24, expected 25"),
        (format!("{}{first}\n", &text[first.len() + 1..]), "SHA-256 is "),
        (text.trim_end().to_owned(), "SHA-256 is "),
        (text[..text.len() - 3].to_owned(), "line 25: "),
        (format!("{text}\n"), "line 26: "),
    ] {
        fs::write(&beside, changed).unwrap();
        let message = wrong_points(&path);
        assert!(message.contains(word) && message.contains("small.points.jsonl"), "{message}");
    }
    // Only so many bytes are read.
    let file = fs::File::options().write(true).open(&beside).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    assert!(wrong_points(&path).contains("67108865 bytes"));
    // Both under other names: the profile says where they are.
    fs::write(&beside, &text).unwrap();
    let renamed = folder.path().join("renamed.toml");
    fs::rename(&path, &renamed).unwrap();
    assert_eq!(Profile::load(&renamed).unwrap().load_points(&renamed).unwrap().len(), 25);
}

/// If a crash leaves new points beside the profile before them, that profile goes on predicting, and knows that they are
/// none of its own.
#[test]
fn points_alone_are_nobodys() {
    let (_folder, path, beside) = small();
    let before = fs::read(&path).unwrap();
    let mut profile = Profile::load(&path).unwrap();
    let points = profile.load_points(&path).unwrap();
    profile.save(&path, &points[5..]).unwrap();
    assert_eq!(profile.load_points(&path).unwrap(), points[5..]);
    fs::write(&path, before).unwrap();
    assert!(wrong_points(&path).contains("number of lines is 20, expected 25"));
    // What cannot be written leaves both as they are.
    let old = fs::read(&beside).unwrap();
    let mut bad = points.clone();
    bad[7].time.median_ns = f64::NAN;
    let error = profile.save(&path, &bad).unwrap_err();
    assert!(error.to_string().contains("points[7]: "), "{error}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = profile.save(&path, &points).unwrap_err();
    assert!(error.to_string().contains("no regular file"), "{error}");
    assert_eq!(fs::read(&beside).unwrap(), old);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
}

#[test]
fn a_profile_names_a_file_of_its_own_folder() {
    let (_folder, path, _) = small();
    let text = fs::read_to_string(&path).unwrap();
    let hash = text.lines().find(|line| line.starts_with("sha256")).unwrap();
    for (from, to, field) in [
        ("file = \"small.points.jsonl\"", "file = \"../small.points.jsonl\"", "points: file is"),
        ("file = \"small.points.jsonl\"", "file = \"/dev/zero\"", "points: file is"),
        ("file = \"small.points.jsonl\"", "file = \"\"", "points: file is"),
        ("file = \"small.points.jsonl\"", "file = \"..\"", "points: file is"),
        ("file = \"small.points.jsonl\"", "", "`file`"),
        ("lines = 25", "lines = 0", "points: lines is 0"),
        (hash, "sha256 = \"1234\"", "points: sha256 is"),
        ("[points]", "[pints]", "no points"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = Profile::load(&path).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        assert!(error.to_string().contains(field), "{to}: {error}");
    }
}

/// An earlier version counted other work: what it measured is fitted again.
#[test]
fn measurements_of_an_earlier_version_are_fitted_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.toml");
    let mut shipped = Profile::load(Path::new(SHIPPED)).unwrap();
    let points = shipped.load_points(Path::new(SHIPPED)).unwrap();
    shipped.fits[0].unit_costs.values_mut().for_each(|cost| *cost *= 2.0);
    shipped.save(&path, &points).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let found = format!("version = {}", costmodel::profile::VERSION);
    // An earlier version knew fewer sorts of work.
    let known = text.lines().filter(|line| !line.starts_with("second_level_cache_ns_per_byte"));
    let old = known.collect::<Vec<_>>().join("\n").replacen(&found, "version = 2", 1);
    assert!(old.lines().count() < text.lines().count());
    fs::write(&path, old).unwrap();
    let message = Profile::load(&path).unwrap_err().to_string();
    assert!(message.contains("version 2") && message.contains("calibrate --refit"), "{message}");

    let (mut again, kept) = Profile::refit(&path, "this").unwrap();
    assert_eq!(kept, points);
    assert_eq!(again.fits, fit(&points, &shipped.machine.caches).unwrap());
    assert_eq!((&again.revision, again.refitted_by.as_deref()), (&shipped.revision, Some("this")));
    again.save(&path, &points).unwrap();
    assert_eq!(Profile::load(&path).unwrap(), again);

    // Points of kernels that reduce sums every few terms did not say so.
    let avx2 = text.replacen("isa = \"avx512ifma\"", "isa = \"avx2\"", 1);
    assert_ne!(avx2, text);
    for (text, version) in [(&avx2, 3), (&text, 1), (&text, 999)] {
        fs::write(&path, text.replacen(&found, &format!("version = {version}"), 1)).unwrap();
        let message = Profile::refit(&path, "this").unwrap_err().to_string();
        assert!(message.contains(&format!("version {version}")), "{message}");
        assert!(message.contains("calibrate again"), "{message}");
        assert!(!message.contains("--refit"), "{message}");
    }
}

/// Once all was in one file.
#[test]
fn a_profile_of_one_file_is_to_be_made_again() {
    let (_folder, path, _) = small();
    fs::write(&path, "version = 1\n[[points]]\nresidency = \"cold\"\n").unwrap();
    let message = Profile::load(&path).unwrap_err().to_string();
    assert!(message.contains("version 1") && message.contains("calibrate again"), "{message}");
}

#[test]
fn profiles_without_a_name_are_refused() {
    let mut profile = Profile::load(Path::new(SHIPPED)).unwrap();
    let points = some_points(&profile);
    for path in ["", "/", ".."] {
        assert!(matches!(profile.save(Path::new(path), &points), Err(Error::Format { .. })));
    }
}

#[test]
fn points_whose_work_cannot_be_counted_are_not_fitted() {
    let profile = Profile::load(Path::new(SHIPPED)).unwrap();
    let mut points = profile.load_points(Path::new(SHIPPED)).unwrap();
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
        detail: None,
    };
    points[3].operation = costmodel::Primitive::Linear(shape).into();
    assert!(matches!(fit(&points, &profile.machine.caches), Err(Error::Fit(_))));
}

/// The largest counts that are accepted can be computed with.
#[test]
fn predictions_at_the_limits_are_finite() {
    let mut profile = Profile::load(Path::new(SHIPPED)).unwrap();
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
            sum_terms: SumTerms::ANY,
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
