//! Layouts whose fields are anything at all: an error, or every value in a slot of its own.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use simulator::Error;
use simulator::layout::{ChannelOrder, Layout, LayoutSpec, Margin, Place, pack, unpack};
use simulator::network::Shape;

/// Small numbers, powers of two, and the ends of the range.
fn number() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..5_usize,
        4 => (0..usize::BITS).prop_map(|bits| 1 << bits),
        1 => (0..usize::BITS).prop_map(|bits| (1 << bits) - 1),
        1 => (0..4_usize).prop_map(|k| usize::MAX - k),
        1 => any::<usize>(),
    ]
}

fn order() -> impl Strategy<Value = ChannelOrder> {
    prop_oneof![
        Just(ChannelOrder::Sequential),
        number().prop_map(|groups| ChannelOrder::Interleaved { groups }),
        number().prop_map(|step| ChannelOrder::Spill { step }),
        number().prop_map(|groups| ChannelOrder::Inner { groups, clean: false }),
        Just(ChannelOrder::Spread),
    ]
}

prop_compose! {
    fn spec()(order in order(), f in prop::array::uniform5(number())) -> LayoutSpec {
        let [phases, row, col, tile, blocks] = f;
        LayoutSpec { order, phases, row, col, tile, blocks }
    }
}

/// Mostly numbers as of a real network, so that many layouts are valid.
fn modest() -> impl Strategy<Value = usize> {
    prop_oneof![9 => (0..8_u32).prop_map(|bits| 1 << bits), 1 => number()]
}

prop_compose! {
    fn modest_spec()(
        order in prop_oneof![
            Just(ChannelOrder::Sequential),
            modest().prop_map(|groups| ChannelOrder::Interleaved { groups }),
            modest().prop_map(|step| ChannelOrder::Spill { step }),
            modest().prop_map(|groups| ChannelOrder::Inner { groups, clean: true }),
            Just(ChannelOrder::Spread),
        ],
        f in prop::array::uniform5(modest()),
    ) -> LayoutSpec {
        let [phases, row, col, tile, blocks] = f;
        LayoutSpec { order, phases, row, col, tile, blocks }
    }
}

