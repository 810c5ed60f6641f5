//! Going through the weights of a linear stage, each to its diagonal.

use std::sync::Arc;

use rayon::prelude::*;

use super::alike::Alike;
use super::diagonals::{Diagonal, Diagonals, Splitter, check_mask};
use super::found::{Found, KeyMap, Unseen};
use super::outline::Outline;
use super::positions::{Reach, Spot};
use crate::fold::{LinearPart, LinearStage};
use crate::layout::Layout;
use crate::network::Shape;
use crate::program::Entry;
use crate::{Error, Result};

/// What diagonals are filled with.
#[derive(Clone, Copy)]
pub(super) enum Fill<'a> {
    /// Entries and signatures.
    Entries,
    /// Signatures.
    Signatures,
    /// Signatures of an outline.
    Outline(&'a Outline),
}

/// Most channel ciphertexts of a map: keys of diagonals and of channel pairs have as many bits for them.
const MOST_CIPHERTEXTS: usize = 1 << 16;

/// Where the spots of a (channel pair, replica) go: diagonal and fold offset of each, found when first asked for.
type Routes = Vec<Option<(u32, u32)>>;

/// Sorting the weights of a stage.
pub(super) struct Sorting<'a> {
    pub(super) name: &'a str,
    pub(super) stage: &'a LinearStage,
    /// One layout for each part.
    pub(super) inputs: &'a [&'a Layout],
    pub(super) output: &'a Layout,
    pub(super) mask: usize,
    pub(super) fill: Fill<'a>,
    /// Diagonals beyond which to give up.
    pub(super) most: usize,
}

/// A part of a stage and what it reads.
struct Part<'a> {
    number: usize,
    part: &'a LinearPart,
    input: &'a Layout,
    /// Number of its first input ciphertext.
    first: usize,
    ins: Alike,
    reach: Reach,
}

