//! What cannot work is refused with a text that says what was found, what was expected and what to do.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Setup, Stock, literals};
use engine::Result;
use engine::cipher::{Ciphertext, Plaintext};
use engine::eval::{Evaluator, LinearPlan, LinearTerm};
use engine::keys::{EvaluationKeys, KeySpec};
use engine::params::{Chain, Parameters, ParametersLiteral};

fn text<T>(result: Result<T>) -> String {
    result.err().map_or_else(|| "no error".into(), |error| error.to_string())
}

/// The first parameter set: N = 2^11, primes of 36 and thrice 30 bits.
fn setup() -> Setup {
    let (name, literal) = literals().swap_remove(0);
    Setup::new(name, &literal)
}

fn term(dst: usize, src: usize, shift: usize, plaintext: Option<usize>) -> LinearTerm {
    LinearTerm { dst, src, shift, plaintext }
}

#[test]
fn parameters() {
    let good = ParametersLiteral::uniform(13, 46, 46, 2, (1, 46), 1).unwrap();
    assert_eq!(text(Parameters::new(&good)), "no error");
    let with = |change: fn(&mut ParametersLiteral)| {
        let mut literal = good.clone();
        change(&mut literal);
        text(Parameters::new(&literal))
    };
    assert_eq!(with(|l| l.log_n = 10), "parameters: log N is 10, expected 11 to 17");
    assert_eq!(with(|l| l.log_n = 18), "parameters: log N is 18, expected 11 to 17");
    assert_eq!(
        with(|l| l.log_scale = f64::NAN),
        "parameters: scale is 2^NaN, expected 2^10 to 2^100"
    );
    assert_eq!(with(|l| l.log_scale = 5.0), "parameters: scale is 2^5, expected 2^10 to 2^100");
    assert_eq!(with(|l| l.digit_limbs = 0), "parameters: 0 limbs a digit, expected 1 to 3");
    assert_eq!(with(|l| l.digit_limbs = 4), "parameters: 4 limbs a digit, expected 1 to 3");
    assert_eq!(
        with(|l| l.digit_limbs = 2),
        "parameters: special primes have 46.0 bits, the largest digit 92.0: \
         add special primes or use fewer limbs a digit"
    );
    // A little smaller than a digit they may be: noise grows by as much.
    let special = |bits| {
        let chain = Chain::Bits { first: 46, scale: vec![46; 2], special: vec![bits] };
        text(Parameters::new(&ParametersLiteral { chain, ..good.clone() }))
    };
    assert_eq!(special(36), "no error");
    assert!(special(33).contains("special primes have 33.0 bits, the largest digit 46.0"));
    assert_eq!(
        with(|l| l.log_n = 12),
        "log2(QP) = 184.0 bits, but 128-bit security at N = 2^12 allows 106: \
         use fewer or smaller primes, a larger ring, or set allow_insecure"
    );
    let bits = |first, scale: &[u32], special: &[u32]| {
        let mut literal = good.clone();
        literal.allow_insecure = true;
        literal.chain = Chain::Bits { first, scale: scale.to_vec(), special: special.to_vec() };
        text(Parameters::new(&literal))
    };
    assert_eq!(bits(46, &[46], &[]), "parameters: 0 special primes, expected 1 to 16");
    assert_eq!(bits(46, &[46; 64], &[50]), "parameters: 64 levels, expected at most 63");
    assert_eq!(
        bits(51, &[46], &[46]),
        "parameters: no 51-bit primes for N = 2^13: prime sizes go from log2(N) + 2 to 50 bits"
    );
    let explicit = |q: &[u64], p: &[u64]| {
        let mut literal = good.clone();
        literal.chain = Chain::Explicit { q: q.to_vec(), p: p.to_vec() };
        text(Parameters::new(&literal))
    };
    let known = Parameters::new(&good).unwrap();
    let (q, p) = (known.q(), known.p());
    assert_eq!(explicit(&q, &p), "no error");
    assert_eq!(
        explicit(&q, &q[..1]),
        format!("parameters: prime {} occurs twice, expected distinct primes", q[0])
    );
    let large = (1 << 50) + 1;
    assert_ne!(explicit(&[q[0] + 2], &p), "no error");
    for bad in [0, 1, large] {
        let expected = format!("parameters: prime {bad}, expected one of 2 to 50 bits");
        assert_eq!(explicit(&[bad], &p), expected);
    }
    assert_eq!(explicit(&[], &p), "parameters: no prime q_0, expected at least that one");
}

