//! The embedded networks compute, their descriptions agree with the records of their training, and LeNet classifies what it
//! should.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use experiments::inputs::data::{self, Split};
use experiments::inputs::networks::{Source, embedded};
use experiments::inputs::sample;
use experiments::runs::statistics::argmax;
use simulator::network::{Layer, LayerKind, LayerParameters, Model, Variant};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// What a description should say of a variant, from the record of its training.
fn described(network: &str, name: &str, record: &toml::Table) -> Variant {
    let counts = |key: &str| record[key].as_table().unwrap();
    let words = |kept: &toml::Value, total: &toml::Value| format!("{kept} of {total}");
    let pattern = if record["total_units"].as_integer() == Some(0) {
        None
    } else if record.contains_key("kept_importance") {
        // A plan of the search: its units are those of each layer.
        let totals = counts("total_units_by_layer");
        let layers = counts("kept_units_by_layer").iter();
        let layers =
            layers.map(|(layer, kept)| format!("{layer}: {}", words(kept, &totals[layer])));
        Some(layers.collect::<Vec<_>>().join(", "))
    } else {
        let kept = words(&record["kept_units"], &record["total_units"]);
        Some(format!("{kept} {}", record["family"].as_str().unwrap()))
    };
    let groups = counts("groups").iter();
    let groups = groups.map(|(layer, count)| (layer.clone(), count.as_integer().unwrap() as usize));
    Variant {
        name: name.to_owned(),
        weights: format!("../weights/{network}/{name}.safetensors"),
        groups: groups.collect(),
        accuracy: record["test_accuracy"].as_float(),
        pattern: pattern.map(|units| format!("{units} units kept")),
    }
}

#[test]
fn descriptions_have_every_variant_that_has_a_record_and_say_the_same() {
    for network in embedded() {
        let mut recorded = BTreeMap::new();
        for entry in fs::read_dir(root().join("weights").join(network)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "toml") {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let record = fs::read_to_string(&path).unwrap().parse().unwrap();
            recorded.insert(name.clone(), described(network, &name, &record));
        }
        let variants = Source::open(network).unwrap().network.variants.into_iter();
        let variants: BTreeMap<_, _> = variants.map(|v| (v.name.clone(), v)).collect();
        assert_eq!(variants, recorded, "{network}: run training/report.py");
    }
}

#[test]
fn every_embedded_network_computes() {
    // Weights and biases of convolutions and fully connected layers.
    let sizes = [
        ("lenet", 64 * 25 + 64 + 64 * 32 * 25 + 32 + 32 * 32 + 32 + 320 + 10),
        ("vgg5", 1728 + 73728 + 147456 + 8192 * 4096 + 4096 * 4096 + 40960),
        ("vgg5-slim", 1728 + 73728 + 147456 + 8192 * 256 + 256 * 128 + 1280),
        ("hefnet", 6912 + 294912 + 73728 + 36864 + 2570),
        // 16 -> 16 six times, 16 -> 32, 32 -> 32 five times, 32 -> 64, 64 -> 64 five times; biases of second ones.
        ("resnet20", 432 + 9 * (6 * 256 + 512 + 5 * 1024 + 2048 + 5 * 4096) + 3 * 112 + 650),
    ];
    assert_eq!(embedded().collect::<Vec<_>>(), sizes.map(|(name, _)| name));
    for (name, size) in sizes {
        let network = Source::open(name).unwrap().network;
        let image = vec![0.25; network.input.len()];
        let model = Model::random(network, 1);
        let count = |layer: (&Layer, &LayerParameters)| match layer {
            (Layer { kind: LayerKind::Conv { bias, .. } | LayerKind::Fc { bias, .. }, .. }, p) => {
                let LayerParameters::Linear { weight, bias: values } = p else { unreachable!() };
                weight.len() + if *bias { values.len() } else { 0 }
            }
            _ => 0,
        };
        let found: usize = model.network.layers.iter().zip(&model.parameters).map(count).sum();
        assert_eq!(found, size, "{name}");
        let logits = model.forward(&image).unwrap();
        assert!(logits.len() == 10 && logits.iter().all(|v| v.is_finite()), "{name}: {logits:?}");
    }
}

