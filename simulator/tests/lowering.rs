//! A lowered program, run on plain slots, computes the network.

#![allow(clippy::unwrap_used)]

mod common;

use common::lowered::{chain, check};
use common::*;
use simulator::config::{BlockSplit, Configuration, PoolMethod, Schedule};
use simulator::fold::{ActivationMethod, Folded};
use simulator::layout::{ChannelOrder, LayoutSpec};
use simulator::lowering::lower;

fn schedules() -> Vec<Schedule> {
    let mut all = Vec::new();
    // The last one is more blocks than can be counted in slots.
    let steps = [0, 2, 4, 1 << 62].map(BlockSplit::Baby);
    for block in [BlockSplit::None, BlockSplit::All].into_iter().chain(steps) {
        for (row, col) in [(false, false), (true, false), (false, true), (true, true)] {
            all.push(Schedule { block, row, col, double_hoisting: true });
        }
    }
    all.push(Schedule::KERNEL_FIRST.unfused());
    all.push(Schedule::CHANNEL_FIRST.unfused());
    all
}

#[test]
fn hear_baseline() {
    let m = model(lenet(8, 8, 8, 1));
    for schedule in [Schedule::KERNEL_FIRST.unfused(), Schedule::CHANNEL_FIRST.unfused()] {
        let mut c = raster(13, ActivationMethod::Quadratic);
        c.linear.iter_mut().for_each(|l| l.schedule = schedule);
        check(&m, &c);
    }
}

#[test]
fn raster_under_every_schedule() {
    let m = model(lenet(8, 4, 6, 2));
    for schedule in schedules() {
        let mut c = raster(13, ActivationMethod::Square);
        c.linear.iter_mut().for_each(|l| l.schedule = schedule);
        check(&m, &c);
    }
}

#[test]
fn interleaved_groups() {
    let m = model(lenet(16, 8, 6, 4));
    for groups in [2, 4, 8] {
        let mut c = raster(13, ActivationMethod::Square);
        for l in &mut c.linear[..2] {
            l.layout.order = ChannelOrder::Interleaved { groups };
        }
        check(&m, &c);
    }
}

#[test]
fn phases_squares_and_folds() {
    let m = model(lenet(8, 16, 16, 2));
    for schedule in schedules() {
        let mut c = phased(13, 16);
        c.linear[1].schedule = schedule;
        c.linear[2].schedule = schedule;
        let lowered = check(&m, &c);
        let counts = lowered.program.counts();
        // Four phases of each of the channel ciphertexts, one relinearisation for four squares.
        assert_eq!((counts[1].ciphertext_products, counts[1].relinearisations), (4, 1));
        assert_eq!(counts[2].instructions, 0);
    }
}

#[test]
fn phase_planes_share_plaintexts() {
    let m = model(lenet(8, 16, 16, 1));
    let counts = check(&m, &phased(13, 16)).program.counts();
    // 4 output phases x 25 weights, of which the 4 phases share each plaintext; one bias for all phases.
    assert_eq!((counts[0].products, counts[0].plaintexts), (100, 26));
}

#[test]
fn fully_connected_layers_in_many_layouts() {
    let m = model(lenet(8, 16, 16, 1));
    let cases: Vec<(LayoutSpec, usize, LayoutSpec, usize)> = vec![
        // (fc1 layout, fold, fc2 layout, fold)
        (LayoutSpec::units(1, 16), 0x0ff0, LayoutSpec::units(1, 16), 0),
        (LayoutSpec::units(1, 16), 0x0ff0, LayoutSpec::units(1, 4096), 0),
        (LayoutSpec::units(1, 32), 0x0fe0, LayoutSpec::units(16, 16), 0x000f),
        (LayoutSpec::units(256, 16), 0x00ff, LayoutSpec::units(256, 16), 0),
        (LayoutSpec::units(256, 16), 0x00ff, LayoutSpec::units(1, 16), 0x0ff0),
        (LayoutSpec::units(16, 16), 0x0f0f, LayoutSpec::units(1, 16), 0x00f0),
        (
            LayoutSpec { order: ChannelOrder::Spill { step: 1 }, ..LayoutSpec::units(512, 8) },
            0x01fe,
            LayoutSpec { order: ChannelOrder::Spill { step: 4 }, ..LayoutSpec::units(1024, 4) },
            0x03f0,
        ),
    ];
    for (fc1, fold1, fc2, fold2) in cases {
        for (block, radix) in
            [(BlockSplit::None, 2), (BlockSplit::Baby(4), 4), (BlockSplit::All, 8)]
        {
            for method in
                [PoolMethod::Merge, PoolMethod::Fold { radix: 4 }, PoolMethod::RotateHoisted]
            {
                let mut c = phased(13, 16);
                c.pools[1].method = method;
                for (k, layout, fold) in [(2, fc1, fold1), (3, fc2, fold2)] {
                    c.linear[k].layout = layout;
                    c.linear[k].fold = fold;
                    c.linear[k].radix = radix;
                    c.linear[k].schedule.block = block;
                }
                check(&m, &c);
            }
        }
    }
}

