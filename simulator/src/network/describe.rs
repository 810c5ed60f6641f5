//! Reading a network description (TOML), and inferring its shapes.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use super::size::{self, MOST_LAYERS};
use super::{Layer, LayerKind, Network, Shape, Source, UNTRAINED, Variant};
use crate::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    input: InputDescription,
    #[serde(default)]
    layer: Vec<LayerDescription>,
    #[serde(default)]
    variant: Vec<Variant>,
    #[serde(default)]
    baseline: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputDescription {
    channels: usize,
    height: usize,
    width: usize,
    #[serde(default)]
    mean: Option<OneOrMany<f64>>,
    #[serde(default)]
    std: Option<OneOrMany<f64>>,
    #[serde(default)]
    contrast: Option<f64>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerDescription {
    name: String,
    kind: Kind,
    #[serde(default)]
    input: Option<OneOrMany<String>>,
    #[serde(default, rename = "in")]
    inputs: Option<usize>,
    #[serde(default)]
    out: Option<usize>,
    #[serde(default)]
    kernel: Option<usize>,
    #[serde(default)]
    stride: Option<usize>,
    #[serde(default)]
    padding: Option<usize>,
    #[serde(default)]
    groups: Option<usize>,
    #[serde(default)]
    bias: Option<bool>,
    #[serde(default)]
    epsilon: Option<f64>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Conv,
    Fc,
    AvgPool,
    Activation,
    BatchNorm,
    Flatten,
    Add,
    Shortcut,
}

/// Largest extent, channel count or kernel accepted.
const MAX_EXTENT: usize = 1 << 16;
/// Longest description file, in bytes.
const MOST_BYTES: u64 = 16 << 20;

impl Network {
    /// Reads a description from TOML text and checks every shape. Extents are at most 65536, and sizes within
    /// [`super::MOST_VALUES`], [`super::MOST_NUMBERS`] and [`super::MOST_LAYERS`].
    ///
    /// # Errors
    /// [`Error::Description`] and [`Error::Layer`], with the field in question.
    pub fn from_toml(text: &str) -> Result<Self> {
        let d: Description = toml::from_str(text).map_err(|e| Error::Description(e.to_string()))?;
        let input = Shape::new(d.input.channels, d.input.height, d.input.width);
        let extents = [input.channels, input.height, input.width];
        if extents.iter().any(|e| !(1..=MAX_EXTENT).contains(e)) {
            return Err(Error::layer("input", "shape", input, "extents from 1 to 65536"));
        }
        size::check_map("input", extents)?;
        let mean = per_channel("mean", d.input.mean.clone(), 0.0, input.channels)?;
        let std = per_channel("std", d.input.std.clone(), 1.0, input.channels)?;
        if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
            return Err(Error::layer("input", "mean", bad, "a finite number"));
        }
        // An image is divided by it, so that its inverse must be a number too.
        let divides = |s: f64| s > 0.0 && s.is_finite() && s.recip().is_finite();
        if let Some(bad) = std.iter().find(|s| !divides(**s)) {
            return Err(Error::layer("input", "std", bad, "a positive finite number"));
        }
        if let Some(c) = d.input.contrast.filter(|c| !(c.is_finite() && *c > 0.0)) {
            return Err(Error::layer("input", "contrast", c, "a positive finite number"));
        }
        if d.layer.is_empty() {
            return Err(Error::Description("there is no [[layer]]; describe at least one".into()));
        }
        if d.layer.len() > MOST_LAYERS {
            let found = d.layer.len();
            return Err(Error::Description(format!(
                "{found} layers, expected at most {MOST_LAYERS}"
            )));
        }
        let mut network = Network {
            name: d.name,
            input,
            mean,
            std,
            contrast: d.input.contrast,
            layers: Vec::new(),
            variants: d.variant,
            baseline: d.baseline,
        };
        let mut names = BTreeMap::new();
        for layer in &d.layer {
            let built = build(layer, &network, &names)?;
            if layer.name == "input"
                || names.insert(layer.name.clone(), network.layers.len()).is_some()
            {
                return Err(Error::layer(
                    &layer.name,
                    "name",
                    &layer.name,
                    "a unique name, not `input`",
                ));
            }
            network.layers.push(built);
        }
        size::check_network(&network)?;
        check_variants(&network)?;
        Ok(network)
    }

    /// Reads a description file, of at most 16 MiB.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Self::from_toml`].
    pub fn read(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(io)?;
        let mut text = String::new();
        file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(io)?;
        if text.len() as u64 > MOST_BYTES {
            let fault =
                format!("the file has over {MOST_BYTES} bytes; weights belong into another");
            return Err(Error::Description(fault));
        }
        Self::from_toml(&text)
    }

    /// This network with other group counts, by layer name; shapes of weights follow.
    pub fn with_groups(&self, groups: &BTreeMap<String, usize>) -> Result<Self> {
        let mut out = self.clone();
        for (name, &wanted) in groups {
            let layer = out
                .layers
                .iter_mut()
                .find(|l| &l.name == name)
                .ok_or_else(|| Error::Description(format!("groups name no layer: {name:?}")))?;
            let input = layer.input.channels;
            match &mut layer.kind {
                LayerKind::Conv { out, groups, .. } => {
                    check_groups(name, input, *out, wanted)?;
                    *groups = wanted;
                }
                _ => {
                    return Err(Error::layer(
                        name,
                        "kind",
                        "not a convolution",
                        "a convolution, to have groups",
                    ));
                }
            }
        }
        size::check_network(&out)?;
        Ok(out)
    }
}

