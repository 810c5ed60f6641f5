//! The weights of a linear stage, sorted by the rotation that brings each input to its output.

use std::sync::Arc;

use super::alike::Alike;
use super::found::{Found, KeyMap, Unseen};
use super::outline::Outline;
use super::positions::{Reach, Spot};
use super::signature::Signature;
use crate::fold::{LinearPart, LinearStage};
use crate::layout::Layout;
use crate::{Error, Result};

/// A set of (output ciphertext, input ciphertext, rotation) that one plaintext can serve. The rotation is
/// the sum of three parts, so that a schedule can take it apart: `block` in `0..input period`, the others signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Diagonal {
    /// Output ciphertext.
    pub output: usize,
    /// Input ciphertext, of the first source, then of each shortcut's.
    pub input: usize,
    /// Rotation across channel blocks.
    pub block: usize,
    /// Rotation across rows (everything within a block, where a fold mixes rows and columns).
    pub row: isize,
    /// Rotation across columns.
    pub col: isize,
}

/// A weight at all slots of a position set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// First slot: output base, replica and fold offset.
    pub base: u32,
    /// Position set, an index into [`Diagonals::sets`].
    pub set: u32,
    /// The weight, not zero.
    pub weight: f64,
}

/// What a diagonal's plaintext holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Base of the first entry.
    pub first: usize,
    /// Identity of the entries relative to the first base, so that moving all of them changes `first` only.
    pub signature: Signature,
    /// Number of entries; what an outline leaves out is not counted.
    pub count: usize,
    /// The entries, unless for pricing only; a plaintext keeps those that it is drawn from.
    pub entries: Arc<Vec<Entry>>,
}

/// All weights of a linear stage between two layouts.
#[derive(Debug, Clone)]
pub struct Diagonals {
    /// Distinct diagonals, ascending, each with its contents.
    pub diagonals: Vec<(Diagonal, Contents)>,
    /// Position sets: ascending offsets.
    pub sets: Arc<Vec<Vec<usize>>>,
    /// Ciphertexts of the output.
    pub outputs: usize,
    /// Slots.
    pub slots: usize,
    /// Period of each input ciphertext: those of the first source, then those of each shortcut's.
    pub input_periods: Vec<usize>,
    /// Period of every plaintext: the largest period of any layout.
    pub period: usize,
}

/// Rotation of a weight split into fold offset and rotation parts.
pub(crate) struct Split {
    /// Fold offset: bits of the mask.
    pub fold: usize,
    /// As in [`Diagonal`].
    pub block: usize,
    /// As in [`Diagonal`].
    pub row: isize,
    /// As in [`Diagonal`].
    pub col: isize,
}

/// How slot distances are split: depends on the layouts and the fold mask only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Splitter {
    mask: usize,
    tile: usize,
    period: usize,
    lump: bool,
}

impl Splitter {
    pub(crate) fn new(input: &Layout, output: &Layout, mask: usize) -> Self {
        let lump = output.shape.area() == 1;
        Self { mask, tile: input.tile, period: input.period, lump }
    }

    /// Splits `base + row + col`, the slot distance input minus output.
    pub(crate) fn split(&self, base: isize, row: isize, col: isize) -> Split {
        let period = self.period as isize;
        if self.lump {
            let delta = (base + row + col).rem_euclid(period) as usize;
            let fold = delta & self.mask;
            return Split { fold, block: delta - fold, row: 0, col: 0 };
        }
        let base = base.rem_euclid(period) as usize;
        let (high, low) = (base & !(self.tile - 1), base & (self.tile - 1));
        let inner_mask = self.mask & (self.tile - 1);
        let fold_high = high & self.mask & !(self.tile - 1);
        if inner_mask == 0 && low == 0 {
            return Split { fold: fold_high, block: high - fold_high, row, col };
        }
        let inner = row + col + low as isize;
        let fold_low = (inner & inner_mask as isize) as usize;
        Split {
            fold: fold_high + fold_low,
            block: high - fold_high,
            row: inner - fold_low as isize,
            col: 0,
        }
    }
}

