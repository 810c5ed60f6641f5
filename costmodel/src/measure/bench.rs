//! A parameter set made ready: keys, operands, and one measurement at a time.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::eval::{Evaluator, LinearPlan, PlaintextSource};
use engine::keys::{EvaluationKeys, PublicKey, SecretKey};
use engine::params::Parameters;
use rayon::ThreadPool;

use super::instruction::{Instruction, Parts};
use super::needs::{Needs, Supply};
use super::operands::Operands;
use super::plan::{Case, Kind};
use super::sequence::Sequence;
use super::shapes::LinearSpec;
use crate::error::Result;
use crate::machine::Machine;
use crate::operation::{Client, Operation, Residency};
use crate::primitive::Primitive;
use crate::probe::{read_all, thread_pool};

/// Clears the caches, by reading.
pub(super) struct Eviction {
    buffer: Vec<u64>,
    /// All threads read, whatever is measured: the buffer is large.
    pool: ThreadPool,
}

impl Eviction {
    /// With a buffer that holds half as much again as the last level of caches, so that little of what was there survives; 256 MiB
    /// at most, after which what was there comes at 95 % of the time from memory on a machine with 260 MiB of shared cache.
    pub fn new(machine: &Machine) -> Result<Self> {
        let words = (machine.caches.l3_bytes / 2).saturating_mul(3).clamp(8 << 20, 256 << 20) / 8;
        Ok(Self { buffer: vec![1; words as usize], pool: thread_pool(machine.threads)? })
    }

    fn evict(&self) {
        black_box(self.pool.install(|| read_all(&self.buffer)));
    }
}

/// Keys and operands of a parameter set.
pub(super) struct Bench {
    params: Parameters,
    evaluator: Evaluator,
    secret: SecretKey,
    public: PublicKey,
    encoder: Encoder,
    values: Vec<f64>,
    levels: BTreeMap<usize, Operands>,
    /// Keys of rotations.
    rotations: usize,
    /// None where nothing is measured after clearing the caches.
    eviction: Option<Arc<Eviction>>,
}

/// A measurement made ready.
pub(super) struct Prepared {
    /// The operation as the engine executes it.
    pub operation: Operation,
    level: usize,
    residency: Residency,
    /// Words of a limb of each plaintext.
    words: Vec<usize>,
    /// Plaintexts of each number of words that those after it read.
    taken: BTreeMap<usize, usize>,
    linear: Option<Linear>,
    shifts: Vec<usize>,
    /// What is executed before it, if that is known.
    before: Vec<Prepared>,
}

/// A linear operation made ready.
struct Linear {
    plan: LinearPlan,
    /// Plaintexts that there are at a time, if not all.
    batch: Option<usize>,
}

/// Plaintexts that are there already: each is the next one of as many words.
struct Batches<'a> {
    operands: &'a Operands,
    prepared: &'a Prepared,
}

impl PlaintextSource for Batches<'_> {
    type Error = engine::Error;

    fn provide(&mut self, numbers: &[usize]) -> engine::Result<Vec<&Plaintext>> {
        let Prepared { words, taken, .. } = self.prepared;
        let words: Vec<usize> = numbers.iter().map(|&k| words[k]).collect();
        Ok(self.operands.factors(&words, taken))
    }
}

impl Bench {
    /// Generates keys and operands, in the current pool.
    pub fn new(
        params: &Parameters,
        needs: &Needs,
        eviction: Option<&Arc<Eviction>>,
    ) -> Result<Self> {
        let secret = SecretKey::from_seed(params, [42; 32]);
        let keys = Arc::new(EvaluationKeys::generate(&secret, &needs.keys())?);
        let evaluator = Evaluator::new(params, keys)?;
        let public = PublicKey::generate(&secret);
        let encoder = Encoder::new(params);
        let operands = |(&level, supply): (&usize, &Supply)| {
            Ok((level, Operands::random(&evaluator, &encoder, level, supply)?))
        };
        let levels = needs.levels.iter().map(operands).collect::<Result<_>>()?;
        Ok(Self {
            encoder,
            values: (0..params.slots()).map(|i| (i as f64).sin()).collect(),
            params: params.clone(),
            evaluator,
            secret,
            public,
            levels,
            rotations: needs.keys().rotations.len(),
            eviction: eviction.cloned(),
        })
    }

    /// Makes a case of a calibration ready.
    ///
    /// # Errors
    /// Engine errors.
    pub fn prepare(&self, case: &Case) -> Result<Prepared> {
        let before = match case.kind {
            // There is one key for each, so that something else comes before it.
            Kind::SumSquares { .. } | Kind::Multiply { .. } | Kind::Conjugate | Kind::Client(_) => {
                Vec::new()
            }
            _ => vec![self.prepare_case(case, true)?],
        };
        Ok(Prepared { before, ..self.prepare_case(case, false)? })
    }

