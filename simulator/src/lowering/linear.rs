//! Instructions of a linear stage.

use std::collections::BTreeMap;

use super::State;
use super::builder::{Builder, Product};
use super::diagonals::Diagonals;
use super::found::KeyMap;
use super::schedule::{LinearPlan, drawing, drawing_bytes};
use super::signature::Signature;
use crate::Result;
use crate::config::Schedule;
use crate::layout::Layout;
use crate::program::{PlaintextId, PlaintextSpec, SlotValues, ValueId};

/// How a linear stage is emitted once its diagonals are known.
pub(crate) struct LinearEmission<'a> {
    pub(crate) diagonals: &'a Diagonals,
    pub(crate) schedule: Schedule,
    /// Fold mask and radix.
    pub(crate) fold: usize,
    pub(crate) radix: usize,
    /// Scale of the result.
    pub(crate) scale: f64,
    /// Layout that the stage writes.
    pub(crate) output: &'a Layout,
    /// Bias map.
    pub(crate) bias: &'a [f64],
}

impl LinearEmission<'_> {
    /// Emits the instructions, for the ciphertexts of all sources one after the other, and gives the result.
    pub(crate) fn emit(&self, b: &mut Builder<'_>, inputs: &[ValueId]) -> Result<State> {
        let plan = LinearPlan::new(self.diagonals, &self.schedule);
        // Rotating and folding after the rescale is cheaper, but adds up the rounding of as many slots as it sums: a fold over
        // 256 slots would cost four bits. So the rescale waits for the last step.
        let rescale_last = self.schedule.double_hoisting && self.fold != 0;
        let mut values = if self.schedule.double_hoisting {
            self.fused(b, &plan, inputs, !rescale_last)?
        } else {
            self.unfused(b, &plan, inputs)?
        };
        values = fold(b, values, (self.fold, self.radix), rescale_last)?;
        self.add_bias(b, &mut values);
        Ok(State { values, layout: self.diagonals.left(self.output, self.fold) })
    }

    /// Plaintexts at the scale that brings the rescaled result to its scale: those of one source at one scale.
    fn plaintexts(
        &self,
        b: &mut Builder<'_>,
        plan: &LinearPlan,
        inputs: &[ValueId],
        extended: bool,
    ) -> Vec<PlaintextId> {
        let mut add = |k: usize| {
            let info = b.info(inputs[plan.source(self.diagonals, k)]);
            let (parts, giant) = &plan.plaintexts[k];
            let values_bytes = drawing_bytes(self.diagonals, parts);
            let draw = || SlotValues::Drawn(drawing(self.diagonals, parts, *giant));
            b.add_plaintext(PlaintextSpec {
                values: b.values.then(draw),
                values_bytes,
                period: self.diagonals.plaintext_period,
                images: 1,
                level: info.level,
                scale: self.scale * b.chain.moduli[info.level] / info.scale,
                extended,
            })
        };
        (0..plan.plaintexts.len()).map(&mut add).collect()
    }

    fn fused(
        &self,
        b: &mut Builder<'_>,
        plan: &LinearPlan,
        inputs: &[ValueId],
        rescale: bool,
    ) -> Result<Vec<ValueId>> {
        let extended = plan.terms.iter().any(|t| t.shift != 0);
        let plaintexts = self.plaintexts(b, plan, inputs, extended);
        let mut used: BTreeMap<usize, u32> = plan.terms.iter().map(|t| (t.source, 0)).collect();
        used.values_mut().enumerate().for_each(|(k, v)| *v = k as u32);
        let mut products: Vec<Vec<Product>> = vec![Vec::new(); plan.partials.len()];
        for t in &plan.terms {
            products[t.partial].push((
                used[&t.source],
                t.shift as u32,
                Some(plaintexts[t.plaintext]),
            ));
        }
        let srcs = used.keys().map(|k| inputs[*k]).collect();
        let turned = plan.partials.iter().filter(|p| p.giant != 0).count();
        let finished = Diagonals::summed(self.diagonals.outputs, plan.partials.len(), turned);
        let partials = b.linear(srcs, &products, rescale && finished)?;
        if finished {
            return Ok(partials);
        }
        let mut rotated: BTreeMap<usize, Vec<(ValueId, u32)>> = BTreeMap::new();
        for (p, value) in plan.partials.iter().zip(partials) {
            rotated.entry(p.output).or_default().push((value, p.giant as u32));
        }
        let mut srcs = Vec::new();
        let mut products: Vec<Vec<Product>> = Vec::new();
        for list in rotated.values() {
            products.push(
                list.iter()
                    .enumerate()
                    .map(|(k, l)| ((srcs.len() + k) as u32, l.1, None))
                    .collect(),
            );
            srcs.extend(list.iter().map(|l| l.0));
        }
        b.linear(srcs, &products, rescale)
    }

    /// Rotations of their own, products, rotations of partial sums, additions, one rescale per output.
    fn unfused(
        &self,
        b: &mut Builder<'_>,
        plan: &LinearPlan,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>> {
        let plaintexts = self.plaintexts(b, plan, inputs, false);
        let mut rotated: BTreeMap<(usize, usize), ValueId> = BTreeMap::new();
        let mut shifts: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for t in &plan.terms {
            rotated.insert((t.source, t.shift), inputs[t.source]);
        }
        for &(source, shift) in rotated.keys().filter(|k| k.1 != 0) {
            shifts.entry(source).or_default().push(shift as u32);
        }
        for (source, list) in shifts {
            let values = b.rotate_hoisted(inputs[source], list.clone());
            for (shift, value) in list.into_iter().zip(values) {
                rotated.insert((source, shift as usize), value);
            }
        }
        let mut results: Vec<Option<ValueId>> = vec![None; self.diagonals.outputs];
        let mut terms = plan.terms.iter().peekable();
        for (k, p) in plan.partials.iter().enumerate() {
            let mut srcs = Vec::new();
            let mut products: Vec<Product> = Vec::new();
            while let Some(t) = terms.next_if(|t| t.partial == k) {
                products.push((srcs.len() as u32, 0, Some(plaintexts[t.plaintext])));
                srcs.push(rotated[&(t.source, t.shift)]);
            }
            let mut value = b.linear(srcs, &[products], false)?[0];
            if p.giant != 0 {
                value = b.rotate_hoisted(value, vec![p.giant as u32])[0];
            }
            results[p.output] = Some(match results[p.output] {
                None => value,
                Some(sum) => b.add(sum, value),
            });
        }
        results.into_iter().flatten().map(|value| b.rescale(value)).collect()
    }

    fn add_bias(&self, b: &mut Builder<'_>, values: &mut [ValueId]) {
        let layout = self.output;
        let mut lists: Vec<Vec<(usize, f64)>> = vec![Vec::new(); values.len()];
        for (k, bias) in self.bias.iter().enumerate().filter(|(_, v)| **v != 0.0) {
            let (x, rest) = (k % layout.shape.width, k / layout.shape.width);
            let (channel, y) = (rest / layout.shape.height, rest % layout.shape.height);
            if !layout.is_read(channel) {
                continue;
            }
            let (ct, slot) = layout.locate(channel, y, x);
            lists[ct].push((slot, *bias));
        }
        let mut known: KeyMap<Signature, PlaintextId> = KeyMap::default();
        for (value, list) in values.iter_mut().zip(lists) {
            if list.is_empty() {
                continue;
            }
            let mut signature = Signature::default();
            list.iter().for_each(|(slot, v)| signature.add(*slot, 0, *v));
            let info = b.info(*value);
            let plaintext = match known.get(&signature) {
                Some(p) => *p,
                None => b.plaintext(info.level, info.scale, false, || {
                    let mut out = vec![0.0; layout.slots];
                    for (slot, v) in &list {
                        (*slot..layout.slots).step_by(layout.period).for_each(|s| out[s] = *v);
                    }
                    out
                }),
            };
            known.insert(signature, plaintext);
            *value = b.add_plain(*value, plaintext);
        }
    }
}

/// Sums up the slots of a fold mask by rotations, several at once; the last step rescales if `rescale`.
pub(crate) fn fold(
    b: &mut Builder<'_>,
    mut values: Vec<ValueId>,
    (mask, radix): (usize, usize),
    rescale: bool,
) -> Result<Vec<ValueId>> {
    let steps = fold_steps(mask, radix);
    for (k, shifts) in steps.iter().enumerate() {
        values = b.sum_rotations(&values, shifts, rescale && k + 1 == steps.len())?;
    }
    Ok(values)
}

/// Shifts of each folding step: the bits of `mask` from low to high, `log2(radix)` at a time, each step
/// with all sums of its bits.
pub(super) fn fold_steps(mask: usize, radix: usize) -> Vec<Vec<usize>> {
    let bits: Vec<usize> =
        (0..usize::BITS as usize).map(|b| 1usize << b).filter(|b| mask & b != 0).collect();
    bits.chunks(radix.max(2).ilog2() as usize)
        .map(|chunk| {
            (0..1usize << chunk.len())
                .map(|s| {
                    chunk.iter().enumerate().filter(|(k, _)| s >> k & 1 == 1).map(|(_, b)| b).sum()
                })
                .collect()
        })
        .collect()
}
