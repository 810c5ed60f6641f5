//! A parameter set made ready: keys, operands, and one measurement at a time.
//!
//! Every measurement reads other keys and plaintexts than the ones before it, as instructions of a program do, so that
//! they come from memory without the caches being cleared: see [`Windows`].

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::eval::{Evaluator, LinearPlan, PlaintextSource};
use engine::keys::{EvaluationKeys, PublicKey, SecretKey};
use engine::params::Parameters;
use rayon::prelude::*;

use super::instruction::{Instruction, Parts};
use super::needs::{Needs, Supply};
use super::operands::Operands;
use super::plan::{Case, Kind};
use super::sequence::Sequence;
use super::shapes::LinearSpec;
use crate::error::Result;
use crate::load::{Timed, Watch};
use crate::operation::{Client, Operation};
use crate::primitive::Primitive;

/// Where the keys and plaintexts of the next measurement begin. They are used in turn: after the last comes the first, and
/// what does not fit before the end begins there.
///
/// ```text
/// keys         1 2 3 4 5 6 7
/// first case   x x x
/// second case        x x          the third, which needs three, begins at 1
/// ```
///
/// Before a key comes again, most others of its set and the plaintexts of some cases are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Windows {
    keys: usize,
    /// By level.
    plaintexts: BTreeMap<usize, usize>,
}

impl Windows {
    /// The first of `used` that come next among `all`, and goes on behind them.
    fn advance(next: &mut usize, used: usize, all: usize) -> usize {
        let start = if *next + used <= all { *next } else { 0 };
        *next = start + used;
        start
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
    /// The slots by which rotations turn, ascending.
    rotations: Vec<usize>,
}

/// A measurement made ready.
pub(super) struct Prepared {
    /// The operation as the engine executes it.
    pub operation: Operation,
    level: usize,
    /// Words of a limb of each plaintext.
    words: Vec<usize>,
    /// Plaintexts of each number of words that are passed over: others read them.
    taken: BTreeMap<usize, usize>,
    linear: Option<Linear>,
    shifts: Vec<usize>,
}

/// A linear operation made ready.
struct Linear {
    plan: LinearPlan,
    /// Plaintexts that there are at a time, where they are made for it.
    batch: Option<usize>,
}

/// Plaintexts made when their instruction is executed, in memory where others have been.
struct Made<'a> {
    bench: &'a Bench,
    prepared: &'a Prepared,
    batch: Vec<Plaintext>,
    /// What that took.
    time: Duration,
}

impl<'a> Made<'a> {
    fn new(bench: &'a Bench, prepared: &'a Prepared) -> Self {
        Self { bench, prepared, batch: Vec::new(), time: Duration::ZERO }
    }
}

impl PlaintextSource for Made<'_> {
    type Error = engine::Error;

    fn provide(&mut self, numbers: &[usize]) -> engine::Result<Vec<&Plaintext>> {
        let start = Instant::now();
        let Self { bench: Bench { params, encoder, values, .. }, prepared, batch, time } = self;
        let (level, scale) = (prepared.level, params.scale());
        batch.clear();
        let words = || numbers.iter().map(|&k| prepared.words[k]);
        let full = words().filter(|words| *words == params.n()).count();
        encoder.make_room(full, level, true);
        let encode = |words: usize| {
            let period = values.get(..words / 2).unwrap_or_default();
            encoder.encode_periodic(period, level, scale, true)
        };
        let words: Vec<usize> = words().collect();
        *batch = words.into_par_iter().map(encode).collect::<engine::Result<_>>()?;
        *time += start.elapsed();
        Ok(batch.iter().collect())
    }
}

