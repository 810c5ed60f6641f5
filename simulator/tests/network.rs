//! Descriptions, weights and their errors.

#![allow(clippy::unwrap_used)]

use simulator::Error;
use simulator::network::{
    ConvGeometry, LayerKind, LayerParameters, Model, Network, Shape, Weights, convolve,
};

const HEAD: &str =
    "name = \"n\"\n[input]\nchannels = 2\nheight = 4\nwidth = 4\nmean = [0.5, 0.25]\nstd = 2.0\n";

fn parse(layers: &str) -> simulator::Result<Network> {
    Network::from_toml(&format!("{HEAD}{layers}"))
}

const TWO: &str = r#"
[[layer]]
name = "conv"
kind = "conv"
in = 2
out = 4
kernel = 3
padding = 1
groups = 2
[[layer]]
name = "norm"
kind = "batchnorm"
[[layer]]
name = "act"
kind = "activation"
[[layer]]
name = "fc"
kind = "fc"
in = 64
out = 3
[[variant]]
name = "dense"
weights = "dense.safetensors"
groups = { conv = 1 }
accuracy = 0.9
"#;

#[test]
fn shapes_are_inferred() {
    let n = parse(TWO).unwrap();
    assert_eq!(n.layers[0].output, Shape::new(4, 4, 4));
    assert_eq!(n.output(), Shape::new(3, 1, 1));
    let raw: Vec<f64> = vec![1.0; 32];
    let normal = n.normalise(&raw).unwrap();
    assert_eq!((normal[0], normal[31]), (0.25, 0.375));
    let dense = n.with_groups(&n.variant("dense").unwrap().groups).unwrap();
    assert!(matches!(dense.layers[0].kind, LayerKind::Conv { groups: 1, .. }));
}

#[test]
fn contrast_is_limited_before_normalising() {
    let text = format!("{HEAD}{TWO}").replacen("[input]", "[input]\ncontrast = 0.125", 1);
    let (n, plain) = (Network::from_toml(&text).unwrap(), parse(TWO).unwrap());
    // Half the pixels at 0.25, half at 0.75: mean 0.5, deviation 0.25, so half of it is kept. All are exact.
    let raw: Vec<f64> = (0..32).map(|k| if k % 2 == 0 { 0.25 } else { 0.75 }).collect();
    let limited: Vec<f64> = raw.iter().map(|v| 0.5 + (v - 0.5) / 2.0).collect();
    assert_eq!(n.normalise(&raw).unwrap(), plain.normalise(&limited).unwrap());
    assert_eq!(n.normalise(&limited).unwrap(), plain.normalise(&limited).unwrap());
    for bad in ["0.0", "-1.0", "inf"] {
        assert!(Network::from_toml(&text.replace("0.125", bad)).is_err());
    }
}

#[test]
fn branches_are_read() {
    let n = parse(
        "[[layer]]\nname = \"a\"\nkind = \"conv\"\nout = 2\nkernel = 1\n\
         [[layer]]\nname = \"b\"\nkind = \"conv\"\nout = 2\nkernel = 3\npadding = 1\ninput = \"input\"\n\
         [[layer]]\nname = \"s\"\nkind = \"add\"\ninput = [\"a\", \"b\"]\n",
    )
    .unwrap();
    let model = Model::random(n, 1);
    let x: Vec<f64> = (0..32).map(f64::from).collect();
    assert_eq!(model.forward(&x).unwrap().len(), 32);
}

