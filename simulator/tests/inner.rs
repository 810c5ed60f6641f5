//! Layouts with the channel innermost: what is computed in them, and the period of their plaintexts.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::found::encrypted;
use common::layers::{act, add, conv, fc, pool, random};
use common::lowered::check;
use common::{choice, image, pool as pool_choice};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::Error;
use simulator::config::*;
use simulator::fold::{ActivationMethod, Folded};
use simulator::interpret::run_measured;
use simulator::layout::{ChannelOrder, LayoutSpec};
use simulator::lowering::{Lowered, lower};
use simulator::network::{LayerParameters, Model};
use simulator::program::Op;

const LOG_N: u32 = 12;
const SLOTS: usize = 1 << (LOG_N - 1);

/// Positions `(row, col)` tiles of channels apart.
fn inner(
    (groups, clean): (usize, bool),
    phases: usize,
    (row, col): (usize, usize),
    tile: usize,
) -> LayoutSpec {
    let order = ChannelOrder::Inner { groups, clean };
    LayoutSpec { order, phases, row, col, tile, blocks: SLOTS / tile }
}

fn configuration(
    levels: usize,
    input: LayoutSpec,
    linear: Vec<LinearChoice>,
    pools: Vec<PoolChoice>,
) -> Configuration {
    Configuration {
        network: "n".into(),
        variant: "random".into(),
        images: 1,
        activations: ActivationMethod::PairedSquare,
        activation_exceptions: vec![],
        parameters: ParameterChoice {
            log_n: LOG_N,
            scale_bits: Some(25),
            prime_bits: 46,
            top_bits: None,
            first_bits: 46,
            special_bits: 46,
            special: 1,
            alpha: 1,
            levels,
        },
        scales: None,
        input: InputPacking { patches: false, padded: false, layout: input },
        linear,
        pools,
        repacks: vec![],
    }
}

fn pick<T: Copy>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    list[rng.random_range(0..list.len())]
}

fn schedule(rng: &mut ChaCha8Rng) -> Schedule {
    let block = pick(rng, &[BlockSplit::None, BlockSplit::All, BlockSplit::Baby(2)]);
    let double_hoisting = rng.random_range(0..4) != 0;
    Schedule { block, row: rng.random(), col: rng.random(), double_hoisting }
}

/// Periods of the plaintexts of a layer's products, other than those with the bias.
fn periods(lowered: &Lowered, layer: &str) -> Vec<usize> {
    let program = &lowered.program;
    let mine = program.instructions.iter().filter(|i| program.layers[i.layer] == layer);
    let ids = mine.filter(|i| matches!(i.op, Op::Linear { .. }));
    ids.flat_map(|i| program.facts(i).plaintexts).map(|p| program.plaintexts[p].period).collect()
}

/// A random network: an image, a convolution, perhaps a pool, another convolution, perhaps with a 1x1 shortcut beside it, and
/// a fully connected layer.
#[derive(Debug, Clone, Copy)]
struct Small {
    side: usize,
    channels: [usize; 3],
    kernels: [usize; 2],
    strides: [usize; 2],
    paddings: [usize; 2],
    groups: usize,
    pooled: bool,
    shortcut: bool,
}

