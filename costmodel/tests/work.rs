//! The work that the cost model counts is the work that the engine does, kernel by kernel.

#![allow(clippy::unwrap_used)]

mod counted;

use std::collections::BTreeSet;

use costmodel::measure::{Plan, SetPlan, catalogue};
use costmodel::{Client, LinearShape, Operation, Primitive};
use counted::{
    Apart, Bench, Set, apart_from, apart_from_linear, assert_counted, counted as count_of,
};
use engine::cipher::Plaintext;
use engine::eval::{LinearPlan, LinearTerm};
use engine::unit::{Unit, UnitBench};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Plaintexts that operations use at most.
const PLAINTEXTS: usize = 96;

/// The sets of calibrations, each once, in the least ring that has several tasks a limb, and their levels.
fn sets() -> Vec<(Set, Vec<usize>)> {
    let mut sets: Vec<(Set, Vec<usize>)> = Vec::new();
    let all = [Plan::tiny(), Plan::quick(), Plan::full()];
    for SetPlan { depth, special, alpha, levels, prime_bits, .. } in
        all.into_iter().flat_map(|plan| plan.sets)
    {
        let set = Set { log_n: 12, depth, special, alpha, prime_bits };
        if depth <= 9 && !sets.iter().any(|(known, _)| *known == set) {
            sets.push((set, levels));
        }
    }
    assert!(sets.len() > 8);
    sets
}

/// Executes and compares a linear operation with plaintexts of which so many words are kept.
fn check_linear(
    bench: &Bench,
    level: usize,
    plan: &LinearPlan,
    terms: &[LinearTerm],
    plaintexts: &[Plaintext],
    plaintext_words: usize,
) {
    let shape = LinearShape { plaintext_words, ..LinearShape::from(plan.shape()) };
    let rotated = terms.iter().filter(|term| term.shift != 0);
    let turned: BTreeSet<usize> = rotated.map(|term| term.dst).collect();
    let counts = bench.linear(plan, level, plaintexts);
    let apart = apart_from_linear(bench, &shape, level, turned.len());
    assert_counted(Primitive::Linear(shape).into(), &bench.setting(level), &counts, apart);
}

#[test]
fn linear_operations_of_the_catalogue() {
    let shifts = catalogue().iter().map(|spec| spec.distinct_shifts()).max().unwrap();
    for (set, levels) in sets() {
        let bench = Bench::new(set, shifts);
        for level in levels {
            let plaintexts = bench.plaintexts(PLAINTEXTS, level, bench.params.slots());
            for spec in catalogue() {
                let terms = spec.build(PLAINTEXTS);
                let (sources, outputs) = (spec.sources, spec.outputs);
                let plan =
                    LinearPlan::new(&bench.params, sources, outputs, &terms, spec.rescale).unwrap();
                check_linear(&bench, level, &plan, &terms, &plaintexts, 0);
            }
        }
    }
}

#[test]
fn other_instructions() {
    for (set, levels) in sets() {
        let bench = Bench::new(set, 5);
        for level in levels {
            for primitive in [
                Primitive::RotateHoisted { rotations: 1 },
                Primitive::RotateHoisted { rotations: 5 },
                Primitive::SumSquares { terms: 1, rescale: true },
                Primitive::SumSquares { terms: 1, rescale: false },
                Primitive::SumSquares { terms: 4, rescale: true },
                Primitive::Multiply { rescale: true },
                Primitive::Multiply { rescale: false },
                Primitive::Add,
                Primitive::AddPlain,
                Primitive::Rescale,
                Primitive::DropLevel { to: level - 1 },
                Primitive::DropLevel { to: level / 2 },
                Primitive::Conjugate,
            ] {
                let counts = bench.primitive(primitive, level);
                let apart = apart_from(&bench, primitive, level);
                assert_counted(primitive.into(), &bench.setting(level), &counts, apart);
            }
        }
    }
}

