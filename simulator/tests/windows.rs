//! Windows of any kind: kernels, strides and pools that are no squares, four-sided padding, dilation, and batch norms
//! without a weight or after a flatten. In the clear, folded, by every configuration that a search returns, and encrypted.

#![allow(clippy::unwrap_used)]

mod common;

use common::found::{check_clear, encrypted, search, space};
use common::layers::{act, add, conv, fc, network, norm, pool, random};
use common::{difference, image};
use simulator::fold::{ActivationMethod, Folded};
use simulator::network::{
    LayerKind, LayerParameters, Model, NetworkBuilder, Padding, Shape, Source, Window,
};
use simulator::precision::Demand;

/// A value of a map, or zero outside.
fn value(x: &[f64], shape: Shape, c: usize, y: isize, column: isize) -> f64 {
    let inside =
        (0..shape.height as isize).contains(&y) && (0..shape.width as isize).contains(&column);
    match inside {
        true => x[(c * shape.height + y as usize) * shape.width + column as usize],
        false => 0.0,
    }
}

/// Windows that are no squares, of every kind that fits a map of 6 rows and 5 columns.
fn windows() -> Vec<Window> {
    let mut all = Vec::new();
    for kernel in [(1, 1), (2, 3), (3, 1), (4, 2)] {
        for stride in [(1, 1), (1, 2), (3, 2)] {
            for padding in [[0, 0, 0, 0], [0, 0, 1, 1], [2, 1, 0, 3], [5, 4, 6, 4]] {
                for dilation in [(1, 1), (1, 2), (2, 3)] {
                    let [top, left, bottom, right] = padding;
                    let padding = Padding { top, left, bottom, right };
                    all.push(Window { kernel, stride, padding, dilation });
                }
            }
        }
    }
    all
}

/// A network of one layer, if its window fits.
fn one(shape: Shape, kind: LayerKind) -> Option<Model> {
    let mut builder = NetworkBuilder::new("n", shape).unwrap();
    builder.layer("l", kind, &[Source::Input]).ok()?;
    Some(Model::random(builder.finish().unwrap(), 3))
}

/// The first value of a window and the number of its row and column, for all outputs in order.
fn starts(model: &Model, window: &Window) -> Vec<(isize, isize)> {
    let out = model.network.output();
    let at = |k: usize, stride: usize, before: usize| (k * stride) as isize - before as isize;
    (0..out.height)
        .flat_map(|y| (0..out.width).map(move |x| (y, x)))
        .map(|(y, x)| {
            (
                at(y, window.stride.0, window.padding.top),
                at(x, window.stride.1, window.padding.left),
            )
        })
        .collect()
}

#[test]
fn convolutions_are_what_their_windows_say() {
    let (shape, mut compared) = (Shape::new(2, 6, 5), 0);
    for window in windows() {
        let kind = LayerKind::Conv { out: 4, window, groups: 2, bias: true };
        let Some(model) = one(shape, kind) else { continue };
        let x = image(&model.network, 5);
        let LayerParameters::Linear { weight, bias } = &model.parameters[0] else { unreachable!() };
        // Of a dilated kernel, the weights have zeros between.
        let (rows, cols) = window.extent();
        let mut wanted = Vec::new();
        for o in 0..4 {
            for (top, left) in starts(&model, &window) {
                let mut sum = bias[o];
                for (ky, kx) in
                    (0..window.kernel.0).flat_map(|y| (0..window.kernel.1).map(move |x| (y, x)))
                {
                    let (y, x_at) = (ky * window.dilation.0, kx * window.dilation.1);
                    sum += weight[(o * rows + y) * cols + x_at]
                        * value(&x, shape, o / 2, top + y as isize, left + x_at as isize);
                }
                wanted.push(sum);
            }
        }
        let found = model.forward(&x).unwrap();
        assert!(difference(&found, &wanted) < 1e-12, "{window:?}");
        let kept = weight.iter().filter(|w| **w != 0.0).count();
        assert_eq!(kept, 4 * window.area(), "{window:?}");
        let folded = Folded::new(&model, ActivationMethod::Square).unwrap();
        assert!(difference(&folded.forward(&x).unwrap(), &found) < 1e-12, "{window:?}");
        compared += 1;
    }
    assert!(compared > 80, "{compared}");
}

#[test]
fn pools_average_what_their_windows_say() {
    let (shape, mut compared, mut uneven) = (Shape::new(2, 6, 5), 0, 0);
    for window in windows() {
        for count_include_pad in [true, false] {
            let kind = LayerKind::AvgPool { window, count_include_pad };
            let Some(model) = one(shape, kind) else { continue };
            let x = image(&model.network, 5);
            let mut wanted = Vec::new();
            for c in 0..2 {
                for (top, left) in starts(&model, &window) {
                    let (mut sum, mut inside) = (0.0, 0);
                    for y in top..top + window.kernel.0 as isize {
                        for x_at in left..left + window.kernel.1 as isize {
                            sum += value(&x, shape, c, y, x_at);
                            inside += usize::from((0..6).contains(&y) && (0..5).contains(&x_at));
                        }
                    }
                    let count = if count_include_pad { window.area() } else { inside };
                    wanted.push(sum / count as f64);
                }
            }
            let found = model.forward(&x).unwrap();
            assert!(difference(&found, &wanted) < 1e-12, "{window:?}");
            compared += 1;
            let folded = Folded::new(&model, ActivationMethod::Square).unwrap();
            assert!(difference(&folded.forward(&x).unwrap(), &found) < 1e-12, "{window:?}");
            let gained = folded.linear().any(|(_, stage)| stage.gains.iter().any(|g| *g > 1.0));
            uneven += usize::from(gained);
            assert!(!gained || !count_include_pad, "{window:?}");
        }
    }
    assert!(compared > 50 && uneven >= 5, "{compared} {uneven}");
}