impl Bench {
    /// Generates keys and operands, in the current pool.
    pub fn new(params: &Parameters, needs: &Needs) -> Result<Self> {
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
            rotations: needs.rotations.keys().copied().collect(),
        })
    }

    /// Makes a case of a calibration ready, with the keys and plaintexts that come next.
    ///
    /// # Errors
    /// Engine errors.
    pub fn prepare(&self, case: &Case, windows: &mut Windows) -> Result<Prepared> {
        let level = case.level;
        let (mut linear, mut words) = (None, Vec::new());
        let mut shifts = Vec::new();
        let operation: Operation = match case.kind {
            Kind::RotateHoisted(rotations) => {
                let passed = self.advance(windows, rotations);
                shifts = self.rotations[passed..][..rotations].to_vec();
                Primitive::RotateHoisted { rotations }.into()
            }
            Kind::Linear(spec) => {
                let used = spec.distinct_shifts();
                let passed = self.advance(windows, used);
                let plan = self.linear_plan(&spec, level, passed)?;
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
        let next = windows.plaintexts.entry(level).or_insert(0);
        let passed = Windows::advance(next, words.len(), self.plaintexts(level));
        let taken = BTreeMap::from([(self.params.n(), passed)]);
        Ok(Prepared { operation, level, words, taken, linear, shifts })
    }

    /// Passes over so many rotations: the number of the first.
    fn advance(&self, windows: &mut Windows, used: usize) -> usize {
        Windows::advance(&mut windows.keys, used, self.rotations.len())
    }

    /// Plaintexts in full at a level.
    fn plaintexts(&self, level: usize) -> usize {
        self.levels.get(&level).map_or(0, |o| o.of_words(self.params.n()).len())
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
        for (words, count) in instruction.kept() {
            *known.entry(words).or_insert(0) += count;
        }
        Ok(Prepared {
            operation: instruction.primitive().into(),
            level,
            words: instruction.words.clone(),
            taken: own,
            linear,
            shifts: match &instruction.parts {
                Parts::Rotations(shifts) => shifts.clone(),
                _ => Vec::new(),
            },
        })
    }

    /// The plan of a pattern, with the rotations that come after so many.
    fn linear_plan(&self, spec: &LinearSpec, level: usize, passed: usize) -> Result<LinearPlan> {
        let mut terms = spec.build(self.plaintexts(level));
        // Patterns number rotations from 1.
        for term in terms.iter_mut().filter(|term| term.shift != 0) {
            term.shift = self.rotations[passed + term.shift - 1];
        }
        Ok(LinearPlan::new(&self.params, spec.sources, spec.outputs, &terms, spec.rescale)?)
    }

    /// Times an operation once in the current pool, in nanoseconds, as what came before it left the caches.
    ///
    /// The time includes giving back the memory of the result: a program does so, too. It does not include making plaintexts.
    ///
    /// # Errors
    /// Engine errors.
    pub fn time_next(&self, prepared: &Prepared) -> Result<f64> {
        self.levels.get(&prepared.level).map_or(Ok(0.0), |o| self.execute(prepared, o))
    }

    /// Brings what an operation finds in the caches in a program there: the operands that were computed just before, the key
    /// that all products share, and what a client's step uses again and again.
    ///
    /// # Errors
    /// Engine errors.
    pub fn approach(&self, prepared: &Prepared) -> Result<()> {
        let Some(operands) = self.levels.get(&prepared.level) else { return Ok(()) };
        match prepared.operation {
            Operation::Client(_) | Operation::Unit(_) => {
                self.execute(prepared, operands)?;
            }
            Operation::Primitive(primitive) => {
                if let Primitive::SumSquares { .. } | Primitive::Multiply { .. } = primitive {
                    // Other sources, the same key.
                    let last = operands.ciphertexts.last();
                    let last: Vec<&Ciphertext> = last.into_iter().collect();
                    drop(black_box(self.evaluator.sum_squares(&last, false)?));
                }
                touch_sources(primitive, operands);
            }
        }
        Ok(())
    }

    /// Times an operation of a calibration in the current pool: [`Self::approach`], and then [`Self::time_next`].
    ///
    /// # Errors
    /// Engine errors.
    pub fn time(&self, prepared: &Prepared) -> Result<Timed> {
        self.approach(prepared)?;
        let watch = Watch::start(rayon::current_num_threads());
        let ns = self.time_next(prepared)?;
        Ok(Timed { ns, load: watch.stop() })
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
        let mut making = Duration::ZERO;
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
                        let mut made = Made::new(self, prepared);
                        drop(black_box(
                            evaluator.linear_in_batches(plan, &sources, *batch, &mut made)?,
                        ));
                        making = made.time;
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
        Ok(start.elapsed().saturating_sub(making).as_nanos() as f64)
    }
}

/// Reads a buffer in the current pool.
fn read_all(buffer: &[u64]) -> u64 {
    buffer
        .par_chunks(1 << 15)
        .map(|chunk| chunk.iter().fold(0, |sum: u64, &x| sum.wrapping_add(x)))
        .reduce(|| 0, u64::wrapping_add)
}

/// Reads the operand ciphertexts, as if they were computed just before.
fn touch_sources(primitive: Primitive, operands: &Operands) {
    let touch = |ciphertext: &Ciphertext| {
        black_box(read_all(ciphertext.c0.words()));
        black_box(read_all(ciphertext.c1.words()));
    };
    match primitive {
        Primitive::AddPlain => touch(&operands.accumulator()),
        _ => operands.ciphertexts.iter().take(primitive.sources()).for_each(touch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_used_in_turn() {
        let mut next = 0;
        let starts = [3, 2, 3, 4, 7].map(|used| Windows::advance(&mut next, used, 7));
        assert_eq!(starts, [0, 3, 0, 3, 0]);
        assert_eq!(next, 7);
    }
}
