//! Part of a calibration, measured again.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::atomic::AtomicBool;

use costmodel::Error;
use costmodel::measure::{Drift, Plan, run};
use costmodel::point::Point;
use rayon::ThreadPool;

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

fn drift(plan: &Plan, points: &[Point], memory_bytes: u64) -> Option<Drift> {
    Drift::prepare(plan, points, &pool(1), memory_bytes).unwrap()
}

#[test]
fn a_calibration_is_measured_again() {
    let plan = Plan::tiny();
    let stop = AtomicBool::new(false);
    let points = run(&plan, &[1], &mut |_| {}, &stop, None).unwrap().points;
    let now = |points: &[Point]| {
        drift(&plan, points, 4 << 30).unwrap().measure(&pool(1), &stop).unwrap().unwrap()
    };
    let ratio = now(&points);
    // Half of the times would have to be off by as much at once.
    assert!((0.1..10.0).contains(&ratio), "{ratio}");
    // Had all taken a thousandth then, it would take a thousand times as long now.
    let shorter = |p: &Point| {
        let mut p = *p;
        p.time.median_ns /= 1000.0;
        p
    };
    let ratio = now(&points.iter().map(shorter).collect::<Vec<_>>());
    assert!((100.0..10_000.0).contains(&ratio), "{ratio}");
    // With two threads, nothing was measured.
    let mut known = drift(&plan, &points, 4 << 30).unwrap();
    assert_eq!(known.measure(&pool(2), &stop).unwrap(), None);
    let stopped = known.measure(&pool(1), &AtomicBool::new(true));
    assert!(matches!(stopped, Err(Error::Cancelled)));
    // Neither without room nor with points of other sets.
    assert!(drift(&plan, &points, 1 << 20).is_none());
    let other: Vec<Point> = points.iter().filter(|p| p.setting.log_n == 11).copied().collect();
    assert!(!other.is_empty() && drift(&plan, &other, 4 << 30).is_none());
}

#[test]
fn plans_are_found_by_their_names() {
    for plan in [Plan::quick(), Plan::full(), Plan::tiny()] {
        assert_eq!(Plan::named(&plan.name), Some(plan));
    }
    assert_eq!(Plan::named("nonesuch"), None);
}
