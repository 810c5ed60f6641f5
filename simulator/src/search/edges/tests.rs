//! Ways leave maps as the lowering does.

use super::*;
use crate::config::PoolMethod;
use crate::fold::{ActivationMethod, Folded};
use crate::layout::{ChannelOrder, Margin};
use crate::lowering::Counter;
use crate::network::{Model, Network};
use crate::search::candidates::{schedules, schedules_of_some};
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

/// A search of the network in a small ring.
fn with_terms(check: impl Fn(&Terms<'_>)) {
    let space = Space::default();
    let model = Model::random(Network::from_toml(NETWORK).unwrap(), 3);
    let folded = Folded::new(&model, ActivationMethod::PairedSquare).unwrap();
    let blocks = blocks(&folded).unwrap();
    let chain = Chain::uniform(10, 4, 30, 1, 1);
    check(&Terms {
        space: &space,
        prices: &Memo::new(&WorkPricer),
        settings: vec![chain.setting(2, 1), chain.setting(4, 1)],
        watch: Watch::default(),
        chain: &chain,
        blocks: &blocks,
        only: None,
    });
}

/// Images with channels innermost and outermost.
fn inputs(linear: &LinearStage) -> [Layout; 2] {
    let order = ChannelOrder::Inner { groups: 1, clean: true };
    let inner = LayoutSpec { order, phases: 1, row: 48, col: 8, tile: 8, blocks: 64 };
    let outer = LayoutSpec::raster(ChannelOrder::Sequential, 8, 64, 512);
    [inner, outer].map(|spec| spec.layout(512, linear.geometry.input, Margin::default()).unwrap())
}

/// What is left in slots that hold nothing decides what may follow: a sum over all slots, or padding.
#[test]
fn layouts_are_those_that_the_lowering_leaves() {
    with_terms(layouts_are_left);
}

fn layouts_are_left(terms: &Terms<'_>) {
    let blocks = terms.blocks;
    // Channels innermost, whose results may hold anything, and outermost, whose hold zeros.
    let (_, linear) = blocks[0].linear(Form::Plain).unwrap();
    let mut seen = [[0; 2]; 2];
    for input in inputs(linear) {
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

/// What some diagonals, or only their weights, say that a target takes at least is less than any schedule of all takes.
#[test]
fn floors_are_below_every_way() {
    with_terms(|terms| {
        let (first, second) = (&terms.blocks[0], &terms.blocks[1]);
        let (_, linear) = first.linear(Form::Plain).unwrap();
        let all = Budget { setting: 0, most: f64::INFINITY, open: None };
        let mut compared = [0; 3];
        for input in inputs(linear) {
            floors_are_below(terms, first, &input, &mut compared);
            for edge in &terms.edges(first, Form::Plain, &[&input], &all, None).edges {
                for tail in edge.tails.iter().filter(|tail| tail.form == Form::Plain) {
                    floors_are_below(terms, second, &tail.layout, &mut compared);
                }
            }
        }
        assert!(compared.iter().all(|n| *n > 20), "{compared:?}");
    });
}

fn floors_are_below(terms: &Terms<'_>, block: &Block, input: &Layout, compared: &mut [usize; 3]) {
    let (name, linear) = block.linear(Form::Plain).unwrap();
    let products = block.products(Form::Plain);
    let weights = Weights { linear, outline: None, products, unread: &[] };
    let budget = Budget { setting: 0, most: f64::INFINITY, open: None };
    for target in terms.targets(block, linear, &[input]) {
        let Some(open) = terms.open(weights, target, &budget) else { continue };
        let (layouts, fold) = ((&[input][..], &open.layout), open.fold);
        let counted = Diagonals::counted(name, linear, None, layouts, fold, usize::MAX);
        let Ok(counted) = counted else { continue };
        let some = Diagonals::of_some(name, linear, None, layouts, fold, usize::MAX).unwrap();
        let (mut few, mut counter) = (Counter::of_some(&some, 1), Counter::new(&counted, 1));
        let of_some = schedules_of_some(&some, terms.space);
        let floor = Floor::of_schedules(of_some.iter().map(|s| few.at_least(s, fold != 0)));
        for setting in 0..terms.settings.len() {
            let floors = [&open.floor, &floor].map(|floor| terms.floor_ms(floor, setting));
            for schedule in schedules(&counted, terms.space) {
                let exact = terms.shapes_ms(&counter.count(&schedule, fold != 0), setting);
                let most = exact * (1.0 + 1e-12);
                assert!(floors.iter().all(|ms| *ms <= most), "{floors:?} {exact} {schedule:?}");
            }
        }
        let is = [some.total() < counted.total(), fold != 0, input.inner];
        compared.iter_mut().zip(is).for_each(|(n, is)| *n += usize::from(is));
    }
}
