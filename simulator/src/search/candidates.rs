//! Layouts, fold masks and schedules worth trying.

use std::collections::BTreeSet;

use super::space::{Layouts, Space};
use crate::config::{BlockSplit, Schedule};
use crate::config::{InputPacking, PoolMethod};
use crate::layout::{ChannelOrder, Layout, LayoutSpec, Margin};
use crate::lowering::Diagonals;
use crate::network::{ConvGeometry, Shape};

/// Copies of an output that products may write beyond what repeats by itself.
const MAX_REPLICAS: usize = 4;

/// A layout of a linear stage's result, and a fold mask.
pub(crate) type Target = (LayoutSpec, usize);

fn phases(space: &Space) -> &'static [usize] {
    match space.layouts {
        Layouts::Paper => &[1],
        Layouts::All => &[1, 2, 4],
    }
}

/// Slots from the first to the last value of a map.
fn footprint(height: usize, width: usize, phases: usize, row: usize, col: usize) -> usize {
    (height.div_ceil(phases) - 1) * row + (width.div_ceil(phases) - 1) * col + 1
}

/// Packings of the image for the first stage, `geometry`, of any number of ciphertexts; patches have `patches` for theirs.
pub(crate) fn inputs(
    geometry: &ConvGeometry,
    patches: Option<&ConvGeometry>,
    slots: usize,
    space: &Space,
) -> Vec<InputPacking> {
    let mut found = BTreeSet::new();
    // Weights that are zero at the border depend on the position, and channels innermost then gain nothing.
    let inner = |g: &ConvGeometry| space.layouts == Layouts::All && !g.is_padded();
    for &p in phases(space) {
        for padded in [false, true] {
            if padded && !geometry.is_padded() {
                continue;
            }
            let margin = if padded { Margin::of(geometry) } else { Margin::default() };
            let extra = margin.before + margin.after;
            let map = Shape::new(
                geometry.input.channels,
                geometry.input.height + extra,
                geometry.input.width + extra,
            );
            packings(map, p, slots, &mut found, (false, padded));
            if inner(geometry) {
                inner_packings(map, p, slots, &mut found, false);
            }
        }
        if let Some(g) = patches.filter(|_| space.patches) {
            packings(g.input, p, slots, &mut found, (true, false));
            if inner(g) {
                inner_packings(g.input, p, slots, &mut found, true);
            }
        }
    }
    found.into_iter().collect()
}

fn packings(
    map: Shape,
    phases: usize,
    slots: usize,
    found: &mut BTreeSet<InputPacking>,
    (patches, padded): (bool, bool),
) {
    let width = map.width.div_ceil(phases);
    let tile_of = |row| footprint(map.height, map.width, phases, row, 1).next_power_of_two();
    // A wide row leaves zeros that serve as padding; a narrow one is of use only if it saves slots.
    let wide = width.next_power_of_two();
    let narrow = tile_of(width) < tile_of(wide);
    for row in [Some(wide), narrow.then_some(width)].into_iter().flatten() {
        let tile = tile_of(row);
        let mut blocks = 1;
        while blocks * tile <= slots && blocks < 2 * map.channels {
            let order = ChannelOrder::Sequential;
            let layout = LayoutSpec { order, phases, row, col: 1, tile, blocks };
            found.insert(InputPacking { patches, padded, layout });
            blocks *= 2;
        }
    }
}

/// Packings with channels innermost.
fn inner_packings(
    map: Shape,
    phases: usize,
    slots: usize,
    found: &mut BTreeSet<InputPacking>,
    patches: bool,
) {
    let (height, width) = (map.height.div_ceil(phases), map.width.div_ceil(phases));
    let positions = (height * width).next_power_of_two();
    let most = slots / positions.min(slots);
    let mut add = |order, tile: usize| {
        let row = width * tile;
        let layout = LayoutSpec { order, phases, row, col: tile, tile, blocks: slots / tile };
        found.insert(InputPacking { patches, padded: false, layout });
    };
    let mut tile = 2;
    while tile <= most {
        if tile < 2 * map.channels.next_power_of_two() {
            add(ChannelOrder::Inner { groups: 1, clean: false }, tile);
        }
        add(ChannelOrder::Spread, tile);
        tile *= 2;
    }
}

