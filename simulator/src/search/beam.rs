//! The states between two blocks, and which of them are worth following.

use std::collections::BTreeMap;

use super::problem::Form;
use crate::layout::Layout;

/// How a value that some block still has to read lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    /// Its number.
    pub(super) value: usize,
    /// The form in which it is read.
    pub(super) form: Form,
    /// Repacks still to come when it was made: with its block they tell its level.
    pub(super) later: usize,
    pub(super) layout: Layout,
}

/// What lies between two blocks: repacks still to come, and the values, ascending.
pub(super) type Key = (usize, Vec<Held>);

/// Costs and last nodes of the best ways to a state, ascending.
pub(super) type Ways = Vec<(f64, usize)>;

/// The states before a block.
pub(super) type Layer = BTreeMap<Key, Ways>;

/// How many of the cheapest states are followed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beam {
    /// So many in all.
    Narrow(usize),
    /// So many of each spread.
    Wide(usize),
}

/// Adds a way, keeping the `most` cheapest. Of ways with one price, as symmetric layouts have, the earliest stays.
pub(super) fn keep(ways: &mut Ways, way: (f64, usize), most: usize) {
    let same = |w: &(f64, usize)| (w.0 - way.0).abs() <= 1e-9 * way.0.abs();
    if ways.iter().any(same) {
        return;
    }
    let at = ways.partition_point(|w| w.0 <= way.0);
    ways.insert(at, way);
    ways.truncate(most.max(1));
}

/// Drops ways that cannot pass the next block within the bound, which costs at least what `ahead` says, and all but the
/// cheapest states of the `beam`, that cost included.
pub(super) fn cut(layer: &mut Layer, beam: Option<Beam>, bound: f64, ahead: impl Fn(&Key) -> f64) {
    let mut costs = Vec::new();
    layer.retain(|key, ways| {
        let ahead = ahead(key);
        ways.retain(|w| w.0 + ahead <= bound);
        ways.first().inspect(|w| costs.push((w.0 + ahead, key.clone()))).is_some()
    });
    // The packed images all cost nothing: a beam over them would be blind.
    if let Some(beam) = beam.filter(|_| layer.values().any(|w| w[0].0 > 0.0)) {
        costs.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        let mut kept: BTreeMap<_, usize> = BTreeMap::new();
        for (_, key) in costs {
            let (most, of) = match beam {
                Beam::Narrow(most) => (most, None),
                Beam::Wide(most) => (most, Some(spread(&key))),
            };
            let kept = kept.entry(of).or_default();
            *kept += 1;
            if *kept > most {
                layer.remove(&key);
            }
        }
    }
}

/// How far apart the values of a state's maps lie, whatever their phases: in quarters of a slot between columns, of a tile where
/// channels are innermost. A convolution leaves it as it is and a pool doubles it, so that a state that is cheap now may leave
/// most slots of all later maps empty; only a repack brings values together again. States of different spread are therefore no
/// rivals yet, nor are those whose channels are innermost and others, as no convolution makes one of the other.
fn spread((later, values): &Key) -> (usize, Vec<(Form, bool, usize)>) {
    let quarters = |held: &Held| {
        let Layout { inner, col, tile, phases, .. } = held.layout;
        (held.form, inner, 4 * col / if inner { tile } else { 1 } / phases)
    };
    (*later, values.iter().map(quarters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{ChannelOrder, LayoutSpec};
    use crate::network::Shape;

    fn layout(phases: usize, col: usize, tile: usize) -> Layout {
        let order = ChannelOrder::Sequential;
        let spec = LayoutSpec { order, phases, row: 4 * col, col, tile, blocks: 4 };
        spec.layout(256, Shape::new(3, 4, 4), Default::default()).unwrap()
    }

    fn key(layout: Layout) -> Key {
        (0, vec![Held { value: 1, form: Form::Plain, later: 0, layout }])
    }

    #[test]
    fn a_beam_keeps_the_cheapest_of_each_spread_with_what_lies_ahead() {
        let dense = [16, 32, 64].map(|tile| key(layout(1, 1, tile)));
        let (gaps, phases) = (key(layout(1, 2, 64)), key(layout(2, 2, 16)));
        let costs = [3.0, 2.0, 1.0, 9.0, 8.0];
        let states = dense.iter().chain([&gaps, &phases]);
        let all: Layer = states.cloned().zip(costs.map(|cost| vec![(cost, 0)])).collect();
        let left = |beam, bound, ahead: fn(&Key) -> f64| {
            let mut layer = all.clone();
            cut(&mut layer, beam, bound, ahead);
            let mut costs: Vec<f64> = layer.values().map(|w| w[0].0).collect();
            costs.sort_by(f64::total_cmp);
            costs
        };
        let tile = |key: &Key| key.1[0].layout.tile as f64;
        // Two columns apart in two phases are as one in one.
        let wide = |most| Some(Beam::Wide(most));
        assert_eq!(left(wide(1), 100.0, |_| 0.0), [1.0, 9.0]);
        assert_eq!(left(wide(2), 100.0, |_| 0.0), [1.0, 2.0, 9.0]);
        assert_eq!(left(wide(2), 100.0, tile), [3.0, 8.0, 9.0]);
        assert_eq!(left(Some(Beam::Narrow(2)), 100.0, |_| 0.0), [1.0, 2.0]);
        assert_eq!(left(None, 34.0, tile), [2.0, 3.0, 8.0]);
    }

    #[test]
    fn filled_slots_are_those_that_a_map_has() {
        for (phases, col, tile) in [(1, 1, 16), (1, 1, 64), (1, 2, 64), (2, 2, 16), (4, 1, 1)] {
            let layout = layout(phases, col, tile);
            let ones = crate::layout::pack(&layout, &[1.0; 48]).unwrap();
            let most = ones.iter().map(|ct| ct.iter().sum::<f64>() as usize).max();
            assert_eq!(Some(layout.filled()), most, "{layout:?}");
        }
    }
}
