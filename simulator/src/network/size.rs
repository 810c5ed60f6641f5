//! How large a network is, and the limits of that: known before anything of its size is allocated.

use super::{Layer, LayerKind, Network};
use crate::{Error, Result};

/// Most values of one map: the image, or what a layer gives.
pub const MOST_VALUES: usize = 1 << 27;
/// Most numbers in the weights of a network, and most values of all its maps together.
pub const MOST_NUMBERS: usize = 1 << 32;
/// Most layers.
pub const MOST_LAYERS: usize = 1 << 12;

impl Layer {
    /// Numbers among its weights: weights, biases, coefficients, statistics. None if there are more than can be counted.
    pub fn numbers(&self) -> Option<usize> {
        let product = |factors: &[usize]| {
            factors.iter().try_fold(1usize, |product, factor| product.checked_mul(*factor))
        };
        let channels = self.input.channels;
        match self.kind {
            LayerKind::Conv { out, window, groups, .. } => {
                let (rows, cols) = window.extent();
                product(&[out, channels / groups, rows, cols])?.checked_add(out)
            }
            LayerKind::Fc { out, .. } => product(&[out, self.input.len()])?.checked_add(out),
            LayerKind::Activation => product(&[3, channels]),
            LayerKind::BatchNorm { .. } => product(&[4, channels]),
            LayerKind::AvgPool { .. }
            | LayerKind::Flatten
            | LayerKind::Add
            | LayerKind::Shortcut { .. } => Some(0),
        }
    }
}

/// An error if a map of these extents is larger than any may be. To be asked before their product is taken.
pub(super) fn check_map(layer: &str, extents: [usize; 3]) -> Result<()> {
    let values = extents.iter().try_fold(1usize, |product, e| product.checked_mul(*e));
    if values.is_none_or(|values| values > MOST_VALUES) {
        let found = extents.map(|e| e.to_string()).join("x");
        let expected = format!("at most {MOST_VALUES} values; describe a smaller layer or image");
        return Err(Error::layer(layer, "size of the map", found, expected));
    }
    Ok(())
}

/// An error if the weights or the maps of a network are more than they may be; its maps one by one are not.
pub(super) fn check_network(network: &Network) -> Result<()> {
    let (mut numbers, mut values) = (0usize, network.input.len());
    for layer in &network.layers {
        let more = |what, sum: Option<usize>| {
            sum.filter(|sum| *sum <= MOST_NUMBERS).ok_or_else(|| {
                let found = sum.map_or("more than can be counted".into(), |n| n.to_string());
                let expected = format!("at most {MOST_NUMBERS}; describe a smaller network");
                Error::layer(&layer.name, what, found, expected)
            })
        };
        let own = layer.numbers().and_then(|own| own.checked_add(numbers));
        numbers = more("number of weights up to here", own)?;
        let own = values.checked_add(layer.output.len());
        values = more("number of values of all maps up to here", own)?;
    }
    Ok(())
}

impl Network {
    /// Memory that its largest variant needs without encryption, in bytes: the weight file, its tensors and the layers'
    /// own numbers while they are read, and the maps of a forward pass in each of `threads`.
    pub fn plain_bytes(&self, threads: usize) -> u64 {
        let numbers = |network: &Self| -> usize {
            network.layers.iter().map(|l| l.numbers().unwrap_or(MOST_NUMBERS)).sum()
        };
        let of_variants = self.variants.iter().filter_map(|v| self.with_groups(&v.groups).ok());
        let most = of_variants.map(|n| numbers(&n)).fold(numbers(self), usize::max);
        let maps: usize =
            self.layers.iter().map(|l| l.output.len()).sum::<usize>() + self.input.len();
        let numbers = 3 * most as u64 + (maps as u64).saturating_mul(threads as u64);
        numbers.saturating_mul(size_of::<f64>() as u64)
    }
}
