//! Options that several sub-commands share.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use costmodel::Machine;
use simulator::network::Network;
use simulator::pattern::Family;
use simulator::precision::Demand;

use crate::design::plan::{PatternWish, read_scores};
use crate::design::wish;
use crate::design::wish::{ImagesArg, PlaintextsArg, Refine, SpaceArg, Wish};
use crate::inputs::networks::Source;
use crate::inputs::onnx::{Activations, Options};
use crate::machine::memory::{self, parse_bytes, show_bytes};
use crate::machine::profiles::{self, Calibration};
use crate::machine::threads;
use crate::process::files;

/// Which machine, and how much of it.
#[derive(Debug, Clone, Args)]
pub struct MachineArgs {
    /// Threads that compute [default: all hardware threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Calibration profile [default: this machine's, below $SPENCNN_HOME or ~/.spencnn, or in ./profiles]
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
}

impl MachineArgs {
    /// The thread count, see [`threads::number`].
    pub fn threads(&self, machine: &Machine) -> usize {
        threads::number(self.threads, machine)
    }

    /// The profile; an error that says how to make one if there is none.
    pub fn calibration(&self, machine: &Machine) -> Result<Calibration> {
        profiles::needed(machine, self.profile.as_deref())
    }
}

/// Which network.
#[derive(Debug, Clone, Args)]
pub struct NetworkArgs {
    /// An embedded network (lenet, vgg5, vgg5-slim, hefnet, resnet20), a description file (TOML) or a model (*.onnx)
    #[arg(long, value_name = "NAME|FILE", default_value = "lenet")]
    pub network: OsString,
    /// Of an ONNX model: quadratics in place of activations that cannot be encrypted, to price it before it is trained so:
    /// lines `Relu = [a, b, c]` (TOML), by operator or by name of a node
    #[arg(long, value_name = "FILE")]
    pub activations: Option<PathBuf>,
    /// Of an ONNX model: mean of the pixels (0 to 1) that images are normalised with, one for all channels or for each
    #[arg(long, value_name = "M,...", value_delimiter = ',', value_parser = finite, allow_hyphen_values = true)]
    pub mean: Option<Vec<f64>>,
    /// Of an ONNX model: standard deviation that images are divided by then
    #[arg(long, value_name = "S,...", value_delimiter = ',', value_parser = finite)]
    pub std: Option<Vec<f64>>,
}

impl NetworkArgs {
    /// Opens the network.
    pub fn open(&self) -> Result<Source> {
        let activations = match &self.activations {
            None => Activations::default(),
            Some(path) => {
                let what = || format!("activations {}", path.display());
                let text = std::fs::read_to_string(path).with_context(what)?;
                Activations::from_toml(&text).map_err(|e| anyhow!(e)).with_context(what)?
            }
        };
        let (mean, std) = (self.mean.clone(), self.std.clone());
        Source::open_with(&self.network, Options { activations, mean, std })
    }
}

/// How much memory.
#[derive(Debug, Clone, Args)]
pub struct MemoryArgs {
    /// Refuse what is predicted to need more memory, before allocating it [default: nine tenths of what machine,
    /// container and process (ulimit -v) leave]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub memory_limit: Option<u64>,
}

impl MemoryArgs {
    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.memory_limit
            .unwrap_or_else(|| memory::available_bytes().map_or(u64::MAX, |b| b / 10 * 9))
    }

    /// An error if `needed` bytes are over the limit.
    pub fn check(&self, what: &str, needed: u64) -> Result<()> {
        let limit = self.limit();
        if needed > limit {
            bail!(
                "{what} is predicted to need {}, over the limit of {}; raise --memory-limit, or choose a smaller network, \
                 variant or configuration",
                show_bytes(needed),
                show_bytes(limit)
            );
        }
        Ok(())
    }

    /// An error if the weights of a network and the maps of a plain forward pass in each thread are over the limit: to
    /// be asked before any of them is allocated.
    pub fn check_network(&self, network: &Network, threads: usize) -> Result<()> {
        let bytes = network.plain_bytes(threads);
        self.check(&format!("network {} without encryption", network.name), bytes)
    }
}

/// Limits, and permission to go below the security level.
#[derive(Debug, Clone, Args)]
pub struct ResourceArgs {
    /// How much memory.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Accept parameters below 128-bit security: for experiments, never for real data
    #[arg(long)]
    pub allow_insecure: bool,
}

impl ResourceArgs {
    /// The limit in bytes.
    pub fn memory_limit(&self) -> u64 {
        self.memory.limit()
    }
}

