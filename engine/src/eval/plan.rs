//! Plans of fused linear operations.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::blocks::{Block, Summand, blocks};
use super::decompose::SwitchShape;
use super::mod_down::Divisor;
use super::rows::Rows;
use super::switching::MaskBuffer;
use crate::kernels::sums_together;
use crate::params::Parameters;
use crate::poly::{Automorphism, CHUNK_WORDS};
use crate::{Error, Result};

/// One summand: `plaintext * Rot(source, shift)` added into a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearTerm {
    /// Destination, `0..outputs`.
    pub dst: usize,
    /// Source, `0..sources`.
    pub src: usize,
    /// Left rotation in slots.
    pub shift: usize,
    /// Index of the plaintext factor, or none for a plain sum.
    pub plaintext: Option<usize>,
}

/// A rotated source that a plan uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotated {
    pub source: usize,
    /// Galois element; 1 for no rotation.
    pub galois: usize,
}

/// Most rotated sources of which a task keeps a chunk at a time, eight kilobytes each: three quarters of a second-level cache of half
/// a megabyte, beside plaintexts. (With one of two megabytes, sums over 128 at a time took 4 % longer than over 64, over 256 20 %.)
const MAX_BUFFERED: usize = 48;

/// In how many groups so many rotated sources are made and summed.
pub fn groups_of(rotated: usize) -> usize {
    rotated.div_ceil(MAX_BUFFERED).max(1)
}

/// Rotated sources that are made one after the other, chunk by chunk, and what is summed of each chunk before those of the
/// next group are made.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Which of the plan's rotated sources.
    pub rotated: Range<usize>,
    /// Their summands of each destination.
    pub outputs: Vec<Vec<Summand>>,
    /// The destinations that have such, in blocks that are summed together; none for a plain sum.
    pub blocks: Vec<Block>,
}

/// `dst_d = sum plaintext * Rot(source, shift)`, checked and ordered for execution: every distinct rotation
/// of a source is computed once, in the order in which all destinations use it.
#[derive(Debug, Clone)]
pub struct LinearPlan {
    pub(super) sources: usize,
    /// Distinct (source, Galois element) pairs, those of one element together, so that its key is read once.
    pub(super) rotated: Vec<Rotated>,
    /// Summands of each destination.
    pub(super) outputs: Vec<Vec<Summand>>,
    /// Number of plaintexts; zero for a plain sum.
    pub(super) plaintexts: usize,
    pub(super) rescale: bool,
    /// The rotated sources in groups, at least one.
    pub(super) groups: Vec<Group>,
}

impl LinearPlan {
    /// Checks and orders the terms of a linear operation.
    ///
    /// # Errors
    /// [`Error::Argument`] for an index out of range, a destination without terms, or a mixture of terms with and
    /// without plaintexts.
    pub fn new(
        params: &Parameters,
        sources: usize,
        outputs: usize,
        terms: &[LinearTerm],
        rescale: bool,
    ) -> Result<Self> {
        let plain = terms.first().is_some_and(|t| t.plaintext.is_none());
        let mut index = BTreeMap::new();
        for term in terms {
            if term.src >= sources || term.dst >= outputs {
                let found = format!("source {}, destination {}", term.src, term.dst);
                let expected = format!("below {sources} and {outputs}");
                return Err(Error::argument("linear term", found, expected));
            }
            if term.plaintext.is_none() != plain {
                let expected = "plaintexts in all terms or in none";
                return Err(Error::argument("linear terms", "a mixture", expected));
            }
            index.insert((term.shift % params.slots(), term.src), 0usize);
        }
        index.values_mut().enumerate().for_each(|(i, slot)| *slot = i);
        let rotated = index
            .keys()
            .map(|&(shift, source)| {
                let galois = Automorphism::galois_of_rotation(params.log_n(), shift);
                Rotated { source, galois }
            })
            .collect();
        let mut summands = vec![Vec::new(); outputs];
        for term in terms {
            let rotated = index[&(term.shift % params.slots(), term.src)];
            summands[term.dst].push(Summand { rotated, plaintext: term.plaintext.unwrap_or(0) });
        }
        if summands.iter().any(Vec::is_empty) {
            return Err(Error::argument("linear destination", "no terms", "at least 1 term"));
        }
        let plaintexts = terms.iter().filter_map(|t| t.plaintext).max().map_or(0, |m| m + 1);
        Ok(Self::of_summands(sources, rotated, summands, plaintexts, rescale))
    }

