//! Running a program on plain slot vectors, exactly or with simulated noise.

use rayon::prelude::*;

use super::noise::{Noise, NoiseModel};
use crate::network::largest;
use crate::program::{Instruction, Op, PlaintextId, Program, Term, ValueId};
use crate::{Error, Result};

/// Runs a program without noise. Inputs and outputs are slot vectors, one per ciphertext.
pub fn run_clear(program: &Program, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    run(program, inputs, None, &mut |_, _| {})
}

/// The same, and for each value that is not an input the largest absolute value of its slots (not a number if one is
/// none); zero for inputs.
///
/// # Errors
/// [`Error::Argument`] for inputs that do not fit and a program without values.
pub fn run_measured(program: &Program, inputs: &[Vec<f64>]) -> Result<(Vec<Vec<f64>>, Vec<f64>)> {
    let mut reach = vec![0.0; program.values.len()];
    let outputs = run(program, inputs, None, &mut |v, slots| reach[v] = largest(slots))?;
    Ok((outputs, reach))
}

/// Runs a program with noise of the model added where encryption, encoding, key switching and rescaling add it, under a
/// secret drawn for the run; results wrap as decryption wraps them. The same seed gives the same result.
pub fn run_noisy(
    program: &Program,
    inputs: &[Vec<f64>],
    noise: &NoiseModel,
    seed: u64,
) -> Result<Vec<Vec<f64>>> {
    let noisy = Noise::new(noise, seed);
    let mut results = run(program, inputs, Some(&noisy), &mut |_, _| {})?;
    for (slots, v) in results.iter_mut().zip(&program.outputs) {
        let modulus = noise.modulus(&program.values[*v]);
        // No coefficient is larger than the largest slot.
        if slots.iter().any(|v| v.is_nan() || v.abs() >= modulus / 2.0) {
            engine::encoding::wrap_coefficients(slots, modulus);
        }
    }
    Ok(results)
}

fn run(
    program: &Program,
    inputs: &[Vec<f64>],
    noise: Option<&Noise<'_>>,
    observe: &mut dyn FnMut(ValueId, &[f64]),
) -> Result<Vec<Vec<f64>>> {
    if inputs.len() != program.inputs {
        return Err(Error::argument("number of input ciphertexts", inputs.len(), program.inputs));
    }
    if let Some(v) = inputs.iter().find(|v| v.len() != program.slots) {
        return Err(Error::argument("slots of an input", v.len(), program.slots));
    }
    let last = program.last_uses();
    let mut values: Vec<Option<Vec<f64>>> = vec![None; program.values.len()];
    for (k, v) in inputs.iter().enumerate() {
        let mut v = v.clone();
        if let Some(noise) = noise {
            noise.encrypt(k, &program.values[k], &mut v);
        }
        values[k] = Some(v);
    }
    for (k, instruction) in program.instructions.iter().enumerate() {
        let results = step(program, instruction, &values, noise)?;
        for (dst, result) in instruction.dsts.iter().zip(results) {
            observe(*dst, &result);
            values[*dst] = Some(result);
        }
        for v in instruction.op.operands() {
            if last[v] == Some(k) {
                values[v] = None;
            }
        }
    }
    program.outputs.iter().map(|v| read(&values, *v).map(<[f64]>::to_vec)).collect()
}

fn read(values: &[Option<Vec<f64>>], v: ValueId) -> Result<&[f64]> {
    values.get(v).and_then(|v| v.as_deref()).ok_or_else(|| {
        Error::argument("a value", format!("number {v}, undefined"), "one defined before its use")
    })
}

/// The slots of a plaintext as it is encoded: with its errors where they repeat, and the variance of the others.
fn plaintext(
    program: &Program,
    p: PlaintextId,
    noise: Option<&Noise<'_>>,
) -> Result<(Vec<f64>, f64)> {
    let spec = program.plaintexts.get(p).ok_or_else(|| {
        Error::argument("a plaintext", format!("number {p}"), "one that the program has")
    })?;
    let mut slots = spec.slot_values(program.slots)?;
    let variance = noise.map_or(0.0, |noise| noise.encode(p, spec, &mut slots));
    Ok((slots, variance))
}

