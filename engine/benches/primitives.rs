//! Every primitive at the parameter sets that other libraries are compared at, on one thread.
//!
//! Names are `primitive, what exactly/set`; the sets are (data limbs, special limbs, limbs a digit):
//! A: N = 2^13, 3, 1, 1. B: N = 2^14, 8, 1, 1. C: N = 2^14, 7, 2, 2. All primes have 46 bits.

#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use engine::Result;
use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::eval::{Evaluator, LinearPlan, LinearTerm};
use engine::keys::{EvaluationKeys, KeySpec, PublicKey, SecretKey};
use engine::params::{Parameters, ParametersLiteral};

/// Rotations that there are keys for.
const ROTATIONS: usize = 8;

struct Set {
    name: &'static str,
    params: Parameters,
    encoder: Encoder,
    secret: SecretKey,
    public: PublicKey,
    evaluator: Evaluator,
    values: Vec<f64>,
    plaintext: Plaintext,
    extended: Plaintext,
    ciphertext: Ciphertext,
}

impl Set {
    fn new(name: &'static str, log_n: u32, limbs: usize, special: usize) -> Result<Self> {
        let literal = ParametersLiteral::uniform(log_n, 46, 46, limbs - 1, (special, 46), special);
        let params = Parameters::new(&literal)?;
        let level = params.max_level();
        let encoder = Encoder::new(&params);
        let secret = SecretKey::from_seed(&params, [1; 32]);
        let rotations: BTreeMap<usize, usize> = (1..=ROTATIONS).map(|r| (r, level)).collect();
        let spec = KeySpec { relinearisation: Some(level), conjugation: None, rotations };
        let keys = EvaluationKeys::generate(&secret, &spec)?;
        let evaluator = Evaluator::new(&params, Arc::new(keys))?;
        let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64 * 0.7).sin()).collect();
        let scale = 40_f64.exp2();
        let plaintext = encoder.encode(&values, level, scale, false)?;
        let extended = encoder.encode(&values, level, scale, true)?;
        let ciphertext = secret.encrypt(&plaintext)?;
        let public = PublicKey::generate(&secret);
        Ok(Self {
            name,
            params,
            encoder,
            secret,
            public,
            evaluator,
            values,
            plaintext,
            extended,
            ciphertext,
        })
    }

    fn bench(&self, criterion: &mut Criterion, primitive: &str, mut run: impl FnMut()) {
        let mut group = criterion.benchmark_group(primitive);
        group.bench_function(self.name, |bencher| bencher.iter(&mut run));
        group.finish();
    }
}

/// Sources, outputs and rotations of a linear operation: every output sums every rotation of every source.
fn linear(
    set: &Set,
    sources: usize,
    outputs: usize,
    shifts: &[usize],
    rescale: bool,
) -> Result<LinearPlan> {
    let mut terms = Vec::new();
    for dst in 0..outputs {
        for src in 0..sources {
            for &shift in shifts {
                terms.push(LinearTerm { dst, src, shift, plaintext: Some(terms.len()) });
            }
        }
    }
    LinearPlan::new(&set.params, sources, outputs, &terms, rescale)
}

fn primitives(criterion: &mut Criterion) -> Result<()> {
    for (name, log_n, limbs, special) in [
        ("A N=2^13 3+1 limbs", 13, 3, 1),
        ("B N=2^14 8+1 limbs", 14, 8, 1),
        ("C N=2^14 7+2 limbs", 14, 7, 2),
    ] {
        let set = Set::new(name, log_n, limbs, special)?;
        let (level, scale) = (set.params.max_level(), set.plaintext.scale);
        let (ct, pt, ev) = (&set.ciphertext, &set.plaintext, &set.evaluator);

        let table = set.params.table(0);
        let mut limb = set.plaintext.poly.limb(0).to_vec();
        set.bench(criterion, "ntt, forward, one limb", || table.forward(black_box(&mut limb)));
        set.bench(criterion, "ntt, inverse, one limb", || table.inverse(black_box(&mut limb)));

        let encode = |extended| set.encoder.encode(black_box(&set.values), level, scale, extended);
        set.bench(criterion, "encode", || drop(black_box(encode(false))));
        set.bench(criterion, "encode, extended", || drop(black_box(encode(true))));
        let mut reused = pt.clone();
        set.bench(criterion, "encode, into a plaintext that is there", || {
            drop(black_box(set.encoder.encode_into(black_box(&set.values), scale, &mut reused)));
        });
        set.bench(criterion, "decode", || drop(black_box(set.encoder.decode(pt))));
        set.bench(criterion, "encrypt, secret key", || drop(black_box(set.secret.encrypt(pt))));
        set.bench(criterion, "encrypt, public key", || drop(black_box(set.public.encrypt(pt))));
        set.bench(criterion, "decrypt and decode", || {
            drop(black_box(set.secret.decrypt(ct).and_then(|m| set.encoder.decode(&m))));
        });

        set.bench(criterion, "add", || drop(black_box(ev.add(ct, ct))));
        set.bench(criterion, "multiply by plaintext", || drop(black_box(ev.mul_plain(ct, pt))));
        set.bench(criterion, "rescale", || drop(black_box(ev.rescale(ct))));
        set.bench(criterion, "multiply, relinearise", || {
            drop(black_box(ev.multiply(ct, ct, false)))
        });
        set.bench(criterion, "multiply, relinearise, rescale", || {
            drop(black_box(ev.multiply(ct, ct, true)));
        });
        for count in [1, 8] {
            let sources = vec![ct; count];
            let name = format!("sum of {count} squares, relinearise, rescale");
            set.bench(criterion, &name, || drop(black_box(ev.sum_squares(&sources, true))));
        }
        set.bench(criterion, "rotate", || drop(black_box(ev.rotate(ct, 1))));
        let shifts: Vec<usize> = (1..=ROTATIONS).collect();
        set.bench(criterion, "rotate, hoisted, 8 shifts together", || {
            drop(black_box(ev.rotate_hoisted(ct, &shifts)));
        });

        // The 3 by 3 positions of a kernel, and sums without rotations.
        let nine: Vec<usize> = (0..=ROTATIONS).collect();
        for (what, sources, outputs, shifts) in [
            ("16 sources to 1 output, no rotation", 16, 1, &[0][..]),
            ("1 source, 9 rotations, 1 output", 1, 1, &nine),
            ("4 sources, 9 rotations each, 4 outputs", 4, 4, &nine),
        ] {
            let plan = linear(&set, sources, outputs, shifts, true)?;
            let plaintext = if plan.is_extended() { &set.extended } else { pt };
            // Distinct memory for each, as in a network.
            let plaintexts = vec![plaintext.clone(); plan.plaintexts()];
            let plaintexts: Vec<&Plaintext> = plaintexts.iter().collect();
            let sources = vec![ct.clone(); sources];
            let sources: Vec<&Ciphertext> = sources.iter().collect();
            set.bench(criterion, &format!("linear with rescale, {what}"), || {
                drop(black_box(ev.linear(&plan, &sources, &plaintexts)));
            });
        }
    }
    Ok(())
}

fn run(criterion: &mut Criterion) {
    // This thread is the pool.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    let outcome = pool.map_err(|e| e.to_string());
    if let Err(error) = outcome.and_then(|()| primitives(criterion).map_err(|e| e.to_string())) {
        eprintln!("{error}");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1000));
    targets = run
}
criterion_main!(benches);
