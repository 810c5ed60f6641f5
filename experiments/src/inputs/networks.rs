//! Networks to run: those embedded in the program, and those that a user describes in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use simulator::network::{LayerKind, Model, Network, UNTRAINED, Weights};

use crate::inputs::onnx;

/// Descriptions embedded in the program: name and text.
const EMBEDDED: &[(&str, &str)] = &[
    ("lenet", include_str!("../../networks/lenet.toml")),
    ("vgg5", include_str!("../../networks/vgg5.toml")),
    ("vgg5-slim", include_str!("../../networks/vgg5-slim.toml")),
    ("hefnet", include_str!("../../networks/hefnet.toml")),
    ("resnet20", include_str!("../../networks/resnet20.toml")),
];

/// Embedded weight files, `network/file.safetensors`.
const WEIGHTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/weights.rs"));

/// Seed of random weights.
const UNTRAINED_SEED: u64 = 1;

/// Where the weights of a network are.
#[derive(Debug, Clone)]
enum Place {
    /// In the program.
    Embedded,
    /// In files of this folder or below.
    Folder(PathBuf),
    /// In an ONNX model, with what is not in its file.
    Onnx(PathBuf, onnx::Options),
}

/// A network description and where its weights are.
#[derive(Debug, Clone)]
pub struct Source {
    /// The description.
    pub network: Network,
    place: Place,
    /// The description as it was read; none of a model.
    text: Option<String>,
}

/// Names of the embedded networks.
pub fn embedded() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

impl Source {
    /// An embedded network by its name, or else a description file (TOML) or a model (ONNX).
    pub fn open(name_or_file: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(name_or_file, onnx::Options::default())
    }

    /// The same, with what an ONNX model does not say itself.
    ///
    /// # Errors
    /// What is wrong with the file; options for a network that is no ONNX model.
    pub fn open_with(name_or_file: impl AsRef<Path>, options: onnx::Options) -> Result<Self> {
        let path = name_or_file.as_ref();
        let is_onnx = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"));
        if !is_onnx && options != onnx::Options::default() {
            bail!(
                "--activations, --mean and --std are for ONNX models (*.onnx), and the network is {path:?}: its description \
                 has them"
            );
        }
        if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| path == Path::new(name)) {
            let network =
                Network::from_toml(text).with_context(|| format!("embedded network {name}"))?;
            let text = Some((*text).to_owned());
            return Ok(Self { network, place: Place::Embedded, text });
        }
        if !path.is_file() {
            let known: Vec<_> = embedded().collect();
            return Err(anyhow!(
                "network {path:?} is neither a file nor one of the embedded networks ({})",
                known.join(", ")
            ));
        }
        let what = || format!("reading network {}", path.display());
        if is_onnx {
            let network = onnx::network(path, &options).with_context(what)?;
            return Ok(Self { network, place: Place::Onnx(path.to_owned(), options), text: None });
        }
        let network = Network::read(path).with_context(what)?;
        let text = Some(std::fs::read_to_string(path).with_context(what)?);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { network, place: Place::Folder(folder), text })
    }

    /// The description without its variants.
    pub fn without_variants(&self) -> Result<String> {
        let Some(text) = &self.text else {
            let name = &self.network.name;
            return Err(anyhow!(
                "{name} is a model without a description: plans are for networks described in TOML"
            ));
        };
        let mut table: toml::Table = toml::from_str(text)?;
        table.retain(|key, _| !["variant", "baseline"].contains(&key));
        Ok(toml::to_string(&table)?)
    }

    /// Whether it is a model of another program, into whose file nothing is written.
    pub fn is_imported(&self) -> bool {
        matches!(self.place, Place::Onnx(..))
    }

    /// Names of the variants that the network describes; [`UNTRAINED`] if it describes none.
    pub fn variants(&self) -> Vec<String> {
        match &self.network.variants[..] {
            [] => vec![UNTRAINED.into()],
            described => described.iter().map(|v| v.name.clone()).collect(),
        }
    }

    /// Accuracy of a variant, if it has been measured.
    pub fn accuracy(&self, variant: &str) -> Result<Option<f64>> {
        if self.untrained(variant).is_some() {
            return Ok(None);
        }
        Ok(self.network.variant(variant)?.accuracy)
    }

    /// Groups of an untrained variant, where the description has no variant of that name: 1 for `random`, `N` for
    /// `random-gN`, whose convolutions have `N` groups.
    pub fn untrained(&self, variant: &str) -> Option<usize> {
        if self.network.variants.iter().any(|v| v.name == variant) {
            return None;
        }
        match variant.strip_prefix(UNTRAINED)? {
            "" => Some(1),
            groups => groups.strip_prefix("-g")?.parse().ok().filter(|g| *g > 1),
        }
    }

    /// The network with the weights of a variant. Untrained ones have random weights, always the same ones, and as many
    /// groups as their name says in each convolution whose channels they divide.
    pub fn model(&self, variant: &str) -> Result<Model> {
        let what = || format!("variant {variant} of network {}", self.network.name);
        if let Some(groups) = self.untrained(variant) {
            let network = self.with_groups(groups).with_context(what)?;
            return Ok(Model::random(network, UNTRAINED_SEED));
        }
        match &self.place {
            Place::Folder(folder) => {
                return Model::read_variant(&self.network, variant, folder).with_context(what);
            }
            Place::Onnx(path, options) => {
                self.network.variant(variant)?;
                return onnx::model(path, options).with_context(what);
            }
            Place::Embedded => {}
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
    /// first, or [`UNTRAINED`].
    pub fn baseline(&self) -> &str {
        let first = self.network.variants.first().map(|v| v.name.as_str());
        self.network.baseline.as_deref().or(first).unwrap_or(UNTRAINED)
    }

    /// The variant that is evaluated unless another is named: the baseline, or the first if that is untrained.
    pub fn evaluated(&self) -> &str {
        match &self.network.variants[..] {
            [first, ..] if self.untrained(self.baseline()).is_some() => &first.name,
            _ => self.baseline(),
        }
    }

    /// The network with that many groups in every convolution whose channels they divide; an error if more than one group
    /// divides none.
    fn with_groups(&self, groups: usize) -> Result<Network> {
        let divided: BTreeMap<String, usize> = self
            .network
            .layers
            .iter()
            .filter(|l| match l.kind {
                LayerKind::Conv { out, .. } => {
                    groups > 1
                        && l.input.channels.is_multiple_of(groups)
                        && out.is_multiple_of(groups)
                }
                _ => false,
            })
            .map(|l| (l.name.clone(), groups))
            .collect();
        if groups > 1 && divided.is_empty() {
            let channels = self.network.layers.iter().filter_map(|l| match l.kind {
                LayerKind::Conv { out, .. } => {
                    Some(format!("{} ({} to {out})", l.name, l.input.channels))
                }
                _ => None,
            });
            let channels = channels.collect::<Vec<_>>().join(", ");
            bail!(
                "{groups} groups divide the channels of no convolution: {}; name another number",
                if channels.is_empty() { "there is none".to_owned() } else { channels }
            );
        }
        Ok(self.network.with_groups(&divided)?)
    }
}
