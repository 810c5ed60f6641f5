//! Ways leave maps as the lowering does.

use super::*;
use crate::config::PoolMethod;
use crate::fold::{ActivationMethod, Folded};
use crate::layout::{ChannelOrder, Margin};
use crate::network::{Model, Network};
use crate::search::problem::blocks;
use crate::search::{Watch, WorkPricer};

/// A pool over the whole map after a convolution without padding.
const NETWORK: &str = r#"
name = "small"
[input]
channels = 2
height = 6
width = 6
[[layer]]
name = "c1"
kind = "conv"
out = 4
kernel = 3
[[layer]]
name = "a1"
kind = "activation"
[[layer]]
name = "p1"
kind = "avgpool"
kernel = 4
[[layer]]
name = "fc"
kind = "fc"
out = 5
"#;

/// What is left in slots that hold nothing decides what may follow: a sum over all slots, or padding.
#[test]
fn layouts_are_those_that_the_lowering_leaves() {
    let space = Space::default();
    let model = Model::random(Network::from_toml(NETWORK).unwrap(), 3);
    let folded = Folded::new(&model, ActivationMethod::PairedSquare).unwrap();
    let blocks = blocks(&folded).unwrap();
    let chain = Chain::uniform(10, 4, 30, 1, 1);
    let prices = Memo::new(&WorkPricer);
    let settings = vec![chain.setting(2, 1)];
    let watch = Watch::default();
    let terms = Terms {
        space: &space,
        prices: &prices,
        settings,
        watch,
        chain: &chain,
        blocks: &blocks,
        only: None,
    };
    // Channels innermost, whose results may hold anything, and outermost, whose hold zeros.
    let order = ChannelOrder::Inner { groups: 1, clean: true };
    let inner = LayoutSpec { order, phases: 1, row: 48, col: 8, tile: 8, blocks: 64 };
    let outer = LayoutSpec::raster(ChannelOrder::Sequential, 8, 64, 512);
    let (_, linear) = blocks[0].linear(Form::Plain).unwrap();
    let mut seen = [[0; 2]; 2];
    for spec in [inner, outer] {
        let input = spec.layout(512, folded.input, Margin::default()).unwrap();
        let all = Budget { setting: 0, most: f64::INFINITY, open: None };
        for edge in &terms.edges(&blocks[0], Form::Plain, &[&input], &all, None).edges {
            let map = linear.geometry.output;
            let output = edge.layout.layout(512, map, Margin::default()).unwrap();
            let diagonals =
                Diagonals::new("c1", linear, &[&input], &output, edge.fold, false).unwrap();
            let left = diagonals.left(&output, edge.fold);
            for tail in edge.tails.iter() {
                let folds = tail.pools.iter().any(|p| matches!(p.method, PoolMethod::Fold { .. }));
                assert!(left.clean || !folds, "{edge:?}");
                // A merged pool leaves the map as it is.
                assert!(tail.form != Form::Merged || tail.layout == left, "{edge:?}");
                seen[usize::from(left.clean)][usize::from(folds)] += 1;
            }
        }
    }
    assert!(seen[0][0] > 0 && seen[1][0] > 0 && seen[1][1] > 0, "{seen:?}");
}