#[test]
fn shortcuts_take_every_second_value_and_pad_channels_on_both_sides() {
    let n = parse("[[layer]]\nname = \"s\"\nkind = \"shortcut\"\nout = 6\nstride = 2\n").unwrap();
    assert_eq!(n.output(), Shape::new(6, 2, 2));
    let x: Vec<f64> = (0..32).map(f64::from).collect();
    let y = Model::random(n, 1).forward(&x).unwrap();
    assert_eq!(y[..8], [0.0; 8]);
    assert_eq!(y[8..16], [0.0, 2.0, 8.0, 10.0, 16.0, 18.0, 24.0, 26.0]);
    assert_eq!(y[16..], [0.0; 8]);
    // Odd extents keep the last row and column; without a stride or more channels nothing changes.
    let odd = Network::from_toml(
        "name = \"n\"\n[input]\nchannels = 1\nheight = 3\nwidth = 3\n\
         [[layer]]\nname = \"s\"\nkind = \"shortcut\"\nout = 1\nstride = 2\n\
         [[layer]]\nname = \"t\"\nkind = \"shortcut\"\nout = 1\n",
    );
    let x: Vec<f64> = (0..9).map(f64::from).collect();
    assert_eq!(Model::random(odd.unwrap(), 1).forward(&x).unwrap(), [0.0, 2.0, 6.0, 8.0]);
}

/// Convolution as its definition says, value by value.
fn convolution(g: &ConvGeometry, weights: &[f64], x: &[f64]) -> Vec<f64> {
    let per_out = g.input.channels / g.groups;
    let mut y = Vec::new();
    for o in 0..g.output.channels {
        for (oy, ox) in (0..g.output.area()).map(|k| (k / g.output.width, k % g.output.width)) {
            let mut sum = 0.0;
            for k in 0..per_out {
                for (ky, kx) in (0..g.kernel.0).flat_map(|y| (0..g.kernel.1).map(move |x| (y, x))) {
                    let (iy, ix) = (g.input_row(oy, ky), g.input_col(ox, kx));
                    if (0..g.input.height as isize).contains(&iy)
                        && (0..g.input.width as isize).contains(&ix)
                    {
                        let at =
                            (g.input_channel(o, k) * g.input.height + iy as usize) * g.input.width;
                        let w = weights[((o * per_out + k) * g.kernel.0 + ky) * g.kernel.1 + kx];
                        sum += w * x[at + ix as usize];
                    }
                }
            }
            y.push(sum);
        }
    }
    y
}

#[test]
fn convolutions_follow_their_definition() {
    // Small whole numbers, so that any order of additions gives the same sum.
    let number = |k: usize| (k * 7919 % 23) as f64 - 11.0;
    let (input, mut compared) = (Shape::new(4, 6, 5), 0);
    let x: Vec<f64> = (0..input.len()).map(number).collect();
    for kernel in [(1, 1), (2, 3), (3, 3), (5, 4), (6, 5)] {
        for (stride, padding, groups) in
            (1..4).flat_map(|s| (0..4).flat_map(move |p| [1, 2, 4].map(|g| (s, p, g))))
        {
            // Across, another stride, and no padding.
            let extent = |input: usize, kernel: usize, stride: usize, padding: usize| {
                (input + 2 * padding - kernel) / stride + 1
            };
            let (stride, padding) = ((stride, 4 - stride), (padding, 0));
            let rows = extent(6, kernel.0, stride.0, padding.0);
            let output = Shape::new(8, rows, extent(5, kernel.1, stride.1, padding.1));
            let g = ConvGeometry { input, output, kernel, stride, padding, groups };
            let weights: Vec<f64> = (0..g.weights()).map(|k| number(k * k + 3)).collect();
            assert_eq!(convolve(&g, &weights, &x), convolution(&g, &weights, &x), "{g:?}");
            compared += 1;
        }
    }
    assert!(compared > 80);
}

#[test]
fn observers_see_what_each_layer_reads() {
    let model = Model::random(parse(TWO).unwrap(), 4);
    let x: Vec<f64> = (0..32).map(|k| f64::from(k) / 32.0).collect();
    let mut seen = Vec::new();
    let y = model.forward_observed(&x, |k, input| seen.push((k, input.to_vec()))).unwrap();
    assert_eq!(y, model.forward(&x).unwrap());
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(seen[0].1, x);
    let LayerParameters::Activation { a, b, c } = &model.parameters[2] else { unreachable!() };
    let wanted: Vec<f64> = seen[2]
        .1
        .iter()
        .enumerate()
        .map(|(k, v)| a[k / 16] * v * v + b[k / 16] * v + c[k / 16])
        .collect();
    assert_eq!(seen[3].1, wanted);
}

