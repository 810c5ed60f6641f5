//! Building a network layer by layer: every shape is inferred and every number checked here, whatever format it comes from.

use std::collections::BTreeMap;

use super::size::{self, MOST_LAYERS};
use super::window::check_extent;
use super::{Layer, LayerKind, Network, Shape, Source, UNTRAINED, Variant};
use crate::{Error, Result};

/// A network under construction. What its methods refuse is not part of it.
#[derive(Debug, Clone)]
pub struct NetworkBuilder {
    network: Network,
    names: BTreeMap<String, usize>,
}

impl NetworkBuilder {
    /// A network of this name for images of this shape, without layers yet. Images are not normalised.
    ///
    /// # Errors
    /// [`Error::Layer`] for extents that are not from 1 to 65536, and for more than [`super::MOST_VALUES`] values.
    pub fn new(name: &str, input: Shape) -> Result<Self> {
        let extents = [input.channels, input.height, input.width];
        for (what, extent) in ["channels", "height", "width"].into_iter().zip(extents) {
            check_extent("input", what, extent)?;
        }
        size::check_map("input", extents)?;
        let network = Network {
            name: name.to_owned(),
            input,
            mean: vec![0.0; input.channels],
            std: vec![1.0; input.channels],
            contrast: None,
            layers: Vec::new(),
            variants: Vec::new(),
            baseline: None,
        };
        Ok(Self { network, names: BTreeMap::new() })
    }

    /// How the client normalises images: mean and standard deviation for each channel, and the largest contrast.
    ///
    /// # Errors
    /// [`Error::Layer`] for lists of another length than the channels, and for numbers that are no use.
    pub fn normalise(
        &mut self,
        mean: Vec<f64>,
        std: Vec<f64>,
        contrast: Option<f64>,
    ) -> Result<()> {
        let channels = self.network.input.channels;
        for (what, list) in [("mean", &mean), ("std", &std)] {
            if list.len() != channels {
                let found = format!("a list of {}", list.len());
                let expected = format!("one number, or one per channel ({channels})");
                return Err(Error::layer("input", what, found, expected));
            }
        }
        if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
            return Err(Error::layer("input", "mean", bad, "a finite number"));
        }
        // An image is divided by it, so that its inverse must be a number too.
        let divides = |s: f64| s > 0.0 && s.is_finite() && s.recip().is_finite();
        if let Some(bad) = std.iter().find(|s| !divides(**s)) {
            return Err(Error::layer("input", "std", bad, "a positive finite number"));
        }
        if let Some(c) = contrast.filter(|c| !(c.is_finite() && *c > 0.0)) {
            return Err(Error::layer("input", "contrast", c, "a positive finite number"));
        }
        let network = &mut self.network;
        (network.mean, network.std, network.contrast) = (mean, std, contrast);
        Ok(())
    }

    /// Adds a layer that reads `sources`, and gives what reads it.
    ///
    /// # Errors
    /// [`Error::Layer`] with the quantity in question; [`Error::Description`] for more than [`MOST_LAYERS`] layers.
    pub fn layer(&mut self, name: &str, kind: LayerKind, sources: &[Source]) -> Result<Source> {
        if self.network.layers.len() >= MOST_LAYERS {
            let fault = format!("more than {MOST_LAYERS} layers, expected at most as many");
            return Err(Error::Description(fault));
        }
        if name == "input" || self.names.contains_key(name) {
            return Err(Error::layer(name, "name", name, "a unique name, not `input`"));
        }
        let wanted = if kind == LayerKind::Add { 2 } else { 1 };
        if sources.len() != wanted {
            return Err(Error::layer(name, "number of inputs", sources.len(), wanted));
        }
        let input = self.shape(sources[0]);
        let output = match kind {
            LayerKind::Add => {
                let other = self.shape(sources[1]);
                if other != input {
                    return Err(Error::layer(name, "shape of the second input", other, input));
                }
                input
            }
            _ => output(name, &kind, input)?,
        };
        size::check_map(name, [output.channels, output.height, output.width])?;
        let number = self.network.layers.len();
        self.names.insert(name.to_owned(), number);
        let (name, sources) = (name.to_owned(), sources.to_vec());
        self.network.layers.push(Layer { name, kind, sources, input, output });
        Ok(Source::Layer(number))
    }

    /// Shape of a source, which must be one of this network.
    pub fn shape(&self, source: Source) -> Shape {
        match source {
            Source::Input => self.network.input,
            Source::Layer(k) => self.network.layers[k].output,
        }
    }

    /// The layer of this name; the image for `input`.
    pub fn named(&self, name: &str) -> Option<Source> {
        match self.names.get(name) {
            Some(k) => Some(Source::Layer(*k)),
            None => (name == "input").then_some(Source::Input),
        }
    }

    /// The last layer so far, or the image.
    pub fn last(&self) -> Source {
        self.network.layers.len().checked_sub(1).map_or(Source::Input, Source::Layer)
    }

    /// Its variants, and the one that others are compared with.
    pub fn variants(&mut self, variants: Vec<Variant>, baseline: Option<String>) {
        (self.network.variants, self.network.baseline) = (variants, baseline);
    }

    /// The network, whose result is that of its last layer.
    ///
    /// # Errors
    /// [`Error::Layer`] for a network of more than [`super::MOST_NUMBERS`] weights or values, and for groups of a variant that
    /// do not fit; [`Error::Description`] for variants that contradict each other.
    pub fn finish(self) -> Result<Network> {
        size::check_network(&self.network)?;
        check_variants(&self.network)?;
        Ok(self.network)
    }
}

