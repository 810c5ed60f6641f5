//! A program ready to run.

use std::sync::Arc;
use std::time::Instant;

use costmodel::{LinearShape, Primitive};
use engine::buffer::AlignedBuf;
use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::eval::{Evaluator, LinearPlan};
use engine::keys::EvaluationKeys;
use engine::params::Parameters;

use super::execution::{Execution, Recorded};
use super::plaintexts::{Batches, Encoded, Plaintexts};
use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::program::{
    Facts, Instruction, Op, PlaintextBatch, PlaintextForm, Program, ValueId, ValueInfo,
};

/// A program ready to run: evaluation keys, plaintexts, plans.
pub struct Session {
    params: Parameters,
    evaluator: Evaluator,
    steps: Vec<Step>,
    values: Vec<ValueInfo>,
    inputs: usize,
    outputs: Vec<ValueId>,
    plaintexts: Plaintexts,
}

/// An instruction, and what was prepared for it.
struct Step {
    instruction: Instruction,
    /// The plan of a linear operation, and the program's plaintexts in the plan's numbering.
    linear: Option<(LinearPlan, Vec<usize>)>,
    /// Plaintexts that are encoded at a time when they are not stored.
    batch: PlaintextBatch,
    /// Words of a limb of those, as their shape has it.
    plaintext_words: usize,
    /// Values not needed after it.
    dying: Vec<ValueId>,
}

/// What a step did: its results, and the operation they came from.
struct Done {
    results: Vec<Ciphertext>,
    primitive: Primitive,
}

impl Session {
    /// Takes over `program`, whose plaintexts are encoded now and their slot values freed as that goes, or by every run,
    /// as `form` says, and reserves the memory that an inference is predicted to need ([`Program::memory`]).
    ///
    /// # Errors
    /// [`Error::Argument`] when the program is not well formed or was lowered without values; engine errors.
    pub fn prepare(
        params: &Parameters,
        keys: Arc<EvaluationKeys>,
        program: Program,
        form: PlaintextForm,
    ) -> Result<Self> {
        let chain = Chain::from(params);
        program.check(&chain)?;
        let evaluator = Evaluator::new(params, keys)?;
        let dying = program.dying();
        let pool_bytes = program.pool_bytes(&chain, form);
        let mut steps = Vec::with_capacity(dying.len());
        for (instruction, dying) in program.instructions.iter().zip(dying) {
            let facts = program.facts(instruction);
            let linear = linear(params, instruction, &facts)?;
            let batch = program.plaintext_batch(&facts, &chain, form);
            let plaintext_words = match facts.primitive {
                Primitive::Linear(shape) => shape.plaintext_words,
                _ => 0,
            };
            let instruction = instruction.clone();
            steps.push(Step { instruction, linear, batch, plaintext_words, dying });
        }
        let plaintexts = Plaintexts::new(Encoder::new(params), program.plaintexts, form)?;
        // After the plaintexts: what encoding them took is not needed any more. A number too large for the machine is refused where
        // memory is taken.
        AlignedBuf::reserve(usize::try_from(pool_bytes).unwrap_or(usize::MAX));
        Ok(Self {
            params: params.clone(),
            evaluator,
            steps,
            values: program.values,
            inputs: program.inputs,
            outputs: program.outputs,
            plaintexts,
        })
    }

    /// The parameters.
    pub fn params(&self) -> &Parameters {
        &self.params
    }

    /// The evaluator, with its keys.
    pub fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// Memory of the evaluation keys and of the plaintexts, encoded or as slot values, in bytes.
    pub fn resident_bytes(&self) -> usize {
        self.evaluator.keys().bytes() + self.plaintexts.bytes()
    }

    /// Runs the program in the current rayon pool.
    ///
    /// # Errors
    /// [`Error::Argument`] for inputs of a wrong number, level or scale; engine errors.
    pub fn run(&self, inputs: Vec<Ciphertext>) -> Result<Execution> {
        self.run_watched(inputs, &mut || {})
    }