/// Executes an instruction; with noise, that of the instruction too.
fn step(
    program: &Program,
    instruction: &Instruction,
    values: &[Option<Vec<f64>>],
    noise: Option<&Noise<'_>>,
) -> Result<Vec<Vec<f64>>> {
    let zip = |a: &[f64], b: &[f64], f: fn(f64, f64) -> f64| -> Vec<Vec<f64>> {
        vec![a.iter().zip(b).map(|(x, y)| f(*x, *y)).collect()]
    };
    let mut encoding = 0.0;
    let mut results = match &instruction.op {
        Op::Linear { srcs, terms, .. } => {
            return linear(program, instruction, (srcs, terms), values, noise);
        }
        Op::RotateHoisted { src, shifts } => {
            let x = read(values, *src)?;
            shifts.iter().map(|s| rotated(x, *s as usize).concat()).collect()
        }
        Op::SumSquares { srcs, .. } => {
            let mut sum = vec![0.0; program.slots];
            for src in srcs {
                sum.iter_mut().zip(read(values, *src)?).for_each(|(s, x)| *s += x * x);
            }
            vec![sum]
        }
        Op::Multiply { a, b, .. } => zip(read(values, *a)?, read(values, *b)?, |x, y| x * y),
        Op::Add { a, b } => zip(read(values, *a)?, read(values, *b)?, |x, y| x + y),
        Op::Sub { a, b } => zip(read(values, *a)?, read(values, *b)?, |x, y| x - y),
        Op::AddPlain { src, plaintext: p } => {
            let (p, variance) = plaintext(program, *p, noise)?;
            encoding = variance;
            zip(read(values, *src)?, &p, |x, y| x + y)
        }
        // Slots are real here, so conjugation changes nothing.
        Op::Rescale { src } | Op::DropLevel { src, .. } | Op::Conjugate { src } => {
            vec![read(values, *src)?.to_vec()]
        }
    };
    if let Some(noise) = noise {
        let facts = program.facts(instruction);
        let switch = facts.decomposed as f64 * noise.model.switch(&facts.product);
        for (result, &dst) in results.iter_mut().zip(&instruction.dsts) {
            noise.disturb(&facts, (dst, &program.values[dst]), |_| switch + encoding, result);
        }
    }
    Ok(results)
}

/// A linear combination. Key switches come before its plaintexts, whose errors multiply the message: the variances of both
/// are added up slot by slot.
fn linear(
    program: &Program,
    instruction: &Instruction,
    (srcs, terms): (&[ValueId], &[Term]),
    values: &[Option<Vec<f64>>],
    noise: Option<&Noise<'_>>,
) -> Result<Vec<Vec<f64>>> {
    let facts = noise.map(|_| program.facts(instruction));
    let destination = |(group, &dst): (&[Term], &ValueId)| {
        let mut sum = vec![0.0; program.slots];
        let mut variance = vec![0.0; if noise.is_some() { program.slots } else { 0 }];
        for t in group {
            let src = srcs[t.src as usize];
            let x = rotated(read(values, src)?, t.shift as usize);
            let switch = match noise {
                Some(noise) if t.shift != 0 => noise.model.switch(&program.values[src]),
                _ => 0.0,
            };
            let Some(p) = t.plaintext else {
                sum.iter_mut().zip(x.into_iter().flatten()).for_each(|(s, x)| *s += x);
                variance.iter_mut().for_each(|v| *v += switch);
                continue;
            };
            let (p, encoding) = plaintext(program, p, noise)?;
            let mut start = 0;
            for x in x {
                let range = start..start + x.len();
                start = range.end;
                let (p, sum) = (&p[range.clone()], &mut sum[range.clone()]);
                let Some(variance) = variance.get_mut(range).filter(|_| switch + encoding > 0.0)
                else {
                    sum.iter_mut().zip(x).zip(p).for_each(|((s, x), p)| *s += p * x);
                    continue;
                };
                let both = sum.iter_mut().zip(variance);
                both.zip(x).zip(p).for_each(|(((s, v), x), p)| {
                    *s += p * x;
                    *v += p * p * switch + x * x * encoding;
                });
            }
        }
        if let (Some(noise), Some(facts)) = (noise, &facts) {
            noise.disturb(facts, (dst, &program.values[dst]), |j| variance[j], &mut sum);
        }
        Ok(sum)
    };
    let groups = split(terms, instruction.dsts.len());
    groups.into_par_iter().zip(&instruction.dsts).map(destination).collect()
}

/// Terms of each destination; terms are ordered by destination.
fn split(terms: &[Term], destinations: usize) -> Vec<&[Term]> {
    let mut rest = terms;
    (0..destinations)
        .map(|d| {
            let n = rest.iter().take_while(|t| t.dst as usize == d).count();
            let (mine, others) = rest.split_at(n);
            rest = others;
            mine
        })
        .collect()
}

/// Slots rotated to the left: first the one part, then the other.
fn rotated(x: &[f64], shift: usize) -> [&[f64]; 2] {
    let shift = if x.is_empty() { 0 } else { shift % x.len() };
    [&x[shift..], &x[..shift]]
}