    /// Makes a case ready, or the same operation on `others`: other keys and plaintexts, as far as there are enough.
    fn prepare_case(&self, case: &Case, others: bool) -> Result<Prepared> {
        let Case { level, residency, .. } = *case;
        let (mut linear, mut words) = (None, Vec::new());
        let mut taken = BTreeMap::new();
        let moved = |shifts: usize| match others {
            true => self.rotations.saturating_sub(shifts).min(shifts),
            false => 0,
        };
        let operation: Operation = match case.kind {
            Kind::RotateHoisted(rotations) => Primitive::RotateHoisted { rotations }.into(),
            Kind::Linear(spec) => {
                let plan = self.linear_plan(&spec, level, moved(spec.distinct_shifts()))?;
                let full = |o: &Operands| o.of_words(self.params.n()).len();
                let (used, all) = (plan.plaintexts(), self.levels.get(&level).map_or(0, full));
                if others && 2 * used <= all {
                    taken.insert(self.params.n(), used);
                }
                let shape = plan.shape();
                words = vec![self.params.n(); plan.plaintexts()];
                linear = Some(Linear { plan, batch: None });
                Primitive::Linear(shape.into()).into()
            }
            Kind::SumSquares { terms, rescale } => Primitive::SumSquares { terms, rescale }.into(),
            Kind::Multiply { rescale } => Primitive::Multiply { rescale }.into(),
            Kind::Add => Primitive::Add.into(),
            Kind::AddPlain => {
                words = vec![self.params.n()];
                Primitive::AddPlain.into()
            }
            Kind::Rescale => Primitive::Rescale.into(),
            Kind::DropLevel { to } => Primitive::DropLevel { to }.into(),
            Kind::Conjugate => Primitive::Conjugate.into(),
            Kind::Client(client) => client.into(),
        };
        let shifts = match case.kind {
            Kind::RotateHoisted(rotations) => {
                (1..=rotations).map(|shift| shift + moved(rotations)).collect()
            }
            _ => Vec::new(),
        };
        let before = Vec::new();
        Ok(Prepared { operation, level, residency, words, taken, linear, shifts, before })
    }

    /// Makes the instructions of a program ready.
    ///
    /// # Errors
    /// Engine errors.
    pub fn prepare_sequence(&self, sequence: &Sequence) -> Result<Vec<Prepared>> {
        let mut taken = BTreeMap::new();
        let prepare = |i| self.prepare_instruction(i, &mut taken);
        sequence.instructions().iter().map(prepare).collect()
    }

    /// Makes an instruction ready with plaintexts that are not among those `taken` by others, by level and words.
    fn prepare_instruction(
        &self,
        instruction: &Instruction,
        taken: &mut BTreeMap<usize, BTreeMap<usize, usize>>,
    ) -> Result<Prepared> {
        let linear = instruction.plan(&self.params)?;
        let linear = linear.map(|plan| Linear { plan, batch: instruction.batch() });
        let level = instruction.level();
        let known = taken.entry(level).or_default();
        let own = known.clone();
        for (words, count) in instruction.plaintexts() {
            *known.entry(words).or_insert(0) += count;
        }
        Ok(Prepared {
            operation: instruction.primitive().into(),
            level,
            residency: Residency::Cold,
            words: instruction.words.clone(),
            taken: own,
            linear,
            shifts: match &instruction.parts {
                Parts::Rotations(shifts) => shifts.clone(),
                _ => Vec::new(),
            },
            before: Vec::new(),
        })
    }

    /// The plan of a pattern, its shifts moved by so many.
    fn linear_plan(&self, spec: &LinearSpec, level: usize, moved: usize) -> Result<LinearPlan> {
        let full = |o: &Operands| o.of_words(self.params.n()).len();
        let mut terms = spec.build(self.levels.get(&level).map_or(0, full));
        terms.iter_mut().filter(|term| term.shift != 0).for_each(|term| term.shift += moved);
        Ok(LinearPlan::new(&self.params, spec.sources, spec.outputs, &terms, spec.rescale)?)
    }

    /// Times an instruction of a program once in the current pool, in nanoseconds, as those before it left the caches.
    ///
    /// # Errors
    /// Engine errors.
    pub fn time_next(&self, prepared: &Prepared) -> Result<f64> {
        self.levels.get(&prepared.level).map_or(Ok(0.0), |o| self.execute(prepared, o))
    }

    /// Times a measurement once in the current pool, in nanoseconds.
    ///
    /// The time includes giving back the memory of the result: a program does so, too.
    ///
    /// # Errors
    /// Engine errors.
    pub fn time(&self, prepared: &Prepared) -> Result<f64> {
        let Some(operands) = self.levels.get(&prepared.level) else { return Ok(0.0) };
        match (prepared.residency, prepared.operation) {
            (Residency::Warm, Operation::Client(_) | Operation::Unit(_)) => {
                self.execute(prepared, operands)?;
            }
            _ => {
                if let Some(eviction) = &self.eviction {
                    eviction.evict();
                }
                if prepared.before.is_empty() {
                    self.precede(prepared, operands)?;
                }
                for before in &prepared.before {
                    if let Some(operands) = self.levels.get(&before.level) {
                        self.execute(before, operands)?;
                    }
                }
                touch_sources(prepared, operands);
            }
        }
        self.execute(prepared, operands)
    }