    /// The same, and calls `between` after every instruction, in no time of any.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_watched(
        &self,
        inputs: Vec<Ciphertext>,
        between: &mut dyn FnMut(),
    ) -> Result<Execution> {
        self.check_inputs(&inputs)?;
        let mut values: Vec<Option<Ciphertext>> = inputs.into_iter().map(Some).collect();
        values.resize_with(self.values.len(), || None);
        let count = self.steps.len();
        let (mut times, mut encode_times) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut recorded = Vec::with_capacity(count);
        let mut encoded = Encoded::default();
        for step in &self.steps {
            let Instruction { op, dsts, layer } = &step.instruction;
            let first = op.operands().first().map(|v| get(&values, *v)).transpose()?;
            let level = first.map_or(0, Ciphertext::level);
            let start = Instant::now();
            let Done { results, primitive } = self.execute(step, &mut values, &mut encoded)?;
            assert_eq!(results.len(), dsts.len(), "results of an instruction");
            let infos = results.iter().map(ValueInfo::of).collect();
            for (&dst, result) in dsts.iter().zip(results) {
                values[dst] = Some(result);
            }
            step.dying.iter().for_each(|&value| values[value] = None);
            let encoding = encoded.finish();
            times.push(start.elapsed().saturating_sub(encoding));
            encode_times.push(encoding);
            recorded.push(Recorded { layer: *layer, primitive, level, results: infos });
            between();
        }
        let outputs =
            self.outputs.iter().map(|&v| Ok(get(&values, v)?.clone())).collect::<Result<_>>()?;
        Ok(Execution { outputs, times, encode_times, recorded })
    }

    fn check_inputs(&self, inputs: &[Ciphertext]) -> Result<()> {
        if inputs.len() != self.inputs {
            return Err(Error::argument("number of inputs", inputs.len(), self.inputs));
        }
        for (input, info) in inputs.iter().zip(&self.values) {
            if input.level() != info.level {
                return Err(Error::argument("level of an input", input.level(), info.level));
            }
            if input.scale != info.scale {
                return Err(Error::argument("scale of an input", input.scale, info.scale));
            }
        }
        Ok(())
    }

    /// Executes a step. What it tells of its operation comes from what the engine was given and gave back.
    fn execute(
        &self,
        step: &Step,
        values: &mut [Option<Ciphertext>],
        encoded: &mut Encoded,
    ) -> Result<Done> {
        let evaluator = &self.evaluator;
        let op = &step.instruction.op;
        let value = |v: &ValueId| get(&*values, *v);
        let rescaled = |operand: &Ciphertext, result: &Ciphertext| result.level() < operand.level();
        let (result, primitive) = match op {
            Op::RotateHoisted { src, .. } => {
                let results = evaluator.rotate_hoisted(value(src)?, &op.shifts())?;
                let rotations = results.len();
                return Ok(Done { results, primitive: Primitive::RotateHoisted { rotations } });
            }
            Op::Linear { srcs, .. } => {
                let sources = srcs.iter().map(value).collect::<Result<Vec<_>>>()?;
                let Some((plan, plaintexts)) = &step.linear else {
                    unreachable!("linear operations are prepared with a plan")
                };
                let results = match &self.plaintexts {
                    Plaintexts::Stored(all) => {
                        let plaintexts: Vec<&Plaintext> =
                            plaintexts.iter().map(|&p| &all[p]).collect();
                        evaluator.linear(plan, &sources, &plaintexts)?
                    }
                    Plaintexts::OnDemand(own) => {
                        let mut batches = Batches { own, ids: plaintexts, encoded };
                        evaluator.linear_in_batches(
                            plan,
                            &sources,
                            step.batch.count,
                            &mut batches,
                        )?
                    }
                };
                let shape = LinearShape {
                    outputs: results.len(),
                    plaintext_words: step.plaintext_words,
                    rescale: results.iter().all(|r| rescaled(sources[0], r)),
                    // Programs are priced without.
                    detail: None,
                    ..plan.shape().into()
                };
                return Ok(Done { results, primitive: Primitive::Linear(shape) });
            }
            Op::SumSquares { srcs, rescale } => {
                let sources = srcs.iter().map(value).collect::<Result<Vec<_>>>()?;
                let result = evaluator.sum_squares(&sources, *rescale)?;
                let rescale = rescaled(sources[0], &result);
                (result, Primitive::SumSquares { terms: sources.len(), rescale })
            }
            Op::Multiply { a, b, rescale } => {
                let result = evaluator.multiply(value(a)?, value(b)?, *rescale)?;
                let rescale = rescaled(value(a)?, &result);
                (result, Primitive::Multiply { rescale })
            }
            Op::Add { a, b } => (evaluator.add(value(a)?, value(b)?)?, Primitive::Add),
            Op::Sub { a, b } => (evaluator.sub(value(a)?, value(b)?)?, Primitive::Add),
            Op::Rescale { src } => (evaluator.rescale(value(src)?)?, Primitive::Rescale),
            Op::DropLevel { src, level } => {
                let result = evaluator.drop_level(value(src)?, *level)?;
                let to = result.level();
                (result, Primitive::DropLevel { to })
            }
            Op::Conjugate { src } => (evaluator.conjugate(value(src)?)?, Primitive::Conjugate),
            Op::AddPlain { src, plaintext } => {
                let own = match step.dying.contains(src) {
                    true => values[*src].take(),
                    false => values[*src].clone(),
                };
                let mut value = own.ok_or_else(|| undefined(*src))?;
                let plaintext = match &self.plaintexts {
                    Plaintexts::Stored(all) => &all[*plaintext],
                    Plaintexts::OnDemand(own) => encoded.one(own, *plaintext)?,
                };
                evaluator.add_plain_assign(&mut value, plaintext)?;
                (value, Primitive::AddPlain)
            }
        };
        Ok(Done { results: vec![result], primitive })
    }
}

impl ValueInfo {
    /// Level and scale of a ciphertext.
    fn of(ciphertext: &Ciphertext) -> Self {
        Self { level: ciphertext.level(), scale: ciphertext.scale }
    }
}

fn get(values: &[Option<Ciphertext>], index: ValueId) -> Result<&Ciphertext> {
    values[index].as_ref().ok_or_else(|| undefined(index))
}

fn undefined(index: ValueId) -> Error {
    Error::argument("value", format!("number {index}, undefined"), "a value defined before use")
}

/// The engine's plan of a linear instruction.
fn linear(
    params: &Parameters,
    instruction: &Instruction,
    facts: &Facts,
) -> Result<Option<(LinearPlan, Vec<usize>)>> {
    let Op::Linear { srcs, rescale, .. } = &instruction.op else { return Ok(None) };
    let Some(terms) = instruction.op.engine_terms(facts) else { return Ok(None) };
    let plan = LinearPlan::new(params, srcs.len(), instruction.dsts.len(), &terms, *rescale)?;
    Ok(Some((plan, facts.plaintexts.clone())))
}
