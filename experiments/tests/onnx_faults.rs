//! Models that are refused, and files that are none: what is wrong and what to do, by the name of the node.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use experiments::inputs::onnx::{self, Activations, Options};
use simulator::network::LayerParameters;

/// A field of bytes: a message, a text, or a packed list.
fn bytes(number: u64, data: impl AsRef<[u8]>) -> Vec<u8> {
    [varint(number << 3 | 2), varint(data.as_ref().len() as u64), data.as_ref().to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn integer(number: u64, value: i64) -> Vec<u8> {
    [varint(number << 3), varint(value.cast_unsigned())].concat()
}

/// An attribute of whole numbers, packed or one by one.
fn integers(name: &str, list: &[i64], packed: bool) -> Vec<u8> {
    let values: Vec<u8> = match packed {
        true => bytes(8, list.iter().flat_map(|v| varint(v.cast_unsigned())).collect::<Vec<_>>()),
        false => list.iter().flat_map(|v| integer(8, *v)).collect(),
    };
    bytes(5, [bytes(1, name), values, integer(20, 7)].concat())
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<u8> = inputs.iter().flat_map(|name| bytes(1, name)).collect();
    let all = [names, bytes(2, output), bytes(4, operator), attributes.concat()];
    bytes(1, all.concat())
}

/// An attribute of one whole number.
fn attribute(name: &str, value: i64) -> Vec<u8> {
    bytes(5, [bytes(1, name), integer(3, value), integer(20, 2)].concat())
}

/// An initializer of single precision, its extents packed or not.
fn weight(name: &str, dims: &[i64], values: &[f32], packed: bool) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes(5, [extents(dims, packed), integer(2, 1), bytes(8, name), bytes(9, raw)].concat())
}

fn extents(dims: &[i64], packed: bool) -> Vec<u8> {
    match packed {
        true => bytes(1, dims.iter().flat_map(|v| varint(v.cast_unsigned())).collect::<Vec<_>>()),
        false => dims.iter().flat_map(|v| integer(1, *v)).collect(),
    }
}

/// What a graph reads (11) or gives (12).
fn value(number: u64, name: &str, shape: &[i64]) -> Vec<u8> {
    let dims: Vec<u8> = shape.iter().flat_map(|e| bytes(1, integer(1, *e))).collect();
    let tensor = [integer(1, 1), bytes(2, dims)].concat();
    bytes(number, [bytes(1, name), bytes(2, bytes(1, tensor))].concat())
}

fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    let ends = [value(11, "x", &[1, 2, 4, 4]), value(12, "y", &[])];
    bytes(7, [graph.concat(), ends.concat()].concat())
}

/// A model in a folder of its own.
struct File(tempfile::TempDir);

impl File {
    fn new(contents: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.onnx"), contents).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("m.onnx")
    }

    fn error(&self) -> String {
        let options = Options::default();
        let error = onnx::model(&self.path(), &options).unwrap_err().to_string();
        // Without weights, all that is not about them is refused alike.
        if let Err(other) = onnx::network(&self.path(), &options) {
            assert_eq!(other.to_string(), error);
        }
        error
    }
}

/// A convolution of one channel of two, and what comes after it.
fn convolution(packed: bool, after: &[Vec<u8>]) -> Vec<u8> {
    let attributes =
        [integers("strides", &[2, 1], packed), integers("pads", &[1, 0, 0, 1], packed)];
    let first = node("Conv", &["x", "w"], if after.is_empty() { "y" } else { "c" }, &attributes);
    let values: Vec<f32> = (0..8).map(|k| k as f32 - 3.0).collect();
    model(&[vec![first, weight("w", &[1, 2, 2, 2], &values, packed)], after.to_vec()].concat())
}

#[test]
fn lists_are_read_packed_or_not() {
    let image: Vec<f64> = (0..32).map(f64::from).collect();
    let results: Vec<Vec<f64>> = [true, false]
        .map(|packed| {
            let file = File::new(&convolution(packed, &[]));
            onnx::model(&file.path(), &Options::default()).unwrap().forward(&image).unwrap()
        })
        .to_vec();
    assert_eq!(results[0], results[1]);
    // Two windows down, four across; the first is at the padding above.
    assert_eq!(results[0].len(), 8);
    // Weights are -3 to 4; of the first window, the lower row is inside: image values 0, 1 and 16, 17.
    assert_eq!(results[0][0], 3.0 * 16.0 + 4.0 * 17.0);
}

