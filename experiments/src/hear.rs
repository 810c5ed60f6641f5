//! The baseline in the manner of HEAR (the system that the SpENCNN paper measures itself against): raster layout with
//! the gaps that pooling leaves and no repacking, every activation as it is (two levels), every rotation, product and
//! rescale an operation of its own. For each linear layer, the better of kernel-first and channel-first.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use simulator::config::{
    Configuration, InputPacking, LinearChoice, ParameterChoice, PoolChoice, PoolMethod, Schedule,
};
use simulator::fold::ActivationMethod;
use simulator::layout::{ChannelOrder, LayoutSpec};
use simulator::network::{LayerKind, Model, Network};

use crate::candidate::{Candidate, Paper};
use crate::profiles::Cost;

/// Bits of the scale. HEAR's own 31 bits hold smaller values than trained networks have here.
const SCALE_BITS: u32 = 33;
/// Bits of the first prime, which holds the result.
const FIRST_BITS: u32 = 44;
/// Bits of the one special prime.
const SPECIAL_BITS: u32 = 46;

/// Name in reports.
pub const NAME: &str = "A (HEAR sequence)";

/// The baseline for a model, priced.
pub fn baseline(
    model: Arc<Model>,
    variant: &str,
    accuracy: Option<f64>,
    cost: &Cost,
) -> Result<Paper> {
    let parameters = parameters(&model.network)?;
    let priced = |schedules: &[Schedule]| -> Result<Paper> {
        let configuration = configuration(&model.network, variant, parameters, schedules)?;
        let candidate = Candidate {
            name: NAME.into(),
            model: Arc::clone(&model),
            recorded_accuracy: accuracy,
            configuration,
        };
        Paper::new(candidate, cost, false)
    };
    let linear: Vec<String> = linear_layers(&model.network).map(str::to_owned).collect();
    let both = [Schedule::KERNEL_FIRST.unfused(), Schedule::CHANNEL_FIRST.unfused()];
    let [kernel, channel] =
        [priced(&vec![both[0]; linear.len()])?, priced(&vec![both[1]; linear.len()])?];
    let time = |paper: &Paper, layer: &str| {
        paper.layers.iter().find(|l| l.name == layer).map_or(f64::INFINITY, |l| l.predicted_ms)
    };
    let better: Vec<Schedule> = linear
        .iter()
        .map(|l| if time(&kernel, l) <= time(&channel, l) { both[0] } else { both[1] })
        .collect();
    priced(&better)
}

fn linear_layers(network: &Network) -> impl Iterator<Item = &str> {
    let linear = |kind: &LayerKind| matches!(kind, LayerKind::Conv { .. } | LayerKind::Fc { .. });
    network.layers.iter().filter(move |l| linear(&l.kind)).map(|l| l.name.as_str())
}

/// One level for each linear layer and two for each activation; the least ring degree that is secure with them.
fn parameters(network: &Network) -> Result<ParameterChoice> {
    let activations = network.layers.iter().filter(|l| l.kind == LayerKind::Activation).count();
    let levels = linear_layers(network).count() + 2 * activations;
    let choice = |log_n| ParameterChoice {
        log_n,
        scale_bits: Some(SCALE_BITS),
        prime_bits: SCALE_BITS,
        first_bits: FIRST_BITS,
        special_bits: SPECIAL_BITS,
        special: 1,
        alpha: 1,
        levels,
    };
    let fits = |p: &ParameterChoice| p.secure() && (1usize << (p.log_n - 1)) >= tile(network).1;
    (13..=16).map(choice).find(fits).with_context(|| {
        format!(
            "no ring degree up to 2^16 is secure with {levels} levels, as HEAR's sequence needs"
        )
    })
}

/// Slots of a row and of a whole map, both powers of two.
fn tile(network: &Network) -> (usize, usize) {
    let row = network.input.width.next_power_of_two();
    (row, row * network.input.height.next_power_of_two())
}

fn configuration(
    network: &Network,
    variant: &str,
    parameters: ParameterChoice,
    schedules: &[Schedule],
) -> Result<Configuration> {
    let slots = 1usize << (parameters.log_n - 1);
    let (pitch, tile) = tile(network);
    let blocks = slots / tile;
    let (mut row, mut col) = (pitch, 1);
    let map = |row, col, blocks| LayoutSpec {
        order: ChannelOrder::Sequential,
        phases: 1,
        row,
        col,
        tile,
        blocks,
    };
    let input_blocks = network.input.channels.next_power_of_two().min(blocks);
    let input = InputPacking { patches: false, padded: false, layout: map(row, col, input_blocks) };
    let (mut linear, mut pools) = (Vec::new(), Vec::new());
    for layer in &network.layers {
        match layer.kind {
            LayerKind::Conv { stride, .. } => {
                (row, col) = (row * stride, col * stride);
                linear.push((layer.name.clone(), map(row, col, blocks)));
            }
            LayerKind::Fc { .. } => {
                linear.push((layer.name.clone(), LayoutSpec::units(tile, blocks)))
            }
            LayerKind::AvgPool { stride, .. } => {
                (row, col) = (row * stride, col * stride);
                pools.push(PoolChoice { layer: layer.name.clone(), method: PoolMethod::Rotate });
            }
            LayerKind::Activation | LayerKind::BatchNorm { .. } | LayerKind::Flatten => {}
            LayerKind::Add | LayerKind::Shortcut { .. } => {
                bail!("HEAR's sequence has no branches, and layer {} belongs to one", layer.name)
            }
        }
    }
    let linear = linear
        .into_iter()
        .zip(schedules)
        .map(|((layer, layout), &schedule)| LinearChoice {
            layer,
            layout,
            schedule,
            fold: 0,
            radix: 2,
        })
        .collect();
    Ok(Configuration {
        network: network.name.clone(),
        variant: variant.into(),
        activations: ActivationMethod::Quadratic,
        parameters,
        input,
        linear,
        pools,
        repacks: Vec::new(),
        scales: None,
    })
}
