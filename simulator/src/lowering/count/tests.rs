//! Counts are those of the instructions that are emitted, between layouts of all kinds.

use std::collections::BTreeSet;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::chain::Chain;
use crate::config::BlockSplit;
use crate::fold::{LinearPart, LinearStage};
use crate::layout::{ChannelOrder, Layout, LayoutSpec};
use crate::lowering::{Builder, LinearEmission, Outline};
use crate::network::{ConvGeometry, Shape};
use crate::program::ValueInfo;

const LOG_N: u32 = 11;
const SLOTS: usize = 1 << (LOG_N - 1);

/// Which weights are zero.
#[derive(Clone, Copy)]
enum Zero {
    None,
    Some,
    /// Some, and all of every fourth output channel.
    Channels,
}

/// The shape `least` with the terms and plaintexts of `exact`, which must be no fewer.
fn sized(least: Primitive, exact: Primitive) -> Primitive {
    let (Primitive::Linear(least), Primitive::Linear(exact)) = (least, exact) else {
        unreachable!("{least:?} {exact:?}")
    };
    assert!(least.terms <= exact.terms && least.plaintexts <= exact.plaintexts);
    Primitive::Linear(LinearShape { terms: exact.terms, plaintexts: exact.plaintexts, ..least })
}

fn pick<T: Copy>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    list[rng.random_range(0..list.len())]
}

fn stage(rng: &mut ChaCha8Rng, geometry: ConvGeometry, zero: Zero) -> LinearStage {
    let fan_in = geometry.fan_in();
    let is_zero = |rng: &mut ChaCha8Rng, k: usize| match zero {
        Zero::None => false,
        Zero::Some => rng.random_range(0..4) == 0,
        Zero::Channels => (k / fan_in) % 4 == 1 || rng.random_range(0..4) == 0,
    };
    let weights = (0..geometry.weights())
        .map(|k| if is_zero(rng, k) { 0.0 } else { rng.random_range(0.5..1.5) })
        .collect();
    let bias = vec![0.0; geometry.output.channels];
    LinearStage { main: LinearPart::new(geometry, weights), shortcuts: Vec::new(), bias }
}

/// A fully connected layer of a map, or a convolution, with enough weights for an outline.
fn geometry(rng: &mut ChaCha8Rng) -> ConvGeometry {
    if rng.random_bool(0.5) {
        let (channels, side) = pick(rng, &[(16, 8), (48, 4), (64, 2), (64, 6), (256, 2)]);
        let units = (1usize << 14).div_ceil(channels * side * side).max(40);
        let (input, output) = (Shape::new(channels, side, side), Shape::new(units, 1, 1));
        let kernel = (side, side);
        return ConvGeometry { input, output, kernel, stride: (1, 1), padding: (0, 0), groups: 1 };
    }
    let (channels, groups) = pick(rng, &[(64, 1), (64, 2), (96, 4)]);
    let (side, stride, padding) = (pick(rng, &[4, 6, 8]), pick(rng, &[1, 2]), pick(rng, &[0, 1]));
    let map = (side + 2 * padding - 3) / stride + 1;
    ConvGeometry {
        input: Shape::new(channels, side, side),
        output: Shape::new(channels, map, map),
        kernel: (3, 3),
        stride: (stride, stride),
        padding: (padding, padding),
        groups,
    }
}

/// A layout with one or more slots between columns and any number between rows, if it fits.
fn layout(rng: &mut ChaCha8Rng, shape: Shape) -> Option<Layout> {
    let mut orders = vec![ChannelOrder::Sequential];
    orders.extend([2, 4, 8].map(|groups| ChannelOrder::Interleaved { groups }));
    let mut phases = 1;
    if shape.area() == 1 {
        orders.extend([1, 2].map(|step| ChannelOrder::Spill { step }));
    } else {
        phases = pick(rng, &[1, 2, 4]);
    }
    let (tile, blocks) = (1 << rng.random_range(0..8), 1 << rng.random_range(0..=10));
    let width = shape.width.div_ceil(phases);
    let spec = if rng.random_bool(0.3) {
        let (groups, clean) = (pick(rng, &[1, 1, 2, 4]), rng.random());
        let inner = ChannelOrder::Inner { groups, clean };
        let order = pick(rng, &[inner, inner, ChannelOrder::Spread]);
        let col = tile * pick(rng, &[1, 1, 2]);
        LayoutSpec { order, phases, row: col * (width + rng.random_range(0..2)), col, tile, blocks }
    } else {
        let col = pick(rng, &[1, 1, 2, 3]);
        let row = col * width + pick(rng, &[0, 0, 1, 2]);
        LayoutSpec { order: pick(rng, &orders), phases, row, col, tile, blocks }
    };
    let few = |layout: &Layout| layout.ciphertexts() <= 64;
    spec.layout(SLOTS, shape, Default::default()).ok().filter(few)
}

/// A layout with channels innermost in which a convolution's outputs lie over the same distances from what they read.
fn alongside(rng: &mut ChaCha8Rng, g: &ConvGeometry, input: &Layout) -> Option<Layout> {
    let phases = pick(rng, &[1, 2]);
    let distance = |d: usize| d * g.stride.0 * phases / input.phases;
    let (row, col) = (distance(input.row), distance(input.col));
    let order = ChannelOrder::Inner { groups: pick(rng, &[1, g.groups]), clean: false };
    let tile = 1 << col.checked_ilog2()?.min(rng.random_range(2..6));
    let spec = LayoutSpec { order, phases, row, col, tile, blocks: SLOTS / tile };
    let few = |layout: &Layout| layout.ciphertexts() <= 64;
    spec.layout(SLOTS, g.output, Default::default()).ok().filter(few)
}