#[test]
fn absurd_counts_of_primes_take_no_memory() {
    let uniform = |depth, special| text(ParametersLiteral::uniform(13, 46, 46, depth, special, 1));
    for absurd in [64, 4_000_000_000, usize::MAX] {
        let expected = format!("parameters: {absurd} levels, expected at most 63");
        assert_eq!(uniform(absurd, (1, 46)), expected);
        let expected = format!("parameters: {absurd} special primes, expected 1 to 16");
        assert_eq!(uniform(2, (absurd, 46)), expected);
    }
}

#[test]
fn what_is_read_cannot_accept_insecure_parameters() {
    let mut literal = ParametersLiteral::uniform(12, 46, 46, 2, (1, 46), 1).unwrap();
    literal.allow_insecure = true;
    let mut written = serde_json::to_value(&literal).unwrap();
    let read: ParametersLiteral = serde_json::from_value(written.clone()).unwrap();
    assert!(matches!(Parameters::new(&read), Err(engine::Error::Insecure { .. })));
    written["allow_insecure"] = true.into();
    let error = serde_json::from_value::<ParametersLiteral>(written).unwrap_err();
    assert!(error.to_string().contains("allow_insecure"), "{error}");
}

#[test]
fn insecure_parameters_are_accepted_only_by_name() {
    let mut literal = ParametersLiteral::uniform(12, 46, 46, 2, (1, 46), 1).unwrap();
    assert!(Parameters::new(&literal).is_err());
    literal.allow_insecure = true;
    assert!(!Parameters::new(&literal).unwrap().is_secure());
    let secure = ParametersLiteral::uniform(13, 46, 46, 2, (1, 46), 1).unwrap();
    assert!(Parameters::new(&secure).unwrap().is_secure());
}

#[test]
fn levels_and_scales() {
    let setup = setup();
    let ev = &setup.evaluator;
    let x = setup.message(1);
    let (high, low) = (setup.encrypt(&x, 3), setup.encrypt(&x, 1));
    assert_eq!(text(ev.add(&high, &low)), "add: level is 1, expected 3");
    assert_eq!(text(ev.sub(&low, &high)), "subtract: level is 3, expected 1");
    assert_eq!(text(ev.multiply(&high, &low, true)), "multiply: level is 1, expected 3");
    assert_eq!(
        text(ev.sum_squares(&[&low, &high], true)),
        "sum of squares: level is 3, expected 1"
    );
    assert_eq!(
        text(ev.drop_level(&low, 2)),
        "drop level: a level cannot be raised: level is 2, expected 1"
    );

    let mut other = high.clone();
    other.scale *= 2.0;
    let scales =
        "scales 2^31.000000 and 2^30.000000 differ; choose plaintext scales so that they agree";
    assert_eq!(text(ev.add(&high, &other)), format!("add: {scales}"));
    assert_eq!(text(ev.sub(&high, &other)), format!("subtract: {scales}"));
    assert_eq!(text(ev.sum_squares(&[&high, &other], true)), format!("sum of squares: {scales}"));
    // Differences of rounding are none.
    other.scale = high.scale * (1.0 + 4.0 * f64::EPSILON);
    assert_eq!(text(ev.add(&high, &other)), "no error");

    let plaintext = setup.encode(&x, 1, setup.params.scale(), false);
    assert_eq!(
        text(ev.add_plain(&high, &plaintext)),
        "add plaintext: encode it at the ciphertext's level: level is 1, expected 3"
    );
    assert_eq!(
        text(ev.mul_plain(&high, &plaintext)),
        "multiply plaintext: encode it at the ciphertext's level: level is 1, expected 3"
    );
    let plaintext = setup.encode(&x, 3, 2.0 * setup.params.scale(), false);
    assert_eq!(text(ev.add_plain(&high, &plaintext)), format!("add plaintext: {scales}"));

    let last = setup.encrypt(&x, 0);
    let spent = "level is 0, expected 1";
    assert_eq!(text(ev.rescale(&last)), format!("rescale: no level is left; add depth: {spent}"));
    let product = format!("product with rescale: add depth: {spent}");
    assert_eq!(text(ev.multiply(&last, &last, true)), product);
    assert_eq!(text(ev.sum_squares(&[&last], true)), product);
    assert_eq!(text(ev.sum_squares(&[], true)), "number of operands: found 0, expected at least 1");
}

