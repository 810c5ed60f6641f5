//! What a configuration says of a layout, and making the layout of a given map from it.

use serde::{Deserialize, Serialize};

use super::{Layout, MAX_VALUES, Margin, Place, check_slots};
use crate::network::Shape;
use crate::{Error, Result};

/// In which order channels fill blocks and ciphertexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelOrder {
    /// Channel `c` in block `c % blocks` of ciphertext `c / blocks`.
    Sequential,
    /// One channel of each group per ciphertext, as far as it goes. Channel `i` of group `g`, with
    /// `blocks >= groups`: ciphertext `i / (blocks / groups)`, block `(i % (blocks / groups)) * groups + g`;
    /// else ciphertext `i * (groups / blocks) + g / blocks`, block `g % blocks`.
    Interleaved {
        /// Number of groups.
        groups: usize,
    },
    /// Channels innermost: a block is one position with `tile` channels side by side, and `blocks` of them follow each
    /// other. Channels fill a block as those of `Sequential` (of `Interleaved`, for more groups than one) fill the blocks of
    /// a ciphertext: `tile` of them in each. Four channels of a map with two columns:
    ///
    /// ```text
    ///   slot      0   1   2   3  |  4   5   6   7  |  8   9  10  11  | ...
    ///   channel   0   1   2   3  |  0   1   2   3  |  0   1   2   3  |
    ///   position  0,0 ...        |  0,1 ...        |  1,0 ...        |
    /// ```
    ///
    /// Distances between rows and columns are multiples of `tile`. Weights that do not depend on the position are then the
    /// same in each block.
    Inner {
        /// Number of groups, a power of two dividing the channels.
        #[serde(default = "one")]
        groups: usize,
        /// Whether slots that hold nothing must be zero, as those around a map that is to be padded or folded.
        #[serde(default)]
        clean: bool,
    },
    /// One channel in a ciphertext, as often in each block as it has slots: what the client sends so that a layer whose channels
    /// are innermost needs no rotations across them. Two channels, blocks of four slots:
    ///
    /// ```text
    ///   ciphertext 0   channel 0 at 0,0, four times | channel 0 at 0,1, four times | ...
    ///   ciphertext 1   channel 1 at 0,0, four times | channel 1 at 0,1, four times | ...
    /// ```
    Spread,
    /// For maps of one position: unit `o` in block `o % blocks` at slot `(o / blocks) * step` of the
    /// block; further ciphertexts when the blocks are full.
    Spill {
        /// Slots between units that share a block.
        step: usize,
    },
}

impl ChannelOrder {
    /// The same for channels of so many groups.
    pub(crate) fn with_groups(self, groups: usize) -> Self {
        match self {
            Self::Sequential | Self::Interleaved { .. } if groups == 1 => Self::Sequential,
            Self::Sequential | Self::Interleaved { .. } => Self::Interleaved { groups },
            Self::Inner { clean, .. } => Self::Inner { groups, clean },
            Self::Spread | Self::Spill { .. } => self,
        }
    }
}

fn one() -> usize {
    1
}

/// A layout in words that do not depend on the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutSpec {
    /// Channel order.
    pub order: ChannelOrder,
    /// Phases per dimension: 1, 2 or 4.
    pub phases: usize,
    /// Slots between rows of one phase.
    pub row: usize,
    /// Slots between columns of one phase.
    pub col: usize,
    /// Slots of a block, a power of two: those of a channel, or of a position where channels are innermost.
    pub tile: usize,
    /// Blocks before the contents repeat; `blocks * tile` is the period.
    pub blocks: usize,
}

impl LayoutSpec {
    /// One-phase raster layout with as many blocks as fit.
    pub fn raster(order: ChannelOrder, row: usize, tile: usize, slots: usize) -> Self {
        Self {
            order,
            phases: 1,
            row,
            col: 1,
            tile,
            blocks: slots.checked_div(tile).unwrap_or(0).max(1),
        }
    }

