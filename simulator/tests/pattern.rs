//! Patterns: what a pruned unit saves.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use simulator::fold::{ActivationMethod, Folded, StageKind};
use simulator::layout::{ChannelOrder, Layout};
use simulator::lowering::{Diagonals, LinearPlan, Schedule};
use simulator::pattern::{Family, Pattern};

fn counts(stage: &simulator::fold::LinearStage, i: &Layout, o: &Layout) -> (usize, usize) {
    let d = Diagonals::new("conv2", stage, i, o, 0, false).unwrap();
    LinearPlan::new(&d, &Schedule::DIRECT).rotations_and_products()
}

#[test]
fn pruned_units_save_exactly_one_product_each() {
    let model = model(lenet(16, 8, 6, 4));
    let folded = Folded::new(&model, ActivationMethod::Square).unwrap();
    let StageKind::Linear(stage) = &folded.stages[3].kind else { unreachable!() };
    let order = ChannelOrder::Interleaved { groups: 4 };
    let s = spec(order, 1, 16, 256, 8);
    let input = s.layout(4096, stage.geometry.input, Default::default()).unwrap();
    let output = s.layout(4096, stage.geometry.output, Default::default()).unwrap();
    let all = Pattern::from_weights(stage, &input, &output, 0).unwrap();
    // 8 channels per ciphertext in 4 groups: two input ciphertexts, one output, 2 diagonals, 25 positions.
    assert_eq!((all.units.len(), all.dense), (100, 400));
    assert_eq!(all.family, Family::Grouped);
    let (rotations, products) = counts(stage, &input, &output);
    assert_eq!((rotations, products), (98, 100));

    let half = all.prune(Family::SubBlock, 0.5).unwrap();
    let pruned = half.apply(stage, &input, &output, 0).unwrap();
    assert_eq!(counts(&pruned, &input, &output).1, 50);
    assert_eq!(Pattern::from_weights(&pruned, &input, &output, 0).unwrap().units, half.units);
    // The least important half goes.
    let least = half.units.values().fold(f64::INFINITY, |a, b| a.min(*b));
    let gone = all.units.iter().filter(|(u, _)| !half.units.contains_key(u));
    assert!(gone.map(|(_, n)| *n).fold(0.0, f64::max) <= least);
    assert!(half.kept_energy(&all) > 0.5);
    assert_eq!(half.kept_share(), 0.125);
}

#[test]
fn rotation_aligned_pruning_saves_rotations() {
    let model = model(lenet(16, 32, 6, 4));
    let folded = Folded::new(&model, ActivationMethod::Square).unwrap();
    let StageKind::Linear(stage) = &folded.stages[3].kind else { unreachable!() };
    let s = spec(ChannelOrder::Interleaved { groups: 4 }, 1, 16, 256, 8);
    let input = s.layout(4096, stage.geometry.input, Default::default()).unwrap();
    let output = s.layout(4096, stage.geometry.output, Default::default()).unwrap();
    let all = Pattern::from_weights(stage, &input, &output, 0).unwrap();
    let count = |family| {
        let p = all.prune(family, 0.5).unwrap();
        counts(&p.apply(stage, &input, &output, 0).unwrap(), &input, &output)
    };
    let (full, _) = counts(stage, &input, &output);
    let (aligned, products) = count(Family::RotationAligned);
    assert_eq!(products, 200);
    assert!(aligned <= full / 2 + 1);
    let (single, products) = count(Family::SubBlock);
    assert_eq!(products, 200);
    assert!(single > aligned);
    assert!(all.prune(Family::SubBlock, 1.5).is_err());
}

#[test]
fn fully_connected_units_are_diagonals() {
    let model = model(lenet(8, 16, 16, 1));
    let folded = Folded::new(&model, ActivationMethod::Square).unwrap();
    let (_, fc2) = folded.linear().last().unwrap();
    let units = |tile, blocks, shape| {
        simulator::layout::LayoutSpec::units(tile, blocks)
            .layout(4096, shape, Default::default())
            .unwrap()
    };
    let (i, o) = (units(256, 16, fc2.geometry.input), units(256, 16, fc2.geometry.output));
    let p = Pattern::from_weights(fc2, &i, &o, 0).unwrap();
    assert_eq!(p.units.len(), 16);
    let half = p.prune(Family::SubBlock, 0.5).unwrap().apply(fc2, &i, &o, 0).unwrap();
    assert_eq!(counts(&half, &i, &o).1, 8);
}