fn check_variants(network: &Network) -> Result<()> {
    for (k, v) in network.variants.iter().enumerate() {
        if network.variants[..k].iter().any(|w| w.name == v.name) {
            return Err(Error::Description(format!(
                "two variants are named {:?}; rename one",
                v.name
            )));
        }
        if let Some(a) = v.accuracy.filter(|a| !(0.0..=1.0).contains(a)) {
            return Err(Error::Description(format!(
                "variant {:?}: accuracy is {a}, expected a fraction from 0 to 1",
                v.name
            )));
        }
        network.with_groups(&v.groups)?;
    }
    if let Some(name) = network.baseline.as_ref().filter(|name| *name != UNTRAINED) {
        network.variant(name)?;
    }
    Ok(())
}

fn per_channel(
    what: &'static str,
    given: Option<OneOrMany<f64>>,
    default: f64,
    channels: usize,
) -> Result<Vec<f64>> {
    match given {
        None => Ok(vec![default; channels]),
        Some(OneOrMany::One(v)) => Ok(vec![v; channels]),
        Some(OneOrMany::Many(v)) if v.len() == channels => Ok(v),
        Some(OneOrMany::Many(v)) => Err(Error::layer(
            "input",
            what,
            format!("a list of {}", v.len()),
            format!("one number, or one per channel ({channels})"),
        )),
    }
}

fn check_groups(name: &str, input: usize, out: usize, groups: usize) -> Result<()> {
    if groups == 0 || !input.is_multiple_of(groups) || !out.is_multiple_of(groups) {
        return Err(Error::layer(
            name,
            "groups",
            groups,
            format!("a common divisor of {input} input and {out} output channels"),
        ));
    }
    Ok(())
}

