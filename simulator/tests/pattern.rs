//! Patterns: what a pruned unit saves.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use simulator::config::{Configuration, PoolMethod, Schedule};
use simulator::fold::{ActivationMethod, Folded, StageKind};
use simulator::layout::{ChannelOrder, Layout};
use simulator::lowering::{Diagonals, LinearForm, LinearPlan, Lowered, lower};
use simulator::network::{ConvGeometry, LayerParameters, Model, Shape};
use simulator::pattern::{Family, Grouping, Pattern, UnitMap};

fn counts(stage: &simulator::fold::LinearStage, i: &Layout, o: &Layout) -> (usize, usize) {
    let d = Diagonals::new("conv2", stage, &[i], o, 0, false).unwrap();
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

fn lowered(model: &Model, c: &Configuration) -> Lowered {
    let folded = Folded::new(model, c).unwrap();
    lower(&folded, c, &c.parameters.ideal_chain().unwrap(), false).unwrap()
}

fn products(l: &Lowered, layer: &str) -> usize {
    let at = l.program.layers.iter().position(|n| n == layer).unwrap();
    l.program.counts()[at].products
}

/// Removes single units of the network's own weights and checks how many products of the program go with each.
#[track_caller]
fn check_removal(model: &Model, c: &Configuration, expected: &[(&str, LinearForm, usize)]) {
    let full = lowered(model, c);
    assert_eq!(full.linear.len(), expected.len());
    for (placed, (layer, form, saved)) in full.linear.iter().zip(expected) {
        assert_eq!((placed.layer.as_str(), placed.form), (*layer, *form));
        let map = UnitMap::placed(placed).unwrap();
        assert!(map.units.is_sorted_by(|a, b| a < b));
        for unit in [0, map.units.len() / 2, map.units.len() - 1] {
            let mut pruned = model.clone();
            let at = model.network.layers.iter().position(|l| l.name == *layer).unwrap();
            let LayerParameters::Linear { weight, .. } = &mut pruned.parameters[at] else {
                unreachable!()
            };
            assert_eq!(weight.len(), map.of_weight.len());
            let mine = map.of_weight.iter().zip(weight).filter(|(n, _)| **n as usize == unit);
            mine.for_each(|(_, w)| *w = 0.0);
            let left = products(&lowered(&pruned, c), layer);
            assert_eq!(products(&full, layer) - left, *saved, "unit {unit} of {layer}");
        }
    }
}

#[test]
fn a_unit_of_the_networks_weights_is_what_a_product_holds() {
    use LinearForm::{Merged, Patches, Plain};
    let m = model(lenet(8, 16, 16, 2));
    let mut c = raster(13, ActivationMethod::Square);
    c.linear[1].layout.order = ChannelOrder::Interleaved { groups: 2 };
    let layers = ["conv1", "conv2", "fc1", "fc2"];
    check_removal(&m, &c, &layers.map(|l| (l, Plain, 1)));

    // Four phases of the output share a unit of the first layer, whether or not the client makes patches.
    let mut c = phased(13, 16);
    let mut forms = layers.map(|l| (l, Plain, 1));
    // The other layers read four phases and leave one.
    forms[0].2 = 4;
    check_removal(&m, &c, &forms);
    (c.input.patches, c.input.padded) = (true, false);
    forms[0].1 = Patches;
    check_removal(&m, &c, &forms);

    // With the pool before it, a layer has four positions for each of its own. The hundred of the last pool's window are on as many
    // diagonals, unless they are summed up by rotations.
    c.pools[1].method = PoolMethod::Merge;
    forms[2] = ("fc1", Merged { kernel: (10, 10), stride: (10, 10) }, 100);
    check_removal(&m, &c, &forms);
    c.linear[2].fold = 0x00ff;
    forms[2].2 = 1;
    check_removal(&m, &c, &forms);
    let mut c = raster(13, ActivationMethod::Square);
    c.pools[0].method = PoolMethod::Merge;
    let mut forms = layers.map(|l| (l, Plain, 1));
    forms[1] = ("conv2", Merged { kernel: (2, 2), stride: (2, 2) }, 4);
    check_removal(&m, &c, &forms);
}

#[test]
fn scores_decide_what_goes() {
    let m = model(lenet(16, 8, 6, 4));
    let placed = lowered(&m, &raster(13, ActivationMethod::Square)).linear.swap_remove(1);
    let map = UnitMap::placed(&placed).unwrap();
    let LayerParameters::Linear { weight, .. } = &m.parameters[3] else { unreachable!() };
    // The importance of a unit is the number of its weights times this.
    let of = |unit: usize| ((unit * 37) % map.units.len()) as f64;
    let scores: Vec<f64> = map.of_weight.iter().map(|n| of(*n as usize)).collect();
    let all = Pattern::from_scores(&map, weight, &scores).unwrap();
    let sizes: Vec<f64> = (0..map.units.len() as u32)
        .map(|k| map.of_weight.iter().filter(|n| **n == k).count() as f64)
        .collect();
    for (k, unit) in map.units.iter().enumerate() {
        assert!(
            (all.units[unit].powi(2) - of(k) * sizes[k]).abs() < 1e-9 * (1.0 + of(k) * sizes[k])
        );
    }
    let half = all.prune(Family::SubBlock, 0.5).unwrap();
    let (kept, gone): (Vec<usize>, Vec<usize>) =
        (0..sizes.len()).partition(|k| half.units.contains_key(&map.units[*k]));
    let worth =
        |list: Vec<usize>| -> Vec<f64> { list.iter().map(|k| of(*k) * sizes[*k]).collect() };
    let (kept, gone) = (worth(kept), worth(gone));
    assert_eq!(kept.len(), sizes.len() / 2);
    let (least, most) =
        (kept.iter().fold(f64::MAX, |a, b| a.min(*b)), gone.iter().fold(0.0f64, |a, b| a.max(*b)));
    assert!(most <= least * (1.0 + 1e-12));
    let share = kept.iter().sum::<f64>() / (kept.iter().sum::<f64>() + gone.iter().sum::<f64>());
    assert!((half.kept_energy(&all) - share).abs() < 1e-12);
    // Weights that are gone have no units, whatever their scores.
    let none = Pattern::from_scores(&map, &vec![0.0; weight.len()], &scores).unwrap();
    assert!(none.units.is_empty());
    let error =
        |scores: &[f64]| Pattern::from_scores(&map, weight, scores).unwrap_err().to_string();
    assert!(error(&scores[1..]).contains("number of scores"));
    assert!(error(&vec![-1.0; scores.len()]).contains("a score is -1"));
    assert!(error(&vec![f64::NAN; scores.len()]).contains("a score is NaN"));
}

#[test]
fn groups_keep_the_importance_of_what_they_reach() {
    let map = Shape::new(4, 3, 3);
    let (kernel, stride, padding) = ((1, 1), (1, 1), (0, 0));
    let g = ConvGeometry { input: map, output: map, kernel, stride, padding, groups: 1 };
    // One within two groups, three outside of them.
    let scores: Vec<f64> =
        (0..16).map(|k| if k / 4 / 2 == k % 4 / 2 { 1.0 } else { 3.0 }).collect();
    let kept = |groups, shuffled| Grouping { groups, shuffled }.kept(&g, &scores);
    assert_eq!(kept(1, false), 1.0);
    assert_eq!(kept(2, false), 0.25);
    // Each output reads one channel of its own group and one of the other.
    assert_eq!(kept(2, true), 0.5);
    assert_eq!(kept(4, false), 4.0 / 32.0);
    assert_eq!(Grouping { groups: 2, shuffled: false }.kept(&g, &[0.0; 16]), 1.0);
}