/// A number from 0 to 1. It is none of `nan`, `inf` and `-1`, which a plain number may be.
pub fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err(format!("found {text:?}, expected a number from 0 to 1")),
    }
}

/// A number that is neither infinite nor `nan`.
pub fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("found {text:?}, expected a finite number")),
    }
}

/// A time from 0 seconds to a day.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=86_400.0).contains(&value) => Ok(value),
        _ => Err(format!("found {text:?}, expected a number of seconds from 0 to 86400")),
    }
}

/// What the search is for.
#[derive(Debug, Clone, Args)]
pub struct SearchArgs {
    /// Only these variants of the network; `random` and `random-gN` (N groups) are untrained [default: all described, or
    /// `random`]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub variant: Vec<String>,
    /// Largest loss of accuracy against the dense variant, as a fraction
    #[arg(long, value_name = "FRACTION", default_value_t = 0.005, value_parser = fraction, allow_hyphen_values = true)]
    pub max_drop: f64,
    /// Where to look
    #[arg(long, value_enum, default_value_t = SpaceArg::Full)]
    pub space: SpaceArg,
    /// Only these ring degrees, as base-2 logarithms [default: 13, 14, 15, 16; the first that will do]
    #[arg(long, value_name = "LOG2,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(12..=17))]
    pub log_n: Vec<u32>,
    /// Images that share a ciphertext: a power of two, or auto for as many as make the time of an image the least. Each takes
    /// longer then, and all together less
    #[arg(long, value_name = "K|auto", default_value = "1", value_parser = ImagesArg::parse)]
    pub images_per_ciphertext: ImagesArg,
    /// Most ciphertexts that the client sends for an image: few keep the upload small, many save the first layer's rotations
    #[arg(long, value_name = "N", default_value_t = wish::MAX_INPUTS, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub max_inputs: u16,
    /// Most layers that only bring a map into another layout, at a level each: they can pay where pools and strides have
    /// left gaps, and make the search slower
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub repacks: u8,
    /// How plaintexts are kept
    #[arg(long, value_enum, default_value_t = PlaintextsArg::Auto)]
    pub plaintexts: PlaintextsArg,
    /// How precise logits must be.
    #[command(flatten)]
    pub precision: PrecisionArgs,
    /// Follow only the few cheapest layouts from layer to layer: a fast answer for a large network, seldom the best one
    #[arg(long)]
    pub quick: bool,
    /// Journal of everything evaluated (JSON lines); a search resumes from it
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

/// Families of patterns: what is removed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FamilyArg {
    /// Single units: saves products
    SubBlock,
    /// All outputs' units of an input, diagonal and kernel position: saves rotations too
    RotationAligned,
    /// All kernel positions of an output, input and diagonal
    DiagonalSelection,
    /// Kernel positions, for all channels
    KernelPosition,
    /// Input ciphertexts, for all outputs: the layer before need not make them
    InputCiphertext,
}

impl FamilyArg {
    /// The family.
    pub fn family(self) -> Family {
        match self {
            Self::SubBlock => Family::SubBlock,
            Self::RotationAligned => Family::RotationAligned,
            Self::DiagonalSelection => Family::DiagonalSelection,
            Self::KernelPosition => Family::KernelPosition,
            Self::InputCiphertext => Family::InputCiphertext,
        }
    }
}

/// How groups and patterns of units are searched for.
#[derive(Debug, Clone, Args)]
pub struct PatternArgs {
    /// Search for a plan: groups and which units to keep for every convolution but the first, and units of fully connected layers
    /// but the last, together with layouts and schedules, for a network that is to be trained from the dense one. --out then names
    /// a folder
    #[arg(long, conflicts_with_all = ["variant", "repacks", "journal", "refine", "images_per_ciphertext"])]
    pub patterns: bool,
    /// What may be removed together [default: each of them]
    #[arg(long, value_enum, value_delimiter = ',', requires = "patterns")]
    pub family: Vec<FamilyArg>,
    /// Most groups of a layer [default: as many as trained networks of this kind have had: 8, and 1 in residual networks]
    #[arg(long, value_name = "N", requires = "patterns", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub max_groups: Option<u16>,
    /// No shuffled groups
    #[arg(long, requires = "patterns")]
    pub no_shuffle: bool,
    /// Variant that training starts from: groups that it has cost nothing more, and what it has lost is part of every expected
    /// drop [default: the dense one]
    #[arg(long, value_name = "NAME", requires = "patterns")]
    pub start: Option<String>,
    /// Scores of the weights that training starts from (safetensors), or of a variant's with groups, which say nothing of what
    /// groups cost (squares do then): `<layer>.taylor`, of the weights' shape [default: squares of the weights]
    #[arg(long, value_name = "FILE", requires = "patterns")]
    pub importance: Option<PathBuf>,
    /// Most plans that are lowered and shown
    #[arg(long, value_name = "K", requires = "patterns", default_value_t = 6, value_parser = clap::value_parser!(u16).range(2..=100))]
    pub plans: u16,
}