#[test]
fn values_of_a_deeper_parameter_set() {
    let setup = setup();
    let (_, mut literal) = literals().swap_remove(0);
    literal.chain = Chain::Bits { first: 36, scale: vec![30; 4], special: vec![37] };
    let deeper = Setup::new("deeper", &literal);
    let ciphertext = deeper.encrypt(&deeper.message(1), 4);
    assert_eq!(text(setup.secret.decrypt(&ciphertext)), "decrypt: level is 4, expected 3");
    let plaintext = deeper.encode(&deeper.message(1), 4, 2_f64.powi(30), false);
    assert_eq!(text(setup.secret.encrypt(&plaintext)), "encrypt: level is 4, expected 3");
    assert_eq!(text(setup.public.encrypt(&plaintext)), "encrypt: level is 4, expected 3");
    assert_eq!(
        text(setup.encoder.decode(&plaintext)),
        "level of a plaintext: found 4, expected at most 3"
    );
    let keys = EvaluationKeys::generate(&deeper.secret, &KeySpec::default()).unwrap();
    let (found, expected) = (deeper.params.fingerprint(), setup.params.fingerprint());
    assert_eq!(
        text(Evaluator::new(&setup.params, Arc::new(keys))),
        format!(
            "the evaluation key set was made under parameters {found}, this evaluator uses {expected}"
        )
    );
}

#[test]
fn keys() {
    let setup = setup();
    let generate = |spec: KeySpec| text(EvaluationKeys::generate(&setup.secret, &spec));
    let rotation = |shift, level| {
        generate(KeySpec {
            rotations: [(shift, level)].into_iter().collect(),
            ..KeySpec::default()
        })
    };
    assert_eq!(rotation(0, 1), "rotation: found 0, expected 1 to 1023");
    assert_eq!(rotation(1024, 1), "rotation: found 1024, expected 1 to 1023");
    let level = "key generation: level is 4, expected 3";
    assert_eq!(rotation(1, 4), level);
    assert_eq!(generate(KeySpec { relinearisation: Some(4), ..KeySpec::default() }), level);
    assert_eq!(generate(KeySpec { conjugation: Some(4), ..KeySpec::default() }), level);

    let spec = KeySpec {
        relinearisation: Some(1),
        conjugation: Some(0),
        rotations: [(1, 1)].into_iter().collect(),
    };
    let keys = EvaluationKeys::generate(&setup.secret, &spec).unwrap();
    let ev = Evaluator::new(&setup.params, Arc::new(keys)).unwrap();
    let (low, high) = (setup.encrypt(&setup.message(1), 1), setup.encrypt(&setup.message(1), 2));
    assert_eq!(text(ev.rotate(&low, 1)), "no error");
    assert_eq!(text(ev.multiply(&low, &low, true)), "no error");
    let missing = |what: &str, level: usize| {
        format!("no key for {what} at level {level}; generate it with the key set's specification")
    };
    assert_eq!(text(ev.multiply(&high, &high, true)), missing("relinearisation", 2));
    assert_eq!(text(ev.sum_squares(&[&high], false)), missing("relinearisation", 2));
    assert_eq!(text(ev.rotate(&high, 1)), missing("the automorphism X -> X^5", 2));
    assert_eq!(text(ev.rotate(&low, 2)), missing("the automorphism X -> X^25", 1));
    assert_eq!(text(ev.rotate_hoisted(&low, &[1, 2])), missing("the automorphism X -> X^25", 1));
    assert_eq!(text(ev.conjugate(&low)), missing("the automorphism X -> X^4095", 1));
    let plan = LinearPlan::new(&setup.params, 1, 1, &[term(0, 0, 2, None)], false).unwrap();
    assert_eq!(text(ev.linear(&plan, &[&low], &[])), missing("the automorphism X -> X^25", 1));
}

#[test]
fn plans() {
    let setup = setup();
    let new = |terms: &[LinearTerm]| text(LinearPlan::new(&setup.params, 2, 2, terms, false));
    assert_eq!(
        new(&[term(0, 2, 0, None)]),
        "linear term: found source 2, destination 0, expected below 2 and 2"
    );
    assert_eq!(
        new(&[term(2, 1, 0, None)]),
        "linear term: found source 1, destination 2, expected below 2 and 2"
    );
    assert_eq!(
        new(&[term(0, 0, 0, None), term(1, 0, 0, Some(0))]),
        "linear terms: found a mixture, expected plaintexts in all terms or in none"
    );
    let none = "linear destination: found no terms, expected at least 1 term";
    assert_eq!(new(&[term(0, 0, 0, None)]), none);
    assert_eq!(new(&[]), none);
}