/// Checks a fold mask against the layouts it is to work between.
pub fn check_mask(name: &str, input: &Layout, output: &Layout, mask: usize) -> Result<()> {
    let refuse =
        |reason: String| Err(Error::unsupported(name, format!("fold mask {mask:#x}: {reason}")));
    if mask >= input.period {
        return refuse(format!("its bits must be below the input period, {}", input.period));
    }
    // Bits above the output period repeat the result by wrapping around, which takes all bits up to the input period.
    let high = mask & !(output.period - 1);
    if high != 0 {
        let lowest = 1usize << high.trailing_zeros();
        if high != input.period - lowest {
            return refuse(format!(
                "bits from the output period ({}) on must reach up to the input period ({}) without a hole",
                output.period, input.period
            ));
        }
    }
    for y in 0..output.shape.height {
        for x in 0..output.shape.width {
            for c in 0..output.shape.channels {
                let (_, slot) = output.locate(c, y, x);
                if slot & mask != 0 {
                    return refuse(format!(
                        "output slot {slot} has bits of it; space the outputs wider"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// What diagonals are filled with.
#[derive(Clone, Copy)]
enum Fill<'a> {
    /// Entries and signatures.
    Entries,
    /// Signatures.
    Signatures,
    /// Signatures of an outline.
    Outline(&'a Outline),
}

/// Where the spots of a (channel pair, replica) go: diagonal and fold offset of each, found when first asked for.
type Routes = Vec<Option<(u32, u32)>>;

impl Diagonals {
    /// Sorts the weights of `stage` between `inputs`, one layout for each of its parts, and `output`, folding the bits of
    /// `mask`. Without `entries`, counts and identities are the same, but no plaintext can be filled.
    ///
    /// # Errors
    /// [`Error::Layer`] for layouts of other shapes, [`Error::Unsupported`] for a mask that does not fit them.
    pub fn new(
        name: &str,
        stage: &LinearStage,
        inputs: &[&Layout],
        output: &Layout,
        mask: usize,
        entries: bool,
    ) -> Result<Self> {
        let fill = if entries { Fill::Entries } else { Fill::Signatures };
        let all = 0..stage.geometry.output.channels;
        Sorting { name, stage, inputs, output, mask, fill, most: usize::MAX }.sorted(all)
    }

    /// The same without entries, and without looking at each weight where the stage has an outline. Gives up, with
    /// those found by then, beyond `most` diagonals.
    pub(crate) fn counted(
        name: &str,
        stage: &LinearStage,
        outline: Option<&Outline>,
        (inputs, output): (&[&Layout], &Layout),
        mask: usize,
        most: usize,
    ) -> Result<Self> {
        let fill = outline.map_or(Fill::Signatures, Fill::Outline);
        let all = 0..stage.geometry.output.channels;
        Sorting { name, stage, inputs, output, mask, fill, most }.sorted(all)
    }

    /// A number that the diagonals are no fewer than: those of one output channel per ciphertext.
    pub(crate) fn at_least(
        name: &str,
        stage: &LinearStage,
        outline: Option<&Outline>,
        (inputs, output): (&[&Layout], &Layout),
        mask: usize,
    ) -> Result<usize> {
        let mut seen = vec![false; output.channel_ciphertexts()];
        let some = (0..output.channels.len())
            .filter(|o| !std::mem::replace(&mut seen[output.channels[*o].ct], true));
        let fill = outline.map_or(Fill::Signatures, Fill::Outline);
        let sorting = Sorting { name, stage, inputs, output, mask, fill, most: usize::MAX };
        Ok(sorting.of(some)?.diagonals.len())
    }

    /// Whether so many partial sums, of which `turned` are to be rotated, are the outputs already: one unrotated sum for each.
    pub(crate) fn summed(&self, sums: usize, turned: usize) -> bool {
        sums == self.outputs && turned == 0
    }

    /// Distinct rotations across blocks.
    pub fn blocks(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.diagonals.iter().map(|(d, _)| d.block).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Sorting the weights of a stage.
struct Sorting<'a> {
    name: &'a str,
    stage: &'a LinearStage,
    /// One layout for each part.
    inputs: &'a [&'a Layout],
    output: &'a Layout,
    mask: usize,
    fill: Fill<'a>,
    /// Diagonals beyond which to give up.
    most: usize,
}

impl Sorting<'_> {
    /// The diagonals of some output channels, ascending.
    fn sorted(&self, channels: impl Iterator<Item = usize> + Clone) -> Result<Diagonals> {
        let mut all = self.of(channels)?;
        all.diagonals.sort_by_key(|(key, _)| *key);
        all.diagonals
            .iter_mut()
            .for_each(|(_, contents)| Arc::make_mut(&mut contents.entries).shrink_to_fit());
        Ok(all)
    }

    fn of(&self, channels: impl Iterator<Item = usize>) -> Result<Diagonals> {
        self.check()?;
        let channels: Vec<usize> = channels.collect();
        let output = self.output;
        let periods = self.inputs.iter().map(|input| input.period);
        let period = periods.fold(output.period, usize::max);
        let cts = |input: &&Layout| std::iter::repeat_n(input.period, input.ciphertexts());
        let input_periods: Vec<usize> = self.inputs.iter().flat_map(cts).collect();
        let lump = Splitter::new(self.inputs[0], output, self.mask).lump && self.inputs.len() == 1;
        let outputs = output.ciphertexts();
        let mut found = Found::new(lump, outputs, input_periods.len(), self.inputs[0].period);
        let mut sets = Vec::new();
        let mut first = 0;
        for (number, (part, input)) in self.stage.parts().zip(self.inputs).enumerate() {
            self.part((number, part), (input, first), period, &channels, &mut found, &mut sets);
            first += input.ciphertexts();
        }
        Ok(Diagonals {
            diagonals: found.diagonals,
            sets: Arc::new(sets),
            outputs,
            slots: output.slots,
            input_periods,
            period,
        })
    }

    fn check(&self) -> Result<()> {
        let wanted: Vec<_> = self.stage.parts().map(|part| part.geometry.input).collect();
        let given: Vec<_> = self.inputs.iter().map(|input| input.shape).collect();
        if given != wanted || self.output.shape != self.stage.geometry.output {
            let list = |shapes: &[crate::network::Shape]| {
                shapes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
            };
            return Err(Error::layer(
                self.name,
                "shapes of the layouts",
                format!("{} to {}", list(&given), self.output.shape),
                format!("{} to {}", list(&wanted), self.stage.geometry.output),
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

    /// Adds the diagonals of one part, whose input ciphertexts have numbers from `first` on.
    fn part(
        &self,
        (number, part): (usize, &LinearPart),
        (input, first): (&Layout, usize),
        period: usize,
        channels: &[usize],
        found: &mut Found,
        sets: &mut Vec<Vec<usize>>,
    ) {
        let (g, output, fill) = (&part.geometry, self.output, self.fill);
        let reach = Reach::new(g, input, output);
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
        // position, and in a table the way is short: only else is it worth remembering.
        let mut pairs: KeyMap<(usize, usize, isize), usize> = KeyMap::default();
        let mut routes: Vec<Routes> = Vec::new();
        let mut unseen = Unseen::new(area);
        let once = matches!(fill, Fill::Outline(_));
        let remember = !once && !found.has_table();
        let alike = g.groups == 1 && matches!(fill, Fill::Outline(outline) if outline.is_full());
        let (ins, outs) = (Alike::new(input, !alike), Alike::new(output, !alike));
        for &o in channels {
            if found.total > self.most {
                break;
            }
            let to = output.channels[o];
            if !outs.leads(to.ct) {
                continue;
            }
            for k in 0..per_out {
                let from = input.channels[g.input_channel(o, k)];
                if !ins.leads(from.ct) {
                    continue;
                }
                let copies = outs.of(to.ct).len() * ins.of(from.ct).len();
                let weights = &part.weights[(o * per_out + k) * area..][..area];
                if weights.iter().all(|w| *w == 0.0) {
                    continue;
                }
                for replica in &replicas {
                    let target = to.base + replica;
                    let distance = from.base as isize - target as isize;
                    let new = pairs.len();
                    let pair = *pairs.entry((to.ct, from.ct, distance)).or_insert(new);
                    if pair == new && remember {
                        routes.push(vec![None; spots.len()]);
                    } else if pair == new && once {
                        unseen.add();
                    }
                    if once && !unseen.any(pair) {
                        continue;
                    }
                    let route = |found: &mut Found, spot: &Spot| {
                        let s = splitter.split(distance, spot.row, spot.col);
                        let key = Diagonal {
                            output: to.ct * out_phases + spot.output_phase,
                            input: first + from.ct * in_phases + spot.input_phase,
                            block: s.block,
                            row: s.row,
                            col: s.col,
                        };
                        (found.number(key, target + s.fold, copies, number), s.fold as u32)
                    };
                    for (at, w) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
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
                                Fill::Outline(outline) => outline.stand_in(pair, at),
                                _ => *w,
                            };
                            contents.signature.add(relative, set, known);
                            contents.count += 1;
                            if matches!(fill, Fill::Entries) {
                                let (base, set) = (base as u32, set as u32);
                                // Nothing else has them yet.
                                let entries = Arc::make_mut(&mut contents.entries);
                                entries.push(Entry { base, set, weight: *w });
                            }
                        }
                    }
                }
            }
        }
        if alike {
            found.spread((&ins, in_phases), (&outs, out_phases));
        }
    }
}

/// Offsets of the copies of an output that must be written one by one: those within the period of the plaintexts that the
/// fold does not make.
fn replicas(output_period: usize, period: usize, mask: usize) -> Vec<usize> {
    (0..period).step_by(output_period).filter(|k| k & mask == 0).collect()
}
