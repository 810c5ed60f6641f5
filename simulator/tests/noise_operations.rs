//! The noise of every operation, as the engine makes it, against the model's: over some keys, parameter sets and sizes of
//! values, in groups of slots that a model without slots would get wrong.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::ops::Ops;
use engine::params::{self, Parameters, ParametersLiteral};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::chain::Chain;
use simulator::interpret::{Client, NoiseModel, Session, run_clear, run_noisy};
use simulator::program::{Op, PlaintextForm, Program, Term, ValueInfo};

/// Keys that errors are measured with, each with an encryption and a simulation of its own.
const KEYS: u64 = 8;

/// Groups of slots, by the remainder of their number.
const GROUPS: usize = 4;

/// A group has 512 slots, of which each key gives a sample. Samples of roundings under one key are distributed like
/// `exp(-|x|)`, whose fourth moment is 6 times the square of the second, so a root mean square of `8 * 512` of them is
/// uncertain by `sqrt(5 / 4096) / 2 = 1.75 %`, and the ratio of two by 2.5 %: five times that.
const TOLERANCE: f64 = 0.125;

const LOG_N: u32 = 12;
const SLOTS: usize = 1 << (LOG_N - 1);
/// Bits of the scale primes.
const PRIME_BITS: u32 = 36;

/// Parameter sets: so many special primes of so many bits, and as many limbs a digit. With 46 and 2 * 41 bits, the first digit
/// is as large as all special primes, and key switches disturb most; with 46 and 36 bits, a thousand times more.
fn sets() -> Vec<Parameters> {
    let set = |first, special: Vec<u32>| {
        Parameters::new(&ParametersLiteral {
            log_n: LOG_N,
            digit_limbs: special.len(),
            chain: params::Chain::Bits { first, scale: vec![PRIME_BITS; 4], special },
            log_scale: f64::from(PRIME_BITS),
            allow_insecure: true,
        })
        .unwrap()
    };
    vec![
        set(46, vec![46]),
        set(40, vec![45]),
        set(46, vec![41; 2]),
        set(44, vec![42; 3]),
        set(46, vec![36]),
    ]
}

/// Errors of a program's first result: root mean squares by group of slots, all other noise but its own taken away.
fn errors(mut run: impl FnMut(u64) -> (Program, Vec<Vec<f64>>)) -> [f64; GROUPS] {
    let mut squares = [0.0; GROUPS];
    for key in 0..KEYS {
        let (program, mut slots) = run(key);
        let inputs = slots.split_off(program.outputs.len() - program.inputs);
        let exact = run_clear(&program, &inputs).unwrap();
        for (j, (a, b)) in slots[0].iter().zip(&exact[0]).enumerate() {
            squares[j % GROUPS] += (a - b).powi(2);
        }
    }
    squares.map(|s| (s / (KEYS as usize * SLOTS / GROUPS) as f64).sqrt())
}

/// Runs a program that `make` adds to, given the number of the key, with inputs of this size and scale: encrypted by the
/// engine and in the model. The inputs are results, too, so that it is known what they became.
#[track_caller]
fn check(
    what: &str,
    params: &Parameters,
    input: (f64, f64),
    make: impl Fn(&mut Ops, u64) -> usize,
) {
    let chain = Chain::from(params);
    let (size, log_scale) = input;
    let program = |key: u64| {
        let mut ops = Ops::new(chain.clone());
        for input in &mut ops.program.values {
            input.scale = log_scale.exp2();
        }
        let result = make(&mut ops, key);
        ops.program.outputs = vec![result, 0, 1];
        ops.program.check(&chain).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(key);
        // Slots of one group are ten times as large.
        let value = |j: usize, r: f64| size * (r - 0.5) * if j % GROUPS == 1 { 10.0 } else { 1.0 };
        let inputs: Vec<Vec<f64>> =
            (0..2).map(|_| (0..SLOTS).map(|j| value(j, rng.random())).collect()).collect();
        (ops.program, inputs)
    };
    let measured = errors(|key| {
        let (program, inputs) = program(key);
        let client = Client::new(params);
        let keys = Arc::new(client.evaluation_keys(&program).unwrap());
        let form = PlaintextForm::Stored;
        let session = Session::prepare(params, keys, program.clone(), form).unwrap();
        let inputs = client.encrypt(&program, &inputs).unwrap();
        let execution = session.run(inputs).unwrap();
        (program, client.decrypt(&execution.outputs).unwrap())
    });
    let model = NoiseModel::from(params);
    let modelled = errors(|key| {
        let (program, inputs) = program(key);
        let noisy = run_noisy(&program, &inputs, &model, key).unwrap();
        (program, noisy)
    });
    for (group, (measured, modelled)) in measured.into_iter().zip(modelled).enumerate() {
        let ratio = modelled / measured;
        assert!(
            (ratio - 1.0).abs() < TOLERANCE,
            "{what}, group {group}: measured {measured:e}, modelled {modelled:e}, {params:?}"
        );
    }
}