/// Networks of layers like those.
fn networks() -> Vec<((usize, usize, usize), Vec<String>)> {
    let wide =
        "name = \"c\"|kind = \"conv\"|out = 4|kernel = [3, 2]|stride = [1, 2]|padding = [1, 0]";
    let same = "name = \"c\"|kind = \"conv\"|out = 4|kernel = 3|stride = 2|padding = [0, 0, 1, 1]";
    let dilated = "name = \"c\"|kind = \"conv\"|out = 3|kernel = 3|dilation = 2|padding = 2";
    let far = "name = \"c\"|kind = \"conv\"|out = 3|kernel = 2|padding = [3, 0, 0, 2]";
    let tall = "name = \"p\"|kind = \"avgpool\"|kernel = [2, 1]|stride = [2, 1]";
    let padded = "name = \"p\"|kind = \"avgpool\"|kernel = 3|stride = 2|padding = 1";
    let inside = "kind = \"avgpool\"|kernel = 3|padding = 1|count_include_pad = false";
    let apart = |stride: usize| format!("name = \"p\"|stride = {stride}|{inside}");
    let plain = "name = \"b\"|kind = \"batchnorm\"|affine = false";
    let flatten = || "name = \"flat\"|kind = \"flatten\"".to_owned();
    let on = |text: &str| text.to_owned();
    vec![
        ((2, 8, 6), vec![on(wide), act("a"), fc("f", 4)]),
        ((1, 8, 8), vec![on(same), act("a"), fc("f", 4)]),
        ((2, 7, 6), vec![on(dilated), act("a"), fc("f", 3)]),
        ((1, 5, 5), vec![on(far), act("a"), fc("f", 3)]),
        ((2, 8, 6), vec![conv("c", 4, 3, "padding = 1"), act("a"), on(tall), fc("f", 4)]),
        (
            (2, 8, 6),
            vec![
                conv("c", 4, 3, "padding = 1"),
                act("a"),
                on(tall),
                conv("d", 3, 3, "padding = 1"),
                fc("f", 4),
            ],
        ),
        ((2, 8, 8), vec![conv("c", 4, 3, ""), act("a"), on(padded), fc("f", 4)]),
        ((2, 8, 8), vec![on(padded), conv("c", 4, 3, ""), act("a"), fc("f", 4)]),
        (
            (1, 6, 6),
            vec![conv("c", 3, 3, ""), on(plain), act("a"), flatten(), norm("n"), fc("f", 4)],
        ),
        ((1, 6, 6), vec![flatten(), norm("n"), norm("m"), fc("f", 4), act("a"), fc("g", 2)]),
        ((1, 7, 9), vec![on(wide), act("a"), pool("p", 2, 2), fc("f", 3)]),
        ((2, 8, 8), vec![apart(2), norm("n"), conv("c", 4, 3, ""), act("a"), fc("f", 4)]),
        ((2, 7, 7), vec![conv("c", 4, 3, "padding = 1"), act("a"), apart(1), act("b"), fc("f", 4)]),
        (
            (1, 8, 8),
            vec![
                conv("c", 4, 3, "padding = 1"),
                act("a"),
                apart(2),
                conv("d", 4, 3, "padding = 1"),
                fc("f", 4),
            ],
        ),
        // A pool and an activation each read what another layer reads, too.
        (
            (2, 8, 8),
            vec![
                conv("c", 4, 3, "padding = 1"),
                act("a"),
                conv("d", 4, 3, "padding = 1"),
                add("t", "d", "c"),
                pool("p", 2, 2),
                conv("e", 4, 3, "padding = 1|stride = 2|input = \"t\""),
                add("u", "e", "p"),
                fc("f", 3),
            ],
        ),
    ]
}

/// What a search finds for a network runs in the clear, and the best of it encrypted.
#[track_caller]
fn check_found(model: &Model, method: ActivationMethod, images: &[Vec<f64>]) {
    let (asked, layers) = (Demand::Relative(10.0), &model.network.layers);
    let outcome = search(model, &space(method), asked, images).unwrap();
    let found: Vec<_> =
        outcome.all.iter().filter(|e| asked.is_met(&e.precision.unwrap())).collect();
    assert!(!found.is_empty(), "{layers:?}: {:?}", outcome.obstacles);
    found.iter().take(4).for_each(|e| check_clear(model, e, &images[1]));
    let measured = encrypted(model, &found[0].configuration, &images[1]);
    assert!(measured.relative_bits > 8.5, "{layers:?}: {measured:?}");
}

