//! The encrypted interpreter: runs a program on the engine, and times and records every instruction.
//!
//! The two parties are apart: a [`Client`] holds the secret key, encrypts and decrypts; a [`Session`] holds evaluation
//! keys and encoded plaintexts and computes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use costmodel::Primitive;
use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Encoder;
use engine::eval::{Evaluator, LinearPlan, LinearTerm};
use engine::keys::{EvaluationKeys, SecretKey};
use engine::params::Parameters;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::program::{Instruction, Op, PlaintextSpec, Program, Term, ValueInfo};

/// The party that owns the data.
pub struct Client {
    secret: SecretKey,
    encoder: Encoder,
}

impl Client {
    /// A client with a fresh secret key.
    pub fn new(params: &Parameters) -> Self {
        Self { secret: SecretKey::generate(params), encoder: Encoder::new(params) }
    }

    /// The evaluation keys a program needs, and no others.
    ///
    /// # Errors
    /// Whatever the engine says of the specification.
    pub fn evaluation_keys(&self, program: &Program) -> Result<EvaluationKeys> {
        Ok(EvaluationKeys::generate(&self.secret, &program.keys())?)
    }

    /// Encrypts one vector of slots per input of `program`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a wrong number of vectors; engine errors.
    pub fn encrypt(&self, program: &Program, slots: &[Vec<f64>]) -> Result<Vec<Ciphertext>> {
        if slots.len() != program.inputs {
            return Err(Error::argument("number of input vectors", slots.len(), program.inputs));
        }
        slots
            .par_iter()
            .zip(&program.values)
            .map(|(slots, info)| {
                let plaintext = self.encoder.encode(slots, info.level, info.scale, false)?;
                Ok(self.secret.encrypt(&plaintext)?)
            })
            .collect()
    }

    /// Decrypts and decodes results.
    ///
    /// # Errors
    /// Engine errors.
    pub fn decrypt(&self, results: &[Ciphertext]) -> Result<Vec<Vec<f64>>> {
        results.iter().map(|ct| Ok(self.encoder.decode(&self.secret.decrypt(ct)?)?)).collect()
    }
}

/// A program ready to run: evaluation keys, encoded plaintexts, plans.
pub struct Session {
    params: Parameters,
    evaluator: Evaluator,
    instructions: Vec<Instruction>,
    /// Per instruction, the plan of a linear operation.
    plans: Vec<Option<Linear>>,
    values: Vec<ValueInfo>,
    inputs: usize,
    outputs: Vec<usize>,
    plaintexts: Vec<Plaintext>,
    /// Per instruction, the values not needed after it.
    dead: Vec<Vec<usize>>,
}

/// A linear operation: its plan, and the program's plaintexts in the plan's numbering.
struct Linear {
    plan: LinearPlan,
    plaintexts: Vec<usize>,
}

/// What one run gave.
pub struct Execution {
    /// The program's outputs, encrypted.
    pub outputs: Vec<Ciphertext>,
    /// Time of each instruction.
    pub times: Vec<Duration>,
    /// What the engine was asked to do: layer, shape and level of each instruction, read from the engine's own
    /// plans and ciphertexts rather than from the program.
    pub recorded: Vec<(usize, Primitive, usize)>,
}