#[test]
fn generated_digits_are_recognised() {
    let source = Source::open("lenet").unwrap();
    let images = sample::digits(40, 1);
    for variant in ["dense", "g8"] {
        let model = source.model(variant).unwrap();
        let right = (0..40)
            .filter(|&k| {
                let image = model.network.normalise(&images.image(k).unwrap()).unwrap();
                Some(argmax(&model.forward(&image).unwrap())) == images.label(k)
            })
            .count();
        // All 40 when this was written; the margin is for weights trained anew.
        assert!(right >= 36, "{variant}: {right} of 40");
    }
}

#[test]
fn real_digits_are_recognised() {
    let Some(folder) = std::env::var_os("SPENCNN_DATA") else {
        eprintln!("SPENCNN_DATA is not set: nothing compared with real digits");
        return;
    };
    let images = data::load(Path::new(&folder), (1, 28, 28), Split::Test, Some(500)).unwrap();
    let model = Source::open("lenet").unwrap().model("dense").unwrap();
    let right = (0..images.len())
        .filter(|&k| {
            let image = model.network.normalise(&images.image(k).unwrap()).unwrap();
            Some(argmax(&model.forward(&image).unwrap())) == images.label(k)
        })
        .count();
    assert!(right >= 490, "{right} of 500");
}

#[test]
fn unknown_names_say_what_there_is() {
    let error = format!("{:#}", Source::open("resnet").unwrap_err());
    assert!(error.contains("lenet") && error.contains("resnet20"), "{error}");
    let error = format!("{:#}", Source::open("lenet").unwrap().model("g3").unwrap_err());
    assert!(error.contains("g3") && error.contains("dense"), "{error}");
}

#[test]
fn untrained_variants_have_weights_and_no_accuracy() {
    let groups = |model: &Model, name: &str| {
        let layer = model.network.layers.iter().find(|l| l.name == name).unwrap();
        let LayerKind::Conv { groups, .. } = layer.kind else { unreachable!() };
        groups
    };
    let source = Source::open("lenet").unwrap();
    let plain = source.model("random").unwrap();
    assert_eq!(plain, source.model("random").unwrap());
    assert_eq!((groups(&plain, "conv1"), groups(&plain, "conv2")), (1, 1));
    assert_eq!(source.accuracy("random").unwrap(), None);
    // The first convolution has one input channel.
    let grouped = source.model("random-g8").unwrap();
    assert_eq!((groups(&grouped, "conv1"), groups(&grouped, "conv2")), (1, 8));
    assert_eq!((source.untrained("random-g8"), source.untrained("g8")), (Some(8), None));
    for unknown in ["random-g", "random-g0", "random-g1", "random-8", "randomly"] {
        assert!(source.model(unknown).is_err() && source.accuracy(unknown).is_err(), "{unknown}");
    }
    // A number that divides nothing is no way to ask for the dense network.
    for ignored in ["random-g7", "random-g1000000007"] {
        let error = format!("{:#}", source.model(ignored).unwrap_err());
        assert!(error.contains(ignored) && error.contains("conv1 (1 to "), "{error}");
    }
    assert_eq!((source.baseline(), source.variants().len()), ("dense", 8));
    // A network that describes no variant has this one.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.toml");
    let text = "name = \"n\"\n[input]\nchannels = 2\nheight = 4\nwidth = 4\n[[layer]]\nname = \"fc\"\nkind = \"fc\"\nout = 3\n";
    fs::write(&path, text).unwrap();
    let source = Source::open(path.to_str().unwrap()).unwrap();
    assert_eq!((source.baseline(), source.variants()), ("random", vec!["random".to_owned()]));
    assert_eq!(source.model("random").unwrap().forward(&[0.5; 32]).unwrap().len(), 3);
    assert!(source.model("random-g2").is_err(), "there is no convolution");
}

#[test]
fn an_untrained_network_may_be_the_baseline_of_trained_variants() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.toml");
    let text = |baseline: &str| {
        format!(
            "name = \"n\"\n{baseline}[input]\nchannels = 2\nheight = 4\nwidth = 4\n\
             [[layer]]\nname = \"fc\"\nkind = \"fc\"\nout = 3\n\
             [[variant]]\nname = \"one\"\nweights = \"one.safetensors\"\n"
        )
    };
    for (given, baseline) in [("", "one"), ("baseline = \"random\"\n", "random")] {
        fs::write(&path, text(given)).unwrap();
        let source = Source::open(&path).unwrap();
        assert_eq!((source.baseline(), source.evaluated()), (baseline, "one"));
        assert_eq!(source.variants(), ["one"]);
    }
}