/// Rows and columns that a mean has left one of are rows and columns still.
#[test]
fn means_can_be_padded() {
    let pads = |name: &str, list: &[i64]| {
        let values: Vec<u8> = list.iter().flat_map(|v| varint(v.cast_unsigned())).collect();
        let dims = extents(&[list.len() as i64], true);
        bytes(5, [dims, integer(2, 7), bytes(8, name), bytes(7, values)].concat())
    };
    let after = [
        node("ReduceMean", &["c"], "m", &[integers("axes", &[2, 3], true)]),
        node("Pad", &["m", "p"], "y", &[]),
        pads("p", &[0, 0, 1, 0, 0, 0, 0, 2]),
    ];
    let file = File::new(&convolution(true, &after));
    let model = onnx::model(&file.path(), &Options::default()).unwrap();
    let found = model.forward(&[1.0; 32]).unwrap();
    // Two rows of three: the mean is the first of the second.
    assert_eq!((found.len(), found.iter().filter(|v| **v == 0.0).count()), (6, 5));
    assert_ne!(found[3], 0.0);
}

/// A list of whole numbers among the initializers.
fn list(name: &str, values: &[i64]) -> Vec<u8> {
    let numbers: Vec<u8> = values.iter().flat_map(|v| varint(v.cast_unsigned())).collect();
    let dims = extents(&[values.len() as i64], true);
    bytes(5, [dims, integer(2, 7), bytes(8, name), bytes(7, numbers)].concat())
}

/// Few bytes that would become many numbers: of one node, and of nodes that each double what they read.
#[test]
fn constants_are_not_repeated_without_end() {
    let filled = [
        list("l", &[4_000_000]),
        node("ConstantOfShape", &["l"], "k", &[]),
        node("Add", &["c", "k"], "y", &[]),
    ];
    let error = File::new(&convolution(true, &filled)).error();
    assert!(error.contains("[4000000], expected at most 262144 values"), "{error}");
    let mut doubled = vec![list("d0", &[1; 1000])];
    for k in 0..12 {
        let (from, to) = (format!("d{k}"), format!("d{}", k + 1));
        doubled.push(node("Concat", &[&from, &from], &to, &[attribute("axis", 0)]));
    }
    doubled.push(node("Add", &["c", "d12"], "y", &[]));
    let error = File::new(&convolution(true, &doubled)).error();
    assert!(error.contains("computes too many numbers of constants"), "{error}");
}

/// One number for each channel needs no copy of a map, however large it is.
#[test]
fn constants_by_channel_of_large_maps() {
    let graph = [
        weight("k", &[2, 1, 1], &[3.0, 4.0], true),
        node("Add", &["x", "k"], "d", &[]),
        node("Mul", &["d", "d"], "y", &[]),
        value(11, "x", &[1, 2, 8192, 8192]),
        value(12, "y", &[]),
    ];
    let file = File::new(&bytes(7, graph.concat()));
    let model = onnx::model(&file.path(), &Options::default()).unwrap();
    let found = model.parameters.iter().find_map(|p| match p {
        LayerParameters::Activation { a, b, c } => Some([a, b, c].map(Clone::clone)),
        _ => None,
    });
    assert_eq!(found, Some([vec![1.0; 2], vec![6.0, 8.0], vec![9.0, 16.0]]));
}

/// A constant goes into the bias of the layer before only where nothing else has it already.
#[test]
fn a_constant_that_is_read_twice_is_added_once() {
    let scalar = |name: &str, value: f32| weight(name, &[], &[value], true);
    let after = [
        scalar("k", 3.0),
        scalar("half", 0.5),
        node("Add", &["c", "k"], "d", &[]),
        node("Mul", &["d", "half"], "e", &[]),
        node("Conv", &["d", "one"], "f", &[]),
        weight("one", &[1, 1, 1, 1], &[1.0], true),
        node("Add", &["e", "f"], "y", &[]),
    ];
    let image: Vec<f64> = (0..32).map(f64::from).collect();
    let of = |contents: &[u8]| {
        let file = File::new(contents);
        onnx::model(&file.path(), &Options::default()).unwrap().forward(&image).unwrap()
    };
    let plain = of(&convolution(true, &[]));
    let wanted: Vec<f64> = plain.iter().map(|v| 1.5 * (v + 3.0)).collect();
    assert_eq!(of(&convolution(true, &after)), wanted);
}

