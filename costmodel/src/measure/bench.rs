//! A parameter set made ready: keys, operands, and one measurement at a time.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::eval::{Evaluator, LinearPlan};
use engine::keys::{EvaluationKeys, KeySpec, PublicKey, SecretKey};
use engine::params::{Parameters, ParametersLiteral};
use engine::poly::RnsPoly;
use rayon::prelude::*;

use super::plan::{Case, Kind, Plan, SetPlan};
use super::shapes::LinearSpec;
use crate::error::Result;
use crate::machine::Caches;
use crate::operation::{Client, Operation, Residency};
use crate::primitive::Primitive;
use crate::probe::read_all;

/// Ciphertexts kept at each level: as many as the widest case has sources.
const SOURCES: usize = 25;

/// Most memory of encoded weights kept at a level, in bytes.
const KEPT_BYTES: usize = 192 << 20;

/// Keys and operands of a parameter set.
pub(super) struct Bench {
    params: Parameters,
    evaluator: Evaluator,
    /// There are keys for rotations by 1 to so many slots.
    rotations: usize,
    secret: SecretKey,
    public: PublicKey,
    encoder: Encoder,
    values: Vec<f64>,
    levels: BTreeMap<usize, Operands>,
    /// Read to clear the caches.
    eviction: Vec<u64>,
}

/// Operands at one level, with random contents.
struct Operands {
    ciphertexts: Vec<Ciphertext>,
    /// With limbs for the special primes.
    plaintexts: Vec<Plaintext>,
    /// What plaintexts are added to in place.
    accumulator: Mutex<Ciphertext>,
    /// Encoded weights.
    kept: Mutex<Vec<Plaintext>>,
}

/// A case made ready: its plan, if it has one, and its shape.
pub(super) struct Prepared {
    case: Case,
    inputs: Inputs,
    /// Those of the instruction that comes before it: others, where there are enough.
    before: Inputs,
    /// The operation as the engine executes it.
    pub operation: Operation,
}

/// What an execution of a case uses.
#[derive(Clone)]
struct Inputs {
    linear: Option<LinearPlan>,
    shifts: Vec<usize>,
    /// The first plaintext.
    first: usize,
}

impl Bench {
    /// Generates keys and operands for a set, in the current pool.
    pub fn new(plan: &Plan, set: &SetPlan, caches: &Caches) -> Result<Self> {
        let special = (set.special, set.prime_bits);
        let mut literal = ParametersLiteral::uniform(
            set.log_n,
            set.prime_bits,
            set.prime_bits,
            set.depth,
            special,
            set.alpha,
        )?;
        literal.allow_insecure = true;
        let params = Parameters::new(&literal)?;
        let secret = SecretKey::from_seed(&params, [42; 32]);
        let top = params.max_level();
        let spec = KeySpec {
            relinearisation: Some(top),
            conjugation: Some(top),
            rotations: (1..=plan.keys_of(set)).map(|shift| (shift, top)).collect(),
        };
        let keys = Arc::new(EvaluationKeys::generate(&secret, &spec)?);
        let evaluator = Evaluator::new(&params, keys)?;
        let public = PublicKey::generate(&secret);
        let share = plan.operand_bytes / set.levels.len().max(1) as u64;
        let operands = |&l: &usize| Ok((l, Operands::random(&evaluator, l, share)?));
        let levels = set.levels.iter().map(operands).collect::<Result<_>>()?;
        // Half as much again as the last level holds, so that little of what was there survives.
        let words = (caches.l3_bytes / 2).saturating_mul(3).clamp(8 << 20, 384 << 20) / 8;
        Ok(Self {
            encoder: Encoder::new(&params),
            values: (0..params.slots()).map(|i| (i as f64).sin()).collect(),
            params,
            evaluator,
            rotations: plan.keys_of(set),
            secret,
            public,
            levels,
            eviction: vec![1; words as usize],
        })
    }