/// Layouts and fold masks of a linear stage's result, `g` being its first part and `inputs` the layouts of what its parts
/// read. `groups` are those of this and the next convolution.
pub(crate) fn targets(
    g: &ConvGeometry,
    inputs: &[&Layout],
    groups: [usize; 2],
    space: &Space,
) -> Vec<Target> {
    let (input, mut found) = (inputs[0], BTreeSet::new());
    if g.output.area() == 1 {
        units(g.output.channels, input, space, &mut found);
    } else {
        maps(g, input, groups, space, &mut found);
    }
    // Folding sums what one source gives, over its own period.
    let alone = inputs.iter().all(|other| other.period == input.period);
    found.into_iter().filter(|(_, mask)| *mask == 0 || alone).collect()
}

fn maps(
    g: &ConvGeometry,
    input: &Layout,
    groups: [usize; 2],
    space: &Space,
    found: &mut BTreeSet<Target>,
) {
    for &p in phases(space) {
        // A step of `p` output rows is a step of whole input rows: the same distance for all positions.
        let distance = |d: usize, stride: usize| {
            let step = d * stride * p;
            step.is_multiple_of(input.phases).then_some(step / input.phases)
        };
        let (Some(row), Some(col)) =
            (distance(input.row, g.stride.0), distance(input.col, g.stride.1))
        else {
            continue;
        };
        if input.inner {
            inner_layouts(g.output, (p, row, col), input, groups, space, found);
            continue;
        }
        map_layouts(g.output, (p, row, col), input, groups, space, found);
    }
}

/// Layouts with channels innermost, where those of the input are: they cannot become outermost in a convolution. Their tile
/// divides the distance of positions.
fn inner_layouts(
    shape: Shape,
    (phases, row, col): (usize, usize, usize),
    input: &Layout,
    groups: [usize; 2],
    space: &Space,
    found: &mut BTreeSet<Target>,
) {
    let least = 1usize << row.trailing_zeros().min(col.trailing_zeros());
    let groups = interleavable(shape, groups);
    for tile in [least, least / 2, least / 4].into_iter().filter(|tile| *tile >= 2) {
        if shape.channels.div_ceil(tile) * phases * phases > space.max_ciphertexts {
            continue;
        }
        for groups in &groups {
            let order = ChannelOrder::Inner { groups: *groups, clean: false };
            let blocks = input.period / tile;
            found.insert((LayoutSpec { order, phases, row, col, tile, blocks }, 0));
        }
    }
}

/// Numbers of groups that a map's channels may be interleaved by: one, and those of these that fit.
fn interleavable(shape: Shape, groups: [usize; 2]) -> BTreeSet<usize> {
    let fits = |g: &usize| g.is_power_of_two() && shape.channels.is_multiple_of(*g);
    [1].into_iter().chain(groups.into_iter().filter(fits)).collect()
}

/// Layouts for the result of a repack: compact ones, whatever the input's are.
pub(crate) fn compact(shape: Shape, input: &Layout, groups: usize, space: &Space) -> Vec<Target> {
    let mut found = BTreeSet::new();
    for &p in phases(space) {
        let row = shape.width.div_ceil(p).next_power_of_two();
        map_layouts(shape, (p, row, 1), input, [groups; 2], space, &mut found);
    }
    found.into_iter().filter(|(_, mask)| *mask == 0).collect()
}

fn map_layouts(
    shape: Shape,
    (phases, row, col): (usize, usize, usize),
    input: &Layout,
    groups: [usize; 2],
    space: &Space,
    found: &mut BTreeSet<Target>,
) {
    let smallest = footprint(shape.height, shape.width, phases, row, col).next_power_of_two();
    let order = |groups| ChannelOrder::Sequential.with_groups(groups);
    let orders: Vec<_> = interleavable(shape, groups).into_iter().map(order).collect();
    for tile in BTreeSet::from([smallest, 2 * smallest, input.tile.max(smallest)]) {
        if tile > input.slots {
            continue;
        }
        let full = input.slots / tile;
        let needed = shape.channels.next_power_of_two().min(full);
        for blocks in BTreeSet::from([full, needed, (needed / 2).max(1), (needed / 4).max(1)]) {
            if shape.channels.div_ceil(blocks) * phases * phases > space.max_ciphertexts {
                continue;
            }
            for order in &orders {
                let spec = LayoutSpec { order: *order, phases, row, col, tile, blocks };
                let across = (tile - 1) & !(input.tile - 1);
                let top = (input.period - 1) & !(tile * blocks - 1);
                let masks = match space.layouts {
                    Layouts::Paper => vec![0],
                    Layouts::All => vec![0, across, top, across | top],
                };
                insert(spec, masks, input, found);
            }
        }
    }
}