/// Slots of a plaintext: of a size, zero in one group, ten times as large in another.
fn weights(key: u64, seed: usize, period: usize, size: f64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(1000 * (key + 1) + seed as u64);
    let factor = |j: usize| [1.0, 1.0, 0.0, 10.0][j % GROUPS];
    (0..period).map(|j| factor(j) * size * (rng.random::<f64>() - 0.5)).collect()
}

/// Adds a linear combination of so many terms with plaintexts of a period, a size and a scale in bits, every second rotated
/// if any is to be.
fn combination(
    ops: &mut Ops,
    key: u64,
    (terms, rotated, rescale): (usize, bool, bool),
    (period, size, bits): (usize, f64, f64),
) -> usize {
    let level = ops.program.values[0].level;
    let terms: Vec<Term> = (0..terms)
        .map(|k| {
            let info = ValueInfo { level, scale: bits.exp2() };
            let p = ops.plaintext_of(weights(key, k, period, size), info, rotated);
            // By whole groups, so that large slots stay among themselves.
            let shift = if rotated { GROUPS * k } else { 0 };
            let src = if rotated { 0 } else { k % 2 };
            Term { dst: 0, src: src as u32, shift: shift as u32, plaintext: Some(p) }
        })
        .collect();
    ops.one(0, Op::Linear { srcs: vec![0, 1], terms, rescale })
}

