//! What is asked of a search: options, and what they mean to it.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use simulator::fold::ActivationMethod;
use simulator::network::{LayerParameters, Model};
use simulator::precision::Demand;
use simulator::program::PlaintextForm;
use simulator::search::{Limits, Space};

use crate::design::candidate::{Estimate, LeftOut};

use crate::design::shard::Shard;
use crate::inputs::networks::Source;

/// Bits of precision that logits must have, relative to the largest of an image: an error of 0.4 % of that.
pub const MIN_BITS: f64 = 8.0;
/// Most ciphertexts that the client sends for an image, if nothing else is asked for.
pub const MAX_INPUTS: u16 = 48;
/// Bits by which a prediction of precision must exceed them. Three of four runs on the images that it is made on are that
/// precise; of others, with errors of their encodings and keys that they happen to have, few are less so by more than half a
/// bit (see the simulator's test of random networks). And the largest of a thousand Gaussian errors, ten logits of a hundred
/// images, is 1.4 times that of forty: another half.
const MARGIN_BITS: f64 = 1.0;
/// Smallest scale looked at where squares are rescaled, in bits. Noise takes well over ten of them, so that fewer cannot
/// leave logits with as many bits as they must have.
const LEAST_SCALE_BITS: u32 = 26;

/// How plaintexts are kept in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlaintextsArg {
    /// Encoded once, before the first image
    Stored,
    /// As values, encoded again for every image whenever an instruction needs them: a few times less memory
    OnDemand,
    /// Stored if that fits the memory limit, else on demand
    Auto,
}

impl PlaintextsArg {
    /// The forms that it allows, the one to prefer first; there is one at least.
    pub fn forms(self) -> &'static [PlaintextForm] {
        let (stored, on_demand) = const { PlaintextForm::ALL.split_at(1) };
        match self {
            Self::Stored => stored,
            Self::OnDemand => on_demand,
            Self::Auto => &PlaintextForm::ALL,
        }
    }

    /// The first of [`Self::forms`] whose bytes, by `memory`, are within a limit; the last where none is.
    pub fn fitting(self, memory: impl Fn(PlaintextForm) -> u64, limit: u64) -> PlaintextForm {
        let forms = self.forms();
        let fits = forms.iter().find(|form| memory(**form) <= limit);
        *fits.unwrap_or(&forms[forms.len() - 1])
    }

    /// Chooses the forms of what is run side by side, given the bytes that are left for it: the first of [`Self::forms`], but
    /// then a further one, first where most can be saved, until all fits or nothing is left to save.
    pub fn choose(self, estimates: &mut [Estimate], available: u64) {
        let forms = self.forms();
        let last = forms[forms.len() - 1];
        estimates.iter_mut().for_each(|p| p.set_plaintexts(forms[0]));
        let saved =
            |p: &Estimate| p.memory.total_bytes.saturating_sub(p.memory_with(last).total_bytes);
        while total_bytes(estimates) > available {
            let Some(estimate) = estimates.iter_mut().max_by_key(|p| saved(p)) else { break };
            let at = forms.iter().position(|form| *form == estimate.plaintexts);
            match at.and_then(|at| forms.get(at + 1)) {
                Some(next) if saved(estimate) > 0 => estimate.set_plaintexts(*next),
                _ => break,
            }
        }
    }
}

/// Predicted memory of what is run side by side.
pub fn total_bytes(estimates: &[Estimate]) -> u64 {
    estimates.iter().map(|p| p.memory.total_bytes).sum()
}

/// Where the search may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpaceArg {
    /// Raster and group-interleaved layouts, as in the paper
    Paper,
    /// Everything that the lowering knows
    Full,
}

/// How many images share a ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImagesArg {
    /// So many.
    Of(usize),
    /// As many as make the time of an image the least.
    Auto,
}

/// The most images looked at where the search chooses their number: beyond, rings are so large that an image takes longer.
const MOST_IMAGES: usize = 16;

impl ImagesArg {
    /// Reads a number, a power of two, or `auto`.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let number = text.parse().ok().filter(|n: &usize| n.is_power_of_two());
        match number.filter(|n| *n <= simulator::layout::MAX_SLOTS) {
            Some(images) => Ok(Self::Of(images)),
            None if text == "auto" => Ok(Self::Auto),
            None => Err(format!(
                "found {text:?}, expected auto or a power of two up to {}",
                simulator::layout::MAX_SLOTS
            )),
        }
    }

    /// Numbers to look at.
    pub fn numbers(self) -> Vec<usize> {
        match self {
            Self::Of(images) => vec![images],
            Self::Auto => (0..=MOST_IMAGES.ilog2()).map(|bits| 1 << bits).collect(),
        }
    }
}

