//! Configurations: everything needed to lower a network again.

mod scales;
mod schedule;

use engine::params::ParametersLiteral;
use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::fold::ActivationMethod;
use crate::layout::LayoutSpec;
use crate::{Error, Result};

pub use scales::ScalePlan;
pub use schedule::{BlockSplit, Schedule};

/// CKKS parameters, as a person or the search chooses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterChoice {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Bits of the scale.
    pub scale_bits: u32,
    /// Bits of every prime that a rescale removes: the scale's, or those of scale and weights together when squares
    /// are not rescaled.
    pub prime_bits: u32,
    /// Bits of the first prime, which holds the result.
    pub first_bits: u32,
    /// Bits of each special prime.
    pub special_bits: u32,
    /// Number of special primes.
    pub special: usize,
    /// Limbs per key-switching digit.
    pub alpha: usize,
    /// Levels: the number of primes that can be removed.
    pub levels: usize,
}

impl ParameterChoice {
    /// Bits of all primes together.
    pub fn log_qp(&self) -> u32 {
        self.first_bits
            + self.prime_bits * self.levels as u32
            + self.special_bits * self.special as u32
    }

    /// Whether these parameters stay within 128-bit security, with a bit to spare for primes that lie a little
    /// above their nominal sizes.
    pub fn secure(&self) -> bool {
        engine::params::max_log_qp(self.log_n).is_some_and(|limit| self.log_qp() < limit)
    }

    /// What the engine makes the parameters from.
    pub fn literal(&self) -> ParametersLiteral {
        ParametersLiteral {
            log_n: self.log_n,
            chain: engine::params::Chain::Bits {
                first: self.first_bits,
                scale: vec![self.prime_bits; self.levels],
                special: vec![self.special_bits; self.special],
            },
            log_scale: f64::from(self.scale_bits),
            digit_limbs: self.alpha,
            allow_insecure: false,
        }
    }

    /// A chain of ideal moduli, each exactly a power of two: for pricing, before primes are chosen.
    pub fn ideal_chain(&self) -> Chain {
        let mut chain =
            Chain::uniform(self.log_n, self.levels, self.prime_bits, self.special, self.alpha);
        chain.scale = f64::from(self.scale_bits).exp2();
        chain.moduli[0] = f64::from(self.first_bits).exp2();
        chain
    }
}

/// How the client packs the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputPacking {
    /// Whether the client makes patches, so that the first layer becomes a 1x1 convolution over them.
    pub patches: bool,
    /// Whether the first layer's zero padding is encrypted as a margin of zeros (not with patches).
    pub padded: bool,
    /// Layout of the image, or of the patches.
    pub layout: LayoutSpec,
}

/// How one linear layer is computed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearChoice {
    /// Name of the layer.
    pub layer: String,
    /// Layout of its result.
    pub layout: LayoutSpec,
    /// Schedule.
    pub schedule: Schedule,
    /// Slot-index bits summed up after the products by rotations.
    #[serde(default)]
    pub fold: usize,
    /// Rotations summed at once when folding: 2, 4 or 8 (1, 3 or 7 rotations each).
    #[serde(default = "two")]
    pub radix: usize,
}

fn two() -> usize {
    2
}

/// How a pool is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolMethod {
    /// Sum of phase ciphertexts; needs as many phases as the stride, or a multiple.
    Phases,
    /// Rotations along columns, then along rows; leaves gaps.
    Rotate,
    /// All rotations of a window at once; leaves gaps.
    RotateHoisted,
    /// Done by the next linear layer.
    Merge,
    /// For a pool over the whole map: all slots of a block summed up.
    Fold {
        /// Rotations summed at once: 2, 4 or 8.
        radix: usize,
    },
}

/// The choice for one pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolChoice {
    /// Name of the layer.
    pub layer: String,
    /// Method.
    pub method: PoolMethod,
}

/// A full configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Name of the network.
    pub network: String,
    /// Name of the variant.
    pub variant: String,
    /// How activations are folded.
    #[serde(default)]
    pub activations: ActivationMethod,
    /// Parameters.
    pub parameters: ParameterChoice,
    /// Scales of the results of linear layers, where they are not all the nominal one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scales: Option<ScalePlan>,
    /// Packing of the image.
    pub input: InputPacking,
    /// One entry per linear layer, in any order.
    pub linear: Vec<LinearChoice>,
    /// One entry per pool.
    #[serde(default)]
    pub pools: Vec<PoolChoice>,
    /// Identity layers that bring a map into another layout, each after the layer it names; one level each.
    #[serde(default)]
    pub repacks: Vec<LinearChoice>,
}

impl Configuration {
    /// Reads TOML.
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| Error::Configuration(e.to_string()))
    }

    /// Writes TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Configuration(e.to_string()))
    }

    /// The choice for a linear layer.
    pub fn linear_choice(&self, layer: &str) -> Result<&LinearChoice> {
        self.linear.iter().find(|c| c.layer == layer).ok_or_else(|| missing("linear", layer))
    }

    /// The choice for a pool.
    pub fn pool_choice(&self, layer: &str) -> Result<&PoolChoice> {
        self.pools.iter().find(|c| c.layer == layer).ok_or_else(|| missing("pool", layer))
    }
}

fn missing(kind: &str, layer: &str) -> Error {
    Error::Configuration(format!("no {kind} choice for layer {layer:?}; add one"))
}
