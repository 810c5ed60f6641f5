//! Folding changes nothing but the form.

#![allow(clippy::unwrap_used)]

mod common;

use common::{difference, image, lenet, model};
use simulator::fold::{
    ActivationMethod, Folded, Origin, StageKind, im2col, merge_pool, to_patches,
};
use simulator::network::{LayerParameters, Network, convolve};

fn network(text: &str) -> Network {
    let head = "name = \"n\"\n[input]\nchannels = 3\nheight = 9\nwidth = 8\n";
    Network::from_toml(&format!("{head}{text}")).unwrap()
}

#[track_caller]
fn check(network: Network) -> Folded {
    let model = model(network);
    let image = image(&model.network, 3);
    let plain = model.forward(&image).unwrap();
    for method in [ActivationMethod::Quadratic, ActivationMethod::Square] {
        let folded = Folded::new(&model, method).unwrap();
        assert!(difference(&plain, &folded.forward(&image).unwrap()) < 1e-9, "{method:?}");
    }
    Folded::new(&model, ActivationMethod::Square).unwrap()
}

#[test]
fn lenet_folds_to_seven_levels() {
    let folded = check(lenet(8, 4, 6, 2));
    assert_eq!(folded.levels(), 7);
    let kinds: Vec<_> = folded.stages.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(kinds, ["conv1", "act1", "pool1", "conv2", "act2", "pool2", "fc1", "act3", "fc2"]);
}

#[test]
fn batch_norm_pools_and_padding_between_activations() {
    let folded = check(network(
        r#"
[[layer]]
name = "n0"
kind = "batchnorm"
[[layer]]
name = "c1"
kind = "conv"
out = 6
kernel = 3
padding = 1
groups = 3
[[layer]]
name = "n1"
kind = "batchnorm"
[[layer]]
name = "a1"
kind = "activation"
[[layer]]
name = "c2"
kind = "conv"
out = 4
kernel = 3
padding = 2
stride = 2
bias = false
[[layer]]
name = "p2"
kind = "avgpool"
kernel = 2
[[layer]]
name = "n2"
kind = "batchnorm"
[[layer]]
name = "a2"
kind = "activation"
[[layer]]
name = "f"
kind = "fc"
out = 5
[[layer]]
name = "a3"
kind = "activation"
"#,
    ));
    // The last activation's constant needs a stage of its own.
    assert!(matches!(folded.stages.last().unwrap().kind, StageKind::Linear(_)));
    assert_eq!(folded.levels(), 7);
}

#[test]
fn padding_makes_the_bias_depend_on_the_position() {
    let folded = check(network(
        "[[layer]]\nname = \"a\"\nkind = \"activation\"\n[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 2\nkernel = 3\npadding = 1\n",
    ));
    let (_, last) = folded.linear().last().unwrap();
    let corner = last.bias[0];
    let middle = last.bias[8 + 1];
    assert!((corner - middle).abs() > 1e-6);
}

#[test]
fn merged_pools_and_patches_compute_the_same() {
    let model = model(lenet(4, 4, 6, 1));
    let folded = Folded::new(&model, ActivationMethod::Square).unwrap();
    let image = image(&model.network, 5);
    let results = folded.forward_all(&image).unwrap();
    for (pool, next) in [(2, 3), (5, 6)] {
        let merged = merge_pool(&folded.stages[pool], &folded.stages[next]).unwrap();
        let StageKind::Linear(linear) = &merged.kind else { unreachable!() };
        let mut y = convolve(&linear.geometry, &linear.weights, &results[pool - 1]);
        y.iter_mut().zip(&linear.bias).for_each(|(v, b)| *v += b);
        assert!(difference(&y, &results[next]) < 1e-9);
    }
    let StageKind::Linear(first) = &folded.stages[0].kind else { unreachable!() };
    let patches = to_patches(&folded.stages[0]).unwrap();
    let StageKind::Linear(linear) = &patches.kind else { unreachable!() };
    let columns = im2col(&first.geometry, &image).unwrap();
    let mut y = convolve(&linear.geometry, &linear.weights, &columns);
    y.iter_mut().zip(&linear.bias).for_each(|(v, b)| *v += b);
    assert!(difference(&y, &results[0]) < 1e-12);
}