    /// A plan with one output per automorphism of a single source.
    pub(super) fn automorphisms(elements: &[usize]) -> Self {
        let rotated = elements.iter().map(|&galois| Rotated { source: 0, galois }).collect();
        let outputs =
            (0..elements.len()).map(|i| vec![Summand { rotated: i, plaintext: 0 }]).collect();
        Self::of_summands(1, rotated, outputs, 0, false)
    }

    /// A plan of checked summands.
    pub(super) fn of_summands(
        sources: usize,
        rotated: Vec<Rotated>,
        outputs: Vec<Vec<Summand>>,
        plaintexts: usize,
        rescale: bool,
    ) -> Self {
        let count = groups_of(rotated.len());
        let group = |i: usize| {
            let range = i * rotated.len() / count..(i + 1) * rotated.len() / count;
            let within = |summands: &Vec<Summand>| {
                summands.iter().copied().filter(|s| range.contains(&s.rotated)).collect()
            };
            let outputs: Vec<Vec<Summand>> = outputs.iter().map(within).collect();
            let mut blocks =
                if plaintexts == 0 { Vec::new() } else { blocks(&outputs, sums_together()) };
            // A part of a sum may have nothing for a destination, which is to be written all the same.
            blocks.retain(|block| count == 1 || !block.terms.is_empty());
            Group { rotated: range, outputs, blocks }
        };
        let groups = (0..count).map(group).collect();
        Self { sources, rotated, outputs, plaintexts, rescale, groups }
    }

    /// Whether anything is rotated, so that the sums live in the extended basis.
    pub fn is_extended(&self) -> bool {
        self.rotated.iter().any(|r| r.galois != 1)
    }

    /// Whether every output is one rotated source as it is, in order: nothing to sum.
    pub(super) fn is_direct(&self) -> bool {
        let alone =
            |(i, output): (usize, &Vec<Summand>)| output.len() == 1 && output[0].rotated == i;
        self.plaintexts == 0
            && self.rotated.len() == self.outputs.len()
            && self.rotated.iter().all(|r| r.galois != 1)
            && self.outputs.iter().enumerate().all(alone)
    }

    /// Number of plaintexts expected.
    pub fn plaintexts(&self) -> usize {
        self.plaintexts
    }

    /// Whether anything rotates this source, so that it is decomposed.
    pub(super) fn rotates(&self, source: usize) -> bool {
        self.rotated.iter().any(|r| r.source == source && r.galois != 1)
    }

    /// Sources that are decomposed.
    fn decomposed(&self) -> usize {
        (0..self.sources).filter(|&source| self.rotates(source)).count()
    }

    /// What the sums of an execution at `level` are divided by.
    pub(super) fn divisor(&self, level: usize) -> Divisor {
        Divisor { level, extended: self.is_extended(), rescale: self.rescale }
    }

    /// How many limbs an execution at `level` makes at a time.
    pub(super) fn group_limbs(&self, params: &Parameters, level: usize) -> usize {
        SwitchShape::new(params, level).group_limbs(self.decomposed(), self.outputs.len())
    }

    /// Bytes of scratch that an execution at `level` takes on one thread, besides its results. They come from a pool
    /// of recycled memory (see [`crate::buffer::AlignedBuf::scratch`]), so that only the first execution allocates; each further
    /// thread may take the rows of another group of limbs.
    pub fn scratch_bytes(&self, params: &Parameters, level: usize) -> usize {
        let (decomposed, components) = (self.decomposed(), 2 * self.outputs.len());
        let switch = SwitchShape::new(params, level);
        let made = decomposed * switch.digits();
        let group = self.group_limbs(params, level);
        // The last group may have fewer limbs, and then its own memory.
        let groups = group * (group + 1) / 2;
        let divided = self.divisor(level).converter(params).map_or(0, |c| c.rows() + groups);
        let rows = decomposed * (switch.limbs + switch.digits_of_several()) + made * groups;
        Rows::bytes(rows + components * divided, params.n())
            + Rows::bytes(self.buffered_rows(self.is_extended()), CHUNK_WORDS)
            + if decomposed > 0 { MaskBuffer::bytes(switch.digits()) } else { 0 }
    }