fn units(units: usize, input: &Layout, space: &Space, found: &mut BTreeSet<Target>) {
    let mut tile = 1;
    while tile <= input.slots {
        let full = input.slots / tile;
        for blocks in BTreeSet::from([full, units.next_power_of_two().min(full)]) {
            if units.div_ceil(blocks) > space.max_ciphertexts {
                continue;
            }
            let top = (input.period - 1) & !(tile * blocks - 1);
            let low = (tile - 1) & (input.period - 1);
            let inside = low & (input.tile - 1);
            let spec = LayoutSpec::units(tile, blocks);
            insert(spec, vec![0, low, inside, top, top | low, top | inside], input, found);
            let each = units.div_ceil(blocks).next_power_of_two();
            if each > 1 && each <= tile {
                let spec = LayoutSpec { order: ChannelOrder::Spill { step: 1 }, ..spec };
                let low = low & !(each - 1);
                insert(spec, vec![0, low, top | low], input, found);
            }
        }
        tile *= 2;
    }
}

/// Adds a layout with those masks that leave few copies to products.
fn insert(spec: LayoutSpec, masks: Vec<usize>, input: &Layout, found: &mut BTreeSet<Target>) {
    let period = spec.tile * spec.blocks;
    for mask in masks {
        let mask = mask & (input.period - 1);
        let copies =
            (input.period / period.min(input.period)) >> (mask & !(period - 1)).count_ones();
        if copies <= MAX_REPLICAS {
            found.insert((spec, mask));
        }
    }
}

/// Schedules worth trying for these diagonals.
pub(crate) fn schedules(diagonals: &Diagonals, space: &Space) -> Vec<Schedule> {
    let blocks = diagonals.blocks().len();
    let mut splits = vec![BlockSplit::None];
    splits.extend(babies(blocks));
    if blocks > 1 {
        splits.push(BlockSplit::All);
    }
    cuts(splits, diagonals, space)
}

/// Schedules of some diagonals: any that is worth trying for all of them cuts these as one of these does. Steps below their
/// common divisor leave nothing to the baby steps, and those beyond their largest rotation nothing to the giant ones.
pub(crate) fn schedules_of_some(diagonals: &Diagonals, space: &Space) -> Vec<Schedule> {
    let largest = diagonals.blocks().last().copied().unwrap_or(0);
    let mut splits = vec![BlockSplit::None];
    splits.extend(babies(largest / diagonals.unit().max(1) + 1));
    splits.push(BlockSplit::All);
    cuts(splits, diagonals, space)
}

/// Powers of two below a number of steps.
fn babies(steps: usize) -> impl Iterator<Item = BlockSplit> {
    std::iter::successors(Some(2), |baby| Some(2 * baby))
        .take_while(move |baby| *baby < steps)
        .map(BlockSplit::Baby)
}

/// Each way of cutting rotations across blocks with each of cutting those within.
fn cuts(splits: Vec<BlockSplit>, diagonals: &Diagonals, space: &Space) -> Vec<Schedule> {
    // Where no rotation has a part across rows, or across columns, cutting it off changes nothing.
    let cuts = |any: bool| if any { &[false, true][..] } else { &[false] };
    let rows = cuts(diagonals.diagonals.iter().any(|(d, _)| d.row != 0));
    let cols = cuts(diagonals.diagonals.iter().any(|(d, _)| d.col != 0));
    let parts = || cols.iter().flat_map(|col| rows.iter().map(|row| (*row, *col)));
    splits
        .iter()
        .flat_map(|block| {
            parts().map(|(row, col)| Schedule {
                block: *block,
                row,
                col,
                double_hoisting: space.double_hoisting,
            })
        })
        .collect()
}

/// Pool methods worth trying for a window of `kernel` with `stride`, rows and columns each, from a map of `input`.
pub(crate) fn pools(
    kernel: (usize, usize),
    stride: (usize, usize),
    input: &Layout,
    output: Shape,
) -> Vec<PoolMethod> {
    let mut methods = vec![PoolMethod::Merge];
    let square = kernel == stride && stride.0 == stride.1;
    if input.phases > 1 && square && input.phases.is_multiple_of(stride.0) {
        methods.push(PoolMethod::Phases);
    }
    if input.phases == 1 {
        methods.push(PoolMethod::Rotate);
        if kernel.0 * kernel.1 <= 16 {
            methods.push(PoolMethod::RotateHoisted);
        }
    }
    if output.area() == 1 {
        methods.extend([2, 4, 8].map(|radix| PoolMethod::Fold { radix }));
    }
    methods
}