/// A residual network with blocks of both kinds: as many channels, and more of them on a smaller map. Option A of He et
/// al., or convolutions, in the shortcuts.
fn residual(convolved: bool) -> Network {
    let conv = |name: &str, out: usize, kernel: usize, stride: usize, input: &str| {
        let padding = kernel / 2;
        format!(
            "[[layer]]\nname = \"{name}\"\nkind = \"conv\"\nout = {out}\nkernel = {kernel}\nstride = {stride}\n\
             padding = {padding}\ninput = \"{input}\"\n"
        )
    };
    let act = |name: &str| format!("[[layer]]\nname = \"{name}\"\nkind = \"activation\"\n");
    let add = |name: &str, a: &str, b: &str| {
        format!("[[layer]]\nname = \"{name}\"\nkind = \"add\"\ninput = [\"{a}\", \"{b}\"]\n")
    };
    let shortcut = match convolved {
        true => conv("s2", 8, 1, 2, "a1b"),
        false => {
            "[[layer]]\nname = \"s2\"\nkind = \"shortcut\"\nout = 8\nstride = 2\ninput = \"a1b\"\n"
                .into()
        }
    };
    let norm = "[[layer]]\nname = \"n2b\"\nkind = \"batchnorm\"\ninput = \"c2b\"\n";
    network(
        &[
            &conv("c0", 4, 3, 1, "input"),
            &act("a0"),
            &conv("c1a", 4, 3, 1, "a0"),
            &act("a1a"),
            &conv("c1b", 4, 3, 1, "a1a"),
            &add("s1", "c1b", "a0"),
            &act("a1b"),
            &conv("c2a", 8, 3, 2, "a1b"),
            &act("a2a"),
            &conv("c2b", 8, 3, 1, "a2a"),
            norm,
            &shortcut,
            &add("s2sum", "n2b", "s2"),
            &act("a2b"),
            "[[layer]]\nname = \"p\"\nkind = \"avgpool\"\nkernel = 4\n",
            "[[layer]]\nname = \"fc\"\nkind = \"fc\"\nout = 5\n",
        ]
        .concat(),
    )
}

#[test]
fn the_sum_of_a_residual_block_is_one_linear_stage_with_two_sources() {
    for convolved in [false, true] {
        let folded = check(residual(convolved));
        let names: Vec<_> = folded.stages.iter().map(|s| s.name.as_str()).collect();
        let wanted =
            ["c0", "a0", "c1a", "a1a", "c1b", "a1b", "c2a", "a2a", "c2b", "a2b", "p", "fc"];
        assert_eq!(names, wanted);
        assert_eq!(folded.levels(), 11);
        let sources = |k: usize| folded.stages[k].sources.clone();
        assert_eq!(sources(4), [Origin::Stage(3), Origin::Stage(1)]);
        assert_eq!(sources(8), [Origin::Stage(7), Origin::Stage(5)]);
    }
}

/// Values that meet in other ways: the image itself, twice the same, pools, nothing but activations.
#[test]
fn branches_of_any_kind_give_the_networks_results() {
    let layers = |list: &[&str]| {
        let layer = |text: &&str| format!("[[layer]]\n{}\n", text.replace(" | ", "\n"));
        network(&list.iter().map(layer).collect::<String>())
    };
    let conv = "name = \"c\" | kind = \"conv\" | out = 3 | kernel = 3 | padding = 1";
    let act = "name = \"a\" | kind = \"activation\"";
    let add =
        |a: &str, b: &str| format!("name = \"s\" | kind = \"add\" | input = [\"{a}\", \"{b}\"]");
    let fc = "name = \"f\" | kind = \"fc\" | out = 4";
    let pool = "name = \"p\" | kind = \"avgpool\" | kernel = 2";
    let norm = "name = \"n\" | kind = \"batchnorm\"";
    let wide = "name = \"w\" | kind = \"conv\" | out = 3 | kernel = 4 | padding = 2 | stride = 3";
    for list in [
        &[conv, &add("c", "input")][..],
        &[conv, &add("c", "input"), act, fc],
        &[conv, act, &add("a", "a"), fc],
        &[conv, act, &add("a", "c"), norm, fc],
        &[act, &add("a", "input"), pool, fc],
        &[norm, conv, &add("c", "n"), act],
        &[act, conv, pool, norm, fc],
        &[pool, conv, act, fc],
        &[pool, wide, act, fc],
        &[pool],
        &[pool, act, fc],
        &[norm, pool, fc],
        &[pool, norm, conv, &add("c", "n"), fc],
        &[fc],
        &[act],
        &[norm],
        &[conv, pool, norm, act, fc],
    ] {
        check(layers(list));
    }
}

