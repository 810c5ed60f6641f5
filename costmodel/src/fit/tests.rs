//! Fits to made-up measurements.

use super::*;
use crate::operation::Residency;
use crate::point::Timing;
use crate::primitive::{LinearShape, Primitive, Setting};

const CACHES: Caches = Caches { l1_bytes: 32 << 10, l2_bytes: 1 << 20, l3_bytes: 32 << 20 };

/// Unit costs of an imaginary machine, in nanoseconds.
pub(crate) fn truth(feature: Feature) -> f64 {
    match feature {
        Feature::ForwardButterflies => 0.9,
        Feature::InverseButterflies => 1.0,
        Feature::KeyProducts => 0.3,
        Feature::DotProducts => 0.35,
        Feature::Conversions => 0.4,
        Feature::Reductions => 0.8,
        Feature::ElementwiseWords => 0.5,
        Feature::RowBytes => 0.01,
        Feature::CachedBytes => 0.03,
        Feature::KeyBytes => 0.11,
        Feature::PlaintextBytes => 0.09,
        Feature::CiphertextBytes => 0.02,
        Feature::SpilledBytes => 0.08,
        Feature::CopiedBytes => 0.1,
        Feature::Phases => 4000.0,
        Feature::Tasks => 150.0,
        _ => 0.0,
    }
}

/// Noiseless points of that machine over several settings.
pub(crate) fn points(threads: &[usize]) -> Vec<Point> {
    let mut points = Vec::new();
    for log_n in [12, 13, 14, 15, 16] {
        for (special, alpha) in [(1, 1), (2, 2), (3, 3)] {
            for level in [1, 4, 7, 11] {
                for (primitive, residency) in primitives() {
                    for &threads in threads {
                        let setting =
                            Setting { log_n, level, special, alpha, threads, ..Setting::SMALL };
                        let work = Work::count(&primitive.into(), &setting, &CACHES, residency);
                        let ns = Feature::ALL.iter().map(|&f| work.get(f) * truth(f)).sum::<f64>();
                        let time = Timing {
                            median_ns: ns,
                            low_quartile_ns: ns,
                            high_quartile_ns: ns,
                            samples: 5,
                        };
                        points.push(Point {
                            residency,
                            operation: primitive.into(),
                            setting,
                            time,
                        });
                    }
                }
            }
        }
    }
    points
}

fn primitives() -> Vec<(Primitive, Residency)> {
    let mut all: Vec<(Primitive, Residency)> = vec![
        (Primitive::Add, Residency::Cold),
        (Primitive::AddPlain, Residency::Cold),
        (Primitive::Rescale, Residency::Cold),
        (Primitive::DropLevel { to: 0 }, Residency::Cold),
        (Primitive::SumSquares { terms: 1, rescale: true }, Residency::Cold),
        (Primitive::SumSquares { terms: 4, rescale: false }, Residency::Cold),
        (Primitive::RotateHoisted { rotations: 1 }, Residency::Cold),
        (Primitive::RotateHoisted { rotations: 1 }, Residency::Warm),
        (Primitive::RotateHoisted { rotations: 12 }, Residency::Cold),
    ];
    for (decomposed, rotations, unrotated, terms, plaintexts, outputs) in [
        (1, 8, 1, 9, 9, 1),
        (1, 24, 1, 400, 400, 16),
        (4, 32, 4, 288, 36, 8),
        (8, 64, 8, 576, 288, 8),
        (0, 0, 25, 400, 400, 16),
        (0, 0, 8, 8, 8, 1),
    ] {
        let sources = decomposed.max(unrotated);
        let shape = LinearShape {
            sources,
            decomposed,
            rotations,
            unrotated,
            terms,
            plaintexts,
            plaintext_words: 0,
            outputs,
            rescale: true,
            detail: None,
        };
        all.push((Primitive::Linear(shape), Residency::Cold));
        all.push((Primitive::Linear(shape), Residency::Warm));
    }
    all
}

