//! Folders for decoders that read files, and small networks to read files for.

use std::fs;
use std::path::{Path, PathBuf};

use simulator::network::{LayerParameters, Model, Network, Weights};

/// A network of every kind of numbers.
pub(super) const NETWORK: &str = r#"
name = "tiny"
baseline = "dense"
[input]
channels = 1
height = 8
width = 8
mean = 0.5
std = [0.25]
contrast = 2.0
[[layer]]
name = "conv1"
kind = "conv"
out = 4
kernel = 3
padding = 1
groups = 1
[[layer]]
name = "bn1"
kind = "batchnorm"
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
weights = "plan.safetensors"
accuracy = 0.5
[[variant]]
name = "g"
weights = "g.safetensors"
groups = { conv1 = 1 }
"#;

/// Its configuration on a small ring.
pub(super) const CONFIGURATION: &str =
    include_str!("../../../../simulator/runtime/tests/common/tiny.config.toml");

/// The small network with random weights.
pub(super) fn model() -> Option<Model> {
    Some(Model::random(Network::from_toml(NETWORK).ok()?, 3))
}

/// Its weights as a file.
pub(super) fn weights() -> Option<Vec<u8>> {
    let model = model()?;
    let mut weights = Weights::default();
    for (layer, parameters) in model.network.layers.iter().zip(&model.parameters) {
        let mut put = |what: &str, shape: &[usize], data: &[f64]| {
            weights.insert(&format!("{}.{what}", layer.name), shape, data.to_vec()).ok()
        };
        match parameters {
            LayerParameters::Linear { weight, bias } => {
                let out = bias.len();
                let per_out = weight.len() / out;
                match layer.name.starts_with("conv") {
                    true => put("weight", &[out, per_out / 9, 3, 3], weight)?,
                    false => put("weight", &[out, per_out], weight)?,
                }
                put("bias", &[out], bias)?;
            }
            LayerParameters::Activation { a, b, c } => {
                put("coeffs", &[3, a.len()], &[&a[..], b, c].concat())?;
                put("bound", &[1], &[40.0])?;
            }
            LayerParameters::Affine { scale, shift } => {
                let n = scale.len();
                put("weight", &[n], scale)?;
                put("bias", &[n], shift)?;
                put("running_mean", &[n], &vec![0.0; n])?;
                put("running_var", &[n], &vec![1.0; n])?;
            }
            LayerParameters::None => {}
        }
    }
    let folder = Scratch::new();
    let path = folder.path("w");
    weights.write(&path).ok()?;
    fs::read(path).ok()
}

/// A folder in memory, where there is one.
pub(super) struct Scratch(Option<tempfile::TempDir>);

impl Scratch {
    pub(super) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()),
            false => tempfile::tempdir(),
        };
        Self(folder.ok())
    }

    pub(super) fn folder(&self) -> &Path {
        self.0.as_ref().map_or(Path::new("."), |folder| folder.path())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file and tells where; a message if the system does not let it.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(|e| format!("scratch: {e}"))?;
        Ok(path)
    }
}

/// The words of an error, and of what caused it.
pub(super) fn words(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> String {
    let error = error.into();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