impl Small {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        let kernels = [rng.random_range(1..4), rng.random_range(1..4)];
        let padding = |rng: &mut ChaCha8Rng, kernel| pick(rng, &[0, 0, 0, kernel / 2]);
        let pooled = rng.random_bool(0.3);
        Self {
            side: rng.random_range(5..10),
            channels: [
                rng.random_range(1..4),
                4 * rng.random_range(1..4),
                4 * rng.random_range(1..3),
            ],
            kernels,
            strides: [pick(rng, &[1, 2]), pick(rng, &[1, 1, 2])],
            paddings: kernels.map(|kernel| padding(rng, kernel)),
            groups: pick(rng, &[1, 2, 4]),
            pooled,
            shortcut: kernels[1] == 1 && !pooled && rng.random_bool(0.7),
        }
    }

    fn model(&self, seed: u64) -> Model {
        let more =
            |k: usize| format!("stride = {}|padding = {}", self.strides[k], self.paddings[k]);
        let mut layers = vec![conv("c", self.channels[1], self.kernels[0], &more(0)), act("a")];
        if self.pooled {
            layers.push(pool("p", 2, 2));
        }
        let groups = format!("{}|groups = {}", more(1), self.groups);
        layers.push(conv("d", self.channels[2], self.kernels[1], &groups));
        if self.shortcut {
            let more = format!("stride = {}|input = \"a\"", self.strides[1]);
            layers.extend([conv("s", self.channels[2], 1, &more), add("t", "d", "s")]);
        }
        layers.extend([act("b"), fc("f", 5)]);
        random((self.channels[0], self.side, self.side), &layers, seed)
    }

    /// Random layouts in which each position of a result lies over the same distance from what it reads, if there are any.
    fn specs(&self, rng: &mut ChaCha8Rng) -> Option<[LayoutSpec; 3]> {
        let phases = [1, 2, 3].map(|_| pick(rng, &[1, 2]));
        let tile = pick(rng, &[2, 4, 8]);
        let col = tile * pick(rng, &[1, 1, 2]);
        // Zeros beside a row of the image may serve as padding.
        let row = col * (self.side.div_ceil(phases[0]) + self.paddings[0]);
        let mut specs = [inner((1, false), phases[0], (row, col), tile); 3];
        let read = [phases[0], if self.pooled { phases[1] / 2 } else { phases[1] }];
        for k in 0..2 {
            let step = self.strides[k] * phases[k + 1];
            if read[k] == 0 || !step.is_multiple_of(read[k]) {
                return None;
            }
            let [row, col] = [specs[k].row, specs[k].col].map(|d| d * step / read[k]);
            let most: usize = 1 << col.trailing_zeros().min(4);
            let tile = pick(rng, &[most, most.div_ceil(2)]);
            let groups = pick(rng, &[1, self.groups]);
            let clean = rng.random_bool(0.3);
            specs[k + 1] = inner((groups, clean), phases[k + 1], (row, col), tile);
        }
        specs[0].order = pick(rng, &[specs[0].order, ChannelOrder::Spread]);
        Some(specs)
    }

    fn configuration(&self, specs: &[LayoutSpec; 3], rng: &mut ChaCha8Rng) -> Configuration {
        let mut linear =
            |name, spec: LayoutSpec| LinearChoice { schedule: schedule(rng), ..choice(name, spec) };
        let units = LayoutSpec::units(256, 8);
        let linear = vec![linear("c", specs[1]), linear("d", specs[2]), linear("f", units)];
        let pools = match self.pooled {
            true => vec![pool_choice("p", PoolMethod::Phases)],
            false => vec![],
        };
        configuration(3, specs[0], linear, pools)
    }
}

/// Anything in the slots that hold nothing is seen where the room for values is checked: a value reaches as far as its largest
/// slot.
#[test]
fn what_is_left_elsewhere_is_accounted_for() {
    let layers = [conv("c", 4, 3, ""), act("a"), conv("d", 4, 3, "")];
    let mut model = random((2, 7, 7), &layers, 2);
    // The last column of a row is read together with the first of the next only for outputs that are none.
    let LayerParameters::Linear { weight, .. } = &mut model.parameters[0] else { unreachable!() };
    weight.iter_mut().enumerate().for_each(|(k, w)| *w = [1.0, 0.0, -1.0][k % 3]);
    let mut image = vec![0.0; 98];
    image.iter_mut().enumerate().for_each(|(k, v)| *v = (k % 7) as f64);
    let run = |clean| {
        let spec = inner((1, clean), 1, (28, 4), 4);
        let c = configuration(2, spec, vec![choice("c", spec), choice("d", spec)], vec![]);
        let lowered = check(&model, &c);
        let slots = lowered.encode(&image).unwrap();
        let (outputs, reach) = run_measured(&lowered.program, &[&slots]).unwrap();
        let outputs = &outputs[0];
        let decoded = lowered.decode(outputs).unwrap();
        let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, v| v.abs().max(m));
        let (beside, result) =
            (lowered.beside(outputs).unwrap(), reach[lowered.program.outputs[0]]);
        assert_eq!(result, beside.max(largest(&decoded)));
        // Of the first layer: 6 rows and channels times a difference of 2 in columns, or of 5 across the end of a row.
        (beside, reach[lowered.program.inputs])
    };
    let ((none, small), (some, large)) = (run(true), run(false));
    assert_eq!(none, 0.0);
    assert!(some > 1.0, "{some}");
    assert!(large > 2.0 * small, "{large} {small}");
}

