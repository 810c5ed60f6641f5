//! Running a program on plain slot vectors, exactly or with simulated noise: for several images and secrets at once, since
//! drawing the slots of plaintexts takes longer than using them.

mod linear;

use rayon::prelude::*;

use super::noise::{Noise, NoiseModel};
use crate::network::{larger, largest};
use crate::program::{Instruction, Op, PlaintextId, PlaintextSpec, Program, ValueId};
use crate::{Error, Result};

/// Slot vectors, one for each ciphertext.
pub type SlotVectors = Vec<Vec<f64>>;

/// Bytes of slots that runs made together may keep; one at a time may keep more.
const TOGETHER_BYTES: u64 = 512 << 20;

/// Runs a program without noise. Inputs and outputs are slot vectors, one per ciphertext.
pub fn run_clear(program: &Program, inputs: &[Vec<f64>]) -> Result<SlotVectors> {
    Ok(run_measured(program, &[inputs])?.0.swap_remove(0))
}

/// The same for several images, and for each value that is not an input the largest absolute value of its slots over all of
/// them (not a number if one is none); zero for inputs.
///
/// # Errors
/// [`Error::Argument`] for inputs that do not fit and a program without values.
pub fn run_measured(
    program: &Program,
    images: &[&[Vec<f64>]],
) -> Result<(Vec<SlotVectors>, Vec<f64>)> {
    let mut reach = vec![0.0; program.values.len()];
    let mut outputs = Vec::with_capacity(images.len());
    for images in images.chunks(together(program)) {
        let lanes = images.iter().map(|inputs| Lane::new(program, inputs, None));
        outputs.extend(run(program, lanes.collect::<Result<_>>()?, &mut |v, slots| {
            reach[v] = larger(reach[v], largest(slots));
        })?);
    }
    Ok((outputs, reach))
}

/// Runs a program with noise of the model added where encryption, encoding, key switching and rescaling add it, under a
/// secret drawn for the run; results wrap as decryption wraps them. The same seed gives the same result.
pub fn run_noisy(
    program: &Program,
    inputs: &[Vec<f64>],
    noise: &NoiseModel,
    seed: u64,
) -> Result<SlotVectors> {
    Ok(run_all_noisy(program, inputs, noise, &[seed])?.swap_remove(0))
}

/// The same for several seeds.
pub(super) fn run_all_noisy(
    program: &Program,
    inputs: &[Vec<f64>],
    noise: &NoiseModel,
    seeds: &[u64],
) -> Result<Vec<SlotVectors>> {
    let mut results = Vec::with_capacity(seeds.len());
    for seeds in seeds.chunks(together(program)) {
        let lane = |seed: &u64| Lane::new(program, inputs, Some(Noise::new(noise, *seed)));
        let lanes = seeds.iter().map(lane).collect::<Result<_>>()?;
        results.extend(run(program, lanes, &mut |_, _| {})?);
    }
    for (slots, v) in results.iter_mut().flat_map(|run| run.iter_mut().zip(&program.outputs)) {
        let modulus = noise.modulus(&program.values[*v]);
        // No coefficient is larger than the largest slot.
        if slots.iter().any(|v| v.is_nan() || v.abs() >= modulus / 2.0) {
            engine::encoding::wrap_coefficients(slots, modulus);
        }
    }
    Ok(results)
}

/// How many runs are made together.
fn together(program: &Program) -> usize {
    let each = (program.peak_live_values() * program.slots * size_of::<f64>()) as u64;
    (TOGETHER_BYTES / each.max(1)).max(1) as usize
}

/// One of the runs made together: its noise, and the slots of its values while they are needed.
struct Lane<'a> {
    noise: Option<Noise<'a>>,
    values: Vec<Option<Vec<f64>>>,
}

impl<'a> Lane<'a> {
    fn new(program: &Program, inputs: &[Vec<f64>], noise: Option<Noise<'a>>) -> Result<Self> {
        if inputs.len() != program.inputs {
            let (found, expected) = (inputs.len(), program.inputs);
            return Err(Error::argument("number of input ciphertexts", found, expected));
        }
        if let Some(v) = inputs.iter().find(|v| v.len() != program.slots) {
            return Err(Error::argument("slots of an input", v.len(), program.slots));
        }
        let mut values: Vec<Option<Vec<f64>>> = vec![None; program.values.len()];
        for (k, v) in inputs.iter().enumerate() {
            let mut v = v.clone();
            if let Some(noise) = &noise {
                noise.encrypt(k, &program.values[k], &mut v);
            }
            values[k] = Some(v);
        }
        Ok(Self { noise, values })
    }

    fn read(&self, v: ValueId) -> Result<&[f64]> {
        self.values.get(v).and_then(|v| v.as_deref()).ok_or_else(|| {
            let expected = "one defined before its use";
            Error::argument("a value", format!("number {v}, undefined"), expected)
        })
    }
}

