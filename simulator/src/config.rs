//! Configurations: everything needed to lower a network again.

mod scales;
mod schedule;

use engine::params::{ParametersLiteral, limits};
use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::fold::{ActivationChoice, ActivationMethod, Activations};
use crate::layout::{Layout, LayoutSpec, Margin};
use crate::network::{ConvGeometry, Shape};
use crate::{Error, Result};

pub(crate) use scales::SCALES_MILLIBITS;
pub use scales::ScalePlan;
pub use schedule::{BlockSplit, Schedule};

/// CKKS parameters, as a person or the search chooses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterChoice {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Bits of the scale; none where [`Configuration::scales`] gives every value's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_bits: Option<u32>,
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
    /// Bits of all primes together; 2^64 - 1 for more.
    pub fn log_qp(&self) -> u64 {
        let all = |bits: u32, count: usize| u64::from(bits).saturating_mul(count as u64);
        u64::from(self.first_bits)
            .saturating_add(all(self.prime_bits, self.levels))
            .saturating_add(all(self.special_bits, self.special))
    }

    /// Whether these parameters stay within 128-bit security, with a bit to spare for primes that lie a little
    /// above their nominal sizes.
    pub fn secure(&self) -> bool {
        engine::params::max_log_qp(self.log_n).is_some_and(|limit| self.log_qp() < limit.into())
    }

    /// Checks every field against the engine's limits ([`engine::params::limits`]), so that lists may be made of them; rings
    /// may be smaller than those it computes with.
    ///
    /// # Errors
    /// [`Error::Argument`] with the name of the field.
    pub fn check(&self) -> Result<()> {
        let within = |what, found: u64, least: u64, most: u64| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(Error::argument(what, found, format!("{least} to {most}")))
        };
        let prime = u64::from(limits::MAX_PRIME_BITS);
        let (levels, special) = (limits::MAX_LEVELS as u64, limits::MAX_SPECIAL as u64);
        within("parameters.log_n", self.log_n.into(), 1, limits::MAX_LOG_N.into())?;
        let (least, most) = (limits::MIN_LOG_SCALE as u64, limits::MAX_LOG_SCALE as u64);
        let scale = self
            .scale_bits
            .map_or(Ok(()), |bits| within("parameters.scale_bits", bits.into(), least, most));
        scale?;
        within("parameters.prime_bits", self.prime_bits.into(), 1, prime)?;
        within("parameters.first_bits", self.first_bits.into(), 1, prime)?;
        within("parameters.special_bits", self.special_bits.into(), 1, prime)?;
        within("parameters.special", self.special as u64, 1, special)?;
        within("parameters.alpha", self.alpha as u64, 1, levels + 1)?;
        within("parameters.levels", self.levels as u64, 0, levels)
    }

    /// Bits of the nominal scale: where every value's is planned, that of a prime, which nothing is at but what has no plan.
    fn nominal_bits(&self) -> u32 {
        self.scale_bits.unwrap_or(self.prime_bits)
    }

    /// What the engine makes the parameters from.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn literal(&self) -> Result<ParametersLiteral> {
        self.check()?;
        Ok(ParametersLiteral {
            log_n: self.log_n,
            chain: engine::params::Chain::Bits {
                first: self.first_bits,
                scale: vec![self.prime_bits; self.levels],
                special: vec![self.special_bits; self.special],
            },
            log_scale: f64::from(self.nominal_bits()),
            digit_limbs: self.alpha,
            allow_insecure: false,
        })
    }

    /// A chain of ideal moduli, each exactly a power of two: for pricing, before primes are chosen.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn ideal_chain(&self) -> Result<Chain> {
        self.check()?;
        let mut chain =
            Chain::uniform(self.log_n, self.levels, self.prime_bits, self.special, self.alpha);
        chain.scale = f64::from(self.nominal_bits()).exp2();
        chain.moduli[0] = f64::from(self.first_bits).exp2();
        chain.special_moduli.fill(f64::from(self.special_bits).exp2());
        Ok(chain)
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

    /// Sets a field.
    type Set = fn(&mut ParameterChoice, u64);

    #[test]
    fn absurd_parameters_are_refused_before_memory_is_taken() {
        let good = ParameterChoice {
            log_n: 13,
            scale_bits: Some(32),
            prime_bits: 32,
            first_bits: 42,
            special_bits: 42,
            special: 1,
            alpha: 1,
            levels: 3,
        };
        good.literal().unwrap();
        assert_eq!(good.ideal_chain().unwrap().moduli.len(), 4);
        let absurd = [64, 4_000_000_000, 1_000_000_000_000, usize::MAX as u64];
        let fields: [(&str, Set); 8] = [
            ("log_n", |p, x| p.log_n = x as u32),
            ("scale_bits", |p, x| p.scale_bits = Some((x as u32).max(101))),
            ("prime_bits", |p, x| p.prime_bits = (x as u32).max(51)),
            ("first_bits", |p, x| p.first_bits = (x as u32).max(51)),
            ("special_bits", |p, x| p.special_bits = (x as u32).max(51)),
            ("special", |p, x| p.special = x as usize),
            ("alpha", |p, x| p.alpha = x.max(65) as usize),
            ("levels", |p, x| p.levels = x as usize),
        ];
        for (field, set) in fields {
            for value in absurd {
                let mut choice = good;
                set(&mut choice, value);
                for error in [choice.literal().err(), choice.ideal_chain().err()] {
                    let error = error.unwrap().to_string();
                    assert!(error.starts_with(&format!("parameters.{field} is ")), "{error}");
                }
            }
        }
        // Neither does the sum of bits wrap.
        let most = ParameterChoice { levels: usize::MAX, prime_bits: u32::MAX, ..good };
        assert_eq!(most.log_qp(), u64::MAX);
        // 2^32 levels of 32 bits are 0 when counted in 32 bits.
        assert!(!ParameterChoice { levels: 1 << 32, ..good }.secure());
    }

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