#[test]
fn steps_of_the_client() {
    for (set, levels) in sets() {
        let bench = Bench::new(set, 1);
        let values: Vec<f64> = (0..bench.params.slots()).map(|i| (i as f64).sin()).collect();
        for level in levels {
            let (n, setting) = (bench.params.n(), bench.setting(level));
            let check = |client: Client, counts, apart| {
                assert_counted(Operation::Client(client), &setting, &counts, apart);
            };
            let scale = bench.params.scale();
            let encode = |extended| bench.encoder.encode(&values, level, scale, extended).unwrap();
            for extended in [false, true] {
                let counts = count_of(|| encode(extended));
                check(Client::Encode { extended }, counts, Apart::default());
            }
            let (plaintext, ciphertext) = (encode(false), bench.ciphertext(level));
            // A random polynomial and two errors in every limb.
            let apart = Apart { moved_words: 3 * (level + 1) * n, ..Apart::default() };
            check(Client::Encrypt, count_of(|| bench.public.encrypt(&plaintext).unwrap()), apart);
            let counts = count_of(|| bench.secret.decrypt(&ciphertext).unwrap());
            check(Client::Decrypt, counts, Apart::default());
            let apart = Apart { rounded_words: 2 * n, ..Apart::default() };
            check(Client::Decode, count_of(|| bench.encoder.decode(&plaintext).unwrap()), apart);
        }
    }
}

#[test]
fn kernels_alone() {
    for prime_bits in [46, 50] {
        let set = Set { log_n: 12, depth: 2, special: 1, alpha: 1, prime_bits };
        let setting = Bench::new(set, 1).setting(0);
        for unit in [
            Unit::ForwardNtt,
            Unit::InverseNtt,
            Unit::KeyProduct { digits: 1 },
            Unit::KeyProduct { digits: 8 },
            Unit::PairSum { terms: 9, outputs: 1 },
            Unit::PairSum { terms: 2, outputs: 3 },
            Unit::Conversion { rows: 3 },
            Unit::Lift,
            Unit::Scale,
            Unit::Add,
        ] {
            let mut bench = UnitBench::new(unit, set.log_n, prime_bits).unwrap();
            let counts = count_of(|| bench.run(1));
            assert_counted(Operation::Unit(unit), &setting, &counts, Apart::default());
        }
    }
}

/// Some linear operations of any terms, each in a ring of its own.
#[test]
fn random_linear_operations() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (depth, special) = (rng.random_range(1..=6), rng.random_range(1..=3));
        let set = Set {
            log_n: rng.random_range(11..=13),
            depth,
            special,
            alpha: rng.random_range(1..=special.min(depth + 1)),
            prime_bits: [40, 46, 50][rng.random_range(0..3)],
        };
        let shifts = rng.random_range(0..=7);
        let bench = Bench::new(set, shifts);
        for _ in 0..5 {
            let [sources, outputs] = [6, 7].map(|most| rng.random_range(1..=most));
            let count = outputs + rng.random_range(0..=60);
            let plaintexts: usize = rng.random_range(0..=20);
            let term = |i: usize| LinearTerm {
                // None goes without.
                dst: if i < outputs { i } else { rng.random_range(0..outputs) },
                src: rng.random_range(0..sources),
                shift: rng.random_range(0..=shifts),
                plaintext: (plaintexts > 0).then(|| rng.random_range(0..plaintexts)),
            };
            let terms: Vec<LinearTerm> = (0..count).map(term).collect();
            let level = rng.random_range(1..=depth);
            let rescale = rng.random_bool(0.5);
            let plan = LinearPlan::new(&bench.params, sources, outputs, &terms, rescale).unwrap();
            let slots = bench.params.slots();
            let (period, words) = [(slots, 0), (16, 32), (128, 256)][rng.random_range(0..3)];
            let factors = bench.plaintexts(plaintexts, level, period);
            check_linear(&bench, level, &plan, &terms, &factors, words);
        }
    }
}
