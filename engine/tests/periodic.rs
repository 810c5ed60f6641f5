//! Plaintexts of a short period in every operation: as those with all their words, exactly.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Setup, Stock, identical, literals};
use engine::cipher::{Ciphertext, Plaintext};
use engine::eval::{LinearPlan, LinearTerm};

/// Numbers below 1/8, the same for the same seed.
fn values(count: usize, seed: u64) -> Vec<f64> {
    common::message(count, seed).iter().map(|c| c.re / 8.0).collect()
}

/// The same numbers kept short, and with all words.
fn both(
    setup: &Setup,
    period: usize,
    seed: u64,
    (level, scale): (usize, f64),
    extended: bool,
) -> [Plaintext; 2] {
    let values = values(period, seed);
    let all: Vec<f64> = values.iter().copied().cycle().take(setup.params.slots()).collect();
    [
        setup.encoder.encode_periodic(&values, level, scale, extended).unwrap(),
        setup.encoder.encode(&all, level, scale, extended).unwrap(),
    ]
}

/// The numbers of terms of each output, rotations and plaintexts given by a rule, in which outputs agree, nearly or not.
fn terms(slots: usize) -> Vec<LinearTerm> {
    let shifts = [0, 1, 2, 5, 17, 64, slots - 1];
    let mut terms = Vec::new();
    let mut add = |dst, src, shift| {
        let plaintext = Some(terms.len());
        terms.push(LinearTerm { dst, src, shift, plaintext });
    };
    for dst in 0..6 {
        for src in 0..2 {
            for (i, &shift) in shifts.iter().enumerate() {
                // Each of the first five lacks one of 14; the last has few, and one twice.
                if dst < 5 && 7 * src + i != dst {
                    add(dst, src, shift);
                }
            }
        }
    }
    for shift in [1, 1, 5] {
        add(5, 0, shift);
    }
    terms
}

#[test]
fn linear_operations_take_both_forms() {
    for (name, literal) in literals() {
        let setup = Setup::new(name, &literal);
        let (params, ev) = (&setup.params, &setup.evaluator);
        let (slots, level) = (params.slots(), params.max_level());
        let sources: Vec<_> = (0..2).map(|i| setup.encrypt(&setup.message(i), level)).collect();
        let sources: Vec<&Ciphertext> = sources.iter().collect();
        let all_terms = terms(slots);
        // With rotations and without; no rescale where that is not the point.
        let resting: Vec<_> = all_terms.iter().map(|t| LinearTerm { shift: 0, ..*t }).collect();
        for (terms, rescale) in [(&all_terms, true), (&resting, false)] {
            let plan = LinearPlan::new(params, 2, 6, terms, rescale).unwrap();
            let shape = plan.shape();
            assert!(shape.reads < shape.terms, "{shape:?}");
            let encode = |i: usize| {
                // All periods in turn: runs shorter than a chunk, of one, and longer, and none.
                let period = 1 << (i % (params.log_n() as usize));
                both(&setup, period, i as u64, (level, setup.prime(level)), plan.is_extended())
            };
            let pairs: Vec<[Plaintext; 2]> = (0..terms.len()).map(encode).collect();
            let pick = |form: &dyn Fn(usize) -> usize| -> Vec<&Plaintext> {
                pairs.iter().enumerate().map(|(i, pair)| &pair[form(i)]).collect()
            };
            let full = ev.linear(&plan, &sources, &pick(&|_| 1)).unwrap();
            // All short; mixed within outputs and within terms; one only.
            let forms: [&dyn Fn(usize) -> usize; 4] =
                [&|_| 0, &|i| i % 2, &|i| i / 13 % 2, &|i| usize::from(i != 7)];
            for form in forms {
                let plaintexts = pick(form);
                let found = ev.linear(&plan, &sources, &plaintexts).unwrap();
                for (output, (a, b)) in found.iter().zip(&full).enumerate() {
                    assert!(identical(a, b), "{name}: output {output}");
                }
                for most in [1, 7, terms.len()] {
                    let mut stock = Stock::of(&plaintexts);
                    let parts = ev.linear_in_batches(&plan, &sources, most, &mut stock).unwrap();
                    assert!(parts.iter().zip(&full).all(|(a, b)| identical(a, b)), "{name} {most}");
                }
            }
        }
    }
}

