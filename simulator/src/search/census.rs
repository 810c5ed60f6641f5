//! A census counts what lowering makes of a layer pruned in the same way.

use std::collections::BTreeSet;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Space;
use super::candidates::schedules;
use crate::fold::{LinearPart, LinearStage};
use crate::layout::{ChannelOrder, Layout, LayoutSpec};
use crate::lowering::{Census, Counter, Diagonals};
use crate::network::{ConvGeometry, Shape};
use crate::pattern::{Family, Grouping, Pattern, Ranked};

fn pick<T: Copy>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    list[rng.random_range(0..list.len())]
}

/// A convolution and the stage that it is, with a pool before it if the window is not 1.
fn random(rng: &mut ChaCha8Rng) -> (ConvGeometry, LinearStage, usize) {
    let channels = [4, 8, 12, 16];
    let kernel = pick(rng, &[1, 2, 3]);
    let padding = if kernel == 3 { pick(rng, &[0, 1]) } else { 0 };
    let window = if padding == 0 { pick(rng, &[1, 1, 2]) } else { 1 };
    let extent = pick(rng, &[4, 6, 7]);
    let stride = pick(rng, &[1, 1, 2]);
    let out = (extent + 2 * padding - kernel) / stride + 1;
    let (ins, outs) = (pick(rng, &channels), pick(rng, &channels));
    let geometry = ConvGeometry {
        input: Shape::new(ins, extent, extent),
        output: Shape::new(outs, out, out),
        kernel: (kernel, kernel),
        stride: (stride, stride),
        padding: (padding, padding),
        groups: 1,
    };
    let weights = (0..geometry.weights()).map(|_| rng.random_range(0.1..1.0)).collect();
    let bias = vec![0.0; geometry.output.len()];
    let main = LinearPart::new(geometry, weights);
    (geometry, LinearStage { main, shortcuts: Vec::new(), bias }, window)
}

/// The stage that also does a pool of that window.
fn merged(stage: &LinearStage, window: usize) -> LinearStage {
    let g = stage.geometry;
    let kernel = g.kernel.0 * window;
    let input = Shape::new(g.input.channels, g.input.height * window, g.input.width * window);
    let geometry = ConvGeometry {
        input,
        kernel: (kernel, kernel),
        stride: (g.stride.0 * window, g.stride.1 * window),
        ..g
    };
    let (old, new) = (g.kernel.0 * g.kernel.1, kernel * kernel);
    let weights = (0..stage.weights.len() / old * new).map(|k| {
        let (y, x) = (k % new / kernel / window, k % kernel / window);
        stage.weights[k / new * old + y * g.kernel.1 + x]
    });
    let main = LinearPart::new(geometry, weights.collect());
    LinearStage { main, ..stage.clone() }
}

fn layout(
    rng: &mut ChaCha8Rng,
    shape: Shape,
    inner: bool,
    distances: (usize, usize),
) -> Option<Layout> {
    let phases = pick(rng, &[1, 1, 2]);
    let groups = pick(rng, &[1, 2, 4]);
    let (row, col) = distances;
    let last = (shape.height.div_ceil(phases) - 1) * row + (shape.width.div_ceil(phases) - 1) * col;
    let (order, tile, blocks) = match (inner, groups) {
        (true, groups) => (ChannelOrder::Inner { groups, clean: false }, col, 512 / col),
        (false, 1) => {
            (ChannelOrder::Sequential, (last + 1).next_power_of_two(), pick(rng, &[1, 2, 4, 8]))
        }
        (false, groups) => {
            let order = ChannelOrder::Interleaved { groups };
            (order, (last + 1).next_power_of_two(), pick(rng, &[2, 4, 8]))
        }
    };
    LayoutSpec { order, phases, row, col, tile, blocks }.layout(512, shape, Default::default()).ok()
}