#[test]
fn faults_say_where_and_what_to_do() {
    let cases = [
        (
            "[[layer]]\nname = \"c\"\nkind = \"conv\"\nin = 3\nout = 4\nkernel = 3\n",
            "layer c: in is 3, expected 2",
        ),
        ("[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 4\nkernel = 9\n", "layer c: kernel is 9"),
        (
            "[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 4\nkernel = 3\ngroups = 3\n",
            "layer c: groups is 3",
        ),
        ("[[layer]]\nname = \"c\"\nkind = \"conv\"\nkernel = 3\n", "out is missing"),
        (
            "[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 4\nkernel = 3\nstride = 0\n",
            "stride is 0",
        ),
        (
            "[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 1\nkernel = 3\npadding = 65537\n",
            "layer c: padding is 65537, expected 0 to 65536 (top)",
        ),
        (
            "[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 1\nkernel = [3]\n",
            "layer c: kernel is a list of 1, expected one number, or [rows, columns]",
        ),
        (
            "[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 1\nkernel = 3\npadding = [1, 2, 3]\n",
            "layer c: padding is a list of 3",
        ),
        (
            "[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 1\nkernel = 3\ndilation = [1, 2]\n",
            "layer c: kernel is 5, expected at most the padded extent, 4",
        ),
        (
            "[[layer]]\nname = \"p\"\nkind = \"avgpool\"\nkernel = 2\ndilation = 2\n",
            "layer p: dilation is (2, 2), expected 1 of a pool",
        ),
        (
            "[[layer]]\nname = \"p\"\nkind = \"avgpool\"\nkernel = 2\npadding = [0, 0, 0, 2]\ncount_include_pad = false\n",
            "expected less than the kernel",
        ),
        (
            "[[layer]]\nname = \"s\"\nkind = \"shortcut\"\nout = 4\nstride = [1, 2]\n",
            "layer s: stride is (1, 2), expected one number",
        ),
        (
            "[[layer]]\nname = \"s\"\nkind = \"shortcut\"\nout = 1\n",
            "layer s: out is 1, expected 2 input channels or an even number more",
        ),
        ("[[layer]]\nname = \"s\"\nkind = \"shortcut\"\nout = 5\nstride = 2\n", "out is 5"),
        ("[[layer]]\nname = \"s\"\nkind = \"shortcut\"\nstride = 2\n", "out is missing"),
        ("[[layer]]\nname = \"s\"\nkind = \"shortcut\"\nout = 2\nstride = 0\n", "stride is 0"),
        ("[[layer]]\nname = \"s\"\nkind = \"add\"\n", "number of inputs is 1, expected 2"),
        ("[[layer]]\nname = \"s\"\nkind = \"flatten\"\ninput = \"t\"\n", "input is t"),
        ("[[layer]]\nname = \"s\"\nkind = \"flatten\"\nsize = 3\n", "size"),
        ("[[layer]]\nname = \"s\"\nkind = \"maxpool\"\n", "maxpool"),
        ("", "no [[layer]]"),
        ("baseline = \"x\"\n", "baseline"),
    ];
    for (layers, expected) in cases {
        let error = parse(layers).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    assert!(matches!(Network::from_toml("name = 3"), Err(Error::Description(_))));
}

fn weights() -> Weights {
    let mut w = Weights::default();
    w.insert("conv.weight", &[4, 1, 3, 3], vec![0.5; 36]).unwrap();
    w.insert("conv.bias", &[4], vec![0.1; 4]).unwrap();
    for (name, v) in [("weight", 2.0), ("bias", 1.0), ("running_mean", 0.5), ("running_var", 4.0)] {
        w.insert(&format!("norm.{name}"), &[4], vec![v; 4]).unwrap();
    }
    w.insert("act.coeffs", &[3], vec![0.25, 0.5, 0.1]).unwrap();
    w.insert("fc.weight", &[3, 64], vec![0.01; 192]).unwrap();
    w.insert("fc.bias", &[3], vec![0.0; 3]).unwrap();
    w
}

#[test]
fn weights_survive_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dense.safetensors");
    weights().write(&path).unwrap();
    assert_eq!(Weights::read(&path).unwrap(), weights());
    let model = Model::new(parse(TWO).unwrap(), &weights()).unwrap();
    // Zero input: convolution gives its bias, the norm 2 (0.1 - 0.5) / 2 + 1, the activation a quadratic of it.
    let y = model.forward(&[0.0; 32]).unwrap();
    let x: f64 = 1.0 - 0.4 * 2.0 / (4.0f64 + 1e-5).sqrt();
    let expected = 64.0 * 0.01 * (0.25 * x * x + 0.5 * x + 0.1);
    assert!((y[0] - expected).abs() < 1e-12);
    // The variant has one group, so its weights have another shape.
    let error = Model::read_variant(&parse(TWO).unwrap(), "dense", folder.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("conv.weight: found shape [4, 1, 3, 3], expected shape [4, 2, 3, 3]")
    );
}

