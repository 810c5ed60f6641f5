//! Networks: descriptions, weights, ONNX models.

use std::path::{Path, PathBuf};

use experiments::inputs::networks::Source;
use experiments::inputs::onnx::{self, Options};
use simulator::network::{Model, Network, Weights};

use super::scratch::{NETWORK, Scratch, weights, words};
use crate::format::{Bundle, Bytes, Format, Onnx, Tensors, Toml, join, split};
use crate::target::Target;

pub(super) fn all() -> Vec<Box<dyn Target>> {
    let mut all: Vec<Box<dyn Target>> = vec![Box::new(Description), Box::new(OnnxModel::new())];
    if let Ok(network) = Network::from_toml(NETWORK) {
        all.push(Box::new(WeightFile { network, folder: Scratch::new() }));
    }
    all
}

/// A description.
struct Description;

impl Target for Description {
    fn name(&self) -> &'static str {
        "description"
    }

    fn format(&self) -> &dyn Format {
        &Toml
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let embedded =
            experiments::inputs::networks::embedded().filter_map(|name| Source::open(name).ok());
        let texts = embedded.filter_map(|source| source.without_variants().ok());
        texts.map(String::into_bytes).chain([NETWORK.as_bytes().to_vec()]).collect()
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(input).map_err(words)?;
        Network::from_toml(text).map(drop).map_err(words)
    }
}

/// Weights of a small network: alone, and for it.
struct WeightFile {
    network: Network,
    folder: Scratch,
}

impl Target for WeightFile {
    fn name(&self) -> &'static str {
        "weights"
    }

    fn format(&self) -> &dyn Format {
        &Tensors
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        weights().into_iter().collect()
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        let all = Weights::from_bytes(input).map_err(words)?;
        self.folder.write("plan.safetensors", input)?;
        let read = Model::read_variant(&self.network, "dense", self.folder.folder());
        // Files of other networks are right for themselves.
        match read {
            Err(error) if all.get("conv1.weight").is_some() => Err(words(error)),
            _ => Ok(()),
        }
    }
}

/// An ONNX model with the file beside it.
struct OnnxModel {
    format: Bundle,
    folder: Scratch,
}

/// Name of the file beside a model in the seeds.
const BESIDE: &str = "torch-dynamo-residual.onnx.data";

impl OnnxModel {
    fn new() -> Self {
        Self { format: Bundle(vec![Box::new(Onnx), Box::new(Bytes)]), folder: Scratch::new() }
    }
}

impl Target for OnnxModel {
    fn name(&self) -> &'static str {
        "onnx"
    }

    fn format(&self) -> &dyn Format {
        &self.format
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/onnx");
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        // Some of the tests' models are there to be refused.
        let is_model = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".onnx") && !name.starts_with("refused")
        };
        let mut paths: Vec<_> = files.map(|entry| entry.path()).filter(is_model).collect();
        paths.sort();
        let beside = std::fs::read(folder.join(BESIDE)).unwrap_or_default();
        let models = paths.iter().filter_map(|path| std::fs::read(path).ok().map(|m| (path, m)));
        models
            .map(|(path, model)| {
                let has =
                    BESIDE.starts_with(&*path.file_name().unwrap_or_default().to_string_lossy());
                join(&[model, if has { beside.clone() } else { Vec::new() }])
            })
            .collect()
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        let files = split(input);
        let file = |k: usize| files.get(k).copied().unwrap_or_default();
        self.folder.write(BESIDE, file(1))?;
        let path = self.folder.write("m.onnx", file(0))?;
        let whole = onnx::model(&path, &Options::default()).map(drop);
        // Where weights are not read, too.
        let outline = onnx::network(&path, &Options::default()).map(drop);
        whole.and(outline).map_err(words)
    }
}
