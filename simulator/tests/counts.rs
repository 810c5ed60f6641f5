//! Exact counts of convolutions, against the published ones of HEAR's and of group-interleaved packing.

#![allow(clippy::unwrap_used)]

use simulator::config::{BlockSplit, Schedule};
use simulator::fold::{LinearPart, LinearStage};
use simulator::layout::{ChannelOrder, Layout, LayoutSpec, Margin};
use simulator::lowering::{Diagonals, LinearPlan};
use simulator::network::{ConvGeometry, Shape};

const SLOTS: usize = 8192;

struct Case {
    channels: (usize, usize),
    extent: (usize, usize),
    kernel: usize,
    padding: usize,
    /// Slots between columns: what pooling has left.
    gap: usize,
    groups: usize,
}

impl Case {
    fn new(
        channels: (usize, usize),
        extent: (usize, usize),
        kernel: usize,
        padding: usize,
        gap: usize,
    ) -> Self {
        Self { channels, extent, kernel, padding, gap, groups: 1 }
    }

    fn grouped(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    fn stage(&self) -> LinearStage {
        let (input, output) = self.shapes();
        let geometry = ConvGeometry {
            input,
            output,
            kernel: (self.kernel, self.kernel),
            stride: (1, 1),
            padding: (self.padding, self.padding),
            groups: self.groups,
        };
        LinearStage {
            main: LinearPart::new(geometry, vec![1.0; geometry.weights()]),
            shortcuts: Vec::new(),
            bias: vec![0.0; output.len()],
        }
    }

    fn shapes(&self) -> (Shape, Shape) {
        let (i, o) = self.extent;
        (Shape::new(self.channels.0, i, i), Shape::new(self.channels.1, o, o))
    }

    /// Eight channels of 1024 slots per ciphertext, with the pool's gaps and garbage in them.
    fn layout(&self, shape: Shape) -> Layout {
        let order = if self.groups == 1 {
            ChannelOrder::Sequential
        } else {
            ChannelOrder::Interleaved { groups: self.groups }
        };
        let spec = LayoutSpec {
            order,
            phases: 1,
            row: 32 * self.gap,
            col: self.gap,
            tile: 1024,
            blocks: 8,
        };
        let layout = spec.layout(SLOTS, shape, Margin::default()).unwrap();
        Layout { clean: false, ..layout }
    }

    /// Rotations and products under both of HEAR's schedules.
    fn counts(&self) -> [(usize, usize); 2] {
        let (input, output) = self.shapes();
        let diagonals = Diagonals::new(
            "conv",
            &self.stage(),
            &[&self.layout(input)],
            &self.layout(output),
            0,
            false,
        )
        .unwrap();
        [Schedule::KERNEL_FIRST, Schedule::CHANNEL_FIRST]
            .map(|s| LinearPlan::new(&diagonals, &s).rotations_and_products())
    }
}

#[track_caller]
fn best(case: &Case, expected: (usize, usize)) {
    assert_eq!(case.counts().into_iter().min().unwrap(), expected);
}

fn lenet_conv2() -> Case {
    Case::new((64, 32), (14, 10), 5, 0, 2)
}

#[test]
fn lenet_conv2_dense() {
    // Kernel-first: 24 * 8 + 7 * 4; channel-first: 7 * 8 + 24 * 4.
    assert_eq!(lenet_conv2().counts(), [(220, 6400), (152, 6400)]);
}

#[test]
fn lenet_conv2_in_four_groups() {
    assert_eq!(lenet_conv2().grouped(4).counts(), [(24 * 8 + 4, 1600), (104, 1600)]);
}

#[test]
fn lenet_conv2_in_eight_groups_needs_no_block_rotation() {
    assert_eq!(lenet_conv2().grouped(8).counts(), [(192, 800), (96, 800)]);
}

#[test]
fn vgg5() {
    let conv2 = || Case::new((64, 128), (16, 16), 3, 1, 2);
    best(&conv2(), (176, 9216));
    best(&conv2().grouped(8), (64, 1152));
    let conv3 = || Case::new((128, 128), (16, 16), 3, 1, 2);
    best(&conv3(), (240, 18432));
    best(&conv3().grouped(8), (128, 2304));
}

#[test]
fn hefnet() {
    let conv2 = || Case::new((256, 128), (30, 28), 3, 0, 1);
    best(&conv2(), (352, 36864));
    best(&conv2().grouped(8), (128, 4608));
    let conv3 = || Case::new((128, 64), (14, 12), 3, 0, 2);
    best(&conv3(), (176, 9216));
    best(&conv3().grouped(8), (64, 1152));
    let conv4 = || Case::new((64, 64), (6, 4), 3, 0, 4);
    best(&conv4(), (120, 4608));
    best(&conv4().grouped(8), (64, 576));
}

#[test]
fn zero_weights_save_products_and_their_rotations() {
    let case = lenet_conv2().grouped(8);
    let (input, output) = case.shapes();
    let mut stage = case.stage();
    // Kernel position 7 gone from the weights between each group's input 3 and output 1: one sub-block.
    for g in 0..8 {
        stage.weights[((g * 4 + 1) * 8 + 3) * 25 + 7] = 0.0;
    }
    let count = |stage: &LinearStage, schedule: Schedule| {
        let d =
            Diagonals::new("conv", stage, &[&case.layout(input)], &case.layout(output), 0, false)
                .unwrap();
        LinearPlan::new(&d, &schedule).rotations_and_products()
    };
    assert_eq!(count(&stage, Schedule::KERNEL_FIRST), (192, 799));
    // The position gone for every output of input 3: its rotation goes too.
    for o in 0..32 {
        stage.weights[(o * 8 + 3) * 25 + 7] = 0.0;
    }
    assert_eq!(count(&stage, Schedule::KERNEL_FIRST), (191, 796));
}

/// With the channel innermost, eight channels at each position: of 8x8 channel pairs times nine kernel positions, those of one
/// distance meet in one rotation, 92 but for none at all. Taken apart, seven rotations turn channels and eleven positions: the
/// eight of a 3x3 kernel, and the one after each row, for channels that meet those of the next position.
#[test]
fn channels_innermost() {
    let case = Case::new((8, 8), (14, 12), 3, 0, 1);
    let layout = |shape: Shape| {
        let order = ChannelOrder::Inner { groups: 1, clean: false };
        let spec = LayoutSpec { order, phases: 1, row: 8 * 14, col: 8, tile: 8, blocks: SLOTS / 8 };
        spec.layout(SLOTS, shape, Margin::default()).unwrap()
    };
    let (input, output) = case.shapes();
    let diagonals =
        Diagonals::new("conv", &case.stage(), &[&layout(input)], &layout(output), 0, false)
            .unwrap();
    let direct =
        Schedule { row: false, col: false, block: BlockSplit::None, ..Schedule::KERNEL_FIRST };
    let counts = [direct, Schedule::KERNEL_FIRST, Schedule::CHANNEL_FIRST]
        .map(|s| LinearPlan::new(&diagonals, &s).rotations_and_products());
    assert_eq!(counts, [(92, 93), (18, 93), (18, 93)]);
}
