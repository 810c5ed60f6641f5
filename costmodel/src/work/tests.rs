//! Work counts against examples worked out by hand.

use super::linear::distinct_shifts;
use super::*;
use crate::primitive::LinearShape;

const CACHES: Caches = Caches { l1_bytes: 32 << 10, l2_bytes: 1 << 20, l3_bytes: 32 << 20 };

fn setting(log_n: u32, level: usize, special: usize, alpha: usize, threads: usize) -> Setting {
    Setting { log_n, level, special, alpha, threads, ..Setting::SMALL }
}

fn count(primitive: Primitive, setting: Setting) -> Work {
    Work::count(&primitive.into(), &setting, &CACHES, Residency::Cold)
}

#[test]
fn rotation_without_digits_of_several_limbs() {
    // N = 2^12, 3 limbs, one special prime, digits of one limb: beta = 3.
    let work = count(Primitive::RotateHoisted { rotations: 1 }, setting(12, 2, 1, 1, 1));
    let n = 4096.0;
    let butterflies = n / 2.0 * 12.0;
    // Decomposition 3, mod-down of two components 1 each.
    assert_eq!(work.get(Feature::InverseButterflies), 5.0 * butterflies);
    // Mod-up 3 * 4 - 3, mod-down 2 * 3.
    assert_eq!(work.get(Feature::ForwardButterflies), 15.0 * butterflies);
    // 3 digits * 4 limbs * 2 components, and P c0 on 3 limbs.
    assert_eq!(work.get(Feature::KeyProducts), 27.0 * n);
    assert_eq!(work.get(Feature::KeyBytes), 24.0 * n * 8.0);
    // Everything is lifted from single limbs: 9 in the mod-up, 6 in the mod-down. Further passes: 3 copies in the
    // decomposition, 2 words of 4 limbs permuted, 6 differences in the mod-down.
    assert_eq!(work.get(Feature::Conversions), 0.0);
    assert_eq!(work.get(Feature::ElementwiseWords), (9.0 + 6.0 + 3.0 + 8.0 + 6.0) * n);
    assert_eq!(work.get(Feature::PlaintextBytes), 0.0);
}

#[test]
fn digits_of_several_limbs() {
    // 5 limbs in digits of 2, 2 and 1; two special primes.
    let work = count(Primitive::RotateHoisted { rotations: 1 }, setting(13, 4, 2, 2, 1));
    let n = 8192.0;
    // Mod-up: 3 * 7 - 5 = 16 NTTs, mod-down 2 * 5.
    assert_eq!(work.get(Feature::ForwardButterflies), 26.0 * n / 2.0 * 13.0);
    // Decomposition 4 quotient products; mod-up (2+2)*5 for both digits of two limbs; mod-down: quotients 2 * 2, products
    // 2*5*(2+2).
    assert_eq!(work.get(Feature::Conversions), (4.0 + 40.0 + 4.0 + 40.0) * n);
}

#[test]
fn linear_with_rotations() {
    // 2 sources by 3 shifts each, one of them also unrotated; 4 outputs of 7 terms, 28 plaintexts; rescale merged.
    let shape = LinearShape {
        sources: 2,
        decomposed: 2,
        rotations: 6,
        unrotated: 1,
        terms: 28,
        plaintexts: 28,
        plaintext_words: 0,
        outputs: 4,
        rescale: true,
        detail: None,
    };
    let n = 4096.0;
    let work = count(Primitive::Linear(shape), setting(12, 2, 1, 1, 1));
    // 28 terms on 3 limbs, six sevenths of them on the special limb too.
    assert_eq!(work.get(Feature::DotProducts), 2.0 * 28.0 * n * (3.0 + 6.0 / 7.0));
    assert_eq!(work.get(Feature::PlaintextBytes), 28.0 * 8.0 * n * (3.0 + 6.0 / 7.0));
    // Both sources use the same 3 keys.
    assert_eq!(work.get(Feature::KeyBytes), 3.0 * 24.0 * n * 8.0);
    assert_eq!(work.get(Feature::KeyProducts), 6.0 * 27.0 * n);
    // Decomposition 2 * 3; mod-down of 8 components by 2 primes.
    assert_eq!(work.get(Feature::InverseButterflies), (6.0 + 16.0) * n / 2.0 * 12.0);
    // Mod-up 2 * 9; 8 components of 2 limbs.
    assert_eq!(work.get(Feature::ForwardButterflies), (18.0 + 16.0) * n / 2.0 * 12.0);
}

