//! Weight files: the smaller forms of tensors, and files that are malformed.

#![allow(clippy::unwrap_used)]

use half::{bf16, f16};
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use simulator::Error;
use simulator::network::Weights;

/// A tensor as it lies in a file.
#[derive(Clone)]
struct Raw {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn raw(name: &str, dtype: Dtype, shape: &[usize], bytes: impl IntoIterator<Item = u8>) -> Raw {
    Raw { name: name.into(), dtype, shape: shape.to_vec(), bytes: bytes.into_iter().collect() }
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> Raw {
    raw(name, Dtype::F32, shape, values.iter().flat_map(|v| v.to_le_bytes()))
}

fn integers(name: &str, shape: &[usize], values: &[i8]) -> Raw {
    raw(name, Dtype::I8, shape, values.iter().map(|v| v.cast_unsigned()))
}

fn extents(name: &str, values: &[i64]) -> Raw {
    raw(name, Dtype::I64, &[values.len()], values.iter().flat_map(|v| v.to_le_bytes()))
}

fn bits(name: &str, bytes: &[u8]) -> Raw {
    raw(name, Dtype::U8, &[bytes.len()], bytes.iter().copied())
}

fn read(tensors: &[Raw]) -> simulator::Result<Weights> {
    let views = tensors
        .iter()
        .map(|t| (&t.name, TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap()));
    Weights::from_bytes(&safetensors::serialize(views, None).unwrap())
}

/// The tensor `x` of a file, which must have this shape.
fn dense(tensors: &[Raw], shape: &[usize]) -> Vec<f64> {
    read(tensors).unwrap().expect_shape("x", shape).unwrap().to_vec()
}

/// A bitmap of the values that are not zero.
fn bitmap(values: &[f64]) -> Vec<u8> {
    let bit = |k: usize| values.get(k).is_some_and(|v| *v != 0.0);
    (0..values.len().div_ceil(8))
        .map(|byte| (0..8).map(|k| u8::from(bit(8 * byte + k)) << k).sum())
        .collect()
}

#[test]
fn half_precision_is_read() {
    let values = [1.5, -0.25, 65504.0, 0.0];
    let f =
        raw("f", Dtype::F16, &[2, 2], values.iter().flat_map(|v| f16::from_f64(*v).to_le_bytes()));
    let b = raw(
        "b",
        Dtype::BF16,
        &[4],
        [1.5, -0.25, 3.0, 1e30].iter().flat_map(|v| bf16::from_f64(*v).to_le_bytes()),
    );
    let w = read(&[f, b]).unwrap();
    assert_eq!(w.expect_shape("f", &[2, 2]).unwrap(), values);
    assert_eq!(w.expect_shape("b", &[4]).unwrap()[..3], [1.5, -0.25, 3.0]);
    assert_eq!(w.get("b").unwrap().data[3], bf16::from_f64(1e30).to_f64());
    let infinite = raw("f", Dtype::F16, &[1], f16::INFINITY.to_le_bytes());
    assert!(read(&[infinite]).unwrap_err().to_string().contains("a value inf"));
}

#[test]
fn sparse_tensors_are_read_bit_by_bit() {
    // Bits 0, 2, 9: the least significant first.
    let parts =
        |values: Raw| [extents("x.shape", &[2, 5]), bits("x.kept", &[0b0000_0101, 0b10]), values];
    let mut dense = [0.0; 10];
    (dense[0], dense[2], dense[9]) = (1.0, -2.0, 3.0);
    let w = read(&parts(floats("x.values", &[3], &[1.0, -2.0, 3.0]))).unwrap();
    assert_eq!(w.expect_shape("x", &[2, 5]).unwrap(), dense);
    assert_eq!(w.names().collect::<Vec<_>>(), ["x"]);
    // The second row has a step of its own.
    let mut with_steps = parts(integers("x.values", &[3], &[2, -4, 3])).to_vec();
    with_steps.push(floats("x.step", &[2], &[0.5, 1.0]));
    assert_eq!(read(&with_steps).unwrap().expect_shape("x", &[2, 5]).unwrap(), dense);
    // Nothing kept, and nothing there.
    let none = [extents("x.shape", &[3]), bits("x.kept", &[0]), floats("x.values", &[0], &[])];
    assert_eq!(read(&none).unwrap().expect_shape("x", &[3]).unwrap(), [0.0; 3]);
    let empty = [extents("x.shape", &[0, 4]), bits("x.kept", &[]), floats("x.values", &[0], &[])];
    assert_eq!(read(&empty).unwrap().expect_shape("x", &[0, 4]).unwrap(), [0.0; 0]);
}

proptest! {
    #[test]
    fn small_forms_stand_for_the_dense_tensor(
        rows in 1usize..5,
        columns in 1usize..40,
        seed in proptest::collection::vec((any::<i8>(), 0u8..3), 200),
        steps in proptest::collection::vec(0.0f32..2.0, 5),
    ) {
        let n = rows * columns;
        let kept = |k: usize| seed[k].1 == 0;
        let integer = |k: usize| if seed[k].0 == 0 { 1 } else { seed[k].0 };
        let mask: Vec<f64> = (0..n).map(|k| f64::from(u8::from(kept(k)))).collect();
        let step = floats("x.step", &[rows], &steps[..rows]);
        let value = |k: usize| f64::from(integer(k)) * f64::from(steps[k / columns]);
        let all: Vec<i8> = (0..n).map(integer).collect();
        let rounded = [integers("x", &[rows, columns], &all), step.clone()];
        let wanted: Vec<f64> = (0..n).map(value).collect();
        prop_assert_eq!(dense(&rounded, &[rows, columns]), wanted);

        let some: Vec<i8> = (0..n).filter(|k| kept(*k)).map(integer).collect();
        let wanted: Vec<f64> = (0..n).map(|k| if kept(k) { value(k) } else { 0.0 }).collect();
        let head = [
            extents("x.shape", &[rows as i64, columns as i64]),
            bits("x.kept", &bitmap(&mask)),
        ];
        let values = integers("x.values", &[some.len()], &some);
        let file = [&head[..], &[values, step]].concat();
        prop_assert_eq!(dense(&file, &[rows, columns]), wanted);

        let some: Vec<f32> = some.iter().map(|q| f32::from(*q) / 4.0).collect();
        let wanted: Vec<f64> =
            (0..n).map(|k| if kept(k) { f64::from(integer(k)) / 4.0 } else { 0.0 }).collect();
        let file = [&head[..], &[floats("x.values", &[some.len()], &some)]].concat();
        prop_assert_eq!(dense(&file, &[rows, columns]), wanted);
    }
}

#[test]
fn cyclic_tensors_are_read_row_by_row() {
    let parts = |shape: [i64; 2], pattern: [i64; 2], values: Raw| {
        vec![extents("x.shape", &shape), extents("x.cyclic", &pattern), values]
    };
    // Each row begins two columns further on, and goes on past the end at the start.
    let window =
        parts([3, 6], [2, 1], floats("x.values", &[9], &[1., 2., 3., 4., 5., 6., 7., 8., 9.]));
    let wanted = [[1., 2., 3., 0., 0., 0.], [0., 0., 4., 5., 6., 0.], [9., 0., 0., 0., 7., 8.]];
    assert_eq!(dense(&window, &[3, 6]), wanted.concat());
    assert_eq!(read(&window).unwrap().names().collect::<Vec<_>>(), ["x"]);
    // Every other column, those of even or of odd rows, with a step for each row.
    let mut classes = parts([4, 4], [1, 2], integers("x.values", &[8], &[1, 2, 3, 4, 5, 6, 7, 8]));
    classes.push(floats("x.step", &[4], &[1.0, 0.5, 1.0, 2.0]));
    let wanted = [[1., 0., 2., 0.], [0., 1.5, 0., 2.], [6., 0., 5., 0.], [0., 16., 0., 14.]];
    assert_eq!(dense(&classes, &[4, 4]), wanted.concat());
    let none = parts([2, 3], [0, 0], floats("x.values", &[0], &[]));
    assert_eq!(dense(&none, &[2, 3]), [0.0; 6]);
}

#[test]
fn malformed_cyclic_tensors_say_what_is_wrong() {
    let shape = || extents("x.shape", &[2, 4]);
    let pattern = || extents("x.cyclic", &[1, 2]);
    let values = || floats("x.values", &[4], &[1.0; 4]);
    let cases: Vec<(Vec<Raw>, &str)> = vec![
        (vec![pattern(), values()], "x.shape: found no such tensor"),
        (vec![shape(), pattern()], "x.values: found no such tensor"),
        (vec![shape(), pattern(), values(), bits("x.kept", &[15])], "also a bitmap"),
        (vec![extents("x.shape", &[8]), pattern(), values()], "expected rows and columns"),
        (vec![shape(), extents("x.cyclic", &[1]), values()], "expected shift and stride"),
        (vec![shape(), extents("x.cyclic", &[1, 4]), values()], "0 to below 4"),
        (vec![shape(), extents("x.cyclic", &[-1, 2]), values()], "0 to below 4"),
        (vec![shape(), bits("x.cyclic", &[1, 2]), values()], "x.cyclic: found type U8"),
        (vec![shape(), pattern(), floats("x.values", &[3], &[1.0; 3])], "as many in each of 2"),
        (vec![shape(), pattern(), floats("x.values", &[6], &[1.0; 6])], "stride 2"),
        (vec![shape(), pattern(), integers("x.values", &[4], &[1; 4])], "x.step: found no such"),
        (
            vec![extents("x.shape", &[0, i64::MAX]), pattern(), values()],
            "4 values, expected as many in each of 0",
        ),
    ];
    for (tensors, expected) in cases {
        let error = read(&tensors).unwrap_err();
        assert!(error.to_string().contains(expected), "{error} does not say {expected:?}");
    }
    // More than any network has is passed over, and not allocated.
    let huge = [
        extents("x.shape", &[1, 1 << 40]),
        extents("x.cyclic", &[1, 1]),
        floats("x.values", &[1], &[1.0]),
    ];
    assert!(read(&huge).unwrap().get("x").is_none());
}

#[test]
fn malformed_small_forms_say_what_is_wrong() {
    let shape = || extents("x.shape", &[2, 5]);
    let kept = || bits("x.kept", &[5, 2]);
    let values = || floats("x.values", &[3], &[1.0, 2.0, 3.0]);
    let rounded = || integers("x", &[2, 2], &[1, 2, 3, 4]);
    let huge = i64::MAX;
    let cases: Vec<(Vec<Raw>, &str)> = vec![
        (vec![rounded()], "x.step: found no such tensor"),
        (
            vec![rounded(), floats("x.step", &[3], &[1.0; 3])],
            "x.step: found shape [3], expected [2]",
        ),
        (vec![rounded(), floats("x.step", &[2, 1], &[1.0; 2])], "expected a list"),
        (vec![rounded(), floats("x.step", &[2], &[1.0, -1.0])], "a step -1"),
        (vec![rounded(), floats("x.step", &[2], &[1.0, f32::NAN])], "a value NaN"),
        (vec![rounded(), integers("x.step", &[2], &[1, 1])], "x.step: found type I8"),
        (vec![integers("x", &[], &[1]), floats("x.step", &[1], &[1.0])], "without dimensions"),
        (vec![floats("x.step", &[2], &[1.0; 2])], "x.step: found none"),
        (vec![floats("x", &[2], &[1.0; 2]), floats("x.step", &[2], &[1.0; 2])], "one of type F32"),
        (vec![shape(), kept()], "x.values: found no such tensor"),
        (vec![shape(), values()], "x.kept: found no such tensor"),
        (vec![kept(), values()], "x.shape: found no such tensor"),
        (vec![shape(), kept(), values(), floats("x", &[2, 5], &[0.0; 10])], "also its sparse form"),
        (vec![shape(), kept(), floats("x.values", &[2], &[1.0; 2])], "2 values, expected 3"),
        (vec![shape(), kept(), floats("x.values", &[3, 1], &[1.0; 3])], "expected a list"),
        (
            vec![shape(), kept(), integers("x.values", &[3], &[1; 3])],
            "x.step: found no such tensor",
        ),
        (vec![shape(), kept(), values(), floats("x.step", &[2], &[1.0; 2])], "one of type F32"),
        (vec![shape(), bits("x.kept", &[5]), values()], "1 bytes, expected 2"),
        (vec![shape(), bits("x.kept", &[5, 2, 0]), values()], "3 bytes, expected 2"),
        (vec![shape(), bits("x.kept", &[1, 0b110]), values()], "spare bits"),
        (vec![shape(), integers("x.kept", &[2], &[5, 2]), values()], "x.kept: found type I8"),
        (vec![floats("x.shape", &[2], &[2.0, 5.0]), kept(), values()], "x.shape: found type F32"),
        (vec![extents("x.shape", &[-2, -5]), kept(), values()], "an extent -2"),
        (
            vec![extents("x.shape", &[huge]), kept(), values()],
            "2 bytes, expected 1152921504606846976",
        ),
        (vec![extents("x.shape", &[huge, huge]), kept(), values()], "expected more than can be"),
        (vec![raw("x", Dtype::U16, &[1], [0, 0])], "type U16"),
    ];
    for (tensors, expected) in cases {
        let error = read(&tensors).unwrap_err();
        assert!(matches!(error, Error::Tensor { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error} does not say {expected:?}");
    }
}