#[test]
fn sums_over_blocks_are_right() {
    // Against single operations, which sum without blocks: without rotations both are exact.
    let (name, literal) = literals().swap_remove(0);
    let setup = Setup::new(name, &literal);
    let (params, ev) = (&setup.params, &setup.evaluator);
    let level = params.max_level();
    let sources: Vec<_> = (0..9).map(|i| setup.encrypt(&setup.message(i), level)).collect();
    let mut terms = Vec::new();
    for dst in 0..7 {
        for src in (0..9).filter(|&src| src != dst) {
            let plaintext = Some(terms.len());
            terms.push(LinearTerm { dst, src, shift: 0, plaintext });
        }
    }
    let plan = LinearPlan::new(params, 9, 7, &terms, false).unwrap();
    let at = (level, setup.prime(level));
    let plaintexts: Vec<Plaintext> = (0..terms.len())
        .map(|i| {
            let [short, full] = both(&setup, 1 << (i % 6), i as u64, at, false);
            if i % 3 == 0 { full } else { short }
        })
        .collect();
    let found = ev
        .linear(&plan, &sources.iter().collect::<Vec<_>>(), &plaintexts.iter().collect::<Vec<_>>())
        .unwrap();
    for (dst, found) in found.iter().enumerate() {
        let mut sum: Option<Ciphertext> = None;
        for term in terms.iter().filter(|t| t.dst == dst) {
            let factor = &plaintexts[term.plaintext.unwrap()];
            let product = ev.mul_plain(&sources[term.src], factor).unwrap();
            sum = Some(match sum {
                Some(sum) => ev.add(&sum, &product).unwrap(),
                None => product,
            });
        }
        assert!(identical(found, &sum.unwrap()), "output {dst}");
    }
}

#[test]
fn single_operations_take_both_forms() {
    // Those whose scale is far above fresh noise.
    for (name, literal) in literals().into_iter().step_by(3) {
        let setup = Setup::new(name, &literal);
        let (params, ev) = (&setup.params, &setup.evaluator);
        let level = params.max_level();
        let ciphertext = setup.encrypt(&setup.message(1), level - 1);
        for period in [1, 4, 64, params.slots()] {
            for extended in [false, true] {
                let at = (level, params.scale());
                let [short, full] = both(&setup, period, 5, at, extended);
                for f in [engine::eval::Evaluator::add_plain, engine::eval::Evaluator::mul_plain] {
                    let [a, b] = [&short, &full].map(|p| f(ev, &ciphertext, p).unwrap());
                    assert!(identical(&a, &b), "{name} {period}");
                }
                // Fresh noise is far below a message of this scale.
                let expected = setup.encoder.decode_complex(&full).unwrap();
                for encrypted in [setup.secret.encrypt(&short), setup.public.encrypt(&short)] {
                    let found = setup.decrypt(&encrypted.unwrap());
                    assert!(common::distance(&found, &expected) < 0.01, "{name} {period}");
                }
                let mut bytes = Vec::new();
                engine::serial::write_seeded_ciphertext(&mut bytes, &setup.secret, &short).unwrap();
                let read = engine::serial::read_ciphertext(&bytes[..], params).unwrap();
                assert!(common::distance(&setup.decrypt(&read), &expected) < 0.01);
            }
        }
    }
}

#[test]
fn plaintexts_that_do_not_fit_are_errors() {
    let (name, literal) = literals().swap_remove(0);
    let setup = Setup::new(name, &literal);
    let other = Setup::new(name, &literals()[3].1);
    let ev = &setup.evaluator;
    let ciphertext = setup.encrypt(&setup.message(1), 2);
    let encode = |setup: &Setup, level, extended| {
        setup.encoder.encode_periodic(&[0.5, 0.25], level, setup.params.scale(), extended).unwrap()
    };
    let text = |result: engine::Result<_>| match result {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    let foreign = encode(&other, 2, true);
    let expected = "ring degree of an operand: found 4096, expected 2048";
    assert_eq!(text(ev.mul_plain(&ciphertext, &foreign)), expected);
    assert_eq!(text(ev.add_plain(&ciphertext, &foreign)), expected);
    assert_eq!(text(setup.secret.encrypt(&foreign)), expected);
    let low = encode(&setup, 1, false);
    assert!(text(ev.mul_plain(&ciphertext, &low)).contains("level is 1, expected 2"));
    let term = LinearTerm { dst: 0, src: 0, shift: 1, plaintext: Some(0) };
    let plan = LinearPlan::new(&setup.params, 1, 1, &[term], false).unwrap();
    let linear =
        |p: &Plaintext| text(ev.linear(&plan, &[&ciphertext], &[p]).map(|_| ciphertext.clone()));
    assert_eq!(linear(&encode(&setup, 2, true)), "");
    assert_eq!(linear(&foreign), expected);
    assert_eq!(
        linear(&encode(&setup, 2, false)),
        "plaintext of a sum of rotations: found level 2, extended: false, \
         expected an extended encoding at level 2"
    );
    assert!(linear(&encode(&setup, 3, true)).contains("found level 3"));
}