#[test]
fn linear_without_rotations_needs_no_special_primes() {
    let shape = LinearShape {
        sources: 5,
        decomposed: 0,
        rotations: 0,
        unrotated: 5,
        terms: 20,
        plaintexts: 20,
        plaintext_words: 0,
        outputs: 4,
        rescale: false,
        detail: None,
    };
    let n = 8192.0;
    let work = count(Primitive::Linear(shape), setting(13, 3, 2, 1, 1));
    assert_eq!(work.get(Feature::ForwardButterflies), 0.0);
    assert_eq!(work.get(Feature::InverseButterflies), 0.0);
    assert_eq!(work.get(Feature::KeyBytes), 0.0);
    assert_eq!(work.get(Feature::DotProducts), 2.0 * 20.0 * 4.0 * n);
    // Five sources and four results of 4 limbs, two components each.
    assert_eq!(work.get(Feature::CachedBytes), 2.0 * 5.0 * 4.0 * n * 8.0);
    // Three results at a time, sources are read again, from a chunk of both components of each: 40 KiB, beyond a first level of 32.
    let read = |together: f64| 2.0 * 20.0 * 4.0 / together * n * 8.0;
    assert_eq!(work.get(Feature::RowBytes), read(3.0));
    let sum_terms = SumTerms { outputs: 2, ..SumTerms::ANY };
    let two = count(Primitive::Linear(shape), Setting { sum_terms, ..setting(13, 3, 2, 1, 1) });
    assert_eq!(two.get(Feature::RowBytes), read(2.0));
    assert_eq!(work.get(Feature::CiphertextBytes), 2.0 * 4.0 * 4.0 * n * 8.0);
    // With a rescale: 8 components, one inverse NTT each, 3 forward.
    let work =
        count(Primitive::Linear(LinearShape { rescale: true, ..shape }), setting(13, 3, 2, 1, 1));
    assert_eq!(work.get(Feature::InverseButterflies), 8.0 * n / 2.0 * 13.0);
    assert_eq!(work.get(Feature::ForwardButterflies), 24.0 * n / 2.0 * 13.0);
}

#[test]
fn elementwise_operations() {
    let n = 4096.0;
    let at = setting(12, 2, 1, 1, 1);
    let add = count(Primitive::Add, at);
    assert_eq!(add.get(Feature::CiphertextBytes), 18.0 * n * 8.0);
    assert_eq!(add.get(Feature::Phases), 2.0);
    let drop = count(Primitive::DropLevel { to: 0 }, at);
    assert_eq!(drop.get(Feature::CopiedBytes), 2.0 * n * 8.0);
    assert_eq!(drop.get(Feature::Phases), 0.0);
    let rescale = count(Primitive::Rescale, at);
    assert_eq!(rescale.get(Feature::InverseButterflies), 2.0 * n / 2.0 * 12.0);
    assert_eq!(rescale.get(Feature::ForwardButterflies), 4.0 * n / 2.0 * 12.0);
}