#[test]
fn counts_are_those_of_lowering_the_pruned_layer() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut layers, mut compared) = (0, 0);
    let (mut shared, mut varying, mut fewer) = (0, 0, 0);
    while layers < 400 {
        let (own, plain, window) = random(&mut rng);
        let stage = merged(&plain, window);
        let g = stage.geometry;
        let inner = rng.random_bool(0.4);
        let col = if inner { pick(&mut rng, &[4, 8]) } else { pick(&mut rng, &[1, 2]) };
        let row = col * g.input.width.next_power_of_two();
        let Some(input) = layout(&mut rng, g.input, inner, (row, col)) else { continue };
        let step = |d: usize| d * g.stride.0;
        let Some(output) = layout(&mut rng, g.output, inner, (step(row), step(col))) else {
            continue;
        };
        // Phases must meet.
        if !(g.stride.0 * output.phases).is_multiple_of(input.phases)
            || input.phases != output.phases
        {
            continue;
        }
        let mask = if inner { 0 } else { pick(&mut rng, &[0, 0, input.period / 2]) };
        let layouts = (&[&input][..], &output);
        let Ok(census) = Census::new("n", &stage, layouts, mask, window) else { continue };
        layers += 1;
        let scores: Vec<f64> = plain.weights.iter().map(|w| w * w).collect();
        let ranked = Ranked::new(&census, &own, &scores, (&input, &output), mask);
        let tables = census.tables();
        let grouping = pick(&mut rng, &Grouping::all(&own));
        // Of some outputs nothing is read: of whole ciphertexts, mostly.
        let cts = output.channel_ciphertexts();
        let gone = rng.random_range(0..2 * cts);
        let unread: Vec<usize> = (0..own.output.channels)
            .filter(|o| output.channels[*o].ct == gone || *o % 7 == gone % 7 && gone % 3 == 1)
            .collect();
        let some = output.clone().without(&unread);
        let grouped = ranked.grouped(grouping, &some);
        let mut cut = plain.clone();
        let area = own.kernel.0 * own.kernel.1;
        let channels = (own.input.channels, own.output.channels);
        for o in 0..own.output.channels {
            let read: BTreeSet<usize> = grouping.reads(channels, o).collect();
            for i in (0..own.input.channels).filter(|i| !read.contains(i)) {
                cut.weights[(o * own.input.channels + i) * area..][..area].fill(0.0);
            }
        }
        let squares: Vec<f64> = cut.weights.iter().map(|w| w * w).collect();
        let placed = crate::lowering::Placed {
            layer: "n".into(),
            geometry: own,
            form: match window {
                1 => crate::lowering::LinearForm::Plain,
                n => crate::lowering::LinearForm::Merged { kernel: (n, n), stride: (n, n) },
            },
            input: input.clone(),
            output: output.clone(),
            fold: mask,
        };
        let Ok(map) = crate::pattern::UnitMap::placed(&placed) else { continue };
        let all = Pattern::from_scores(&map, &cut.weights, &squares).unwrap();
        for family in Family::REMOVING {
            let steps = ranked.steps(&grouped, family);
            let alive = census.alive(&steps.cells, &some);
            let counts: Vec<_> = tables.iter().map(|t| alive.count(t, mask != 0)).collect();
            for step in [0, 2, 4, 7] {
                let pruned = all.prune(family, (step + 1) as f64 / 8.0).unwrap();
                assert_eq!(steps.units[step], pruned.units.len(), "{family} {step}");
                assert!((steps.kept[step] - pruned.kept_energy(&all)).abs() < 1e-9);
                let mut real = cut.clone();
                for (weight, number) in real.weights.iter_mut().zip(&map.of_weight) {
                    if !pruned.units.contains_key(&map.units[*number as usize]) {
                        *weight = 0.0;
                    }
                }
                let real = merged(&real, window);
                let diagonals = Diagonals::new("n", &real, &[&input], &some, mask, false).unwrap();
                let area = real.geometry.kernel.0 * real.geometry.kernel.1;
                let reads = |i: usize| {
                    let mut outs = (0..own.output.channels).filter(|o| some.is_read(*o));
                    let at = |o: usize| (o * own.input.channels + i) * area;
                    outs.any(|o| real.weights[at(o)..][..area].iter().any(|w| *w != 0.0))
                };
                let unread: Vec<usize> = (0..own.input.channels).filter(|i| !reads(*i)).collect();
                assert_eq!(steps.unread(step), unread, "{family} {step}");
                fewer += usize::from(!unread.is_empty() || some.unread.channels().len() > 1);
                let mut counter = Counter::new(&diagonals, 1);
                for schedule in schedules(&diagonals, &Space::default()) {
                    let same = tables
                        .iter()
                        .zip(&counts)
                        .find(|(t, _)| alive.schedule(t, step) == Some(schedule));
                    let (table, counted) = same.unwrap();
                    let what = format!(
                        "{grouping:?} {family} {step} {schedule:?} window {window} {own:?}\n{input:?}\n{output:?} {mask}"
                    );
                    assert_eq!(counted[step], counter.count(&schedule, mask != 0), "{what}");
                    compared += 1;
                    shared += usize::from(table.shares_plaintexts());
                    varying += usize::from(table.varies());
                }
            }
        }
    }
    assert!(compared > 5000 && shared > 100 && varying > 20, "{compared} {shared} {varying}");
    assert!(fewer > 500, "{fewer}");
}