#[test]
fn linear_operands() {
    let setup = setup();
    let ev = &setup.evaluator;
    let x = setup.message(1);
    let a = setup.encrypt(&x, 2);
    let encode =
        |level, log_scale: f64, extended| setup.encode(&x, level, log_scale.exp2(), extended);
    let plan = |shift, rescale| {
        let terms = [term(0, 0, shift, Some(0)), term(0, 1, 0, Some(1))];
        LinearPlan::new(&setup.params, 2, 1, &terms, rescale).unwrap()
    };
    let run = |plan: &LinearPlan, sources: &[&Ciphertext], plaintexts: &[&Plaintext]| {
        text(ev.linear(plan, sources, plaintexts))
    };
    let (plain, extended) = (encode(2, 30.0, false), encode(2, 30.0, true));
    let (rotating, resting) = (plan(1, true), plan(0, true));
    assert_eq!(run(&rotating, &[&a, &a], &[&extended, &extended]), "no error");
    assert_eq!(run(&resting, &[&a, &a], &[&plain, &extended]), "no error");

    assert_eq!(run(&resting, &[&a], &[&plain, &plain]), "linear sources: found 1, expected 2");
    assert_eq!(run(&resting, &[&a, &a], &[&plain]), "linear plaintexts: found 1, expected 2");
    let b = setup.encrypt(&x, 1);
    assert_eq!(run(&resting, &[&a, &b], &[&plain, &plain]), "linear: level is 1, expected 2");
    let mut b = a.clone();
    b.scale *= 4.0;
    assert_eq!(
        run(&resting, &[&a, &b], &[&plain, &plain]),
        "products of one linear sum: scales 2^62.000000 and 2^60.000000 differ; \
         choose plaintext scales so that they agree"
    );
    // Sources of different scales meet where their products agree; without plaintexts there are none.
    assert_eq!(run(&resting, &[&a, &b], &[&plain, &encode(2, 28.0, false)]), "no error");
    let bare = |src: usize| LinearTerm { dst: 0, src, shift: 0, plaintext: None };
    let sum = LinearPlan::new(&setup.params, 2, 1, &[bare(0), bare(1)], false).unwrap();
    assert_eq!(
        run(&sum, &[&a, &b], &[]),
        "linear: scales 2^32.000000 and 2^30.000000 differ; choose plaintext scales so that they agree"
    );
    assert_eq!(
        run(&resting, &[&a, &a], &[&plain, &encode(2, 31.0, false)]),
        "products of one linear sum: scales 2^61.000000 and 2^60.000000 differ; \
         choose plaintext scales so that they agree"
    );
    assert_eq!(
        run(&resting, &[&a, &a], &[&plain, &encode(1, 30.0, false)]),
        "linear: encode at the sources' level: level is 1, expected 2"
    );
    // A higher level serves without rotations only: the special limbs follow a plaintext's own.
    assert_eq!(run(&resting, &[&a, &a], &[&plain, &encode(3, 30.0, false)]), "no error");
    assert_eq!(
        run(&rotating, &[&a, &a], &[&extended, &plain]),
        "plaintext of a sum of rotations: found level 2, extended: false, \
         expected an extended encoding at level 2"
    );
    assert_eq!(
        run(&rotating, &[&a, &a], &[&extended, &encode(3, 30.0, true)]),
        "plaintext of a sum of rotations: found level 3, extended: true, \
         expected an extended encoding at level 2"
    );
    let last = setup.encrypt(&x, 0);
    let plain = encode(0, 20.0, false);
    assert_eq!(
        run(&resting, &[&last, &last], &[&plain, &plain]),
        "linear with rescale: add depth: level is 0, expected 1"
    );
    // In batches: too few plaintexts, and scales that differ from one batch to the next.
    let batches = |plaintexts: &[&Plaintext]| {
        text(ev.linear_in_batches(&resting, &[&a, &a], 1, &mut Stock::of(plaintexts)))
    };
    let plain = encode(2, 30.0, false);
    assert_eq!(batches(&[&plain, &plain]), "no error");
    assert_eq!(batches(&[&plain]), "linear plaintexts: found 0, expected 1");
    assert_eq!(
        batches(&[&plain, &encode(2, 31.0, false)]),
        "products of one linear sum: scales 2^61.000000 and 2^60.000000 differ; \
         choose plaintext scales so that they agree"
    );
}
