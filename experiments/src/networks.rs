//! Networks to run: those embedded in the program, and those that a user describes in a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use simulator::network::{Model, Network, Weights};

/// Descriptions embedded in the program: name and text.
const EMBEDDED: &[(&str, &str)] = &[
    ("lenet", include_str!("../networks/lenet.toml")),
    ("vgg5", include_str!("../networks/vgg5.toml")),
    ("vgg5-slim", include_str!("../networks/vgg5-slim.toml")),
    ("hefnet", include_str!("../networks/hefnet.toml")),
    ("resnet20", include_str!("../networks/resnet20.toml")),
];

/// Embedded weight files, `network/file.safetensors`.
const WEIGHTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/weights.rs"));

/// A network description and where its weights are.
#[derive(Debug, Clone)]
pub struct Source {
    /// The description.
    pub network: Network,
    /// Folder of the description file; none if it is embedded.
    folder: Option<PathBuf>,
}

/// Names of the embedded networks.
pub fn embedded() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

impl Source {
    /// An embedded network by its name, or else a description file (TOML).
    pub fn open(name_or_file: &str) -> Result<Self> {
        if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == name_or_file) {
            let network =
                Network::from_toml(text).with_context(|| format!("embedded network {name}"))?;
            return Ok(Self { network, folder: None });
        }
        let path = Path::new(name_or_file);
        if !path.is_file() {
            let known: Vec<_> = embedded().collect();
            return Err(anyhow!(
                "network {name_or_file:?} is neither a file nor one of the embedded networks ({})",
                known.join(", ")
            ));
        }
        let network =
            Network::read(path).with_context(|| format!("reading network {}", path.display()))?;
        Ok(Self { network, folder: Some(path.parent().unwrap_or(Path::new("")).to_owned()) })
    }

    /// The network with the weights of a variant.
    pub fn model(&self, variant: &str) -> Result<Model> {
        let what = || format!("variant {variant} of network {}", self.network.name);
        if let Some(folder) = &self.folder {
            return Model::read_variant(&self.network, variant, folder).with_context(what);
        }
        let described = self.network.variant(variant)?;
        let file =
            Path::new(&described.weights).file_name().and_then(|f| f.to_str()).unwrap_or_default();
        let key = format!("{}/{file}", self.network.name);
        let (_, bytes) = WEIGHTS
            .iter()
            .find(|(name, _)| *name == key)
            .ok_or_else(|| anyhow!("weights {key} are not embedded"))
            .with_context(what)?;
        let weights = Weights::from_bytes(bytes).with_context(what)?;
        Model::new(self.network.with_groups(&described.groups)?, &weights).with_context(what)
    }

    /// Name of the variant that drops in accuracy and speed-ups refer to: the one the description names, or the
    /// first.
    pub fn baseline(&self) -> Result<&str> {
        let first = self.network.variants.first().map(|v| v.name.as_str());
        self.network.baseline.as_deref().or(first).ok_or_else(|| {
            anyhow!("network {} describes no [[variant]], so it has no weights", self.network.name)
        })
    }
}
