//! Baseline A, in the manner of HEAR (the system that the SpENCNN paper measures itself against): raster layout with the
//! gaps that pools and strides leave and no repacking, every rotation, product and rescale an operation of its own, for each
//! linear layer the better of kernel-first and channel-first. The shortcut of a residual block is products and additions of
//! its own, as any other term of a sum that is not fused.
//!
//! HEAR itself has one special prime, as many digits as limbs, and two levels for an activation. A deep network does not fit
//! that: then fewer digits are tried, and activations that are completed squares (one level). The name says what was taken.

use std::sync::Arc;

use anyhow::{Result, bail};
use serde::Serialize;
use simulator::chain::Chain;
use simulator::config::{
    Configuration, InputPacking, LinearChoice, ParameterChoice, PoolChoice, PoolMethod, Schedule,
};
use simulator::fold::{ActivationMethod, Folded, Origin, StageKind};
use simulator::layout::{ChannelOrder, LayoutSpec};
use simulator::lowering::lower;
use simulator::network::{Model, Shape};
use simulator::program::PlaintextForm;

use crate::candidate::{Candidate, Paper};
use crate::memory::show_bytes;
use crate::profiles::Cost;

/// Bits of the scale. HEAR's own 31 bits hold smaller values than trained networks have here.
const SCALE_BITS: u32 = 33;
/// Bits of the first prime, which holds the result.
const FIRST_BITS: u32 = 44;
/// Bits of each special prime.
const SPECIAL_BITS: u32 = 46;
/// Numbers of special primes that are tried, fewest first.
const SPECIAL: [usize; 5] = [1, 2, 3, 5, 8];

/// Name in reports.
pub const NAME: &str = "A (HEAR sequence)";

/// What of a baseline's predicted time goes into choices that are HEAR's, not the network's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// Its predicted time less that of the same instructions with the best number of special primes and digits.
    pub digit_choice_ms: f64,
    /// Predicted time of reading encoded plaintexts from memory.
    pub plaintext_reading_ms: f64,
}

/// The baseline for a model, priced: the first way, in the order above, that is secure and keeps to `memory_limit` bytes.
///
/// # Errors
/// If there is none: what each way would need.
pub fn baseline(
    model: &Arc<Model>,
    variant: &str,
    accuracy: Option<f64>,
    cost: &Cost,
    memory_limit: u64,
) -> Result<Paper> {
    let mut refused = Vec::new();
    for activations in [ActivationMethod::Quadratic, ActivationMethod::Square] {
        let folded = Folded::new(model, activations)?;
        for special in SPECIAL {
            let way = Way { folded: &folded, variant, activations, special };
            let Some(parameters) = way.parameters() else {
                refused.push(format!("{}: no ring degree up to 2^17 is secure", way.name()));
                continue;
            };
            let needed = way.memory_bytes(parameters)?;
            if needed > memory_limit {
                refused.push(format!("{} needs {}", way.name(), show_bytes(needed)));
                continue;
            }
            return way.cheapest(parameters, memory_limit, |configuration| {
                let candidate = Candidate {
                    name: way.name(),
                    model: Arc::clone(model),
                    recorded_accuracy: accuracy,
                    configuration,
                };
                Paper::new(candidate, cost, false)
            });
        }
    }
    bail!(
        "no form of it keeps to the limit of {}: {}",
        show_bytes(memory_limit),
        refused.join("; ")
    )
}

/// Shares of a baseline's predicted time.
///
/// # Errors
/// Those of parameters that the engine does not know.
pub fn shares(paper: &Paper, cost: &Cost) -> Result<Shares> {
    let own = &paper.candidate.configuration.parameters;
    let time = |parameters: &ParameterChoice| -> Result<f64> {
        let chain = parameters.ideal_chain()?;
        Ok(predicted(paper, &chain, cost).0)
    };
    let mut best = time(own)?;
    let whole = best;
    for special in 1..=8 {
        let other = ParameterChoice { special, alpha: special, ..*own };
        if other.secure() {
            best = best.min(time(&other)?);
        }
    }
    let (_, reading) = predicted(paper, &own.ideal_chain()?, cost);
    Ok(Shares { digit_choice_ms: whole - best, plaintext_reading_ms: reading })
}

/// Predicted times of a program under a chain: of all, and of reading plaintexts.
fn predicted(paper: &Paper, chain: &Chain, cost: &Cost) -> (f64, f64) {
    let reading = costmodel::work::Feature::PlaintextBytes.label();
    let (mut all, mut plaintexts) = (0.0, 0.0);
    for (_, primitive, level) in paper.lowered.program.primitives() {
        let prediction = cost.raw.predict(&primitive, &chain.setting(level, cost.threads));
        all += prediction.median_ms;
        let terms = prediction.terms.iter().filter(|(label, _)| *label == reading);
        plaintexts += terms.map(|(_, ms)| ms).sum::<f64>();
    }
    (all, plaintexts)
}

/// One way of doing it.
struct Way<'a> {
    folded: &'a Folded,
    variant: &'a str,
    activations: ActivationMethod,
    special: usize,
}