impl PatternArgs {
    /// What is asked of the search; reads the scores.
    pub fn wish(&self, source: &Source, max_drop: f64) -> Result<PatternWish> {
        let scores = self.importance.as_deref();
        Ok(PatternWish {
            families: self.family.iter().map(|family| family.family()).collect(),
            max_groups: self.max_groups.map(usize::from),
            shuffles: !self.no_shuffle,
            start: self.start.clone(),
            scores: scores.map(|path| read_scores(source, path)).transpose()?,
            max_drop,
            most: usize::from(self.plans),
        })
    }
}

/// How precise logits must be.
#[derive(Debug, Clone, Copy, Args)]
pub struct PrecisionArgs {
    /// Fewest bits of precision of the logits, relative to the largest logit of an image: so many that its class stays
    #[arg(long, value_name = "BITS", default_value_t = wish::MIN_BITS, value_parser = finite, allow_hyphen_values = true)]
    pub min_precision: f64,
    /// Count those bits after the binary point, whatever the size of the logits
    #[arg(long)]
    pub absolute_precision: bool,
}

impl PrecisionArgs {
    /// What is asked for.
    pub fn demand(self) -> Demand {
        match self.absolute_precision {
            true => Demand::Absolute(self.min_precision),
            false => Demand::Relative(self.min_precision),
        }
    }
}

/// Whether, and how, the fastest configurations are chosen from by timing them.
#[derive(Debug, Clone, Copy, Args)]
pub struct RefineArgs {
    /// Time all instructions of so many configurations (8 without a number), the fastest by the profile, on this machine, in order
    /// and with random operands, and choose by that. Times are kept beside the profile: what is known is not timed again
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..=1000))]
    refine: Option<Option<u16>>,
    /// Seconds of that for each configuration
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    refine_seconds: f64,
}

/// Configurations that are timed unless another number is given.
const REFINED: u16 = 8;

impl RefineArgs {
    /// What was asked for, if anything was.
    pub fn optional(self) -> Option<Refine> {
        self.refine.map(|_| self.usual())
    }

    /// What was asked for, or else the usual.
    pub fn usual(self) -> Refine {
        let configurations = usize::from(self.refine.flatten().unwrap_or(REFINED));
        Refine { configurations, seconds: self.refine_seconds }
    }
}

impl SearchArgs {
    /// What they ask for, together with resources.
    pub fn wish(&self, resources: &ResourceArgs, threads: usize) -> Wish {
        Wish {
            variants: self.variant.clone(),
            max_drop: self.max_drop,
            space: self.space,
            log_n: self.log_n.clone(),
            images: self.images_per_ciphertext.numbers(),
            max_inputs: usize::from(self.max_inputs),
            repacks: usize::from(self.repacks),
            precision: self.precision.demand(),
            plaintexts: self.plaintexts,
            quick: self.quick,
            smallest: None,
            shard: None,
            memory_limit: resources.memory_limit(),
            insecure: resources.allow_insecure,
            threads,
            journal: self.journal.clone(),
            wanted: 1,
            refine: None,
        }
    }

    /// Checks, before any work, that the journal can be written.
    pub fn check_files(&self) -> Result<()> {
        self.journal.as_deref().map_or(Ok(()), files::check_appendable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_refused() {
        assert_eq!(
            (fraction("0.005"), fraction("1"), finite("-3.5")),
            (Ok(0.005), Ok(1.0), Ok(-3.5))
        );
        for bad in ["nan", "inf", "-inf", "-0.1", "1.5", "", "1e999"] {
            assert!(fraction(bad).unwrap_err().contains("from 0 to 1"), "{bad}");
        }
        for bad in ["nan", "inf", "-1", "86401", "x"] {
            assert!(seconds(bad).unwrap_err().contains("from 0 to 86400"), "{bad}");
        }
        for bad in ["nan", "NaN", "inf", "-inf", "1e999", "x"] {
            assert!(finite(bad).unwrap_err().contains("a finite number"), "{bad}");
        }
    }
}