impl Sorting<'_> {
    /// The diagonals of some output channels, ascending.
    pub(super) fn sorted(&self, channels: &[usize]) -> Result<Diagonals> {
        self.check()?;
        // Ciphertexts of the output have no diagonal in common.
        let mut groups = vec![Vec::new(); self.output.all_channel_ciphertexts()];
        channels.iter().for_each(|o| groups[self.output.channels[*o].ct].push(*o));
        let groups: Vec<Diagonals> = groups.par_iter().map(|group| self.gathered(group)).collect();
        let count = groups.iter().map(|group| group.diagonals.len()).sum::<usize>();
        let mut groups = groups.into_iter();
        let mut all = groups.next().unwrap_or_else(|| self.gathered(&[]));
        all.diagonals.reserve_exact(count - all.diagonals.len());
        all.diagonals.extend(groups.flat_map(|group| group.diagonals));
        all.diagonals.sort_unstable_by_key(|(key, _)| *key);
        Ok(all)
    }

    /// The diagonals of some output channels.
    pub(super) fn of(&self, channels: &[usize]) -> Result<Diagonals> {
        self.check()?;
        Ok(self.gathered(channels))
    }

    /// The diagonals of some output channels, between layouts that have been checked.
    fn gathered(&self, channels: &[usize]) -> Diagonals {
        let output = self.output;
        let periods = self.inputs.iter().map(|input| input.period);
        let period = periods.fold(output.period, usize::max);
        let cts = |input: &&Layout| std::iter::repeat_n(input.period, input.ciphertexts());
        let input_periods: Vec<usize> = self.inputs.iter().flat_map(cts).collect();
        let apart = !self.is_full() || self.stage.geometry.groups > 1;
        let outs = Alike::new(output, apart);
        let mut ins = Vec::with_capacity(input_periods.len());
        // An outline is looked at so seldom that a place for every block would cost more.
        let once = matches!(self.fill, Fill::Outline(_));
        let mut cts = channels.iter().map(|o| output.channels[*o].ct);
        let first = cts.next();
        let single = output.shape.area() == 1 && cts.all(|ct| Some(ct) == first);
        let mut found = match single && !once {
            true => Found::of_one_output(input_periods.len(), period),
            false => Found::default(),
        };
        let mut sets = Vec::new();
        let (reaches, plaintext_period) =
            reaches(self.stage, self.inputs, output, self.mask, period);
        let parts = self.stage.parts().zip(self.inputs).zip(reaches).enumerate();
        for (number, ((part, input), reach)) in parts {
            let first = ins.len();
            let part = Part { number, part, input, first, ins: Alike::new(input, apart), reach };
            ins.extend(part.ins.copies(input));
            self.part(part, &outs, plaintext_period, channels, &mut found, &mut sets);
        }
        for ((_, contents), mut entries) in found.diagonals.iter_mut().zip(found.entries) {
            if !entries.is_empty() {
                entries.shrink_to_fit();
                contents.entries = Arc::new(entries);
            }
        }
        Diagonals {
            diagonals: found.diagonals,
            sets: Arc::new(sets),
            outputs: output.ciphertexts(),
            slots: output.slots,
            input_periods,
            period,
            plaintext_period,
            copies: [outs.copies(output), ins],
        }
    }

    /// Whether no weight has to be looked at.
    fn is_full(&self) -> bool {
        matches!(self.fill, Fill::Outline(outline) if outline.is_full())
    }

    pub(super) fn check(&self) -> Result<()> {
        let wanted: Vec<_> = self.stage.parts().map(|part| part.geometry.input).collect();
        let given: Vec<_> = self.inputs.iter().map(|input| input.shape).collect();
        if given != wanted || self.output.shape != self.stage.geometry.output {
            let list = |shapes: &[Shape]| {
                shapes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
            };
            return Err(Error::layer(
                self.name,
                "shapes of the layouts",
                format!("{} to {}", list(&given), self.output.shape),
                format!("{} to {}", list(&wanted), self.stage.geometry.output),
            ));
        }
        let read = self.inputs.iter().map(|input| input.all_channel_ciphertexts()).sum::<usize>();
        let most = read.max(self.output.all_channel_ciphertexts());
        if most > MOST_CIPHERTEXTS {
            return Err(Error::layer(
                self.name,
                "ciphertexts of a map",
                most,
                format!("at most {MOST_CIPHERTEXTS}; put more channels into each"),
            ));
        }
        if self.mask != 0 {
            let first = self.inputs[0];
            if self.inputs.iter().any(|input| input.period != first.period) {
                return Err(Error::unsupported(
                    self.name,
                    format!("fold mask {:#x}: its sources have different periods", self.mask),
                ));
            }
            self.inputs
                .iter()
                .try_for_each(|input| check_mask(self.name, input, self.output, self.mask))?;
        }
        Ok(())
    }

    /// Adds the diagonals of one part.
    fn part(
        &self,
        Part { number, part, input, first, ins, reach }: Part<'_>,
        outs: &Alike,
        period: usize,
        channels: &[usize],
        found: &mut Found,
        sets: &mut Vec<Vec<usize>>,
    ) {
        let (g, output, fill) = (&part.geometry, self.output, self.fill);
        let splitter = Splitter::new(input, output, self.mask);
        let replicas = replicas(output.period, period, self.mask);
        let area = g.kernel.0 * g.kernel.1;
        let per_out = g.input.channels / g.groups;
        let (in_phases, out_phases) = (input.phases * input.phases, output.phases * output.phases);
        // Spots of all kernel offsets in one list, so that each has a number.
        let mut starts = vec![0];
        starts.extend(reach.spots.iter().scan(0, |n, list| {
            *n += list.len();
            Some(*n)
        }));
        let spots: Vec<_> = reach.spots.into_iter().flatten().collect();
        let first_set = sets.len();
        sets.extend(reach.sets);
        // Pairs are numbered in the order of their first channels. An outline looks at one weight of a number and kernel
        // position. Else the routes of a number are worth remembering, unless there could be as many of them as weights: in
        // a fully connected layer, whose channel pairs seldom share a number.
        let mut pairs: KeyMap<u64, u32> = KeyMap::default();
        let mut routes: Vec<Routes> = Vec::new();
        let mut unseen = Unseen::new(area);
        let (once, full) = (matches!(fill, Fill::Outline(_)), self.is_full());
        let remember = !once && !splitter.lump;
        let cycle = if once { splitter.cycle() } else { input.period };
        for &o in channels {
            if found.total > self.most {
                break;
            }
            let to = output.channels[o];
            let Some(to_number) = output.number(to.ct).filter(|_| output.is_read(o)) else {
                continue;
            };
            if !outs.leads(to.ct) {
                continue;
            }
            for k in 0..per_out {
                let from = input.channels[g.input_channel(o, k)];
                let weights = &part.weights[(o * per_out + k) * area..][..area];
                let Some(from_number) = input.number(from.ct) else {
                    assert!(weights.iter().all(|w| *w == 0.0), "an unread channel has no weights");
                    continue;
                };
                if !ins.leads(from.ct) {
                    continue;
                }
                let copies = outs.of(to.ct).len() * ins.of(from.ct).len();
                // Reading them takes longer than all else where most numbers have been seen.
                if !once && weights.iter().all(|w| *w == 0.0) {
                    continue;
                }
                for replica in &replicas {
                    let target = to.base + replica;
                    let distance = from.base as isize - target as isize;
                    let apart = distance.rem_euclid(cycle as isize) as usize;
                    let mut pair = 0;
                    if once || remember {
                        let new = pairs.len();
                        // Of `MOST_CIPHERTEXTS` and fewer than 2^32 slots.
                        let key = (to.ct as u64) << 48 | (from.ct as u64) << 32 | apart as u64;
                        pair = *pairs.entry(key).or_insert(new as u32) as usize;
                        if pair == new && remember {
                            routes.push(vec![None; spots.len()]);
                        } else if pair == new {
                            unseen.add();
                        }
                    }
                    if once && !unseen.any(pair) {
                        continue;
                    }
                    let route = |found: &mut Found, spot: &Spot| {
                        let s = splitter.split(distance, spot.row, spot.col);
                        let key = Diagonal {
                            output: to_number * out_phases + spot.output_phase,
                            input: first + input.sent(from_number * in_phases + spot.input_phase),
                            block: s.block,
                            row: s.row,
                            col: s.col,
                        };
                        (found.number(key, target + s.fold, copies, number), s.fold as u32)
                    };
                    for at in (0..area).filter(|at| full || weights[*at] != 0.0) {
                        if once && !unseen.take(pair, at) {
                            continue;
                        }
                        for number in starts[at]..starts[at + 1] {
                            let spot = &spots[number];
                            let (diagonal, fold) = match remember {
                                true => {
                                    *routes[pair][number].get_or_insert_with(|| route(found, spot))
                                }
                                false => route(found, spot),
                            };
                            let contents = &mut found.diagonals[diagonal as usize].1;
                            let base = target + fold as usize;
                            let relative = base.wrapping_sub(contents.first) & (period - 1);
                            let set = first_set + spot.set;
                            let known = match fill {
                                // The copies of an output have the same weights.
                                Fill::Outline(outline) => {
                                    let apart = apart & (output.period - 1);
                                    outline.stand_in((to.ct, from.ct, apart), at, spot.gain)
                                }
                                _ => weights[at] * spot.gain,
                            };
                            contents.signature.add(relative, set, known);
                            contents.count += 1;
                            if matches!(fill, Fill::Entries) {
                                let (base, set) = (base as u32, set as u32);
                                let entry = Entry { base, set, weight: known };
                                found.keep(diagonal, entry);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How the output's positions reach into each part's map, and the period of plaintexts, if that of products is `period`.
pub(super) fn reaches(
    stage: &LinearStage,
    inputs: &[&Layout],
    output: &Layout,
    mask: usize,
    period: usize,
) -> (Vec<Reach>, usize) {
    let parts = stage.parts().zip(inputs);
    let reaches: Vec<_> = parts.map(|(part, input)| Reach::new(part, input, output)).collect();
    // Copies of the output that are to be written one by one lie over different distances.
    let free = output.inner && !output.clean && mask == 0 && output.period == period;
    if free && reaches.iter().all(|reach| reach.is_uniform(output)) {
        return (reaches.into_iter().map(Reach::of_one_position).collect(), output.tile);
    }
    (reaches, period)
}

/// Offsets of the copies of an output that must be written one by one: those within the period of the plaintexts that the
/// fold does not make.
pub(super) fn replicas(output_period: usize, period: usize, mask: usize) -> Vec<usize> {
    (0..period).step_by(output_period).filter(|k| k & mask == 0).collect()
}