#[test]
fn damaged_weight_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    weights().write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 7, 20, bytes.len() / 2, bytes.len() - 1] {
        assert!(Weights::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut w = weights();
    assert!(w.insert("x", &[usize::MAX, 3], vec![0.0]).is_err());
    assert!(Model::new(parse(TWO).unwrap(), &Weights::default()).is_err());
}

#[test]
fn sizes_are_refused_before_anything_of_their_size_is_allocated() {
    let layer = |text: &str| format!("[[layer]]\nname = \"l\"\n{text}\n");
    let conv =
        |name: &str, text: &str| format!("[[layer]]\nname = \"{name}\"\nkind = \"conv\"\n{text}\n");
    let cases = [
        (layer("kind = \"fc\"\nout = 1000000000000"), "layer l: out is 1000000000000"),
        (layer("kind = \"conv\"\nout = 2\nkernel = 1000000000"), "layer l: kernel is 1000000000"),
        (layer("kind = \"avgpool\"\nkernel = 1000000000"), "layer l: kernel is 1000000000"),
        (
            layer("kind = \"shortcut\"\nout = 4\nstride = 1000000000"),
            "layer l: stride is 1000000000",
        ),
        (
            layer("kind = \"shortcut\"\nout = 9000000000000000000"),
            "layer l: out is 9000000000000000000",
        ),
        // Each extent is within its limit, and their product is terabytes, or more than can be counted.
        (
            conv("l", "out = 65536\nkernel = 40000\npadding = 39999"),
            "layer l: size of the map is 65536x40003x40003",
        ),
        (
            conv("a", "out = 65536\nkernel = 1")
                + &conv("l", "out = 65536\nkernel = 16\npadding = 8"),
            "layer l: number of weights up to here is 1099",
        ),
        (
            (0..40)
                .map(|k| conv(&format!("l{k}"), "out = 65536\nkernel = 1\ngroups = 2"))
                .collect(),
            "layer l2: number of weights up to here is",
        ),
        (
            (0..5000)
                .map(|k| format!("[[layer]]\nname = \"l{k}\"\nkind = \"flatten\"\n"))
                .collect(),
            "5000 layers, expected at most 4096",
        ),
    ];
    for (layers, expected) in cases {
        let error = parse(&layers).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    let image = "name = \"n\"\n[input]\nchannels = 65536\nheight = 65536\nwidth = 65536\n";
    let error = Network::from_toml(&format!("{image}{}", layer("kind = \"flatten\""))).unwrap_err();
    assert!(
        error.to_string().contains("layer input: size of the map is 65536x65536x65536"),
        "{error}"
    );
    // A variant's groups may make of few weights too many.
    let grouped = conv("a", "out = 65536\nkernel = 1")
        + &conv("l", "out = 65536\nkernel = 3\ngroups = 65536");
    let network =
        parse(&(grouped + "[[variant]]\nname = \"v\"\nweights = \"w\"\ngroups = { l = 1 }\n"));
    assert!(network.unwrap_err().to_string().contains("layer l: number of weights"));
}

#[test]
fn the_memory_of_a_network_is_known_before_it_is_taken() {
    // conv, norm, activation, fc; the variant has a single group.
    let numbers = (4 * 2 * 9 + 4) + 4 * 4 + 3 * 4 + (64 * 3 + 3);
    let maps = 32 + 3 * 64 + 3;
    assert_eq!(parse(TWO).unwrap().plain_bytes(2), 8 * (3 * numbers + 2 * maps));
}

#[test]
fn means_and_deviations_are_numbers() {
    for (field, good) in [("mean", "[0.5, 0.25]"), ("std", "2.0"), ("contrast", "0.5")] {
        let text = format!("{HEAD}contrast = 0.5\n{TWO}");
        Network::from_toml(&text).unwrap();
        for bad in ["nan", "inf", "-inf", "0.0", "-1.0", "1e-320"] {
            if field == "mean" && ["0.0", "-1.0", "1e-320"].contains(&bad)
                || field == "contrast" && bad == "1e-320"
            {
                continue;
            }
            let bad = text.replace(&format!("{field} = {good}"), &format!("{field} = {bad}"));
            let error = Network::from_toml(&bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("layer input: {field} is ")), "{error}");
        }
    }
}

#[test]
fn a_missing_tensor_names_those_that_are_there() {
    let mut w = Weights::default();
    for name in ["conv1.weight", "conv1.bias", "fc.bias", "fc.weights"] {
        w.insert(name, &[1], vec![0.0]).unwrap();
    }
    let error = w.expect_shape("fc.weight", &[3, 64]).unwrap_err().to_string();
    let wanted = "weight tensor fc.weight: found no such tensor; the file has \"fc.weights\", ";
    assert!(error.starts_with(wanted), "{error}");
    assert!(error.contains("conv1.bias") && error.ends_with("expected shape [3, 64]"), "{error}");
    // However many there are, and whatever they are called, the message stays short.
    for k in 0..10_000 {
        w.insert(&format!("{k}\u{1b}{}", "x".repeat(200)), &[0], vec![]).unwrap();
    }
    let error = w.expect_shape("fc.weight", &[3, 64]).unwrap_err().to_string();
    assert!(error.contains("\"fc.weights\"") && error.contains(" and 9996 more"), "{error}");
    assert!(error.len() < 1000 && !error.contains('\u{1b}'), "{error}");
    let none = Weights::default().expect_shape("fc.weight", &[3]).unwrap_err().to_string();
    assert!(none.contains("the file has none"), "{none}");
}

#[test]
fn reading_for_a_network_takes_only_what_may_be_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dense.safetensors");
    let mut w = weights();
    w.insert("conv.weight", &[4, 2, 3, 3], vec![0.5; 72]).unwrap();
    w.insert("optimizer.state", &[1000], vec![1.0; 1000]).unwrap();
    w.insert("fc.weight", &[300, 64], vec![1.0; 19200]).unwrap();
    w.write(&path).unwrap();
    let network = parse(TWO).unwrap();
    let dense = network.with_groups(&network.variant("dense").unwrap().groups).unwrap();
    let read = Weights::read_for(&dense, &path).unwrap();
    assert!(read.get("conv.weight").is_some() && read.get("optimizer.state").is_none());
    let error = Model::read_variant(&network, "dense", folder.path()).unwrap_err().to_string();
    assert!(error.contains("fc.weight: found shape [300, 64], expected shape [3, 64]"), "{error}");
}