/// Every value of a valid layout has a slot of its own, within the period, and comes back from there.
fn holds_everything(layout: &Layout) {
    let mut seen = BTreeSet::new();
    let shape = layout.shape;
    for c in 0..shape.channels {
        for y in 0..shape.height {
            for x in 0..shape.width {
                let (ct, slot) = layout.locate(c, y, x);
                assert!(ct < layout.ciphertexts() && slot < layout.period, "{layout:?}");
                assert!(seen.insert((ct, slot)), "{layout:?}");
            }
        }
    }
    if layout.ciphertexts() * layout.slots <= 1 << 22 {
        let map: Vec<f64> = (0..shape.len()).map(|v| v as f64).collect();
        assert_eq!(unpack(layout, &pack(layout, &map).unwrap()).unwrap(), map);
    }
    let used = layout.used_offsets();
    for at in [0, -1, isize::MIN, isize::MAX] {
        layout.known_zero(at, at, &used);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_fields(
        spec in spec(),
        slots in number(),
        shape in prop::array::uniform3(number()),
        margin in prop::array::uniform2(number()),
    ) {
        let [channels, height, width] = shape;
        let margin = Margin { before: margin[0], after: margin[1] };
        match spec.layout(slots, Shape { channels, height, width }, margin) {
            Ok(layout) => holds_everything(&layout),
            Err(error) => prop_assert!(matches!(error, Error::Layout { .. }), "{}", error),
        }
    }

    #[test]
    fn modest_fields(
        spec in modest_spec(),
        shape in prop::array::uniform3(1..20_usize),
        margin in prop::array::uniform2(prop_oneof![3 => 0..3_usize, 1 => number()]),
    ) {
        let [channels, height, width] = shape;
        let margin = Margin { before: margin[0], after: margin[1] };
        match spec.layout(4096, Shape { channels, height, width }, margin) {
            Ok(layout) => holds_everything(&layout),
            Err(error) => prop_assert!(matches!(error, Error::Layout { .. }), "{}", error),
        }
    }

    #[test]
    fn any_layout(
        f in prop::array::uniform9(number()),
        ct in number(),
        base in number(),
        channels in 0..4_usize,
        inner in any::<bool>(),
    ) {
        let [slots, height, width, phases, row, col, tile, period, before] = f;
        let layout = Layout {
            slots,
            shape: Shape { channels, height, width },
            channels: (0..channels).map(|c| Place { ct: ct.wrapping_add(c), base }).collect(),
            phases,
            row,
            col,
            tile,
            inner,
            spread: inner && base % 2 == 0,
            period,
            margin: Margin { before, after: 0 },
            clean: true,
            unread: Default::default(),
            shared: Vec::new(),
        };
        match layout.check() {
            Ok(()) => holds_everything(&layout),
            Err(_) => prop_assert!(pack(&layout, &[]).is_err() && unpack(&layout, &[]).is_err()),
        }
    }
}

/// Of a clean layout, what is known to be zero is zero, and with channels innermost zeros beside and below the map are known.
#[test]
fn known_zeros_are_zero() {
    let shape = Shape::new(3, 3, 5);
    let order = |groups| ChannelOrder::Inner { groups, clean: true };
    let raster = LayoutSpec::raster(ChannelOrder::Sequential, 8, 32, 256);
    let wide = LayoutSpec { order: order(1), phases: 1, row: 28, col: 4, tile: 4, blocks: 64 };
    let phases = LayoutSpec { phases: 2, row: 16, ..wide };
    for (spec, known) in
        [(raster, 64), (wide, 78), (LayoutSpec { blocks: 32, ..wide }, 52), (phases, 84)]
    {
        let layout = spec.layout(256, shape, Margin::default()).unwrap();
        let slots = pack(&layout, &[1.0; 45]).unwrap();
        let used = layout.used_offsets();
        let mut zeros = 0;
        for (y, x) in (-3..6).flat_map(|y| (-3..8).map(move |x| (y, x))) {
            let inside = (0..3).contains(&y) && (0..5).contains(&x);
            if inside || !layout.known_zero(y, x, &used) {
                continue;
            }
            zeros += 1;
            let (row, col) = (layout.row_at(y), layout.col_at(x));
            for place in &layout.channels {
                let slot = (place.base as isize + row.offset + col.offset).rem_euclid(256);
                let ct = layout.ciphertext(place.ct, row.phase, col.phase);
                assert_eq!(slots[ct][slot as usize], 0.0, "{spec:?} {y} {x}");
            }
        }
        assert_eq!(zeros, known, "{spec:?}");
    }
}

#[test]
fn absurd_fields_are_named() {
    let good = LayoutSpec::raster(ChannelOrder::Sequential, 8, 64, 4096);
    let shape = Shape::new(4, 8, 8);
    good.layout(4096, shape, Margin::default()).unwrap();
    let message = |change: fn(&mut LayoutSpec)| {
        let mut spec = good;
        change(&mut spec);
        spec.layout(4096, shape, Margin::default()).unwrap_err().to_string()
    };
    // So large that the offset of the last row wraps to a small one.
    assert!(message(|s| s.row = usize::MAX / 7 + 1).contains("row is "));
    assert!(message(|s| s.col = usize::MAX).contains("col is "));
    assert!(
        message(|s| s.order = ChannelOrder::Inner { groups: 1, clean: false }).contains("row is 8")
    );
    assert!(message(|s| s.tile = 1 << 63).contains("tile times blocks is "));
    assert!(message(|s| s.blocks = usize::MAX).contains("tile and blocks is "));
    let huge = Shape { channels: usize::MAX, ..shape };
    let error = good.layout(4096, huge, Margin::default()).unwrap_err().to_string();
    assert!(error.contains("number of channels is "), "{error}");
    for margin in [[usize::MAX, 0], [0, usize::MAX], [usize::MAX, usize::MAX - 7]] {
        let margin = Margin { before: margin[0], after: margin[1] };
        let error = good.layout(4096, shape, margin).unwrap_err().to_string();
        assert!(error.contains("map is "), "{error}");
    }
    assert_eq!(LayoutSpec::raster(ChannelOrder::Sequential, 8, 0, 4096).blocks, 1);
}