/// A repeatable pseudo-random number in -1 to 1.
fn noise(i: usize) -> f64 {
    let x = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Points whose times are multiplied by a factor each. Their lower quartiles, which nothing is fitted to, are half as long.
fn multiplied(points: &[Point], factor: impl Fn(usize) -> f64) -> Vec<Point> {
    let changed = |(i, p): (usize, &Point)| {
        let ns = p.time.median_ns * factor(i);
        Point { time: Timing { median_ns: ns, low_quartile_ns: 0.5 * ns, ..p.time }, ..*p }
    };
    points.iter().enumerate().map(changed).collect()
}

/// What unit costs predict for a point, and its time.
fn predicted(p: &Point, costs: &[f64]) -> (f64, f64) {
    let work = Work::count(&p.operation, &p.setting, &CACHES, p.residency);
    (dot(work.amounts(), costs), p.time.median_ns)
}

#[test]
fn exact_measurements_give_the_unit_costs_back() {
    let fits = fit(&points(&[1]), &CACHES).unwrap();
    let fit = &fits[0];
    assert!(fit.training.max_relative < 1e-6, "{:?}", fit.training);
    assert!(fit.held_out.max_relative < 1e-6, "{:?}", fit.held_out);
    assert!(fit.held_out.points > 20);
    let costs = fit.vector();
    for feature in Feature::ALL {
        let (found, expected) = (costs[feature.index()], truth(feature));
        assert!(
            (found - expected).abs() < 1e-4 * (1e-3 + expected),
            "{feature:?}: {found} instead of {expected}"
        );
    }
}

#[test]
fn arithmetic_that_is_priced_at_nothing_is_named() {
    let points = points(&[1]);
    let mut fit = fit(&points, &CACHES).unwrap().remove(0);
    // Without work, a price of nothing is right: none of these points encodes or encrypts.
    assert_eq!(fit.unpriced(&points, &CACHES), []);
    for feature in [Feature::Reductions, Feature::SpilledBytes, Feature::Samples] {
        fit.unit_costs.insert(feature.unit_name().into(), 0.0);
    }
    assert_eq!(fit.unpriced(&points, &CACHES), [Feature::Reductions]);
    assert_eq!(fit.unpriced(&[], &CACHES), []);
}

#[test]
fn noise_and_outliers_do_little_harm() {
    let clean = points(&[1]);
    let outlier = |i: usize| if i.is_multiple_of(29) { 3.0 } else { 1.0 };
    let noisy = multiplied(&clean, |i| (1.0 + 0.05 * noise(i)) * outlier(i));
    let fits = fit(&noisy, &CACHES).unwrap();
    let costs = fits[0].vector();
    let errors = ErrorSummary::of(clean.iter().map(|p| predicted(p, &costs)));
    assert!(errors.p90_relative < 0.03, "{errors:?}");
    let spread = fits[0].families["linear-rotated"];
    assert!(spread.relative_deviation > 0.01 && spread.relative_deviation < 0.1, "{spread:?}");
}

/// Times that are too long and too short by the same factors are in the middle of what they scatter around. (Least squares of errors
/// relative to what was measured would be low by `cosh(0.4) / cosh(0.8)`, a fifth.)
#[test]
fn scattered_measurements_are_predicted_in_their_middle() {
    let clean = points(&[1]);
    let scattered = multiplied(&clean, |i| (0.4 * noise(i).signum()).exp());
    let costs = fit(&scattered, &CACHES).unwrap()[0].vector();
    let pairs = clean.iter().map(|p| predicted(p, &costs));
    let mut ratios: Vec<f64> = pairs.map(|(predicted, truth)| predicted / truth).collect();
    ratios.sort_by(f64::total_cmp);
    // Least squares count each point that is fitted by the square of its weight: so weighed, the mean of the logarithms deviates by 0.4
    // over the root of the effective number of points, and the median of what is distributed normally by the root of half pi more.
    let middle = quantile(&ratios, 0.5).unwrap();
    let fitted = scattered.iter().filter(|p| !p.is_held_out());
    let shares: Vec<f64> = fitted.map(|p| weight(p).powi(2)).collect();
    let points = shares.iter().sum::<f64>().powi(2) / shares.iter().map(|s| s * s).sum::<f64>();
    let deviation = 0.4 / points.sqrt() * (std::f64::consts::PI / 2.0).sqrt();
    assert!(deviation < 0.05, "{points} points");
    assert!((middle.ln()).abs() < 3.0 * deviation, "{middle}");
}

#[test]
fn an_unseen_ring_is_predicted() {
    let fits = fit(&points(&[1]), &CACHES).unwrap();
    let unseen = fits[0].unseen_rings["log_n_14"];
    assert!(unseen.points > 20 && unseen.max_relative < 1e-6, "{unseen:?}");
}

#[test]
fn each_thread_count_has_its_fit() {
    let fits = fit(&points(&[1, 2, 4]), &CACHES).unwrap();
    assert_eq!(fits.iter().map(|f| f.threads).collect::<Vec<_>>(), [1, 2, 4]);
    assert!(fits.iter().all(|f| f.held_out.max_relative < 1e-5));
    let held = |t: usize| points(&[t]).iter().filter(|p| p.is_held_out()).count();
    assert_eq!(held(1), held(4));
}

#[test]
fn useless_measurements_are_refused() {
    assert!(fit(&[], &CACHES).is_err());
    let few: Vec<Point> = points(&[1]).into_iter().take(5).collect();
    assert!(fit(&few, &CACHES).is_err());
    let mut broken = points(&[1]);
    broken[3].time.median_ns = f64::NAN;
    assert!(matches!(fit(&broken, &CACHES), Err(Error::Fit(_))));
}
