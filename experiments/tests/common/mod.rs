//! Helpers of the tests of the command.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use costmodel::measure::{self, Plan};
use costmodel::point::Point;
use costmodel::{Machine, Profile};
use simulator::network::{LayerParameters, Model, Network, Weights};

/// The command, without the caller's data folder.
pub fn spencnn() -> Command {
    let mut command = Command::cargo_bin("spencnn").unwrap();
    command.env_remove("SPENCNN_DATA");
    command
}

pub fn stdout(assert: Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

pub fn stderr(assert: Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// A network of a few channels with random weights, a configuration on a small insecure ring, and a hasty profile of
/// this machine, in a folder that goes when this does.
pub struct Tiny {
    folder: tempfile::TempDir,
}

const NETWORK: &str = r#"
name = "tiny"
baseline = "dense"

[input]
channels = 1
height = 8
width = 8

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

[[variant]]
name = "dense"
weights = "tiny.safetensors"
accuracy = 0.5
"#;

const CONFIGURATION: &str =
    include_str!("../../../simulator/runtime/tests/common/tiny.config.toml");

impl Tiny {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("tiny.toml", NETWORK);
        write("config.toml", CONFIGURATION);
        weights(&Model::random(Network::from_toml(NETWORK).unwrap(), 3))
            .write(&folder.path().join("tiny.safetensors"))
            .unwrap();
        let (profile, points) = profile();
        profile.clone().save(&folder.path().join("profile.toml"), points).unwrap();
        Self { folder }
    }

    /// The same with two images in a ciphertext.
    pub fn of_two_images() -> Self {
        let tiny = Self::new();
        let text = CONFIGURATION.replacen("[parameters]", "images = 2\n[parameters]", 1);
        fs::write(tiny.configuration(), text).unwrap();
        tiny
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn network(&self) -> PathBuf {
        self.path("tiny.toml")
    }

    pub fn configuration(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// The command with this folder as its home.
    pub fn spencnn(&self) -> Command {
        let mut command = spencnn();
        command.env("SPENCNN_HOME", self.folder.path());
        command
    }

    /// `run` on the tiny network with the hasty profile.
    pub fn run(&self) -> Command {
        self.run_with(&["--threads", "1"])
    }

    /// The same with these arguments and the threads that they name.
    pub fn run_with(&self, arguments: &[&str]) -> Command {
        let mut command = self.spencnn();
        command.args(["run", "--no-baselines", "--images", "3"]).args(arguments);
        command
            .arg("--network")
            .arg(self.network())
            .arg("--profile")
            .arg(self.path("profile.toml"));
        command.arg("--config").arg(self.configuration());
        command
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The weights of a model, whose convolutions have kernels of 3 by 3, as their file has them.
pub fn weights(model: &Model) -> Weights {
    let mut weights = Weights::default();
    for (layer, parameters) in model.network.layers.iter().zip(&model.parameters) {
        let mut put = |what: &str, shape: &[usize], data: &[f64]| {
            weights.insert(&format!("{}.{what}", layer.name), shape, data.to_vec()).unwrap();
        };
        match parameters {
            LayerParameters::Linear { weight, bias } => {
                let out = bias.len();
                let per_out = weight.len() / out;
                match layer.name.starts_with("conv") {
                    true => put("weight", &[out, per_out / 9, 3, 3], weight),
                    false => put("weight", &[out, per_out], weight),
                }
                put("bias", &[out], bias);
            }
            LayerParameters::Activation { a, b, c } => {
                put("coeffs", &[3, a.len()], &[&a[..], b, c].concat())
            }
            _ => {}
        }
    }
    weights
}

/// The profile of the tree in a folder, as if it were of the kernels that are used here: prices of a real machine, for tests
/// in which only their order counts.
pub fn shipped_profile(folder: &Path) -> PathBuf {
    let text = include_str!("../../../profiles/amd-epyc-zen5-2core.toml");
    let line = |isa: &str| format!("\nisa = \"{isa}\"\n");
    assert!(text.contains(&line("avx512ifma")));
    let path = folder.join("shipped.toml");
    fs::write(&path, text.replace(&line("avx512ifma"), &line(&Machine::detect().isa))).unwrap();
    path
}

/// A profile measured here in a second on a tiny ring, and its points: good for nothing but tests.
fn profile() -> &'static (Profile, Vec<Point>) {
    static PROFILE: OnceLock<(Profile, Vec<Point>)> = OnceLock::new();
    PROFILE.get_or_init(|| {
        let mut plan = Plan::quick();
        plan.sets.truncate(1);
        (plan.sets[0].log_n, plan.sets[0].depth, plan.sets[0].levels) = (11, 3, vec![3, 1]);
        plan.budget = Duration::from_millis(500);
        plan.passes = 1;
        let cancel = AtomicBool::new(false);
        let measured = measure::run(&plan, &[1], &mut |_| {}, &cancel, None).unwrap();
        (Profile::new(&measured, "test").unwrap(), measured.points)
    })
}