#[test]
fn networks_of_such_layers_fold_run_by_what_is_found_and_encrypted() {
    for (k, (shape, layers)) in networks().into_iter().enumerate() {
        let model = random(shape, &layers, k as u64);
        let images: Vec<Vec<f64>> = (0..2).map(|seed| image(&model.network, seed)).collect();
        let plain = model.forward(&images[0]).unwrap();
        for method in [ActivationMethod::Square, ActivationMethod::Quadratic] {
            let folded = Folded::new(&model, method).unwrap().forward(&images[0]).unwrap();
            assert!(difference(&folded, &plain) < 1e-9, "{k}: {layers:?}");
        }
        check_found(&model, ActivationMethod::PairedSquare, &images);
    }
}

/// A square, and a quadratic kept as it is, of what a sum and a pool read, too: it costs a level, and nothing that the others
/// read is changed.
#[test]
fn what_an_activation_reads_may_be_read_again() {
    let layers = [
        conv("c", 4, 3, "padding = 1"),
        act("a"),
        add("t", "a", "c"),
        act("b"),
        pool("p", 2, 2) + "|input = \"t\"",
        conv("e", 4, 2, "stride = 2|input = \"b\""),
        add("u", "e", "p"),
        fc("f", 3),
    ];
    let mut model = random((2, 8, 8), &layers, 3);
    for (layer, parameters) in model.network.layers.iter().zip(&mut model.parameters) {
        if let LayerKind::Activation = layer.kind {
            let [a, b, c] = [1.0, 0.0, 0.0].map(|v| vec![v; 4]);
            *parameters = LayerParameters::Activation { a, b, c };
        }
    }
    let images: Vec<Vec<f64>> = (0..2).map(|seed| image(&model.network, seed)).collect();
    let plain = model.forward(&images[0]).unwrap();
    for method in [ActivationMethod::PairedSquare, ActivationMethod::Quadratic] {
        let folded = Folded::new(&model, method).unwrap();
        assert!(difference(&folded.forward(&images[0]).unwrap(), &plain) < 1e-9);
        check_found(&model, method, &images);
    }
}

#[test]
fn what_a_flatten_leaves_without_a_place_is_named() {
    let flat = "name = \"flat\"|kind = \"flatten\"";
    let cases: [(&[&str], &str); 5] = [
        (
            &[flat, "name = \"c\"|kind = \"conv\"|out = 2|kernel = 1"],
            "layer c: position is after a flatten of 2x3x3",
        ),
        (
            &[flat, "name = \"p\"|kind = \"avgpool\"|kernel = 1"],
            "layer p: position is after a flatten",
        ),
        (
            &[flat, "name = \"s\"|kind = \"shortcut\"|out = 20"],
            "layer s: position is after a flatten",
        ),
        (
            &[flat, "name = \"n\"|kind = \"batchnorm\"", "name = \"a\"|kind = \"activation\""],
            "layer a: input is a batch norm by value",
        ),
        (
            &[flat, "name = \"n\"|kind = \"batchnorm\""],
            "layer output: input is a batch norm by value",
        ),
    ];
    for (layers, expected) in cases {
        let model = Model::random(network((2, 3, 3), layers), 1);
        let error = Folded::new(&model, ActivationMethod::Square).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    // Maps that are added must lie alike, whatever they are flattened to.
    let sum = [
        "name = \"f\"|kind = \"fc\"|out = 18",
        "name = \"g\"|kind = \"flatten\"|input = \"input\"",
        "name = \"t\"|kind = \"add\"|input = [\"f\", \"g\"]",
    ];
    let model = Model::random(network((2, 3, 3), &sum), 1);
    let error = Folded::new(&model, ActivationMethod::Square).unwrap_err().to_string();
    assert!(error.starts_with("layer t: second map is 2x3x3"), "{error}");
}

/// An activation may come after a flatten where its coefficients are those of channels.
#[test]
fn activations_after_a_flatten() {
    let layers = [
        conv("c", 3, 3, ""),
        "name = \"flat\"|kind = \"flatten\"".to_owned(),
        act("a"),
        fc("f", 4),
    ];
    let mut model = random((1, 6, 6), &layers, 2);
    let x = image(&model.network, 1);
    let error = Folded::new(&model, ActivationMethod::Square).unwrap_err().to_string();
    assert!(error.contains("coefficients that differ within a channel"), "{error}");
    let by_channel = |k: usize| (k / 16) as f64 - 0.5;
    let coefficients: Vec<f64> = (0..48).map(by_channel).collect();
    model.parameters[2] = LayerParameters::Activation {
        a: coefficients.clone(),
        b: coefficients.clone(),
        c: coefficients,
    };
    let plain = model.forward(&x).unwrap();
    for method in [ActivationMethod::Square, ActivationMethod::Quadratic] {
        let folded = Folded::new(&model, method).unwrap().forward(&x).unwrap();
        assert!(difference(&folded, &plain) < 1e-9);
    }
}
