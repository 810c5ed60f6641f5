//! The diagonals of layers over several ciphertexts, weight by weight.

#![allow(clippy::unwrap_used)]

use simulator::fold::{LinearPart, LinearStage};
use simulator::layout::{ChannelOrder, Layout, LayoutSpec};
use simulator::lowering::Diagonals;
use simulator::network::{ConvGeometry, Shape};

const SLOTS: usize = 64;

/// A layer that reads a whole map of three channels.
fn dense(units: usize) -> LinearStage {
    let (input, output) = (Shape::new(3, 4, 6), Shape::new(units, 1, 1));
    let geometry =
        ConvGeometry { input, output, kernel: (4, 6), stride: (1, 1), padding: (0, 0), groups: 1 };
    // All different, some of them zero.
    let weight = |k: usize| if k % 7 == 3 { 0.0 } else { 1.0 + k as f64 };
    let weights = (0..geometry.weights()).map(weight).collect();
    let main = LinearPart::new(geometry, weights);
    LinearStage { main, shortcuts: Vec::new(), bias: vec![0.0; units] }
}

/// The map in phases, one or two channels to a ciphertext.
fn input(blocks: usize) -> Layout {
    let order = ChannelOrder::Sequential;
    let spec = LayoutSpec { order, phases: 2, row: 4, col: 1, tile: 16, blocks };
    spec.layout(SLOTS, Shape::new(3, 4, 6), Default::default()).unwrap()
}

fn output(units: usize, tile: usize, blocks: usize) -> Layout {
    let spec = LayoutSpec::units(tile, blocks);
    spec.layout(SLOTS, Shape::new(units, 1, 1), Default::default()).unwrap()
}

#[test]
fn every_weight_of_a_dense_layer_is_where_it_belongs() {
    for (units, tile, blocks, per_input) in
        [(20, 4, 16, 2), (20, 4, 4, 1), (5, 8, 8, 4), (40, 1, 64, 2)]
    {
        let (stage, from, to) = (dense(units), input(per_input), output(units, tile, blocks));
        let found = Diagonals::new("d", &stage, &[&from], &to, 0, true).unwrap();
        let period = from.period.max(to.period);
        assert_eq!(found.period, period);
        let replicas = period / to.period;
        let shape = from.shape;
        // For each (input ciphertext, slot) its value's number, for each (output ciphertext, slot) its unit.
        let mut values = vec![None; from.ciphertexts() * from.period];
        for k in 0..shape.len() {
            let (x, line) = (k % shape.width, k / shape.width);
            let (ct, slot) = from.locate(line / shape.height, line % shape.height, x);
            values[ct * from.period + slot] = Some(k);
        }
        let mut outputs = vec![None; to.ciphertexts() * to.period];
        for unit in 0..units {
            let (ct, slot) = to.locate(unit, 0, 0);
            outputs[ct * to.period + slot] = Some(unit);
        }
        let mut seen = vec![0; stage.main.weights.len()];
        for (key, contents) in &found.diagonals {
            assert_eq!((key.row, key.col, contents.count), (0, 0, contents.entries.len()));
            assert_eq!(contents.first, contents.entries[0].base as usize);
            for entry in contents.entries.iter() {
                assert_eq!(found.sets[entry.set as usize], [0]);
                let base = entry.base as usize;
                let unit = outputs[key.output * to.period + base % to.period].unwrap();
                let slot = (base + key.block) % from.period;
                let value = values[key.input * from.period + slot].unwrap();
                let at = unit * shape.len() + value;
                assert_eq!(entry.weight, stage.main.weights[at], "{units} {tile} {blocks}");
                seen[at] += 1;
            }
        }
        let wanted = stage.main.weights.iter().map(|w| if *w == 0.0 { 0 } else { replicas });
        assert_eq!(seen, wanted.collect::<Vec<_>>(), "{units} {tile} {blocks}");
        assert!(found.diagonals.is_sorted_by(|a, b| a.0 < b.0));
    }
}

#[test]
fn threads_and_entries_change_no_diagonal() {
    let (stage, from, to) = (dense(40), input(2), output(40, 4, 4));
    assert!(to.ciphertexts() > 4);
    let with = |threads: usize, entries: bool| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let all = pool.install(|| Diagonals::new("d", &stage, &[&from], &to, 0, entries)).unwrap();
        let lists = all.diagonals.into_iter();
        lists.map(|(key, c)| (key, c.first, c.signature, c.count, c.entries)).collect::<Vec<_>>()
    };
    let one = with(1, true);
    assert_eq!(one, with(4, true));
    let identities = |all: Vec<(_, usize, _, usize, _)>| -> Vec<_> {
        all.into_iter()
            .map(|(key, first, signature, count, _)| (key, first, signature, count))
            .collect()
    };
    let without = with(4, false);
    assert!(without.iter().all(|d| d.4.is_empty()));
    assert_eq!(identities(one), identities(without));
}

/// A fully connected layer of which output `o` reads the inputs `(shift * o + stride * k) mod inputs`, `k` below `count`.
fn cyclic(input: Shape, units: usize, [shift, stride, count]: [usize; 3]) -> LinearStage {
    let (output, kernel) = (Shape::new(units, 1, 1), (input.height, input.width));
    let geometry =
        ConvGeometry { input, output, kernel, stride: (1, 1), padding: (0, 0), groups: 1 };
    let mut weights = vec![0.0; geometry.weights()];
    for unit in 0..units {
        for k in 0..count {
            weights[unit * input.len() + (shift * unit + stride * k) % input.len()] = 1.0;
        }
    }
    let main = LinearPart::new(geometry, weights);
    LinearStage { main, shortcuts: Vec::new(), bias: vec![0.0; units] }
}

#[test]
fn a_cyclic_layer_has_as_small_a_share_of_the_diagonals_as_of_the_weights() {
    let count = |stage: &LinearStage, from: &Layout, to: &Layout, fold: usize| {
        Diagonals::new("d", stage, &[from], to, fold, false).unwrap().diagonals.len()
    };
    // Classes modulo the columns of a map, whatever the order of its channels.
    let map = Shape::new(4, 4, 4);
    for order in [ChannelOrder::Sequential, ChannelOrder::Interleaved { groups: 2 }] {
        let spec = LayoutSpec { order, phases: 1, row: 4, col: 1, tile: 16, blocks: 4 };
        let from = spec.layout(SLOTS, map, Default::default()).unwrap();
        let to = output(32, 1, 32);
        assert_eq!(count(&cyclic(map, 32, [1, 1, 64]), &from, &to, 32), 32);
        assert_eq!(count(&cyclic(map, 32, [1, 4, 16]), &from, &to, 32), 8);
    }
    // A window that goes on by as much as the outputs are apart.
    let (units, from, to) = (Shape::new(32, 1, 1), output(32, 1, 32), output(32, 2, 32));
    assert_eq!(count(&cyclic(units, 32, [2, 1, 32]), &from, &to, 1), 16);
    assert_eq!(count(&cyclic(units, 32, [2, 1, 8]), &from, &to, 1), 4);
}