fn is_loose(spec: &LayoutSpec) -> bool {
    matches!(spec.order, ChannelOrder::Inner { clean: false, .. })
}

/// A 2x3 map of three channels and a kernel of 1x2 on it: each plaintext holds one position's weights over and over, of kernel
/// column `m` for the channels that do not pass the end of a position, and of the next one for those that do.
#[test]
fn plaintexts_have_the_period_of_a_position() {
    let (channels, tile) = (3, 4);
    let layers = [conv("c", channels, 2, "")];
    let model = random((channels, 2, 3), &layers, 1);
    let spec = inner((1, false), 1, (3 * tile, tile), tile);
    let c = configuration(1, spec, vec![choice("c", spec)], vec![]);
    let lowered = check(&model, &c);
    let program = &lowered.program;
    let LayerParameters::Linear { weight, .. } = &model.parameters[0] else { unreachable!() };
    let weight =
        |o: usize, i: usize, y: usize, x: usize| weight[((o * channels + i) * 2 + y) * 2 + x];
    let Op::Linear { terms, .. } = &program.instructions[0].op else { unreachable!() };
    // Of each kernel row from two channels back in its first column to two on in its second: no rotation twice.
    let shifts: Vec<usize> = terms.iter().map(|t| t.shift as usize).collect();
    let rows = [0..7, 10..19, SLOTS - 2..SLOTS];
    assert_eq!(shifts, rows.into_iter().flatten().collect::<Vec<_>>());
    for t in terms {
        let spec = &program.plaintexts[t.plaintext.unwrap()];
        assert_eq!(spec.period, tile);
        let values = spec.slot_values(SLOTS).unwrap();
        for (slot, value) in values.iter().enumerate() {
            let o = slot % tile;
            // The channel and position that the output channel at position 0 meets.
            let met = (o + t.shift as usize) % SLOTS;
            let (i, at) = (met % tile, met / tile);
            let (y, x) = (at / 3, at % 3);
            let expected = match o < channels && i < channels && y < 2 && x < 2 {
                true => weight(o, i, y, x),
                false => 0.0,
            };
            assert_eq!(*value, expected, "{slot} {t:?}");
        }
    }
}

#[test]
fn small_networks_are_computed() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut seen = [0; 11];
    let (mut done, mut tried) = (0, 0);
    while done < 150 || seen.iter().any(|n| *n < 5) {
        tried += 1;
        assert!(tried < 10_000, "of {done} networks, too few of some kind: {seen:?}");
        let small = Small::new(&mut rng);
        let Some(specs) = small.specs(&mut rng) else { continue };
        let c = small.configuration(&specs, &mut rng);
        let map = (small.side + 2 * small.paddings[0]).checked_sub(small.kernels[0]);
        let middle = map.map_or(0, |map| map / small.strides[0] + 1);
        let read = if small.pooled { middle / 2 } else { middle };
        if read + 2 * small.paddings[1] < small.kernels[1] + 1 {
            continue;
        }
        let model = small.model(done);
        let folded = Folded::new(&model, c.activations).unwrap();
        let chain = c.parameters.ideal_chain().unwrap();
        match lower(&folded, &c, &chain, false) {
            Ok(_) => {}
            // The map is too large, or its channels cannot be interleaved.
            Err(Error::Layer { .. }) => continue,
            Err(error) => panic!("{error}: {c:?}"),
        }
        let lowered = check(&model, &c);
        let period = |k: usize, name| {
            let mut all = periods(&lowered, name);
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 1, "{c:?}");
            all[0] == if is_loose(&specs[k]) { specs[k].tile } else { SLOTS }
        };
        let periods = [period(1, "c"), period(2, "d")];
        // Without padding, no weight depends on the position.
        assert!(small.paddings[0] > 0 || periods[0], "{c:?}");
        assert!(small.paddings[1] > 0 || periods[1], "{c:?}");
        let is = [
            small.strides[1] > 1 && is_loose(&specs[2]),
            small.groups > 1 && is_loose(&specs[2]),
            small.shortcut && is_loose(&specs[2]),
            small.pooled && is_loose(&specs[1]),
            // Zeros are written, or known, or needed and not there.
            !is_loose(&specs[1]),
            small.paddings[0] > 0 && is_loose(&specs[1]) && periods[0],
            small.paddings[1] > 0 && is_loose(&specs[1]) && !periods[1],
            specs[1].phases > 1,
            specs[0].col > specs[0].tile,
            specs[2].tile > specs[1].tile,
            specs[0].order == ChannelOrder::Spread,
        ];
        seen.iter_mut().zip(is).for_each(|(n, is)| *n += usize::from(is));
        done += 1;
    }
}