fn build(
    d: &LayerDescription,
    network: &Network,
    names: &BTreeMap<String, usize>,
) -> Result<Layer> {
    let name = d.name.as_str();
    let sources = sources(d, network, names)?;
    let shape = |s: &Source| match s {
        Source::Input => network.input,
        Source::Layer(k) => network.layers[*k].output,
    };
    let wanted = if d.kind == Kind::Add { 2 } else { 1 };
    if sources.len() != wanted {
        return Err(Error::layer(name, "number of inputs", sources.len(), wanted));
    }
    let input = shape(&sources[0]);
    let extent = |what: &'static str, v: Option<usize>| match v {
        Some(v) if (1..=MAX_EXTENT).contains(&v) => Ok(v),
        Some(v) => Err(Error::layer(name, what, v, "1 to 65536")),
        None => {
            Err(Error::layer(name, what, "missing", format!("`{what} = ...` in the description")))
        }
    };
    let check_in = |have: usize| match d.inputs {
        Some(v) if v != have => {
            Err(Error::layer(name, "in", v, format!("{have}, as the layer before gives")))
        }
        _ => Ok(()),
    };
    let (kind, output) = match d.kind {
        Kind::Conv => {
            check_in(input.channels)?;
            let (out, kernel) = (extent("out", d.out)?, extent("kernel", d.kernel)?);
            let stride = extent("stride", Some(d.stride.unwrap_or(1)))?;
            let padding = d.padding.unwrap_or(0);
            let groups = d.groups.unwrap_or(1);
            check_groups(name, input.channels, out, groups)?;
            if padding >= kernel {
                return Err(Error::layer(
                    name,
                    "padding",
                    padding,
                    format!("less than the kernel, {kernel}"),
                ));
            }
            let h = window(name, input.height + 2 * padding, kernel, stride)?;
            let w = window(name, input.width + 2 * padding, kernel, stride)?;
            let bias = d.bias.unwrap_or(true);
            (LayerKind::Conv { out, kernel, stride, padding, groups, bias }, Shape::new(out, h, w))
        }
        Kind::Fc => {
            check_in(input.len())?;
            let out = extent("out", d.out)?;
            (LayerKind::Fc { out, bias: d.bias.unwrap_or(true) }, Shape::new(out, 1, 1))
        }
        Kind::AvgPool => {
            let kernel = extent("kernel", d.kernel)?;
            let stride = extent("stride", Some(d.stride.unwrap_or(kernel)))?;
            let h = window(name, input.height, kernel, stride)?;
            let w = window(name, input.width, kernel, stride)?;
            (LayerKind::AvgPool { kernel, stride }, Shape::new(input.channels, h, w))
        }
        Kind::Activation => (LayerKind::Activation, input),
        Kind::BatchNorm => {
            let epsilon = d.epsilon.unwrap_or(1e-5);
            if !(epsilon >= 0.0 && epsilon.is_finite()) {
                return Err(Error::layer(name, "epsilon", epsilon, "a number of at least zero"));
            }
            (LayerKind::BatchNorm { epsilon }, input)
        }
        Kind::Flatten => (LayerKind::Flatten, Shape::new(input.len(), 1, 1)),
        Kind::Add => {
            let other = shape(&sources[1]);
            if other != input {
                return Err(Error::layer(name, "shape of the second input", other, input));
            }
            (LayerKind::Add, input)
        }
        Kind::Shortcut => {
            check_in(input.channels)?;
            let out = extent("out", d.out)?;
            let stride = extent("stride", Some(d.stride.unwrap_or(1)))?;
            if out < input.channels || !(out - input.channels).is_multiple_of(2) {
                return Err(Error::layer(
                    name,
                    "out",
                    out,
                    format!("{} input channels or an even number more", input.channels),
                ));
            }
            let output =
                Shape::new(out, input.height.div_ceil(stride), input.width.div_ceil(stride));
            (LayerKind::Shortcut { out, stride }, output)
        }
    };
    size::check_map(name, [output.channels, output.height, output.width])?;
    Ok(Layer { name: name.to_owned(), kind, sources, input, output })
}

fn sources(
    d: &LayerDescription,
    network: &Network,
    names: &BTreeMap<String, usize>,
) -> Result<Vec<Source>> {
    let find = |n: &String| match names.get(n) {
        Some(&k) => Ok(Source::Layer(k)),
        None if n == "input" => Ok(Source::Input),
        None => Err(Error::layer(&d.name, "input", n, "`input` or the name of an earlier layer")),
    };
    match &d.input {
        Some(OneOrMany::One(n)) => Ok(vec![find(n)?]),
        Some(OneOrMany::Many(n)) => n.iter().map(find).collect(),
        None => Ok(vec![match network.layers.len() {
            0 => Source::Input,
            n => Source::Layer(n - 1),
        }]),
    }
}

/// Number of windows along one axis.
fn window(name: &str, extent: usize, kernel: usize, stride: usize) -> Result<usize> {
    if kernel > extent {
        return Err(Error::layer(
            name,
            "kernel",
            kernel,
            format!("at most the padded extent, {extent}"),
        ));
    }
    Ok((extent - kernel) / stride + 1)
}
