//! Linear combinations on plain slots. Key switches come before the plaintexts, whose errors multiply the message: the variances
//! of both are added up slot by slot. Noisy runs that are made together are of one image: their variances differ only by
//! what the errors so far do to them, so that the first has them for all.

use rayon::prelude::*;

use super::{Lane, SlotVectors, rotated, specification};
use crate::Result;
use crate::interpret::noise::Noise;
use crate::program::{Instruction, PlaintextId, PlaintextSpec, Program, Term, ValueId};

/// Slots that a factor is made for at least, so that loops over it are not too short.
const LEAST_SLOTS: usize = 1024;

/// The results of each lane.
pub(super) fn linear(
    program: &Program,
    instruction: &Instruction,
    (srcs, terms): (&[ValueId], &[Term]),
    lanes: &[Lane<'_>],
) -> Result<Vec<SlotVectors>> {
    let facts = program.facts(instruction);
    let destination = |(group, &dst): (&[Term], &ValueId)| {
        let sum =
            |(k, lane): (usize, &Lane<'_>)| Sum::new(program.slots, k == 0 && lane.noise.is_some());
        let mut sums: Vec<Sum> = lanes.iter().enumerate().map(sum).collect();
        for t in group {
            let src = srcs[t.src as usize];
            let factor = t.plaintext.map(|p| Factor::new(program, p)).transpose()?;
            for (lane, sum) in lanes.iter().zip(&mut sums) {
                let x = rotated(lane.read(src)?, t.shift as usize);
                let switch = match &lane.noise {
                    Some(noise) if t.shift != 0 => noise.model.switch(&program.values[src]),
                    _ => 0.0,
                };
                match &factor {
                    None => sum.add(x, switch),
                    Some(factor) => sum.add_product(x, switch, factor, lane.noise.as_ref()),
                }
            }
        }
        let (mut results, variances): (Vec<_>, Vec<_>) =
            sums.into_iter().map(|sum| (sum.slots, sum.variances)).unzip();
        for (lane, slots) in lanes.iter().zip(&mut results) {
            if let Some(noise) = &lane.noise {
                let result = (dst, &program.values[dst]);
                noise.disturb(&facts, result, |j| variances[0][j], slots);
            }
        }
        Ok(results)
    };
    let groups = split(terms, instruction.dsts.len());
    let by_destination: Vec<SlotVectors> =
        groups.into_par_iter().zip(&instruction.dsts).map(destination).collect::<Result<_>>()?;
    let mut by_lane: Vec<SlotVectors> = lanes.iter().map(|_| Vec::new()).collect();
    for results in by_destination {
        by_lane.iter_mut().zip(results).for_each(|(list, result)| list.push(result));
    }
    Ok(by_lane)
}

/// A plaintext that multiplies.
struct Factor<'a> {
    id: PlaintextId,
    spec: &'a PlaintextSpec,
    /// Whether it is encoded as a subring plaintext.
    subring: bool,
    /// The first slots, after which they repeat: whole periods, or all.
    values: Vec<f64>,
}

impl<'a> Factor<'a> {
    fn new(program: &'a Program, id: PlaintextId) -> Result<Self> {
        let (spec, slots) = (specification(program, id)?, program.slots);
        let values = spec.slot_values(slots.min(LEAST_SLOTS.max(spec.period)))?;
        Ok(Self { id, spec, subring: spec.is_subring(slots), values })
    }
}

/// The sum of a lane, and the variances of errors that were not drawn yet.
struct Sum {
    slots: Vec<f64>,
    /// Empty where there is none, or another lane has them.
    variances: Vec<f64>,
    /// The factor as this lane encodes it, where that differs.
    encoded: Vec<f64>,
}

impl Sum {
    fn new(slots: usize, has_variances: bool) -> Self {
        let noisy = if has_variances { slots } else { 0 };
        Self { slots: vec![0.0; slots], variances: vec![0.0; noisy], encoded: Vec::new() }
    }

    /// Adds slots, given in two parts, with a variance of each.
    fn add(&mut self, x: [&[f64]; 2], switch: f64) {
        self.slots.iter_mut().zip(x.into_iter().flatten()).for_each(|(s, x)| *s += x);
        if switch > 0.0 {
            self.variances.iter_mut().for_each(|v| *v += switch);
        }
    }

    /// Adds such slots times a factor.
    fn add_product(
        &mut self,
        x: [&[f64]; 2],
        switch: f64,
        factor: &Factor<'_>,
        noise: Option<&Noise<'_>>,
    ) {
        let Self { slots, variances, encoded } = self;
        let (mut p, mut encoding) = (&factor.values, 0.0);
        if let Some(noise) = noise {
            if factor.subring {
                encoded.clone_from(p);
            }
            encoding = noise.encode((factor.id, factor.spec, factor.subring), encoded);
            p = if factor.subring { encoded } else { p };
        }
        let mut start = 0;
        for mut x in x {
            while !x.is_empty() {
                // Up to where the factor begins again.
                let within = start % p.len();
                let (now, rest) = x.split_at(x.len().min(p.len() - within));
                let p = &p[within..within + now.len()];
                let range = start..start + now.len();
                let sums = &mut slots[range.clone()];
                match variances.get_mut(range).filter(|_| switch + encoding > 0.0) {
                    None => sums.iter_mut().zip(now).zip(p).for_each(|((s, x), p)| *s += p * x),
                    Some(variances) => {
                        let both = sums.iter_mut().zip(variances);
                        both.zip(now).zip(p).for_each(|(((s, v), x), p)| {
                            *s += p * x;
                            *v += p * p * switch + x * x * encoding;
                        });
                    }
                }
                start += now.len();
                x = rest;
            }
        }
    }
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
