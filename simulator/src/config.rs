//! Configurations: everything needed to lower a network again.

mod parameters;
mod scales;
mod schedule;

use serde::{Deserialize, Serialize};

use crate::fold::{ActivationChoice, ActivationMethod, Activations};
use crate::layout::{Layout, LayoutSpec, Margin};
use crate::network::{ConvGeometry, Shape};
use crate::{Error, Result};

pub use parameters::ParameterChoice;
pub(crate) use scales::SCALES_MILLIBITS;
pub use scales::ScalePlan;
pub use schedule::{BlockSplit, Schedule};

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

impl InputPacking {
    /// The layout of what the client sends of an image; `first` is the convolution that reads it, if one does.
    ///
    /// # Errors
    /// Those of [`LayoutSpec::packed`].
    pub(crate) fn packed(
        &self,
        slots: usize,
        image: Shape,
        first: Option<&ConvGeometry>,
    ) -> Result<Layout> {
        let none = Margin::default();
        match first {
            Some(g) if self.patches => {
                Ok(self.layout.packed(slots, g.over_patches().input, none)?.of_patches(g))
            }
            Some(g) if self.padded => self.layout.packed(slots, image, Margin::of(g)),
            _ => self.layout.packed(slots, image, none),
        }
    }
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

fn one() -> usize {
    1
}

/// Whether a ciphertext has one image, which is not written.
pub(crate) fn is_one(images: &usize) -> bool {
    *images == 1
}

/// Slots that each of `images` images has of a ciphertext.
///
/// # Errors
/// [`Error::Argument`] for a number that does not divide them.
pub fn image_slots(images: usize, log_n: u32) -> Result<usize> {
    let slots = 1_usize.checked_shl(log_n.saturating_sub(1)).unwrap_or(0);
    if images.is_power_of_two() && images <= slots {
        return Ok(slots / images);
    }
    let expected = format!("a power of two up to the {slots} slots of a ciphertext");
    Err(Error::argument("images", images, expected))
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
    /// Images of a ciphertext, a power of two: each has an equal share of its slots. One if it is not said.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub images: usize,
    /// How activations are folded.
    #[serde(default)]
    pub activations: ActivationMethod,
    /// Activations that are folded in another way.
    #[serde(default, rename = "activation", skip_serializing_if = "Vec::is_empty")]
    pub activation_exceptions: Vec<ActivationChoice>,
    /// Parameters.
    pub parameters: ParameterChoice,
    /// Scales of the results of linear layers and of activations that are no squares, where they are not all the nominal one.
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

impl From<&Configuration> for Activations {
    fn from(c: &Configuration) -> Self {
        Self::new(c.activations, c.activation_exceptions.clone())
    }
}

impl Configuration {
    /// Reads TOML. Numbers are checked by [`Self::check`], which lowering calls.
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| Error::Configuration(e.to_string()))
    }

    /// Checks parameters, images and scales; the rest is checked against the network when it is lowered.
    ///
    /// # Errors
    /// [`Error::Argument`] for a number out of its limits, [`Error::Configuration`] for scales given twice, or not at all.
    pub fn check(&self) -> Result<()> {
        self.parameters.check()?;
        image_slots(self.images, self.parameters.log_n)?;
        match (&self.scales, self.parameters.scale_bits) {
            (Some(_), Some(bits)) => Err(Error::Configuration(format!(
                "parameters.scale_bits is {bits}, and [scales] gives every scale: remove one of them"
            ))),
            (None, None) => Err(Error::Configuration(
                "there is neither parameters.scale_bits nor a [scales] table: give one of them"
                    .into(),
            )),
            (Some(plan), None) => plan.check(),
            (None, Some(_)) => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_given_once_and_within_limits() {
        let text = |bits: &str, scales: &str| {
            format!(
                "network = \"n\"\nvariant = \"v\"\nlinear = []\n\
                 [parameters]\nlog_n = 13\n{bits}\nprime_bits = 40\nfirst_bits = 40\nspecial_bits = 40\n\
                 special = 1\nalpha = 1\nlevels = 2\n{scales}\n\
                 [input]\npatches = false\npadded = false\n[input.layout]\norder = \"sequential\"\n\
                 phases = 1\nrow = 8\ncol = 1\ntile = 64\nblocks = 1\n"
            )
        };
        let plan = |layer: &str| {
            format!("[scales]\ninput_millibits = 40000\nlayers_millibits = [[\"fc\", {layer}]]")
        };
        let read =
            |bits: &str, scales: &str| Configuration::from_toml(&text(bits, scales))?.check();
        read("scale_bits = 30", "").unwrap();
        read("", &plan("30000")).unwrap();
        for (bits, scales, told) in [
            ("scale_bits = 30", plan("30000"), "scale_bits is 30, and [scales]"),
            ("", String::new(), "neither parameters.scale_bits nor"),
            ("", plan("2000000000"), "2000000000 (fc)"),
            ("", plan("-50000"), "-50000 (fc)"),
            ("scale_bits = 1000", String::new(), "parameters.scale_bits is 1000"),
            (
                "",
                "[scales]\nscale_bits = 3\ninput_millibits = 1\nlayers_millibits = []".into(),
                "scale_bits",
            ),
        ] {
            let error = read(bits, &scales).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
