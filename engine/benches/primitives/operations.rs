//! The primitives: how each is called, and the work in it.

use std::hint::black_box;

use engine::Result;
use engine::cipher::{Ciphertext, Plaintext};
use engine::eval::{LinearPlan, LinearTerm};

use crate::layers::{self, linear};
use crate::primitive::{Outcome, Primitive, Report, one, part, shape};
use crate::sets::{ROTATIONS, Set};
use crate::work::{Shape, Work};

/// Terms of the multiply-accumulate.
const TERMS: usize = 16;

/// Limbs that decoding looks at: those that hold `2^39` times the scale of `2^40`.
const DECODED_LIMBS: usize = 2;

/// Name of a primitive and how to make it for a set.
pub type Operation = (&'static str, for<'a> fn(&'a Set<'a>) -> Result<Primitive<'a>>);

/// All primitives on ciphertexts and plaintexts.
pub const OPERATIONS: &[Operation] = &[
    ("encode", encode),
    ("encode, extended", encode_extended),
    ("encrypt, secret key", encrypt_secret),
    ("encrypt, public key", encrypt_public),
    ("decrypt and decode", decrypt),
    ("decrypt and decode, last level", decrypt_last),
    ("add", add),
    ("multiply by plaintext", multiply_plain),
    ("multiply-accumulate, distinct", accumulate_distinct),
    ("multiply-accumulate, repeated", accumulate_repeated),
    ("rescale", rescale),
    ("multiply, relinearise", multiply),
    ("square, relinearise", square),
    ("sum of 8 squares, relinearise", squares),
    ("rotate", rotate),
    ("hoisted rotations", hoisted),
    ("sum of rotations", rotation_sum),
    ("products of period 64, 4 outputs", layers::products_short),
    ("layer, 16 sources, no rotation", layers::accumulate),
    ("layer, 9 rotations", layers::rotations),
    ("layer, 4 sources, 9 rotations, 4 outputs", layers::convolution),
    ("layer, 4 sources, 9 rotations, 4 outputs, period 64", layers::convolution_short),
    ("layer, 1 source, 9 rotations, 16 outputs", layers::many_outputs),
    ("layer, 1 source, 9 rotations, 16 outputs, period 64", layers::many_outputs_short),
];

// The transform of the slots and the rounding are not in the work of encoding, nor is sampling in that of encryption.

fn encode<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let (s, scale) = (shape(set), set.plaintext.scale);
    let work = s.ntts(s.limbs) + s.plaintexts(1) + s.traffic(1) * 0.5;
    let run = move || set.keys.encoder.encode(black_box(&set.values), set.level, scale, false);
    one("encode", work, run)
}

fn encode_extended<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let (s, scale) = (shape(set), set.plaintext.scale);
    let limbs = s.limbs + s.special;
    let work = s.ntts(limbs) + s.traffic(limbs) + s.traffic(1) * 0.5;
    let run = move || set.keys.encoder.encode(black_box(&set.values), set.level, scale, true);
    one("encode, extended", work, run)
}

fn encrypt_secret<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let s = shape(set);
    // The secret's limbs are as many as a plaintext's.
    let work = s.ntts(s.limbs) + s.products(s.limbs) + s.plaintexts(2) + s.ciphertexts(1);
    one("encrypt, secret key", work, || set.keys.secret.encrypt(&set.plaintext))
}

fn encrypt_public<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let s = shape(set);
    let work = s.ntts(3 * s.limbs) + s.products(2 * s.limbs) + s.plaintexts(1) + s.ciphertexts(2);
    one("encrypt, public key", work, || set.keys.public.encrypt(&set.plaintext))
}

fn decrypt<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    decrypted("decrypt and decode", set, &set.ciphertexts[0])
}

fn decrypt_last<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    decrypted("decrypt and decode, last level", set, &set.last)
}

fn decrypted<'a>(name: &str, set: &'a Set<'a>, source: &'a Ciphertext) -> Result<Primitive<'a>> {
    let s = shape(set);
    // Only the limbs that are decoded need to be decrypted.
    let limbs = DECODED_LIMBS.min(source.level() + 1);
    let work = s.ntts(limbs) + s.products(limbs) + s.traffic(3 * limbs) + s.traffic(1) * 0.5;
    let keys = set.keys;
    one(name, work, move || keys.secret.decrypt(source).and_then(|m| keys.encoder.decode(&m)))
}

fn add<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let [a, b] = &set.ciphertexts;
    one("add", shape(set).ciphertexts(3), || set.keys.evaluator.add(a, b))
}

fn multiply_plain<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let s = shape(set);
    let work = s.products(2 * s.limbs) + s.ciphertexts(2) + s.plaintexts(1);
    let run = || set.keys.evaluator.mul_plain(&set.ciphertexts[0], &set.plaintext);
    one("multiply by plaintext", work, run)
}

