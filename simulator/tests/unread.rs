//! What nothing reads is not computed, and the rest is as before.

#![allow(clippy::unwrap_used)]

mod common;

use common::lowered::{chain, check};
use common::*;
use simulator::config::{Configuration, PoolMethod};
use simulator::fold::{ActivationMethod, Folded};
use simulator::layout::ChannelOrder;
use simulator::lowering::lower;
use simulator::network::{LayerParameters, Model};
use simulator::program::Program;

fn weights<'m>(model: &'m mut Model, layer: &str) -> &'m mut Vec<f64> {
    let at = model.network.layers.iter().position(|l| l.name == layer).unwrap();
    match &mut model.parameters[at] {
        LayerParameters::Linear { weight, .. } => weight,
        other => unreachable!("{other:?}"),
    }
}

/// Of conv2's eight input channels, those that `unread` takes are read by none of its six outputs.
fn pruned(unread: impl Fn(usize) -> bool) -> Model {
    let mut model = model(lenet(8, 6, 10, 1));
    let pairs = weights(&mut model, "conv2").chunks_exact_mut(25).enumerate();
    pairs.filter(|(pair, _)| unread(pair % 8)).for_each(|(_, kernel)| kernel.fill(0.0));
    model
}

/// Ciphertexts with which an activation works, by the squares of a configuration's program.
fn squares(model: &Model, c: &Configuration, layer: &str) -> usize {
    let folded = Folded::new(model, c).unwrap();
    let program = lower(&folded, c, &chain(c), false).unwrap().program;
    let at = program.layers.iter().position(|l| l == layer).unwrap();
    program.instructions.iter().filter(|i| i.layer == at).count()
}

#[test]
fn ciphertexts_of_unread_channels_are_not_computed() {
    // Two channels to a ciphertext, one after the other or those of two halves.
    let mut c = raster(12, ActivationMethod::Square);
    for (order, unread) in [
        (ChannelOrder::Sequential, [2, 3, 5]),
        (ChannelOrder::Interleaved { groups: 2 }, [1, 5, 7]),
    ] {
        c.linear[0].layout.order = order;
        let (all, some) = (pruned(|_| false), pruned(|k| unread.contains(&k)));
        assert_eq!([squares(&all, &c, "act1"), squares(&some, &c, "act1")], [4, 3]);
        let [all, some] = [check(&all, &c), check(&some, &c)].map(|lowered| lowered.program);
        let of = |program: &Program| program.counts()[0].products;
        // Each of the other ciphertexts has a product for every kernel position.
        assert_eq!(4 * of(&some), 3 * of(&all));
    }
}

#[test]
fn phases_and_pools_leave_out_what_is_unread_too() {
    for method in [PoolMethod::Phases, PoolMethod::Merge] {
        let mut c = phased(12, 10);
        c.linear[0].layout.blocks = 2;
        c.pools[0].method = method;
        if method == PoolMethod::Merge {
            c.linear[1].layout = spec(ChannelOrder::Sequential, 1, 16, 256, 8);
        }
        let some = pruned(|k| [0, 1, 7].contains(&k));
        let squares = [pruned(|_| false), some].map(|model| {
            check(&model, &c);
            squares(&model, &c, "act1")
        });
        assert_eq!(4 * squares[1], 3 * squares[0], "{method:?}");
    }
}

#[test]
fn what_only_unread_channels_read_is_unread() {
    // fc2 reads one unit of fc1, which reads one channel of conv2, which reads two of conv1.
    let mut model = model(lenet(8, 6, 10, 1));
    let keep = |weights: &mut Vec<f64>, kept: &dyn Fn(usize) -> bool| {
        let all = weights.iter_mut().enumerate();
        all.filter(|(k, _)| !kept(*k)).for_each(|(_, w)| *w = 0.0);
    };
    keep(weights(&mut model, "fc2"), &|k| k % 10 == 4);
    // The other units read everything, and count for nothing.
    keep(weights(&mut model, "fc1"), &|k| k / 6 != 4 || k % 6 == 2);
    keep(weights(&mut model, "conv2"), &|k| k / 200 != 2 || [3, 6].contains(&(k / 25 % 8)));
    let folded = Folded::new(&model, ActivationMethod::Square).unwrap();
    let unread = folded.unread();
    let of = |name: &str| &unread[folded.stages.iter().position(|s| s.name == name).unwrap()];
    assert_eq!(of("conv1"), &[0, 1, 2, 4, 5, 7]);
    assert_eq!(of("act1"), of("conv1"));
    assert_eq!(of("conv2"), &[0, 1, 3, 4, 5]);
    assert_eq!(of("fc1"), &[0, 1, 2, 3, 5, 6, 7, 8, 9]);
    assert!(of("fc2").is_empty());
    check(&model, &raster(12, ActivationMethod::Square));
    check(&model, &raster(12, ActivationMethod::Quadratic));
}