/// Shape of what a layer with one source gives.
fn output(name: &str, kind: &LayerKind, input: Shape) -> Result<Shape> {
    Ok(match kind {
        LayerKind::Conv { out, window, groups, .. } => {
            check_extent(name, "out", *out)?;
            window.check(name)?;
            check_groups(name, input.channels, *out, *groups)?;
            let (height, width) = window.places(name, input)?;
            Shape::new(*out, height, width)
        }
        LayerKind::Fc { out, .. } => {
            check_extent(name, "out", *out)?;
            Shape::new(*out, 1, 1)
        }
        LayerKind::AvgPool { window, count_include_pad } => {
            window.check(name)?;
            if window.dilation != (1, 1) {
                let found = format!("{:?}", window.dilation);
                return Err(Error::layer(name, "dilation", found, "1 of a pool"));
            }
            let (height, width) = window.places(name, input)?;
            let p = window.padding;
            let alone = |before: usize, after: usize, kernel: usize| before.max(after) >= kernel;
            if !count_include_pad
                && (alone(p.top, p.bottom, window.kernel.0)
                    || alone(p.left, p.right, window.kernel.1))
            {
                let expected = "less than the kernel, as windows of padding only have no mean";
                return Err(Error::layer(name, "padding", format!("{p:?}"), expected));
            }
            Shape::new(input.channels, height, width)
        }
        LayerKind::BatchNorm { epsilon, .. } => {
            if !(*epsilon >= 0.0 && epsilon.is_finite()) {
                return Err(Error::layer(name, "epsilon", epsilon, "a number of at least zero"));
            }
            input
        }
        LayerKind::Flatten => Shape::new(input.len(), 1, 1),
        LayerKind::Activation | LayerKind::Add => input,
        LayerKind::Shortcut { out, stride } => {
            check_extent(name, "out", *out)?;
            check_extent(name, "stride", *stride)?;
            if *out < input.channels || !(out - input.channels).is_multiple_of(2) {
                let expected = format!("{} input channels or an even number more", input.channels);
                return Err(Error::layer(name, "out", out, expected));
            }
            Shape::new(*out, input.height.div_ceil(*stride), input.width.div_ceil(*stride))
        }
    })
}

fn check_groups(name: &str, input: usize, out: usize, groups: usize) -> Result<()> {
    if groups == 0 || !input.is_multiple_of(groups) || !out.is_multiple_of(groups) {
        let expected = format!("a common divisor of {input} input and {out} output channels");
        return Err(Error::layer(name, "groups", groups, expected));
    }
    Ok(())
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

impl Network {
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