#[test]
fn channel_sums_by_folding_blocks() {
    // Convolution outputs a block apart, so that the two input channels of each are summed by a rotation.
    let m = model(lenet(4, 8, 8, 4));
    let mut c = raster(13, ActivationMethod::Square);
    c.linear[1].layout.order = ChannelOrder::Interleaved { groups: 2 };
    c.linear[1].layout.blocks = 2;
    c.linear[1].fold = 0x0800;
    check(&m, &c);
}

#[test]
fn patches_need_no_rotation_in_the_first_layer() {
    let m = model(lenet(8, 8, 8, 1));
    let mut c = phased(13, 8);
    c.input.patches = true;
    c.input.padded = false;
    // One ciphertext per kernel offset of a phase, repeated for every block; of the 100 of four phases, 36 differ.
    let lowered = check(&m, &c);
    assert_eq!(lowered.input.ciphertexts(), 36);
    assert_eq!(lowered.program.inputs, 36);
    assert_eq!(lowered.program.counts()[0].rotations, 0);
}

#[test]
fn repack_costs_a_level_and_changes_nothing() {
    let m = model(lenet(8, 16, 16, 1));
    let mut c = raster(13, ActivationMethod::Square);
    let dense = spec(ChannelOrder::Sequential, 1, 16, 256, 16);
    c.repacks = vec![choice("pool1", dense)];
    c.linear[1].layout = dense;
    c.pools[1].method = PoolMethod::Merge;
    c.linear[2].fold = 0x3ff;
    c.parameters.levels = 8;
    check(&m, &c);
    c.parameters.levels = 7;
    let folded = Folded::new(&m, ActivationMethod::Square).unwrap();
    let error = lower(&folded, &c, &chain(&c), false).unwrap_err().to_string();
    assert!(error.contains("layer fc2 needs level 1 and has 0: add 1 level"), "{error}");
}

#[test]
fn faulty_configurations_are_named() {
    let m = model(lenet(8, 16, 16, 1));
    let folded = Folded::new(&m, ActivationMethod::Square).unwrap();
    let message = |change: &dyn Fn(&mut Configuration)| {
        let mut c = phased(13, 16);
        change(&mut c);
        lower(&folded, &c, &chain(&c), false).unwrap_err().to_string()
    };
    assert!(message(&|c| c.linear.truncate(3)).contains("no linear choice for layer \"fc2\""));
    assert!(message(&|c| c.linear[0].layer = "conv9".into()).contains("conv9"));
    assert!(message(&|c| c.linear[2].fold = 0x100).contains("fold mask 0x100"));
    assert!(message(&|c| c.linear[1].layout.row = 4).contains("overlapping"));
    assert!(message(&|c| c.linear[3].radix = 3).contains("radix"));
    assert!(message(&|c| c.pools[0].method = PoolMethod::Rotate).contains("pool1"));
}

#[test]
fn squares_that_share_the_next_rescale() {
    let m = model(lenet(8, 8, 8, 1));
    let mut c = phased(13, 8);
    c.activations = ActivationMethod::PairedSquare;
    c.parameters.scale_bits = Some(25);
    c.parameters.prime_bits = 46;
    c.parameters.levels = 4;
    let program = check(&m, &c).program;
    // One level for each linear layer, none for a square; results at the nominal scale.
    assert_eq!(program.values[0].level, 4);
    let result = program.values[program.outputs[0]];
    assert_eq!((result.level, result.scale), (0, 25f64.exp2()));
}