    /// Makes a case ready.
    ///
    /// # Errors
    /// Engine errors.
    pub fn prepare(&self, case: &Case) -> Result<Prepared> {
        let (mut linear, mut before) = (None, None);
        let (mut shifts, mut shifts_before) = (Vec::new(), Vec::new());
        let mut first = 0;
        let operation: Operation = match case.kind {
            Kind::RotateHoisted(rotations) => {
                shifts = (1..=rotations).collect();
                let other = self.other_shifts(rotations);
                shifts_before = shifts.iter().map(|shift| shift + other).collect();
                Primitive::RotateHoisted { rotations }.into()
            }
            Kind::Linear(spec) => {
                let plan = self.linear_plan(&spec, case.level, 0)?;
                let other = self.other_shifts(spec.distinct_shifts());
                before = Some(self.linear_plan(&spec, case.level, other)?);
                let pool = self.levels.get(&case.level).map_or(0, |o| o.plaintexts.len());
                let used = plan.plaintexts();
                first = if 2 * used <= pool { used } else { 0 };
                let shape = plan.shape();
                linear = Some(plan);
                Primitive::Linear(shape.into()).into()
            }
            Kind::SumSquares { terms, rescale } => Primitive::SumSquares { terms, rescale }.into(),
            Kind::Multiply { rescale } => Primitive::Multiply { rescale }.into(),
            Kind::Add => Primitive::Add.into(),
            Kind::AddPlain => Primitive::AddPlain.into(),
            Kind::Rescale => Primitive::Rescale.into(),
            Kind::DropLevel { to } => Primitive::DropLevel { to }.into(),
            Kind::Conjugate => Primitive::Conjugate.into(),
            Kind::Client(client) => client.into(),
        };
        let inputs = Inputs { linear, shifts, first: 0 };
        let before = Inputs { linear: before, shifts: shifts_before, first };
        Ok(Prepared { case: *case, inputs, before, operation })
    }

    /// By how much shifts 1 to `count` are moved to be others, as far as there are keys.
    fn other_shifts(&self, count: usize) -> usize {
        self.rotations.saturating_sub(count).min(count)
    }

    /// The plan of a pattern, its shifts moved.
    fn linear_plan(&self, spec: &LinearSpec, level: usize, moved: usize) -> Result<LinearPlan> {
        let plaintexts = self.levels.get(&level).map_or(0, |o| o.plaintexts.len());
        let mut terms = spec.build(plaintexts);
        terms.iter_mut().filter(|t| t.shift != 0).for_each(|t| t.shift += moved);
        Ok(LinearPlan::new(&self.params, spec.sources, spec.outputs, &terms, spec.rescale)?)
    }

    /// Times a case once in the current pool, in nanoseconds.
    ///
    /// The time includes giving back the memory of the result: a program does so, too.
    ///
    /// # Errors
    /// Engine errors.
    pub fn time(&self, prepared: &Prepared) -> Result<f64> {
        let Some(operands) = self.levels.get(&prepared.case.level) else { return Ok(0.0) };
        match prepared.case.residency {
            Residency::Cold => {
                black_box(read_all(&self.eviction));
                self.precede(prepared, operands)?;
            }
            Residency::Warm => {
                self.execute(&prepared.case, &prepared.inputs, operands)?;
            }
        }
        self.execute(&prepared.case, &prepared.inputs, operands)
    }

    /// Brings the caches to where the preceding instruction of a program leaves them: with code, constants and working
    /// memory of the same operation on other keys and plaintexts, and with the operand ciphertexts.
    fn precede(&self, prepared: &Prepared, operands: &Operands) -> Result<()> {
        let cts = &operands.ciphertexts;
        match prepared.case.kind {
            // There is one key for each.
            Kind::Conjugate => drop(black_box(self.evaluator.rotate(&cts[0], 1)?)),
            Kind::SumSquares { .. } | Kind::Multiply { .. } => {
                drop(black_box(self.evaluator.conjugate(&cts[0])?));
            }
            _ => {
                self.execute(&prepared.case, &prepared.before, operands)?;
            }
        }
        let count = match prepared.case.kind {
            Kind::Linear(spec) => spec.sources,
            Kind::SumSquares { terms, .. } => terms,
            Kind::Add | Kind::Multiply { .. } => 2,
            _ => 1,
        };
        let touch = |ciphertext: &Ciphertext| {
            black_box(read_all(ciphertext.c0.words()));
            black_box(read_all(ciphertext.c1.words()));
        };
        match prepared.case.kind {
            Kind::AddPlain => touch(&operands.accumulator()),
            _ => cts.iter().take(count).for_each(touch),
        }
        Ok(())
    }