impl Session {
    /// Encodes the plaintexts of `program`, freeing each one's slot values as it goes.
    ///
    /// # Errors
    /// [`Error::Argument`] when the program was lowered without values; engine errors.
    pub fn prepare(
        params: &Parameters,
        keys: Arc<EvaluationKeys>,
        program: Program,
    ) -> Result<Self> {
        let evaluator = Evaluator::new(params, keys)?;
        let plans =
            program.instructions.iter().map(|i| linear(params, i)).collect::<Result<Vec<_>>>()?;
        let dead = program.dying();
        let encoder = Encoder::new(params);
        let plaintexts = program
            .plaintexts
            .into_par_iter()
            .map(|spec| encode(&encoder, &spec))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            params: params.clone(),
            evaluator,
            instructions: program.instructions,
            plans,
            values: program.values,
            inputs: program.inputs,
            outputs: program.outputs,
            plaintexts,
            dead,
        })
    }

    /// The parameters.
    pub fn params(&self) -> &Parameters {
        &self.params
    }

    /// Memory of the evaluation keys and of the encoded plaintexts, in bytes.
    pub fn resident_bytes(&self) -> usize {
        let plaintexts: usize = self.plaintexts.iter().map(|p| p.poly.bytes()).sum();
        self.evaluator.keys().bytes() + plaintexts
    }

    /// Runs the program in the current rayon pool.
    ///
    /// # Errors
    /// [`Error::Argument`] for inputs of a wrong number, level or scale; engine errors.
    pub fn run(&self, inputs: Vec<Ciphertext>) -> Result<Execution> {
        self.check_inputs(&inputs)?;
        let mut values: Vec<Option<Ciphertext>> = inputs.into_iter().map(Some).collect();
        values.resize_with(self.values.len(), || None);
        let mut times = Vec::with_capacity(self.instructions.len());
        let mut recorded = Vec::with_capacity(self.instructions.len());
        for (i, instruction) in self.instructions.iter().enumerate() {
            recorded.push(self.record(i, &values)?);
            let start = Instant::now();
            let results = self.execute(i, &mut values)?;
            for (&dst, result) in instruction.dsts.iter().zip(results) {
                values[dst] = Some(result);
            }
            self.dead[i].iter().for_each(|&value| values[value] = None);
            times.push(start.elapsed());
        }
        let outputs =
            self.outputs.iter().map(|&v| Ok(get(&values, v)?.clone())).collect::<Result<_>>()?;
        Ok(Execution { outputs, times, recorded })
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

    fn execute(&self, index: usize, values: &mut [Option<Ciphertext>]) -> Result<Vec<Ciphertext>> {
        let evaluator = &self.evaluator;
        if let Op::AddPlain { src, plaintext } = &self.instructions[index].op
            && self.dead[index].contains(src)
            && let Some(mut value) = values[*src].take()
        {
            evaluator.add_plain_assign(&mut value, &self.plaintexts[*plaintext])?;
            return Ok(vec![value]);
        }
        let values = &*values;
        let value = |v: usize| get(values, v);
        let result = match &self.instructions[index].op {
            Op::RotateHoisted { src, shifts } => {
                let shifts: Vec<usize> = shifts.iter().map(|&s| s as usize).collect();
                return Ok(evaluator.rotate_hoisted(value(*src)?, &shifts)?);
            }
            Op::Linear { srcs, .. } => {
                let Some(linear) = &self.plans[index] else {
                    return Err(Error::argument("plan of a linear instruction", "none", "one"));
                };
                let sources = srcs.iter().map(|&v| value(v)).collect::<Result<Vec<_>>>()?;
                let plaintexts: Vec<&Plaintext> =
                    linear.plaintexts.iter().map(|&p| &self.plaintexts[p]).collect();
                return Ok(evaluator.linear(&linear.plan, &sources, &plaintexts)?);
            }
            Op::SumSquares { srcs, rescale } => {
                let sources = srcs.iter().map(|&v| value(v)).collect::<Result<Vec<_>>>()?;
                evaluator.sum_squares(&sources, *rescale)
            }
            Op::Multiply { a, b, rescale } => evaluator.multiply(value(*a)?, value(*b)?, *rescale),
            Op::Add { a, b } => evaluator.add(value(*a)?, value(*b)?),
            Op::Sub { a, b } => evaluator.sub(value(*a)?, value(*b)?),
            Op::AddPlain { src, plaintext } => {
                evaluator.add_plain(value(*src)?, &self.plaintexts[*plaintext])
            }
            Op::Rescale { src } => evaluator.rescale(value(*src)?),
            Op::DropLevel { src, level } => evaluator.drop_level(value(*src)?, *level),
            Op::Conjugate { src } => evaluator.conjugate(value(*src)?),
        };
        Ok(vec![result?])
    }

    /// The shape and level of an instruction, from the engine's plan and the actual operands.
    fn record(
        &self,
        index: usize,
        values: &[Option<Ciphertext>],
    ) -> Result<(usize, Primitive, usize)> {
        let instruction = &self.instructions[index];
        let (primitive, operand) = match &instruction.op {
            Op::RotateHoisted { src, shifts } => {
                (Primitive::RotateHoisted { rotations: shifts.len() }, *src)
            }
            Op::Linear { srcs, .. } => {
                let Some(linear) = &self.plans[index] else {
                    return Err(Error::argument("plan of a linear instruction", "none", "one"));
                };
                (Primitive::Linear(linear.plan.shape().into()), srcs[0])
            }
            Op::SumSquares { srcs, rescale } => {
                (Primitive::SumSquares { terms: srcs.len(), rescale: *rescale }, srcs[0])
            }
            Op::Multiply { a, rescale, .. } => (Primitive::Multiply { rescale: *rescale }, *a),
            Op::Add { a, .. } | Op::Sub { a, .. } => (Primitive::Add, *a),
            Op::AddPlain { src, .. } => (Primitive::AddPlain, *src),
            Op::Rescale { src } => (Primitive::Rescale, *src),
            Op::DropLevel { src, level } => (Primitive::DropLevel { to: *level }, *src),
            Op::Conjugate { src } => (Primitive::Conjugate, *src),
        };
        Ok((instruction.layer, primitive, get(values, operand)?.level()))
    }
}

fn get(values: &[Option<Ciphertext>], index: usize) -> Result<&Ciphertext> {
    values[index].as_ref().ok_or_else(|| {
        Error::argument("value", format!("number {index}, undefined"), "a value defined before use")
    })
}

fn encode(encoder: &Encoder, spec: &PlaintextSpec) -> Result<Plaintext> {
    let values = spec.values.as_deref().ok_or_else(|| {
        Error::argument("program", "lowered for pricing only", "one lowered with values")
    })?;
    Ok(encoder.encode(values, spec.level, spec.scale, spec.extended)?)
}

/// The engine's plan of a linear instruction.
fn linear(params: &Parameters, instruction: &Instruction) -> Result<Option<Linear>> {
    let Op::Linear { srcs, terms, rescale } = &instruction.op else { return Ok(None) };
    let mut plaintexts: Vec<usize> = terms.iter().filter_map(|t| t.plaintext).collect();
    plaintexts.sort_unstable();
    plaintexts.dedup();
    let local = |id: usize| plaintexts.binary_search(&id).unwrap_or_default();
    let convert = |t: &Term| LinearTerm {
        dst: t.dst as usize,
        src: t.src as usize,
        shift: t.shift as usize,
        plaintext: t.plaintext.map(local),
    };
    let terms: Vec<LinearTerm> = terms.iter().map(convert).collect();
    let plan = LinearPlan::new(params, srcs.len(), instruction.dsts.len(), &terms, *rescale)?;
    Ok(Some(Linear { plan, plaintexts }))
}
