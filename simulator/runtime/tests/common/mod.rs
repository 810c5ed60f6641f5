//! A small network, compiled for a small insecure ring.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use engine::params::Parameters;
use runtime::client::ClientSpec;
use runtime::server::CompiledModel;
use runtime::{Compilation, compile};
use simulator::chain::Chain;
use simulator::config::Configuration;
use simulator::fold::Folded;
use simulator::interpret::{NoiseModel, predict_errors};
use simulator::lowering::lower;
use simulator::network::{Model, Network};
use simulator::program::PlaintextForm;

const NETWORK: &str = r#"
name = "tiny"

[input]
channels = 1
height = 8
width = 8
mean = [0.25]
std = [0.5]
contrast = 0.25

[[layer]]
name = "conv1"
kind = "conv"
out = 4
kernel = 3
padding = 1

[[layer]]
name = "act1"
kind = "activation"

[[layer]]
name = "pool1"
kind = "avgpool"
kernel = 2

[[layer]]
name = "fc1"
kind = "fc"
out = 5
"#;

const CONFIGURATION: &str = include_str!("tiny.config.toml");

/// A compiled network, and the network.
pub struct Tiny {
    pub model: Model,
    pub spec: ClientSpec,
    pub compiled: CompiledModel,
}

impl Tiny {
    /// With so many levels (3 at least) and weights of a seed.
    pub fn new(levels: usize, seed: u64) -> Self {
        Self::of_images(levels, seed, 1)
    }

    /// The same for so many images in a ciphertext: one or two.
    pub fn of_images(levels: usize, seed: u64, images: usize) -> Self {
        let model = Model::random(Network::from_toml(NETWORK).unwrap(), seed);
        let text = CONFIGURATION.replace("levels = 3", &format!("levels = {levels}"));
        let mut configuration = Configuration::from_toml(&text).unwrap();
        configuration.images = images;
        let mut literal = configuration.parameters.literal().unwrap();
        literal.allow_insecure = true;
        let params = Parameters::new(&literal).unwrap();
        let folded = Folded::new(&model, &configuration).unwrap();
        let lowered = lower(&folded, &configuration, &Chain::from(&params), true).unwrap();
        let images: Vec<_> =
            (0..4).map(|k| model.network.normalise(&Self::image(k)).unwrap()).collect();
        let exact: Vec<_> = images.iter().map(|image| model.forward(image).unwrap()).collect();
        let noise = NoiseModel::from(&params);
        let errors = predict_errors(&lowered, &noise, &images, &exact, 1).unwrap();
        let (spec, compiled) = compile(Compilation {
            model: &model,
            params: &params,
            lowered,
            plaintexts: PlaintextForm::Stored,
            reach: None,
            errors: Some(errors),
        })
        .unwrap();
        Self { model, spec, compiled }
    }

    /// What an encrypted logit may differ from the exact one: the root mean square predicted, times 17. Errors have tails like
    /// `exp(-sqrt(2) x)` in units of that (see the noise model), so that one of a hundred logits is beyond with probability
    /// `100 exp(-17 sqrt(2)) < 1e-8`.
    pub fn tolerance(&self) -> f64 {
        17.0 * self.spec.errors.unwrap().largest
    }

    /// Raw images from 0 to 1.
    pub fn image(k: usize) -> Vec<f64> {
        (0..64).map(|i| ((i * 7 + k * 13) % 32) as f64 / 31.0).collect()
    }

    /// The unencrypted result of an image.
    pub fn logits(&self, image: &[f64]) -> Vec<f64> {
        self.model.forward(&self.model.network.normalise(image).unwrap()).unwrap()
    }
}

/// What something writes.
pub fn bytes<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    out
}