    fn execute(&self, case: &Case, inputs: &Inputs, operands: &Operands) -> Result<f64> {
        let (cts, pts) = (&operands.ciphertexts, &operands.plaintexts);
        let evaluator = &self.evaluator;
        let sources: Vec<&Ciphertext> = match case.kind {
            Kind::Linear(spec) => cts.iter().take(spec.sources).collect(),
            Kind::SumSquares { terms, .. } => cts.iter().take(terms).collect(),
            _ => Vec::new(),
        };
        let used = inputs.linear.as_ref().map_or(0, LinearPlan::plaintexts);
        let factors: Vec<&Plaintext> = pts.iter().skip(inputs.first).take(used).collect();
        let scale = self.params.scale();
        let mut accumulator = operands.accumulator();
        let start = Instant::now();
        match case.kind {
            Kind::RotateHoisted(_) => {
                drop(black_box(evaluator.rotate_hoisted(&cts[0], &inputs.shifts)?))
            }
            Kind::Linear(_) => {
                if let Some(plan) = &inputs.linear {
                    drop(black_box(evaluator.linear(plan, &sources, &factors)?));
                }
            }
            Kind::SumSquares { rescale, .. } => {
                drop(black_box(evaluator.sum_squares(&sources, rescale)?))
            }
            Kind::Multiply { rescale } => {
                drop(black_box(evaluator.multiply(&cts[0], &cts[1], rescale)?))
            }
            Kind::Add => drop(black_box(evaluator.add(&cts[0], &cts[1])?)),
            Kind::AddPlain => evaluator.add_plain_assign(black_box(&mut accumulator), &pts[0])?,
            Kind::Rescale => drop(black_box(evaluator.rescale(&cts[0])?)),
            Kind::DropLevel { to } => drop(black_box(evaluator.drop_level(&cts[0], to)?)),
            Kind::Conjugate => drop(black_box(evaluator.conjugate(&cts[0])?)),
            Kind::Client(Client::Encode { extended }) => {
                let level = case.level;
                let encoded =
                    black_box(self.encoder.encode(&self.values, level, scale, extended)?);
                // A weight is kept, so that the next one's memory is fresh.
                if extended {
                    operands.keep(encoded);
                }
            }
            Kind::Client(Client::Encrypt) => drop(black_box(self.public.encrypt(&pts[0])?)),
            Kind::Client(Client::Decrypt) => drop(black_box(self.secret.decrypt(&cts[0])?)),
            Kind::Client(Client::Decode) => drop(black_box(self.encoder.decode(&pts[0])?)),
        }
        Ok(start.elapsed().as_nanos() as f64)
    }
}

impl Operands {
    /// The accumulator; its contents do not matter.
    fn accumulator(&self) -> MutexGuard<'_, Ciphertext> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an encoded weight. All go when they take too much memory.
    fn keep(&self, encoded: Plaintext) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if (kept.len() + 1) * encoded.bytes() > KEPT_BYTES {
            kept.clear();
        }
        kept.push(encoded);
    }

    /// Operands at `level` in about so many bytes.
    fn random(evaluator: &Evaluator, level: usize, bytes: u64) -> Result<Self> {
        let params = evaluator.params();
        let scale = params.scale();
        let limbs = (level + 1 + params.special_count()) as u64;
        let each = limbs * 8 * params.n() as u64;
        let taken = (SOURCES * 2 * (level + 1) * 8 * params.n()) as u64;
        let count = (bytes.saturating_sub(taken) / each).clamp(24, 512) as usize;
        let poly = |seed: usize, extended| random_poly(params, level, extended, seed as u64);
        let random = |i| Ciphertext { c0: poly(2 * i, false), c1: poly(2 * i + 1, false), scale };
        // Sums, because a program's ciphertexts are results of operations too, which recycle their memory.
        let zero = Ciphertext::zero(params, level, scale);
        let ciphertexts =
            (0..SOURCES).map(|i| Ok(evaluator.add(&random(i), &zero)?)).collect::<Result<_>>()?;
        let plaintexts = (0..count).map(|i| Plaintext::new(poly(1000 + i, true), scale)).collect();
        let accumulator = Mutex::new(evaluator.add(&random(0), &zero)?);
        Ok(Self { ciphertexts, plaintexts, accumulator, kept: Mutex::default() })
    }
}

/// A polynomial of random residues.
fn random_poly(params: &Parameters, level: usize, extended: bool, seed: u64) -> RnsPoly {
    let mut poly = RnsPoly::zero(params, level, extended);
    poly.par_limbs_mut().enumerate().for_each(|(position, limb)| {
        let q = params.modulus(params.limb_index(level, position)).value();
        let mut state = seed << 32 | position as u64;
        for word in limb {
            // SplitMix64; the high product maps it to [0, q).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *word = ((u128::from(z ^ (z >> 31)) * u128::from(q)) >> 64) as u64;
        }
    });
    poly
}
