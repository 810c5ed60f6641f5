//! Reading a network description (TOML).

use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use super::size::MOST_LAYERS;
use super::{LayerKind, Network, NetworkBuilder, Padding, Shape, Source, Variant, Window};
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
    kernel: Option<OneOrMany<usize>>,
    #[serde(default)]
    stride: Option<OneOrMany<usize>>,
    #[serde(default)]
    padding: Option<OneOrMany<usize>>,
    #[serde(default)]
    dilation: Option<OneOrMany<usize>>,
    #[serde(default)]
    count_include_pad: Option<bool>,
    #[serde(default)]
    groups: Option<usize>,
    #[serde(default)]
    bias: Option<bool>,
    #[serde(default)]
    affine: Option<bool>,
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
        let mut builder = NetworkBuilder::new(&d.name, input)?;
        let each = |given: Option<OneOrMany<f64>>, default: f64| match given {
            None => vec![default; input.channels],
            Some(OneOrMany::One(v)) => vec![v; input.channels],
            Some(OneOrMany::Many(v)) => v,
        };
        builder.normalise(each(d.input.mean, 0.0), each(d.input.std, 1.0), d.input.contrast)?;
        if d.layer.is_empty() {
            return Err(Error::Description("there is no [[layer]]; describe at least one".into()));
        }
        if d.layer.len() > MOST_LAYERS {
            let found = d.layer.len();
            return Err(Error::Description(format!(
                "{found} layers, expected at most {MOST_LAYERS}"
            )));
        }
        for layer in &d.layer {
            let sources = sources(layer, &builder)?;
            if let Some(first) = sources.first() {
                check_in(layer, builder.shape(*first))?;
            }
            builder.layer(&layer.name, kind(layer)?, &sources)?;
        }
        builder.variants(d.variant, d.baseline);
        builder.finish()
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
}

/// What a layer computes, with the defaults of what is left out.
fn kind(d: &LayerDescription) -> Result<LayerKind> {
    let name = d.name.as_str();
    let needed = |what: &'static str| {
        Error::layer(name, what, "missing", format!("`{what} = ...` in the description"))
    };
    let out = || d.out.ok_or_else(|| needed("out"));
    let window = |stride: Option<(usize, usize)>| -> Result<Window> {
        let kernel = pair(name, "kernel", &d.kernel)?.ok_or_else(|| needed("kernel"))?;
        Ok(Window {
            kernel,
            stride: pair(name, "stride", &d.stride)?.or(stride).unwrap_or(kernel),
            padding: padding(name, &d.padding)?,
            dilation: pair(name, "dilation", &d.dilation)?.unwrap_or((1, 1)),
        })
    };
    let bias = d.bias.unwrap_or(true);
    Ok(match d.kind {
        Kind::Conv => LayerKind::Conv {
            out: out()?,
            window: window(Some((1, 1)))?,
            groups: d.groups.unwrap_or(1),
            bias,
        },
        Kind::Fc => LayerKind::Fc { out: out()?, bias },
        Kind::AvgPool => LayerKind::AvgPool {
            window: window(None)?,
            count_include_pad: d.count_include_pad.unwrap_or(true),
        },
        Kind::Activation => LayerKind::Activation,
        Kind::BatchNorm => LayerKind::BatchNorm {
            epsilon: d.epsilon.unwrap_or(1e-5),
            affine: d.affine.unwrap_or(true),
        },
        Kind::Flatten => LayerKind::Flatten,
        Kind::Add => LayerKind::Add,
        Kind::Shortcut => {
            let stride = pair(name, "stride", &d.stride)?.unwrap_or((1, 1));
            if stride.0 != stride.1 {
                return Err(Error::layer(name, "stride", format!("{stride:?}"), "one number"));
            }
            LayerKind::Shortcut { out: out()?, stride: stride.0 }
        }
    })
}

/// One number for rows and columns, or one for each.
fn pair(
    layer: &str,
    what: &'static str,
    given: &Option<OneOrMany<usize>>,
) -> Result<Option<(usize, usize)>> {
    Ok(match given {
        None => None,
        Some(OneOrMany::One(n)) => Some((*n, *n)),
        Some(OneOrMany::Many(list)) => match list[..] {
            [rows, cols] => Some((rows, cols)),
            _ => {
                let found = format!("a list of {}", list.len());
                return Err(Error::layer(layer, what, found, "one number, or [rows, columns]"));
            }
        },
    })
}

/// One number for all sides, one for above and below and one for left and right, or one for each side.
fn padding(layer: &str, given: &Option<OneOrMany<usize>>) -> Result<Padding> {
    Ok(match given {
        None => Padding::default(),
        Some(OneOrMany::One(all)) => Padding::all(*all),
        Some(OneOrMany::Many(list)) => match list[..] {
            [rows, cols] => Padding { top: rows, left: cols, bottom: rows, right: cols },
            [top, left, bottom, right] => Padding { top, left, bottom, right },
            _ => {
                let found = format!("a list of {}", list.len());
                let expected = "one number, [rows, columns], or [top, left, bottom, right]";
                return Err(Error::layer(layer, "padding", found, expected));
            }
        },
    })
}

/// Checks `in`, where it is there, against what the layer reads.
fn check_in(d: &LayerDescription, input: Shape) -> Result<()> {
    let have = match d.kind {
        Kind::Conv | Kind::Shortcut => input.channels,
        Kind::Fc => input.len(),
        _ => return Ok(()),
    };
    match d.inputs {
        Some(v) if v != have => {
            let expected = format!("{have}, as the layer before gives");
            Err(Error::layer(&d.name, "in", v, expected))
        }
        _ => Ok(()),
    }
}

fn sources(d: &LayerDescription, builder: &NetworkBuilder) -> Result<Vec<Source>> {
    let find = |n: &String| {
        builder.named(n).ok_or_else(|| {
            Error::layer(&d.name, "input", n, "`input` or the name of an earlier layer")
        })
    };
    match &d.input {
        Some(OneOrMany::One(n)) => Ok(vec![find(n)?]),
        Some(OneOrMany::Many(n)) => n.iter().map(find).collect(),
        None => Ok(vec![builder.last()]),
    }
}