#[test]
fn threads_share_tasks_but_not_bandwidth() {
    let one = count(Primitive::AddPlain, setting(12, 2, 1, 1, 1));
    let two = count(Primitive::AddPlain, setting(12, 2, 1, 1, 2));
    // 3 limbs on 2 threads: 2 rounds instead of 3.
    let words = |w: &Work| w.get(Feature::ElementwiseWords);
    assert!((words(&two) / words(&one) - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(one.get(Feature::PlaintextBytes), two.get(Feature::PlaintextBytes));
    assert_eq!(one.get(Feature::PlaintextBytes), 3.0 * 4096.0 * 8.0);
}

#[test]
fn warm_keys_come_from_the_cache() {
    let at = setting(12, 2, 1, 1, 1);
    let operation = Primitive::RotateHoisted { rotations: 1 }.into();
    let warm = Work::count(&operation, &at, &CACHES, Residency::Warm);
    assert_eq!(warm.get(Feature::KeyBytes), 0.0);
    assert_eq!(warm.get(Feature::CachedBytes), (24.0 + 3.0) * 4096.0 * 8.0);
    // Keys larger than the cache are streamed all the same.
    let large = Primitive::RotateHoisted { rotations: 60 }.into();
    let warm = Work::count(&large, &at, &CACHES, Residency::Warm);
    assert_eq!(warm.get(Feature::KeyBytes), 60.0 * 24.0 * 4096.0 * 8.0);
}

#[test]
fn many_results_spill() {
    let spilled = |rotations| {
        count(Primitive::RotateHoisted { rotations }, setting(14, 8, 1, 1, 1))
            .get(Feature::SpilledBytes)
    };
    assert_eq!(spilled(1), 0.0);
    // 24 results of two components of 9 limbs of 128 KiB, written once, and a special limb, three passes; the source once
    // by component, its prepared limbs twice.
    let limb = 131_072.0;
    assert_eq!(spilled(24), limb * (24.0 * 2.0 * (9.0 + 3.0) + 9.0 + 2.0 * 9.0 + 9.0));
}

#[test]
fn constants_beyond_the_second_level_are_read_again() {
    // 3 limbs and a special one: constants of 4 * 4 limbs. Ten transforms read two limbs each.
    let work = |log_n| count(Primitive::Rescale, setting(log_n, 2, 1, 1, 1));
    let limb = |log_n: u32| 8.0 * f64::from(log_n).exp2();
    let transforms = 2.0 + 2.0 * 2.0;
    // 512 KiB are half of the second level, and 1 MiB all of it.
    assert_eq!(work(12).get(Feature::ConstantBytes), 0.0);
    assert_eq!(work(13).get(Feature::ConstantBytes), transforms * 2.0 * limb(13));
    // Of 32 MiB in the last level a quarter is safe: 16 MiB are a third of the way to all of it.
    assert_eq!(work(14).get(Feature::SpilledBytes), 0.0);
    let spilled = (16.0 - 8.0) / (32.0 - 8.0) * transforms * 2.0 * limb(17);
    // 4 limbs of the source that stay, 2 that are removed, 4 of the results: 10 MiB, 2 of them no more safe; 4 + 3 * 2 + 4
    // passes.
    let polynomials = (10.0 - 8.0) / (32.0 - 8.0) * 14.0 * limb(17);
    let found = work(17).get(Feature::SpilledBytes);
    assert!(
        (found / (spilled + polynomials) - 1.0).abs() < 1e-9,
        "{found} {spilled} {polynomials}"
    );
}

#[test]
fn shared_shifts() {
    let shape = |decomposed, rotations| LinearShape {
        sources: decomposed,
        decomposed,
        rotations,
        unrotated: 0,
        terms: rotations,
        plaintexts: 0,
        plaintext_words: 0,
        outputs: 1,
        rescale: false,
        detail: None,
    };
    assert_eq!(distinct_shifts(&shape(1, 7)), 7);
    assert_eq!(distinct_shifts(&shape(8, 8)), 8);
    assert_eq!(distinct_shifts(&shape(8, 64)), 8);
    assert_eq!(distinct_shifts(&shape(0, 0)), 0);
}

#[test]
fn more_is_never_less_work() {
    let rotate = |rotations, level, threads| {
        count(Primitive::RotateHoisted { rotations }, setting(13, level, 2, 2, threads))
    };
    for threads in [1, 2, 3, 8] {
        for level in 0..8 {
            let (low, high) = (rotate(4, level, threads), rotate(4, level + 1, threads));
            let more = rotate(5, level, threads);
            for feature in Feature::ALL {
                assert!(
                    low.get(feature) <= high.get(feature) + 1e-6,
                    "{feature:?} at level {level}"
                );
                assert!(
                    low.get(feature) <= more.get(feature) + 1e-6,
                    "{feature:?} at level {level}"
                );
            }
        }
    }
}

#[test]
fn keys_whose_masks_are_made() {
    // Packed, and half of them: 4 digits of one limb, 5 limbs in all. Two sources share 3 keys.
    let keys = KeyStorage { key_pair_bits: 48, masks_made: true };
    let shape = LinearShape {
        sources: 2,
        decomposed: 2,
        rotations: 6,
        unrotated: 0,
        terms: 6,
        plaintexts: 6,
        plaintext_words: 0,
        outputs: 1,
        rescale: false,
        detail: None,
    };
    let made = count(Primitive::Linear(shape), Setting { keys, ..setting(13, 3, 1, 1, 1) });
    let words = 3.0 * 4.0 * 5.0 * 8192.0;
    assert_eq!(made.get(Feature::KeyBytes), words * 6.0);
    assert_eq!(made.get(Feature::MaskWords), words);
    let keys = keys.stored();
    assert_eq!(keys, KeyStorage { key_pair_bits: 96, masks_made: false });
    let read = count(Primitive::Linear(shape), Setting { keys, ..setting(13, 3, 1, 1, 1) });
    assert_eq!(read.get(Feature::KeyBytes), 2.0 * made.get(Feature::KeyBytes));
    assert_eq!(read.get(Feature::MaskWords), 0.0);
}