/// How a search is refined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refine {
    /// Configurations whose instructions are timed: the fastest by the profile.
    pub configurations: usize,
    /// Seconds of measuring for each.
    pub seconds: f64,
}

/// What is asked of a search.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Variants to look at; all if empty.
    pub variants: Vec<String>,
    /// Largest loss of accuracy against the network's baseline variant.
    pub max_drop: f64,
    /// Where to look.
    pub space: SpaceArg,
    /// Ring degrees to look at, as base-2 logarithms; the space's own if empty.
    pub log_n: Vec<u32>,
    /// Numbers of images of a ciphertext to look at, powers of two: not empty. More than one for the least time of an image.
    pub images: Vec<usize>,
    /// Most ciphertexts that the client sends for an image.
    pub max_inputs: usize,
    /// Most layers that only change a layout.
    pub repacks: usize,
    /// How precise logits must be.
    pub precision: Demand,
    /// How plaintexts are kept.
    pub plaintexts: PlaintextsArg,
    /// Whether a quick answer will do.
    pub quick: bool,
    /// If set, look at this many variants only, those with the fewest weights.
    pub smallest: Option<usize>,
    /// If set, the part of the variants to look at.
    pub shard: Option<Shard>,
    /// Most memory, in bytes.
    pub memory_limit: u64,
    /// Whether parameters may be insecure.
    pub insecure: bool,
    /// Threads to predict for.
    pub threads: usize,
    /// Journal to resume from and to append to.
    pub journal: Option<PathBuf>,
    /// How many configurations of each variant are wanted, the fastest; of the others only those on the front.
    pub wanted: usize,
    /// Whether the fastest are chosen from by timing their instructions.
    pub refine: Option<Refine>,
}

impl Wish {
    /// The same for one variant, whatever its accuracy.
    pub fn only(&self, variant: &str) -> Self {
        Self {
            variants: vec![variant.into()],
            max_drop: 1.0,
            smallest: None,
            shard: None,
            ..self.clone()
        }
    }
}

impl Wish {
    /// The variants to search, and those left out with the reason.
    pub fn admissible(&self, source: &Source) -> Result<(Vec<String>, Vec<LeftOut>)> {
        let reference = source.accuracy(source.baseline())?;
        let all: Vec<String> =
            if self.variants.is_empty() { source.variants() } else { self.variants.clone() };
        let (mut names, mut left_out) = (Vec::new(), Vec::new());
        for name in all {
            let lost = reference.zip(source.accuracy(&name)?).map(|(r, own)| r - own);
            match lost.filter(|lost| *lost > self.max_drop + 1e-12) {
                Some(lost) => {
                    let reason = format!("loses {:.2} points of accuracy", 100.0 * lost);
                    left_out.push(LeftOut { name, reason });
                }
                None => names.push(name),
            }
        }
        if let Some(most) = self.smallest {
            let sizes =
                names.iter().map(|n| Ok(weights(&source.model(n)?))).collect::<Result<Vec<_>>>()?;
            let mut order: Vec<usize> = (0..names.len()).collect();
            order.sort_by_key(|&k| sizes[k]);
            let reason = format!("is not among the {most} variants with the fewest weights");
            for &k in order.iter().skip(most) {
                left_out.push(LeftOut { name: names[k].clone(), reason: reason.clone() });
            }
            names = order.iter().take(most).map(|&k| names[k].clone()).collect();
        }
        if let Some(shard) = self.shard {
            names = shard.of(names);
        }
        Ok((names, left_out))
    }

    pub(super) fn space(&self, activations: ActivationMethod) -> Space {
        let space = match self.space {
            SpaceArg::Paper => Space::paper(),
            SpaceArg::Full => Space::default(),
        };
        let log_n = if self.log_n.is_empty() { space.log_n } else { self.log_n.clone() };
        // A large layer takes seconds to lower.
        let keep = if self.quick { 1 } else { space.keep };
        Space {
            log_n,
            activations,
            max_inputs: self.max_inputs,
            repacks: self.repacks,
            quick: self.quick,
            keep,
            threads: self.threads,
            min_scale_bits: LEAST_SCALE_BITS,
            ..space
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            accuracy_drop: None,
            memory_bytes: Some(self.memory_limit),
            on_demand: self.plaintexts != PlaintextsArg::Stored,
            precision: self.precision.plus(MARGIN_BITS),
        }
    }
}

/// Weights that are not zero.
fn weights(model: &Model) -> usize {
    let count = |parameters: &LayerParameters| match parameters {
        LayerParameters::Linear { weight, .. } => weight.iter().filter(|w| **w != 0.0).count(),
        _ => 0,
    };
    model.parameters.iter().map(count).sum()
}
