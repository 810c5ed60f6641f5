//! A real calibration, but a tiny one: from the engine to a profile on disk and back to predictions.

use std::sync::atomic::{AtomicBool, Ordering};

use costmodel::measure::{Measurements, Plan, run};
use costmodel::point::Point;
use costmodel::profile::VERSION;
use costmodel::{CostModel, Error, KeyStorage, Operation, Primitive, Profile, Setting};
use engine::kernels::SumTerms;

#[test]
fn calibrate_store_and_predict() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0.0;
    let mut calls = 0;
    let mut progress = |p: &costmodel::measure::Progress| {
        assert!(p.fraction >= last && p.fraction <= 1.0, "{} after {last}", p.fraction);
        last = p.fraction;
        calls += 1;
    };
    let journal = folder.path().join("journal.jsonl");
    let plan = Plan::tiny();
    let measured =
        run(&plan, &[1, 2], &mut progress, &AtomicBool::new(false), Some(&journal)).unwrap();
    assert!(calls > 10);
    assert!(measured.points.iter().all(|p| p.time.median_ns > 0.0 && p.time.samples > 0));
    assert!(measured.points.iter().any(|p| p.setting.threads == 2));

    let recorded = std::fs::read(&journal).unwrap();
    // A journal that is complete is only read; kernels, which take a second, are not in it.
    let again = run(&plan, &[1, 2], &mut |_| {}, &AtomicBool::new(false), Some(&journal)).unwrap();
    let kernel = |p: &&Point| matches!(p.operation, Operation::Unit(_));
    // Which of the times count depends on how fast cores have been seen to be by then.
    let others = |m: &Measurements| -> Vec<_> {
        let others = m.points.iter().filter(|p| !kernel(p));
        others.map(|p| (p.operation, p.setting, p.residency)).collect()
    };
    assert_eq!(others(&again), others(&measured));
    // Nothing is measured again but what other work disturbed each time.
    assert!(std::fs::read(&journal).unwrap().starts_with(&recorded));
    let kernels = |m: &Measurements| m.points.iter().filter(kernel).count();
    assert!(kernels(&measured) > 0 && kernels(&again) == kernels(&measured));

    let mut profile = Profile::new(&measured, "test").unwrap();
    let path = folder.path().join("profile.toml");
    profile.save(&path, &measured.points).unwrap();
    let loaded = Profile::load(&path).unwrap();
    assert_eq!(loaded, profile);
    assert_eq!(loaded.load_points(&path).unwrap(), measured.points);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file is left");
    for fit in &loaded.fits {
        println!("{} threads: held out {:?}", fit.threads, fit.held_out);
        // Nothing is promised of a measurement this short on a busy machine, except that it is no nonsense.
        assert!(
            fit.held_out.points > 0 && fit.held_out.median_relative < 1.0,
            "{:?}",
            fit.held_out
        );
    }

    let model = CostModel::from_profile(&loaded).unwrap();
    let setting = Setting {
        log_n: 12,
        level: 2,
        special: 2,
        alpha: 2,
        threads: 1,
        wide: false,
        sum_terms: SumTerms::ANY,
        keys: KeyStorage::UNPACKED,
    };
    let rotate = |rotations| model.predict(&Primitive::RotateHoisted { rotations }, &setting);
    let one = rotate(1);
    assert!(one.median_ms > 0.0 && one.low_ms < one.median_ms && one.median_ms < one.high_ms);
    assert!(rotate(8).median_ms > one.median_ms);
    assert!(model.predict_encode(&setting, true).median_ms > 0.0);
}

#[test]
fn cancelling_ends_it() {
    let cancel = AtomicBool::new(false);
    let mut progress = |_: &costmodel::measure::Progress| cancel.store(true, Ordering::Relaxed);
    assert!(matches!(
        run(&Plan::tiny(), &[1], &mut progress, &cancel, None),
        Err(Error::Cancelled)
    ));
}

#[test]
fn impossible_requests_are_refused() {
    let none = run(&Plan::tiny(), &[], &mut |_| {}, &AtomicBool::new(false), None);
    assert!(matches!(none, Err(Error::Plan(_))));
    let zero = run(&Plan::tiny(), &[0], &mut |_| {}, &AtomicBool::new(false), None);
    assert!(matches!(zero, Err(Error::Plan(_))));
}

#[test]
fn damaged_profiles_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.toml");
    assert!(matches!(Profile::load(&path), Err(Error::Io { .. })));
    let mut plan = Plan::tiny();
    plan.sets.truncate(1);
    let measured = run(&plan, &[1], &mut |_| {}, &AtomicBool::new(false), None).unwrap();
    let mut profile = Profile::new(&measured, "test").unwrap();
    profile.save(&path, &measured.points).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Profile::load(&path)
    };
    assert!(matches!(load(&text[..text.len() / 3]), Err(Error::Format { .. })));
    assert!(matches!(
        load(&text.replacen(&format!("version = {VERSION}"), "version = 99", 1)),
        Err(Error::Version { found: 99, .. })
    ));
    let renamed = text.replacen("forward_ntt_ns_per_butterfly", "forward_ntt_ns_per_horse", 1);
    assert!(matches!(load(&renamed), Err(Error::Format { .. })));
    let negative = text.replacen("key_memory_ns_per_byte = ", "key_memory_ns_per_byte = -1", 1);
    assert!(matches!(load(&negative), Err(Error::Format { .. })));
    assert!(matches!(load("not a profile"), Err(Error::Format { .. })));
    assert_eq!(load(&text).unwrap(), profile);
}