/// What is emitted of a stage: the products and sums of partial sums, then any fold.
fn emitted(
    d: &Diagonals,
    output: &Layout,
    schedule: Schedule,
    fold: usize,
    images: usize,
) -> Vec<Primitive> {
    let chain = Chain::uniform(LOG_N, 4, 30, 1, 1);
    let inputs = d.input_periods.len();
    let fresh = ValueInfo { level: 4, scale: chain.scale };
    let mut b = Builder::new(&chain, SLOTS, false, inputs, fresh);
    b.layer("n");
    let values: Vec<usize> = (0..inputs).collect();
    let (scale, bias) = (chain.scale, &[][..]);
    LinearEmission { diagonals: d, schedule, fold, radix: 2, scale, output, bias }
        .emit(&mut b, &values)
        .unwrap();
    b.program.interleaved(images).primitives().map(|(_, primitive, _)| primitive).collect()
}

#[test]
fn counts_are_those_of_what_is_emitted() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    // How often: ciphertexts that are alike, outputs that no weight reaches, a fold, copies written one by one, slots
    // between columns on both sides, a stride, channels innermost on both sides, plaintexts of one position.
    let mut compared = [0; 8];
    while compared.iter().any(|n| *n < 12) {
        let g = geometry(&mut rng);
        let zero = pick(&mut rng, &[Zero::None, Zero::Some, Zero::Channels]);
        let Some(input) = layout(&mut rng, g.input) else { continue };
        let output = match input.inner && rng.random_bool(0.8) {
            true => alongside(&mut rng, &g, &input),
            false => layout(&mut rng, g.output),
        };
        let Some(output) = output else { continue };
        // Any bits, or the topmost, of which masks mostly consist.
        let any = rng.random_range(0..input.period);
        let top = input.period - (1 << rng.random_range(0..=input.period.ilog2()));
        let fold = pick(&mut rng, &[0, any, top]);
        let stage = stage(&mut rng, g, zero);
        let Ok(exact) = Diagonals::new("n", &stage, &[&input], &output, fold, false) else {
            continue;
        };
        let outline = Outline::new(&stage).unwrap();
        let layouts = (&[&input][..], &output);
        let counted =
            Diagonals::counted("n", &stage, Some(&outline), layouts, fold, usize::MAX).unwrap();
        assert_eq!(counted.total(), exact.diagonals.len());
        let of_some =
            |most| Diagonals::of_some("n", &stage, Some(&outline), layouts, fold, most).unwrap();
        let some = of_some(usize::MAX);
        let (least, cut) = (some.total(), of_some(some.total() / 2).total());
        assert!(cut <= least && (least / 2 < cut || least == 0), "{cut} of {least}");
        assert!(least <= exact.diagonals.len());
        let block = pick(&mut rng, &[BlockSplit::None, BlockSplit::All, BlockSplit::Baby(4)]);
        let (row, col) = (rng.random(), rng.random());
        let schedule = Schedule { block, row, col, double_hoisting: true };
        let images = pick(&mut rng, &[1, 1, 2, 8]);
        let mut counter = Counter::new(&counted, images);
        let least = counter.at_least(&schedule, fold != 0);
        let (products, sums) = counter.count(&schedule, fold != 0);
        assert_eq!((sized(least.0, products), least.1), (products, sums));
        let expected: Vec<Primitive> = std::iter::once(products).chain(sums).collect();
        let emitted = emitted(&exact, &output, schedule, fold, images);
        let case = format!("{g:?}\n{input:?}\n{output:?}\n{fold:#x} {schedule:?}");
        assert_eq!(emitted[..expected.len()], expected[..], "{case}");
        assert!(fold != 0 || emitted.len() == expected.len(), "{case}");
        let reached: BTreeSet<usize> = exact.diagonals.iter().map(|(d, _)| d.output).collect();
        let is = [
            counted.diagonals.len() < exact.diagonals.len(),
            reached.len() < exact.outputs,
            fold != 0,
            output.period < input.period && fold == 0,
            input.col > 1 && output.col > 1,
            g.stride.0 > 1,
            input.inner && output.inner,
            counted.plaintext_period < counted.period,
        ];
        compared.iter_mut().zip(is).for_each(|(n, is)| *n += usize::from(is));
    }
}

/// A dense layer of 2048 inputs, sixteen slots apart as behind two pools, and 1024 outputs.
#[test]
fn of_ciphertexts_that_are_alike_one_is_looked_at() {
    let slots = 2048;
    let layout = |spec: LayoutSpec, units| {
        spec.layout(slots, Shape::new(units, 1, 1), Default::default()).unwrap()
    };
    let input = layout(LayoutSpec::units(16, 128), 2048);
    let output = layout(LayoutSpec::units(8, 256), 1024);
    assert_eq!((input.ciphertexts(), output.ciphertexts()), (16, 4));
    let (kernel, stride, padding, groups) = ((1, 1), (1, 1), (0, 0), 1);
    let (from, to) = (input.shape, output.shape);
    let g = ConvGeometry { input: from, output: to, kernel, stride, padding, groups };
    let stage = stage(&mut ChaCha8Rng::seed_from_u64(1), g, Zero::None);
    let outline = Outline::new(&stage).unwrap();
    let layouts = (&[&input][..], &output);
    let counted = |most| Diagonals::counted("n", &stage, Some(&outline), layouts, 0, most).unwrap();
    // Between two ciphertexts, every multiple of eight slots.
    let pair = slots / 8;
    assert_eq!(counted(usize::MAX).diagonals.len(), pair);
    assert_eq!(counted(usize::MAX).total(), 16 * 4 * pair);
    // What is given up after the first output channel has one diagonal for each input of a ciphertext.
    assert_eq!(counted(10).diagonals.len(), 128);
}
