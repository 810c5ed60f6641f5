//! Folding changes nothing but the form.

#![allow(clippy::unwrap_used)]

mod common;

use common::{difference, image, lenet, model};
use simulator::fold::{ActivationMethod, Folded, StageKind, im2col, merge_pool, to_patches};
use simulator::network::{Network, convolve};

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

#[test]
fn additions_are_refused_by_name() {
    let n = network(
        "[[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 3\nkernel = 3\npadding = 1\n[[layer]]\nname = \"sum\"\nkind = \"add\"\ninput = [\"c\", \"input\"]\n",
    );
    let model = model(n);
    let x = image(&model.network, 1);
    assert_eq!(model.forward(&x).unwrap().len(), x.len());
    let error = Folded::new(&model, ActivationMethod::Square).unwrap_err().to_string();
    assert!(error.contains("layer sum cannot be lowered"), "{error}");
}