    /// Units of a fully connected layer: one per `tile` slots, repeating after `blocks` of them.
    pub fn units(tile: usize, blocks: usize) -> Self {
        Self { order: ChannelOrder::Sequential, phases: 1, row: 1, col: 1, tile, blocks }
    }

    /// The layout of a map that the client packs: zero wherever it holds nothing.
    ///
    /// # Errors
    /// Those of [`Self::layout`].
    pub fn packed(&self, slots: usize, shape: Shape, margin: Margin) -> Result<Layout> {
        Ok(Layout { clean: true, ..self.layout(slots, shape, margin)? })
    }

    /// The layout of a map that a linear stage is to write: clean, unless the stage may leave anything elsewhere.
    ///
    /// # Errors
    /// [`Error::Layout`] with the field that does not fit; those of [`Layout::check`].
    pub fn layout(&self, slots: usize, shape: Shape, margin: Margin) -> Result<Layout> {
        check_slots(slots)?;
        if shape.channels > MAX_VALUES {
            let expected = format!("at most {MAX_VALUES}");
            return Err(Error::layout("number of channels", shape.channels, expected));
        }
        if !self.blocks.is_power_of_two() || !self.tile.is_power_of_two() {
            return Err(Error::layout(
                "tile and blocks",
                format!("{} and {}", self.tile, self.blocks),
                "powers of two",
            ));
        }
        let period = self.tile.saturating_mul(self.blocks);
        if period > slots {
            return Err(Error::layout(
                "tile times blocks",
                period,
                format!("at most {slots} slots"),
            ));
        }
        let blocks = self.blocks;
        let grouped = |groups, each, distance| places(shape.channels, groups, each, distance);
        let channels = match self.order {
            ChannelOrder::Sequential => grouped(1, blocks, self.tile)?,
            ChannelOrder::Interleaved { groups } => grouped(groups, blocks, self.tile)?,
            ChannelOrder::Inner { groups, .. } => grouped(groups, self.tile, 1)?,
            ChannelOrder::Spread => grouped(1, 1, 0)?,
            ChannelOrder::Spill { step } => {
                if step == 0 || step > self.tile || (shape.height, shape.width) != (1, 1) {
                    return Err(Error::layout(
                        "spilling units",
                        format!("step {step} in tiles of {} for a map {shape}", self.tile),
                        "a step of 1 up to the tile and a map of one position",
                    ));
                }
                let per_ct = blocks * (self.tile / step);
                (0..shape.channels)
                    .map(|c| {
                        let k = c % per_ct;
                        Place { ct: c / per_ct, base: k % blocks * self.tile + k / blocks * step }
                    })
                    .collect()
            }
        };
        let layout = Layout {
            slots,
            shape,
            channels,
            phases: self.phases,
            row: self.row,
            col: self.col,
            tile: self.tile,
            inner: self.is_inner(),
            spread: self.order == ChannelOrder::Spread,
            period,
            margin,
            clean: !matches!(self.order, ChannelOrder::Inner { clean: false, .. }),
            unread: Default::default(),
            shared: Vec::new(),
        };
        layout.check()?;
        Ok(layout)
    }

    /// Whether channels are innermost.
    pub fn is_inner(&self) -> bool {
        matches!(self.order, ChannelOrder::Inner { .. } | ChannelOrder::Spread)
    }
}

/// Where channels of `groups` groups live, `each` in a ciphertext and `distance` slots apart: one of each group, as far as it
/// goes, then the next ones.
fn places(channels: usize, groups: usize, each: usize, distance: usize) -> Result<Vec<Place>> {
    if !groups.is_power_of_two() || !channels.is_multiple_of(groups) {
        return Err(Error::layout(
            "interleaved groups",
            groups,
            format!("a power of two dividing {channels} channels"),
        ));
    }
    let per_group = channels / groups;
    let place = |c: usize| {
        let (g, i) = (c / per_group, c % per_group);
        let (ct, at) = match each.checked_div(groups) {
            Some(own) if own > 0 => (i / own, i % own * groups + g),
            _ => (i * (groups / each) + g / each, g % each),
        };
        Place { ct, base: at * distance }
    };
    Ok((0..channels).map(place).collect())
}