fn accumulate_distinct<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let s = shape(set);
    let work = s.products(2 * s.limbs * TERMS) + s.ciphertexts(TERMS + 1) + s.plaintexts(TERMS);
    let ciphertexts = vec![set.ciphertexts[0].clone(); TERMS];
    let plaintexts = vec![set.plaintext.clone(); TERMS];
    let plan = linear(set, TERMS, 1, &[0], false)?;
    let run = move || {
        let ciphertexts: Vec<&Ciphertext> = ciphertexts.iter().collect();
        let plaintexts: Vec<&Plaintext> = plaintexts.iter().collect();
        set.keys.evaluator.linear(&plan, &ciphertexts, &plaintexts)
    };
    per_term("multiply-accumulate, distinct, each of 16", work, run)
}

fn accumulate_repeated<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let s = shape(set);
    let work = s.products(2 * s.limbs * TERMS) + s.ciphertexts(2) + s.plaintexts(1);
    let plan = linear(set, TERMS, 1, &[0], false)?;
    let (ciphertexts, plaintexts) = (vec![&set.ciphertexts[0]; TERMS], vec![&set.plaintext; TERMS]);
    let run = move || set.keys.evaluator.linear(&plan, &ciphertexts, &plaintexts);
    per_term("multiply-accumulate, repeated, each of 16", work, run)
}

fn per_term<'a, T: Into<Outcome>>(
    name: &str,
    work: Work,
    run: impl FnMut() -> Result<T> + 'a,
) -> Result<Primitive<'a>> {
    let parts = vec![part(name, work * (1.0 / TERMS as f64), run)];
    Ok(Primitive { parts, report: Report::Share(TERMS) })
}

fn rescale<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let s = shape(set);
    let work = s.rescale() + s.traffic(2 * s.limbs + 2 * (s.limbs - 1));
    one("rescale", work, || set.keys.evaluator.rescale(&set.product))
}

/// Relinearisation of a product with `products` limb products, from `sources` ciphertexts.
fn relinearised(s: &Shape, products: usize, sources: usize) -> Work {
    switched(s) + s.products(products) + s.ciphertexts(sources + 1)
}

/// A key switch without its operand and result.
fn switched(s: &Shape) -> Work {
    s.decompose() + s.key_product() + s.key() + s.mod_down(false)
}

fn multiply<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let (s, [a, b]) = (shape(set), &set.ciphertexts);
    let work = relinearised(&s, 4 * s.limbs, 2);
    one("multiply, relinearise", work, || set.keys.evaluator.multiply(a, b, false))
}

fn square<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let (s, a) = (shape(set), &set.ciphertexts[0]);
    let work = relinearised(&s, 3 * s.limbs, 1);
    one("square, relinearise", work, || set.keys.evaluator.sum_squares(&[a], false))
}

fn squares<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let s = shape(set);
    let work = relinearised(&s, 3 * s.limbs * 8, 8);
    let sources = vec![set.ciphertexts[0].clone(); 8];
    let run = move || {
        let sources: Vec<&Ciphertext> = sources.iter().collect();
        set.keys.evaluator.sum_squares(&sources, false)
    };
    one("sum of 8 squares, relinearise", work, run)
}

fn rotate<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let s = shape(set);
    let work = switched(&s) + s.ciphertexts(2);
    one("rotate", work, || set.keys.evaluator.rotate(&set.ciphertexts[0], 1))
}

fn hoisted<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let (s, ct) = (shape(set), &set.ciphertexts[0]);
    let shifts = |count: usize| (1..=count).collect::<Vec<usize>>();
    let (first, all) = (shifts(1), shifts(ROTATIONS));
    let once = s.decompose() + s.ciphertexts(1);
    let each = s.key_product() + s.key() + s.mod_down(false) + s.ciphertexts(1);
    let run = |shifts: Vec<usize>| move || set.keys.evaluator.rotate_hoisted(ct, &shifts);
    let parts = vec![
        part("hoisted rotations, once", once, run(first)),
        part("hoisted rotations, each", each, run(all)),
    ];
    Ok(Primitive { parts, report: Report::Marginal(ROTATIONS) })
}

/// As for [`hoisted`], but the one mod-down of the sum is done once.
fn rotation_sum<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let (s, ct) = (shape(set), &set.ciphertexts[0]);
    let plan = |count: usize| {
        let term = |shift| LinearTerm { dst: 0, src: 0, shift, plaintext: None };
        let terms: Vec<LinearTerm> = (1..=count).map(term).collect();
        LinearPlan::new(&set.keys.params, 1, 1, &terms, false)
    };
    let (first, all) = (plan(1)?, plan(ROTATIONS)?);
    let once = s.decompose() + s.mod_down(false) + s.ciphertexts(2);
    let run = |plan: LinearPlan| move || set.keys.evaluator.linear(&plan, &[ct], &[]);
    let parts = vec![
        part("sum of rotations, once", once, run(first)),
        part("sum of rotations, each", s.key_product() + s.key(), run(all)),
    ];
    Ok(Primitive { parts, report: Report::Marginal(ROTATIONS) })
}