/// Each output channel meets a spread input channel where it is: a product for every weight of an output channel, and no
/// rotations but those of the kernel.
#[test]
fn spread_channels_need_no_rotations_across_them() {
    let (channels, tile) = (3, 8);
    let model = random((channels, 6, 6), &[conv("c", tile, 2, "")], 1);
    let output = inner((1, false), 1, (6 * tile, tile), tile);
    let with = |order| {
        let input = LayoutSpec { order, ..output };
        let c = configuration(1, input, vec![choice("c", output)], vec![]);
        let lowered = check(&model, &c);
        let Op::Linear { terms, .. } = &lowered.program.instructions[0].op else { unreachable!() };
        let shifts: BTreeSet<u32> = terms.iter().map(|t| t.shift).collect();
        (lowered.program.inputs, terms.len(), shifts.into_iter().collect::<Vec<_>>())
    };
    let tile = tile as u32;
    let kernel = vec![0, tile, 6 * tile, 7 * tile];
    assert_eq!(with(ChannelOrder::Spread), (channels, channels * 4, kernel));
    let (inputs, products, _) = with(ChannelOrder::Inner { groups: 1, clean: false });
    assert!(inputs == 1 && products > channels * 4, "{products}");
}

/// A pool over the whole map sums up all positions, and so needs zeros at those that the map has not.
#[test]
fn pools_over_the_whole_map_need_zeros() {
    let layers = [conv("c", 4, 3, ""), act("a"), pool("p", 5, 5), fc("f", 3)];
    let model = random((3, 7, 7), &layers, 6);
    let with = |clean| {
        let spec = inner((1, clean), 1, (28, 4), 4);
        let linear = vec![choice("c", spec), choice("f", LayoutSpec::units(256, 8))];
        configuration(2, spec, linear, vec![pool_choice("p", PoolMethod::Fold { radix: 4 })])
    };
    check(&model, &with(true));
    let folded = Folded::new(&model, ActivationMethod::PairedSquare).unwrap();
    let chain = with(false).parameters.ideal_chain().unwrap();
    let error = lower(&folded, &with(false), &chain, false).unwrap_err().to_string();
    assert!(error.contains("zero outside the map"), "{error}");
}

/// Encrypted, a network that leaves anything anywhere is as precise as one that writes zeros.
#[test]
fn small_networks_are_computed_encrypted() {
    let layers = [
        conv("c", 4, 3, "stride = 2"),
        act("a"),
        conv("d", 8, 3, "groups = 2"),
        act("b"),
        fc("f", 5),
    ];
    let model = random((3, 11, 11), &layers, 4);
    let image = image(&model.network, 5);
    let bits = [false, true].map(|clean| {
        let spec = |groups, phases, tile| inner((groups, clean), phases, (48, 8), tile);
        let linear = vec![
            choice("c", spec(2, 1, 8)),
            LinearChoice { schedule: Schedule::KERNEL_FIRST, ..choice("d", spec(2, 1, 8)) },
            choice("f", LayoutSpec::units(256, 8)),
        ];
        let mut c = configuration(3, spec(1, 2, 4), linear, vec![]);
        // Secure, with as many positions as there are slots for.
        c.parameters.log_n = 14;
        for layout in c.linear.iter_mut().map(|l| &mut l.layout).chain([&mut c.input.layout]) {
            layout.blocks *= 4;
        }
        encrypted(&model, &c, &image).relative_bits
    });
    assert!(bits.iter().all(|bits| *bits > 8.0), "{bits:?}");
    assert!((bits[0] - bits[1]).abs() < 3.0, "{bits:?}");
}