    /// Rows of a chunk that hold the rotated sources of a group until they are summed: two for each, or none if nothing is summed,
    /// or the sums are not `extended`, so that sources are read where they are. (A part of an extended plan may rotate nothing.)
    pub(super) fn buffered_rows(&self, extended: bool) -> usize {
        let most = self.groups.iter().map(|group| group.rotated.len()).max().unwrap_or(0);
        if self.is_direct() || !extended { 0 } else { 2 * most }
    }

    /// What the execution of this plan consists of.
    pub fn shape(&self) -> PlanShape {
        let rotations = self.rotated.iter().filter(|r| r.galois != 1).count();
        let used: BTreeSet<usize> = if self.plaintexts == 0 {
            BTreeSet::new()
        } else {
            self.outputs.iter().flatten().map(|s| s.plaintext).collect()
        };
        let turned = |r: usize| self.rotated[r].galois != 1;
        let keys: BTreeSet<usize> =
            self.rotated.iter().map(|r| r.galois).filter(|g| *g != 1).collect();
        let summands = || self.outputs.iter().flatten();
        let blocks = || self.groups.iter().flat_map(|group| &group.blocks);
        let products = |which: &dyn Fn(usize) -> bool| -> usize {
            if self.is_direct() {
                return 0;
            }
            if self.plaintexts == 0 {
                return summands().filter(|s| which(s.rotated)).count();
            }
            let terms = |block: &Block| block.terms.iter().filter(|t| which(t.rotated)).count();
            blocks().map(|block| block.outputs.len() * terms(block)).sum()
        };
        let special: BTreeSet<usize> =
            summands().filter(|s| turned(s.rotated)).map(|s| s.plaintext).collect();
        PlanShape {
            keys: keys.len(),
            sums: blocks().map(|block| block.outputs.len()).sum(),
            products: products(&|_| true),
            special_products: products(&turned),
            special_plaintexts: if self.plaintexts == 0 { 0 } else { special.len() },
            sources: self.sources,
            decomposed: self.decomposed(),
            rotations,
            unrotated: self.rotated.len() - rotations,
            terms: self.outputs.iter().map(Vec::len).sum(),
            plaintexts: used.len(),
            outputs: self.outputs.len(),
            reads: self.groups.iter().flat_map(|g| &g.blocks).map(|block| block.terms.len()).sum(),
            rescale: self.rescale,
        }
    }
}

/// Counts of a [`LinearPlan`], as executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanShape {
    /// Distinct rotations, whatever they rotate: keys.
    pub keys: usize,
    /// Sums that are made of pairs and plaintexts for a limb: of each destination one for each group of rotated sources that has
    /// summands for it. Zero for a plain sum.
    pub sums: usize,
    /// Products of pairs and plaintexts in a limb of the level, those with zero included where destinations do not use the same
    /// sources; of a plain sum the summands, none where every destination is a rotation as it is.
    pub products: usize,
    /// The same in a special limb, where sources that are not rotated are absent.
    pub special_products: usize,
    /// Distinct plaintexts that are read in a special limb.
    pub special_plaintexts: usize,
    /// Source ciphertexts.
    pub sources: usize,
    /// Sources that are decomposed because something rotates them.
    pub decomposed: usize,
    /// Distinct rotations of a source, each one key product a limb.
    pub rotations: usize,
    /// Distinct sources used without rotation.
    pub unrotated: usize,
    /// Summands over all destinations.
    pub terms: usize,
    /// Distinct plaintexts.
    pub plaintexts: usize,
    /// Destinations.
    pub outputs: usize,
    /// Rotated sources that blocks of destinations read, over all blocks: at most as many as terms, and fewer where
    /// destinations share them. Zero for a plain sum.
    pub reads: usize,
    /// Whether a rescale is merged.
    pub rescale: bool,
}