/// Runs a program in every lane; gives the outputs of each.
fn run(
    program: &Program,
    mut lanes: Vec<Lane<'_>>,
    observe: &mut dyn FnMut(ValueId, &[f64]),
) -> Result<Vec<SlotVectors>> {
    let last = program.last_uses();
    for (k, instruction) in program.instructions.iter().enumerate() {
        let results = step(program, instruction, &lanes)?;
        for (lane, results) in lanes.iter_mut().zip(results) {
            for (dst, result) in instruction.dsts.iter().zip(results) {
                observe(*dst, &result);
                lane.values[*dst] = Some(result);
            }
            for v in instruction.op.operands() {
                if last[v] == Some(k) {
                    lane.values[v] = None;
                }
            }
        }
    }
    let outputs = |lane: &Lane<'_>| {
        program.outputs.iter().map(|v| lane.read(*v).map(<[f64]>::to_vec)).collect()
    };
    lanes.iter().map(outputs).collect()
}

/// A plaintext of the program.
fn specification(program: &Program, p: PlaintextId) -> Result<&PlaintextSpec> {
    program.plaintexts.get(p).ok_or_else(|| {
        Error::argument("a plaintext", format!("number {p}"), "one that the program has")
    })
}

/// Executes an instruction, with its noise where there is any; gives the results of each lane.
fn step(
    program: &Program,
    instruction: &Instruction,
    lanes: &[Lane<'_>],
) -> Result<Vec<SlotVectors>> {
    let plain = match &instruction.op {
        Op::Linear { srcs, terms, .. } => {
            return linear::linear(program, instruction, (srcs, terms), lanes);
        }
        Op::AddPlain { plaintext, .. } => {
            let spec = specification(program, *plaintext)?;
            let subring = spec.is_subring(program.slots);
            Some((*plaintext, spec, subring, spec.slot_values(program.slots)?))
        }
        _ => None,
    };
    let facts = program.facts(instruction);
    let one = |lane: &Lane<'_>| {
        let mut encoding = 0.0;
        let mut results = match (&instruction.op, &plain) {
            (Op::AddPlain { src, .. }, Some((p, spec, subring, slots))) => {
                let mut slots = slots.clone();
                if let Some(noise) = &lane.noise {
                    encoding = noise.encode((*p, spec, *subring), &mut slots);
                }
                slots.iter_mut().zip(lane.read(*src)?).for_each(|(p, x)| *p += x);
                vec![slots]
            }
            (op, _) => simple(op, lane, program.slots)?,
        };
        if let Some(noise) = &lane.noise {
            let switch = facts.decomposed as f64 * noise.model.switch(&facts.product);
            for (result, &dst) in results.iter_mut().zip(&instruction.dsts) {
                let info = &program.values[dst];
                noise.disturb(&facts, (dst, info), |_| switch + encoding, result);
            }
        }
        Ok(results)
    };
    lanes.par_iter().map(one).collect()
}

/// The results of an operation without plaintexts in a lane, without noise.
fn simple(op: &Op, lane: &Lane<'_>, slots: usize) -> Result<SlotVectors> {
    let zip = |a: &ValueId, b: &ValueId, f: fn(f64, f64) -> f64| {
        let (a, b) = (lane.read(*a)?, lane.read(*b)?);
        Ok(vec![a.iter().zip(b).map(|(x, y)| f(*x, *y)).collect()])
    };
    match op {
        Op::RotateHoisted { src, shifts } => {
            let x = lane.read(*src)?;
            Ok(shifts.iter().map(|s| rotated(x, *s as usize).concat()).collect())
        }
        Op::SumSquares { srcs, .. } => {
            let mut sum = vec![0.0; slots];
            for src in srcs {
                sum.iter_mut().zip(lane.read(*src)?).for_each(|(s, x)| *s += x * x);
            }
            Ok(vec![sum])
        }
        Op::Multiply { a, b, .. } => zip(a, b, |x, y| x * y),
        Op::Add { a, b } => zip(a, b, |x, y| x + y),
        Op::Sub { a, b } => zip(a, b, |x, y| x - y),
        // Slots are real here, so conjugation changes nothing.
        Op::Rescale { src } | Op::DropLevel { src, .. } | Op::Conjugate { src } => {
            Ok(vec![lane.read(*src)?.to_vec()])
        }
        Op::Linear { .. } | Op::AddPlain { .. } => {
            unreachable!("operations with plaintexts are not among these")
        }
    }
}

/// Slots rotated to the left: first the one part, then the other.
fn rotated(x: &[f64], shift: usize) -> [&[f64]; 2] {
    let shift = if x.is_empty() { 0 } else { shift % x.len() };
    [&x[shift..], &x[..shift]]
}