impl Way<'_> {
    fn name(&self) -> String {
        let mut name = NAME.to_owned();
        if self.special > 1 {
            name += &format!(", {} special primes", self.special);
        }
        if self.activations != ActivationMethod::Quadratic {
            name += ", completed squares";
        }
        name
    }

    /// The least ring degree that is secure with the levels needed and holds a map.
    fn parameters(&self) -> Option<ParameterChoice> {
        let choice = |log_n| ParameterChoice {
            log_n,
            scale_bits: Some(SCALE_BITS),
            prime_bits: SCALE_BITS,
            first_bits: FIRST_BITS,
            special_bits: SPECIAL_BITS,
            special: self.special,
            alpha: self.special,
            levels: self.folded.levels(),
        };
        let fits = |p: &ParameterChoice| p.secure() && (1usize << (p.log_n - 1)) >= self.tile().1;
        (13..=17).map(choice).find(fits)
    }

    /// Predicted memory, with plaintexts on demand.
    fn memory_bytes(&self, parameters: ParameterChoice) -> Result<u64> {
        let configuration = self.configuration(parameters, |_| Schedule::KERNEL_FIRST.unfused());
        let chain = parameters.ideal_chain()?;
        let program = lower(self.folded, &configuration, &chain, false)?.program;
        let form = |form| program.memory(&chain, form).total_bytes();
        Ok(form(PlaintextForm::Stored).min(form(PlaintextForm::ON_DEMAND)))
    }

    /// The better schedule of each layer; kernel-first for all where that takes more than `memory_limit` bytes: every
    /// schedule has rotations, and so keys, of its own.
    fn cheapest(
        &self,
        parameters: ParameterChoice,
        memory_limit: u64,
        price: impl Fn(Configuration) -> Result<Paper>,
    ) -> Result<Paper> {
        let both = [Schedule::KERNEL_FIRST.unfused(), Schedule::CHANNEL_FIRST.unfused()];
        let priced = |schedule: Schedule| price(self.configuration(parameters, |_| schedule));
        let [kernel, channel] = [priced(both[0])?, priced(both[1])?];
        let time = |paper: &Paper, layer: &str| {
            let found = paper.layers.iter().find(|l| l.name == layer);
            found.map_or(f64::INFINITY, |l| l.predicted_ms)
        };
        let better = |layer: &str| match time(&kernel, layer) <= time(&channel, layer) {
            true => both[0],
            false => both[1],
        };
        let mixed = price(self.configuration(parameters, better))?;
        let least = mixed.memory_with(PlaintextForm::ON_DEMAND).total_bytes;
        Ok(if least.min(mixed.memory.total_bytes) <= memory_limit { mixed } else { kernel })
    }

    /// Slots of a row and of a whole map, both powers of two.
    fn tile(&self) -> (usize, usize) {
        let Shape { height, width, .. } = self.folded.input;
        let row = width.next_power_of_two();
        (row, row * height.next_power_of_two())
    }

    fn configuration(
        &self,
        parameters: ParameterChoice,
        schedule: impl Fn(&str) -> Schedule,
    ) -> Configuration {
        let folded = self.folded;
        let slots = 1usize << (parameters.log_n - 1);
        let (pitch, tile) = self.tile();
        let blocks = slots / tile;
        let map = |(row, col), blocks| LayoutSpec {
            order: ChannelOrder::Sequential,
            phases: 1,
            row,
            col,
            tile,
            blocks,
        };
        let input_blocks = folded.input.channels.next_power_of_two().min(blocks);
        let layout = map((pitch, 1), input_blocks);
        let (mut linear, mut pools) = (Vec::new(), Vec::new());
        // Slots between rows, and between columns, of what each stage gives.
        let mut distances: Vec<(usize, usize)> = Vec::with_capacity(folded.stages.len());
        for stage in &folded.stages {
            let (row, col) = match stage.sources[0] {
                Origin::Image => (pitch, 1),
                Origin::Stage(k) => distances[k],
            };
            let spaced = |stride: usize| (row * stride, col * stride);
            let after = match &stage.kind {
                StageKind::Linear(l) => {
                    let after = spaced(l.geometry.stride);
                    let layout = match stage.output.area() {
                        1 => LayoutSpec::units(tile, blocks),
                        _ => map(after, blocks),
                    };
                    linear.push(LinearChoice {
                        layer: stage.name.clone(),
                        layout,
                        schedule: schedule(&stage.name),
                        fold: 0,
                        radix: 2,
                    });
                    after
                }
                StageKind::SumPool { stride, .. } => {
                    let (layer, method) = (stage.name.clone(), PoolMethod::Rotate);
                    pools.push(PoolChoice { layer, method });
                    spaced(*stride)
                }
                StageKind::Square { .. } | StageKind::Quadratic(_) => (row, col),
            };
            distances.push(after);
        }
        Configuration {
            network: folded.name.clone(),
            variant: self.variant.into(),
            activations: self.activations,
            parameters,
            input: InputPacking { patches: false, padded: false, layout },
            linear,
            pools,
            repacks: Vec::new(),
            scales: None,
        }
    }
}