#[test]
fn operators_without_a_counterpart_are_refused_by_name() {
    let after = |operator: &str, inputs: &[&str], attributes: &[Vec<u8>]| {
        File::new(&convolution(false, &[node(operator, inputs, "y", attributes)])).error()
    };
    for (operator, advice) in [
        ("Relu", "--activations FILE with a line `Relu = [0.1, 0.5, 0.2]`"),
        ("Sigmoid", "no polynomial of degree two"),
        ("MaxPool", "average pool"),
        ("Softmax", "export the logits"),
        ("LayerNormalization", "batch norm"),
        ("If", "control flow"),
        ("Whatever", "can be encrypted"),
    ] {
        let error = after(operator, &["c"], &[]);
        assert!(error.starts_with(&format!("node \"y\" ({operator}): ")), "{error}");
        assert!(error.contains(advice), "{error}");
    }
    assert!(after("Mul", &["c", "x"], &[]).contains("a product of two maps"));
    assert!(
        after("Transpose", &["c"], &[integers("perm", &[1, 0, 2, 3], false)]).contains("the batch")
    );
    let swapped = after("Transpose", &["c"], &[integers("perm", &[0, 1, 3, 2], false)]);
    assert!(swapped.contains("channels last"), "{swapped}");
    assert!(after("Add", &["c", "nowhere"], &[]).contains("reads \"nowhere\""));
    assert!(
        after("ReduceMean", &["c"], &[integers("axes", &[0], true)])
            .contains("expected rows and columns")
    );
    assert!(
        after("AveragePool", &["c"], &[integers("kernel_shape", &[9, 9], true)])
            .contains("kernel is 9")
    );
}