#[test]
fn encryption() {
    let params = &sets()[0];
    let (size, scale) = (1.0, 30f64.exp2());
    let program = {
        let mut ops = Ops::new(Chain::from(params));
        ops.program.values.iter_mut().for_each(|v| v.scale = scale);
        ops.program.outputs = vec![0];
        ops.program
    };
    let slots = |seed| weights(0, seed, SLOTS, size);
    let squares = |results: &[f64], exact: &[f64]| {
        results.iter().zip(exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
    };
    let model = NoiseModel::from(params);
    let (mut measured, mut modelled) = (0.0, 0.0);
    for seed in 0..KEYS {
        let inputs = [slots(2 * seed as usize), slots(2 * seed as usize + 1)];
        let client = Client::new(params);
        let encrypted = client.encrypt(&program, &inputs).unwrap();
        measured += squares(&client.decrypt(&encrypted[..1]).unwrap()[0], &inputs[0]);
        modelled += squares(&run_noisy(&program, &inputs, &model, seed).unwrap()[0], &inputs[0]);
    }
    let ratio = (modelled / measured).sqrt();
    assert!((ratio - 1.0).abs() < TOLERANCE, "{ratio}");
    let expected = model.fresh(&program.values[0]) * ((KEYS as usize * SLOTS) as f64).sqrt();
    assert!((modelled.sqrt() / expected - 1.0).abs() < TOLERANCE, "{modelled} {expected}");
}

#[test]
fn rescaling_and_key_switching() {
    for params in sets() {
        check("rescale", &params, (1.0, 50.0), |ops, _| ops.one(0, Op::Rescale { src: 0 }));
        for bits in [20.0, 36.0] {
            check("rotate", &params, (1.0, bits), |ops, _| {
                ops.push(0, Op::RotateHoisted { src: 0, shifts: vec![GROUPS as u32] }, 1)[0]
            });
        }
        check("conjugate", &params, (100.0, 30.0), |ops, _| ops.one(0, Op::Conjugate { src: 0 }));
        check("sum of rotations", &params, (0.01, 30.0), |ops, _| {
            let term = |k: u32| Term { dst: 0, src: 0, shift: 4 * k, plaintext: None };
            let terms = (0..8).map(term).collect();
            ops.one(0, Op::Linear { srcs: vec![0], terms, rescale: false })
        });
    }
}

#[test]
fn linear_combinations_with_plaintexts() {
    for params in sets() {
        for size in [0.01, 1.0, 100.0] {
            check("rotated", &params, (size, 36.0), |ops, key| {
                combination(ops, key, (9, true, true), (SLOTS, 1.0, 36.0))
            });
            check("rotated, small weights", &params, (size, 36.0), |ops, key| {
                combination(ops, key, (9, true, true), (SLOTS, 0.01, 36.0))
            });
            check("unrotated", &params, (size, 36.0), |ops, key| {
                combination(ops, key, (2, false, true), (SLOTS, 1.0, 36.0))
            });
        }
    }
}

/// Nothing but the rounding of plaintexts: neither divided nor rotated.
#[test]
fn roundings_of_encodings() {
    let params = &sets()[0];
    for (period, size) in [(SLOTS, 1.0), (SLOTS, 100.0), (SLOTS / 2, 1.0)] {
        check("encodings", params, (size, 36.0), |ops, key| {
            combination(ops, key, (2, false, false), (period, 1.0, 20.0))
        });
    }
    check("added", params, (1.0, 20.0), |ops, key| {
        let info = ops.program.values[0];
        let plaintext = ops.plaintext_of(weights(key, 0, SLOTS, 1.0), info, false);
        ops.one(0, Op::AddPlain { src: 0, plaintext })
    });
}

/// Plaintexts of a subring: errors are of fewer coefficients, so smaller, and they repeat. A key gives `2 * PERIOD / GROUPS`
/// samples for a group, 1024 in all: an uncertainty of `1 / sqrt(2 * 1024)`, 3.1 % for the ratio.
#[test]
fn roundings_of_periodic_plaintexts() {
    const PERIOD: usize = 256;
    let params = &sets()[0];
    for size in [0.01, 1.0, 100.0] {
        check("periodic", params, (size, 36.0), |ops, key| {
            combination(ops, key, (2, false, false), (PERIOD, 1.0, 20.0))
        });
    }
    // Adding up equal slots adds up their errors.
    let sums = |log_fold: u32| {
        move |ops: &mut Ops, key: u64| {
            let (info, slots) = (ops.program.values[0], weights(key, 0, PERIOD, 1.0));
            let plaintext = ops.plaintext_of(slots, info, false);
            let mut sum = ops.one(0, Op::AddPlain { src: 0, plaintext });
            for k in 0..log_fold {
                let term = |shift| Term { dst: 0, src: 0, shift, plaintext: None };
                let terms = vec![term(0), term((PERIOD << k) as u32)];
                sum = ops.one(0, Op::Linear { srcs: vec![sum], terms, rescale: false });
            }
            sum
        }
    };
    // At the set with the quietest key switches, eight equal errors of 6.5 units beside roundings of 700.
    check("sum of periodic", &sets()[1], (1.0, 20.0), sums(3));
}

#[test]
fn products_and_sums_of_ciphertexts() {
    for params in sets() {
        for size in [0.01, 1.0, 100.0] {
            for count in [1, 2] {
                check("squares", &params, (size, 36.0), |ops, _| {
                    ops.one(0, Op::SumSquares { srcs: (0..count).collect(), rescale: true })
                });
            }
            check("product", &params, (size, 36.0), |ops, _| {
                ops.one(0, Op::Multiply { a: 0, b: 1, rescale: true })
            });
        }
    }
}
