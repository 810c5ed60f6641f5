//! The embedded networks compute, LeNet's description agrees with the records of its training, and it classifies what it
//! should.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::{Path, PathBuf};

use experiments::inputs::data::{self, Split};
use experiments::inputs::networks::{Source, embedded};
use experiments::inputs::sample;
use experiments::runs::statistics::argmax;
use simulator::network::{Layer, LayerKind, LayerParameters, Model};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// What a description should say of a variant, from the record of its training.
fn described(record: &toml::Table) -> String {
    let name = record["variant"].as_str().unwrap();
    let mut text = format!(
        "[[variant]]\nname = {name:?}\nweights = \"../weights/lenet/{name}.safetensors\"\n"
    );
    // The older trainer tells of conv2 only; plans of the search tell of each layer.
    let groups = match &record["groups"] {
        toml::Value::Table(groups) => groups.clone(),
        groups => [("conv2".to_owned(), groups.clone())].into_iter().collect(),
    };
    let groups: Vec<String> = groups
        .iter()
        .filter(|(_, groups)| groups.as_integer() != Some(1))
        .map(|(layer, groups)| format!("{layer} = {groups}"))
        .collect();
    if !groups.is_empty() {
        text += &format!("groups = {{ {} }}\n", groups.join(", "));
    }
    text += &format!("accuracy = {}\n", record["test_accuracy"].as_float().unwrap());
    if let Some(kept) = record.get("kept_units_by_layer") {
        let totals = &record["total_units_by_layer"];
        let layers = kept.as_table().unwrap().iter();
        let layers = layers.map(|(layer, kept)| format!("{layer}: {kept} of {}", totals[layer]));
        text += &format!("pattern = \"{} units kept\"\n", layers.collect::<Vec<_>>().join(", "));
    } else if record["family"].as_str() != Some("none") {
        let [family, kept, total] =
            ["family", "kept_units", "total_units"].map(|k| record[k].to_string());
        text += &format!(
            "pattern = \"conv2: {kept} of {total} {} units kept\"\n",
            family.trim_matches('"')
        );
    }
    text
}

const MARK: &str = "# Variants, from the records in ../weights/lenet.";

/// Run with `SPENCNN_UPDATE=1` to rewrite the variants in the description from the records.
#[test]
fn lenet_describes_every_variant_that_has_weights() {
    let path = root().join("networks/lenet.toml");
    let text = fs::read_to_string(&path).unwrap();
    let mut variants: Vec<(bool, String, String)> = Vec::new();
    for entry in fs::read_dir(root().join("weights/lenet")).unwrap() {
        let record_path = entry.unwrap().path();
        if record_path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let record: toml::Table = fs::read_to_string(&record_path).unwrap().parse().unwrap();
        let name = record["variant"].as_str().unwrap().to_owned();
        variants.push((name != "dense", name, described(&record)));
    }
    variants.sort();
    let (head, _) = text.split_once(MARK).unwrap();
    let wanted = variants.iter().fold(format!("{head}{MARK}\n"), |text, (_, _, v)| text + "\n" + v);
    if std::env::var_os("SPENCNN_UPDATE").is_some() {
        fs::write(&path, &wanted).unwrap();
    } else {
        assert_eq!(
            text, wanted,
            "run this test with SPENCNN_UPDATE=1 to rewrite networks/lenet.toml"
        );
        assert_eq!(Source::open("lenet").unwrap().network.variants.len(), variants.len());
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