#[test]
fn exports_of_other_activations_and_of_training_are_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    let given = "Relu = [0.1, 0.5, 0.2]\nSiLU = [0.1, 0.5, 0.0]\nHardSwish = [0.1, 0.5, 0.0]\n";
    let options =
        Options { activations: Activations::from_toml(given).unwrap(), ..Options::default() };
    for (name, operator) in [("relu", "Relu"), ("silu", "SiLU"), ("hardswish", "HardSwish")] {
        let path = folder.join(format!("refused-{name}.onnx"));
        let error = onnx::network(&path, &Options::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("`{operator} = [0.1, 0.5, 0.2]`")), "{error}");
        // With a quadratic in its place, there is an activation.
        let model = onnx::model(&path, &options).unwrap();
        let names: Vec<&str> = model.network.layers.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["conv1", "act1", "fc1"], "{name}");
    }
    for (name, expected) in [("maxpool", "average pool"), ("dropout", "model.eval()")] {
        let path = folder.join(format!("refused-{name}.onnx"));
        let error = onnx::network(&path, &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(Activations::from_toml("Relu = [0.1]").is_err());
    assert!(Activations::from_toml("Relu = [nan, 1.0, 0.0]").unwrap_err().contains("finite"));
}

#[test]
fn what_a_file_claims_is_not_believed() {
    // A length of nearly 2^64, of a graph, a text, a weight.
    let huge = varint(u64::MAX - 3);
    let field = |number: u64| [varint(number << 3 | 2), huge.clone()].concat();
    for contents in [
        field(7),
        bytes(7, field(1)),
        bytes(7, bytes(1, field(4))),
        bytes(7, bytes(5, field(9))),
        bytes(7, bytes(5, field(1))),
    ] {
        let error = File::new(&contents).error();
        assert!(error.contains("a length of 18446744073709551612"), "{error}");
    }
    let whole = convolution(false, &[]);
    for cut in 1..whole.len() {
        // Wherever a file ends too early, there is an error and nothing else.
        let error = File::new(&whole[..cut]).error();
        assert!(error.starts_with("byte "), "{cut}: {error}");
    }
    for (contents, expected) in [
        (vec![], "no node"),
        (b"PK\x03\x04 something else altogether".to_vec(), "byte "),
        (
            bytes(7, vec![0; 3 << 20].iter().flat_map(|_| [0x0a, 0x00]).collect::<Vec<u8>>()),
            "more than 1048576 messages",
        ),
    ] {
        let error = File::new(&contents).error();
        assert!(error.contains(expected), "{error}");
    }
    // Extents that the weight's bytes do not bear out.
    for dims in [[1, 2, 2, 1 << 40], [i64::MAX, i64::MAX, 2, 2], [-1, 2, 2, 2], [1, 2, 2, 3]] {
        let graph = [node("Conv", &["x", "w"], "y", &[]), weight("w", &dims, &[0.0; 8], true)];
        let error = File::new(&model(&graph)).error();
        assert!(error.contains("tensor \"w\"") || error.contains("Conv"), "{dims:?}: {error}");
    }
    // Constants that are computed to be large.
    let shape = bytes(
        5,
        [
            extents(&[2], true),
            integer(2, 7),
            bytes(8, "s"),
            bytes(7, [varint(1 << 40), varint(1 << 40)].concat()),
        ]
        .concat(),
    );
    let graph =
        [node("ConstantOfShape", &["s"], "k", &[]), node("Add", &["x", "k"], "y", &[]), shape];
    let error = File::new(&model(&graph)).error();
    assert!(error.contains("ConstantOfShape") && error.contains("at most"), "{error}");
    // An image with more values than any may have.
    let ends = [value(11, "x", &[1, 60000, 60000, 60000]), value(12, "y", &[])].concat();
    let graph = bytes(7, [node("Neg", &["x"], "y", &[]), ends].concat());
    assert!(File::new(&graph).error().contains("size of the map"));
}

#[test]
fn nothing_outside_of_the_models_folder_is_read() {
    let external = |location: &str, more: &[(&str, &str)]| {
        let entry = |key: &str, value: &str| bytes(13, [bytes(1, key), bytes(2, value)].concat());
        let places: Vec<u8> = more.iter().flat_map(|(k, v)| entry(k, v)).collect();
        let tensor = [
            extents(&[1, 2, 1, 1], false),
            integer(2, 1),
            bytes(8, "w"),
            entry("location", location),
            places,
            integer(14, 1),
        ];
        let graph = [node("Conv", &["x", "w"], "y", &[]), bytes(5, tensor.concat())];
        let file = File::new(&model(&graph));
        std::fs::create_dir(file.0.path().join("below")).unwrap();
        for name in ["w.bin", "below/w.bin"] {
            let data = [9.0f32, 1.0, 2.0].map(f32::to_le_bytes).concat();
            std::fs::write(file.0.path().join(name), data).unwrap();
        }
        file
    };
    for (location, more) in [
        ("w.bin", vec![("offset", "4"), ("length", "8")]),
        ("./below/w.bin", vec![("offset", "4")]),
    ] {
        let file = external(location, &more);
        let model = onnx::model(&file.path(), &Options::default()).unwrap();
        let image: Vec<f64> = (0..32).map(f64::from).collect();
        assert_eq!(model.forward(&image).unwrap()[1], 1.0 + 2.0 * 17.0);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("w.bin");
    std::fs::write(&outside, [0; 64]).unwrap();
    for location in [outside.to_str().unwrap(), "../w.bin", "below/../../w.bin", "", "below"] {
        let error = external(location, &[]).error();
        assert!(error.contains("external location") && error.contains("move it there"), "{error}");
    }
    #[cfg(unix)]
    {
        let file = external("link.bin", &[]);
        std::os::unix::fs::symlink(&outside, file.0.path().join("link.bin")).unwrap();
        assert!(file.error().contains("external location"));
    }
    for (more, expected) in [
        (vec![("offset", "8")], "8 bytes from 8, expected within the 12 bytes"),
        (vec![("length", "4")], "external length is 4, expected 8"),
        (vec![("offset", "18446744073709551615")], "place is"),
        (vec![("offset", "-1")], "a number of bytes"),
    ] {
        let error = external("w.bin", &more).error();
        assert!(error.contains(expected), "{error}");
    }
}