#[test]
fn a_pool_before_everything_is_done_by_the_first_convolution() {
    let folded = check(network(
        "[[layer]]\nname = \"p\"\nkind = \"avgpool\"\nkernel = 2\n\
         [[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 3\nkernel = 3\n",
    ));
    assert_eq!((folded.levels(), folded.stages.len()), (1, 1));
}

/// Coefficients of the square from 1e-12 to 1, and zero, in any channels.
#[test]
fn quadratics_near_lines_fold_to_squares_of_the_size_of_their_results() {
    for seed in 0..40u64 {
        let text = format!(
            "[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 6\nkernel = 3\npadding = 1\ngroups = 3\n\
             [[layer]]\nname = \"a\"\nkind = \"activation\"\n\
             [[layer]]\nname = \"p\"\nkind = \"avgpool\"\nkernel = {}\n\
             [[layer]]\nname = \"d\"\nkind = \"conv\"\nout = 3\nkernel = 3\npadding = 1\ngroups = 3\n\
             [[layer]]\nname = \"b\"\nkind = \"activation\"\n",
            1 + seed % 2
        );
        let mut m = simulator::network::Model::random(network(&text), seed);
        for k in [1, 4] {
            let LayerParameters::Activation { a, .. } = &mut m.parameters[k] else {
                unreachable!()
            };
            for (channel, a) in a.iter_mut().enumerate() {
                let exponent = (seed as i32 * 7 + channel as i32 * 5) % 14;
                *a = if exponent == 13 { 0.0 } else { a.signum() * 10f64.powi(-exponent) };
            }
        }
        let image = image(&m.network, seed);
        let plain = m.forward(&image).unwrap();
        for method in [ActivationMethod::PairedSquare, ActivationMethod::Square] {
            let folded = Folded::new(&m, method).unwrap();
            let results = folded.forward_all(&image).unwrap();
            // Sums of at most a few hundred numbers of at most a few hundred, in double precision.
            assert!(difference(&plain, results.last().unwrap()) < 1e-10, "{seed}");
            let largest = results.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
            assert!(largest < 1e3, "{seed}: {largest}");
        }
    }
}

#[test]
fn weights_have_the_groups_that_no_weight_crosses() {
    let m = model(lenet(8, 4, 6, 4));
    let folded = Folded::new(&m, ActivationMethod::Square).unwrap();
    let convolution = |name: &str| {
        let stage = folded.stages.iter().find(|s| s.name == name).unwrap();
        let StageKind::Linear(linear) = &stage.kind else { unreachable!() };
        linear.main.clone()
    };
    assert_eq!(convolution("conv1").channel_groups(), 1);
    let conv2 = convolution("conv2");
    assert_eq!((conv2.geometry.groups, conv2.channel_groups()), (4, 4));
    // One output to a group of two inputs: the first output reads the second group, then the third.
    let mut one = conv2.ungrouped();
    let area = one.geometry.kernel.0 * one.geometry.kernel.1;
    for (input, groups) in [(3, 2), (4, 1)] {
        one.weights[input * area] = 1.0;
        assert_eq!(one.channel_groups(), groups);
    }
}