    /// Brings the caches to where the preceding instruction of a program leaves them: with code, constants and working
    /// memory of a similar operation.
    fn precede(&self, prepared: &Prepared, operands: &Operands) -> Result<()> {
        let cts = &operands.ciphertexts;
        drop(black_box(match prepared.operation {
            // A key that the operation itself does not use.
            Operation::Primitive(Primitive::Conjugate) => self.evaluator.rotate(&cts[0], 1)?,
            Operation::Primitive(Primitive::SumSquares { .. } | Primitive::Multiply { .. }) => {
                // Other sources, the same key.
                self.evaluator.sum_squares(&[&cts[cts.len() - 1]], false)?
            }
            _ => self.evaluator.add(&cts[0], &cts[1])?,
        }));
        Ok(())
    }

    fn execute(&self, prepared: &Prepared, operands: &Operands) -> Result<f64> {
        let (cts, evaluator) = (&operands.ciphertexts, &self.evaluator);
        let (full, level) = (operands.of_words(self.params.n()), prepared.level);
        let sources: Vec<&Ciphertext> = match prepared.operation {
            Operation::Primitive(primitive) => cts.iter().take(primitive.sources()).collect(),
            Operation::Client(_) | Operation::Unit(_) => Vec::new(),
        };
        let batch = prepared.linear.as_ref().and_then(|linear| linear.batch);
        let factors = match batch {
            None => operands.factors(&prepared.words, &prepared.taken),
            Some(_) => Vec::new(),
        };
        let scale = self.params.scale();
        let mut accumulator = operands.accumulator();
        let start = Instant::now();
        match prepared.operation {
            Operation::Primitive(primitive) => match primitive {
                Primitive::RotateHoisted { .. } => {
                    drop(black_box(evaluator.rotate_hoisted(&cts[0], &prepared.shifts)?))
                }
                Primitive::Linear(_) => match &prepared.linear {
                    Some(Linear { plan, batch: None, .. }) => {
                        drop(black_box(evaluator.linear(plan, &sources, &factors)?))
                    }
                    Some(Linear { plan, batch: Some(batch) }) => {
                        let mut all = Batches { operands, prepared };
                        drop(black_box(
                            evaluator.linear_in_batches(plan, &sources, *batch, &mut all)?,
                        ))
                    }
                    None => {}
                },
                Primitive::SumSquares { rescale, .. } => {
                    drop(black_box(evaluator.sum_squares(&sources, rescale)?))
                }
                Primitive::Multiply { rescale } => {
                    drop(black_box(evaluator.multiply(&cts[0], &cts[1], rescale)?))
                }
                Primitive::Add => drop(black_box(evaluator.add(&cts[0], &cts[1])?)),
                Primitive::AddPlain => {
                    evaluator.add_plain_assign(black_box(&mut accumulator), factors[0])?
                }
                Primitive::Rescale => drop(black_box(evaluator.rescale(&cts[0])?)),
                Primitive::DropLevel { to } => drop(black_box(evaluator.drop_level(&cts[0], to)?)),
                Primitive::Conjugate => drop(black_box(evaluator.conjugate(&cts[0])?)),
            },
            Operation::Client(client) => match client {
                Client::Encode { extended } => {
                    let encoded =
                        black_box(self.encoder.encode(&self.values, level, scale, extended)?);
                    // A weight is kept, so that the next one's memory is fresh.
                    if extended {
                        operands.keep(encoded);
                    }
                }
                Client::Encrypt => drop(black_box(self.public.encrypt(&full[0])?)),
                Client::Decrypt => drop(black_box(self.secret.decrypt(&cts[0])?)),
                Client::Decode => drop(black_box(self.encoder.decode(&full[0])?)),
            },
            Operation::Unit(_) => unreachable!("kernels are timed alone"),
        }
        Ok(start.elapsed().as_nanos() as f64)
    }
}

/// Reads the operand ciphertexts, as if they were computed just before.
fn touch_sources(prepared: &Prepared, operands: &Operands) {
    let touch = |ciphertext: &Ciphertext| {
        black_box(read_all(ciphertext.c0.words()));
        black_box(read_all(ciphertext.c1.words()));
    };
    let count = match prepared.operation {
        Operation::Primitive(Primitive::AddPlain) => return touch(&operands.accumulator()),
        Operation::Primitive(primitive) => primitive.sources(),
        Operation::Client(_) | Operation::Unit(_) => 1,
    };
    operands.ciphertexts.iter().take(count).for_each(touch);
}
