//! Predictions of a model fitted to an imaginary machine.

use super::*;
use crate::fit::{fit, tests::points, tests::truth};
use crate::primitive::LinearShape;

const CACHES: Caches = Caches { l1_bytes: 32 << 10, l2_bytes: 1 << 20, l3_bytes: 32 << 20 };

fn model(threads: &[usize]) -> CostModel {
    CostModel::from_fits(&fit(&points(threads), &CACHES).unwrap(), &CACHES).unwrap()
}

fn at(log_n: u32, level: usize, threads: usize) -> Setting {
    Setting { log_n, level, special: 2, alpha: 2, threads, ..Setting::SMALL }
}

fn shape(terms: usize) -> Primitive {
    Primitive::Linear(LinearShape {
        sources: 2,
        decomposed: 2,
        rotations: 16,
        unrotated: 2,
        terms,
        plaintexts: terms,
        plaintext_words: 0,
        outputs: 4,
        rescale: true,
        detail: None,
    })
}

#[test]
fn terms_add_up_largest_first() {
    let prediction = model(&[1]).predict(&shape(72), &at(14, 6, 1));
    let sum: f64 = prediction.terms.iter().map(|t| t.1).sum();
    assert!((sum - prediction.median_ms).abs() < 1e-9 * sum);
    assert!(prediction.terms.windows(2).all(|w| w[0].1 >= w[1].1));
    assert!(prediction.low_ms < prediction.median_ms && prediction.median_ms < prediction.high_ms);
}

#[test]
fn settings_never_measured() {
    // Level 9 and alpha 4 are not among the points.
    let setting = Setting { log_n: 15, level: 9, special: 4, alpha: 4, ..Setting::SMALL };
    let work = Work::count(&shape(100).into(), &setting, &CACHES, Residency::Cold);
    let expected = Feature::ALL.iter().map(|&f| work.get(f) * truth(f)).sum::<f64>() / 1e6;
    let found = model(&[1]).predict(&shape(100), &setting).median_ms;
    assert!((found / expected - 1.0).abs() < 1e-3, "{found} instead of {expected}");
}

#[test]
fn more_work_takes_longer() {
    let model = model(&[1, 2]);
    for threads in [1, 2, 3, 16] {
        for level in 1..12 {
            let ms = |terms, level| model.predict(&shape(terms), &at(13, level, threads)).median_ms;
            assert!(ms(80, level) > ms(72, level));
            assert!(ms(72, level + 1) > ms(72, level));
        }
        let ms = |log_n| model.predict(&shape(72), &at(log_n, 5, threads)).median_ms;
        assert!((12..17).all(|log_n| ms(log_n + 1) > ms(log_n)));
    }
}

/// One at a time is one thread; several take longer each, and less than one after the other; and a program's worth of memory
/// traffic takes as many times longer as bandwidth does not grow.
#[test]
fn several_at_once() {
    let model = model(&[1, 4]);
    let of = |shape: Primitive, at_once| {
        let (setting, residency) = (at(14, 7, 1), Residency::Cold);
        model.predict_at_once(&shape.into(), &setting, residency, at_once)
    };
    let alone = model.predict(&shape(200), &at(14, 7, 1));
    assert_eq!(of(shape(200), 1), alone);
    assert_eq!(of(shape(200), 0), alone);
    for at_once in [2, 3, 4, 8, 64] {
        let each = of(shape(200), at_once).median_ms;
        assert!(each >= alone.median_ms, "{at_once}: {each} {}", alone.median_ms);
        assert!(each <= at_once as f64 * alone.median_ms * (1.0 + 1e-9));
    }
    // The imaginary machine has one bandwidth, however many threads: what is read by each is read one after the other.
    let read = |at_once| {
        let terms = of(shape(200), at_once).terms;
        let label = Feature::PlaintextBytes.label();
        terms.iter().find(|(name, _)| *name == label).map_or(0.0, |(_, ms)| *ms)
    };
    assert!(read(1) > 0.0 && (read(4) / read(1) - 4.0).abs() < 0.01);
}

#[test]
fn thread_counts_between_and_beyond() {
    let model = model(&[1, 4]);
    let ms = |threads| model.predict(&shape(200), &at(14, 7, threads)).median_ms;
    assert!(ms(1) > ms(2) && ms(2) > ms(3) && ms(3) > ms(4) && ms(4) > ms(8));
    // The shared bandwidth bounds what more threads can give.
    let floor = |threads| {
        let work = Work::count(&shape(200).into(), &at(14, 7, threads), &CACHES, Residency::Cold);
        Feature::ALL
            .iter()
            .filter(|f| f.class() == Class::Bandwidth)
            .map(|&f| work.get(f) * truth(f) / 1e6)
            .sum::<f64>()
    };
    assert!(ms(1000) > 0.99 * floor(1000));
}

#[test]
fn intervals_widen_beyond_what_was_measured() {
    let model = model(&[1, 2]);
    let width = |setting: Setting| {
        let p = model.predict(&shape(72), &setting);
        p.high_ms / p.low_ms
    };
    assert!(width(at(17, 5, 1)) > width(at(16, 5, 1)));
    assert!(width(at(14, 5, 8)) > width(at(14, 5, 2)));
}

#[test]
fn a_model_needs_a_fit() {
    assert!(CostModel::from_fits(&[], &CACHES).is_err());
}
