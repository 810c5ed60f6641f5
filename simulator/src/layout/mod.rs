//! Layouts: which ciphertext and slot hold each (channel, row, column) of a feature map.
//!
//! A layout is separable. A channel has a ciphertext group and a base slot. A position has a phase and an
//! offset: with `p` phases per dimension, rows and columns that differ mod `p` live in different
//! ciphertexts, and `offset = (Y / p) * row + (X / p) * col`, where `(Y, X)` counts from the top left of
//! the margin. Ciphertext number is `channel ciphertext * p * p + phase row * p + phase column`.
//! Everything holds again at `slot + k * period`. Slots that hold nothing may contain anything, unless the
//! layout is `clean`: then they are zero. Channels mostly have a tile each, with their positions in it; where channels are
//! `inner`, positions have a tile each, with channels in it, or with copies of one channel where they are `spread`. A channel
//! ciphertext whose channels are all unread is not there, and [of patches](Layout::of_patches) one stands for all that hold
//! the same.

mod interleave;
mod pack;
mod shared;
mod spec;
mod unread;

use std::collections::BTreeSet;

use engine::params::limits;

use crate::network::{ConvGeometry, Shape};
use crate::{Error, Result};

pub use interleave::{interleave, of_image};
pub use pack::{pack, unpack};
pub use spec::{ChannelOrder, LayoutSpec};
pub use unread::Unread;

/// Most slots of a ciphertext, and the largest distance between rows or columns.
pub const MAX_SLOTS: usize = 1 << (limits::MAX_LOG_N - 1);
/// Most values of a map with its margin, over all channels.
pub const MAX_VALUES: usize = 1 << 22;

/// Rows and columns of explicit zeros around a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Margin {
    /// Above and to the left.
    pub before: usize,
    /// Below and to the right.
    pub after: usize,
}

impl Margin {
    /// Zeros for every window of a convolution that reaches outside of its map; below and to the right no fewer than above and
    /// to the left.
    pub fn of(g: &ConvGeometry) -> Self {
        let before = g.padding.0.max(g.padding.1);
        let beyond = g.beyond();
        Self { before, after: before.max(beyond.0).max(beyond.1) }
    }
}

/// Where a channel lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Channel ciphertext, those that are not there counted.
    pub ct: usize,
    /// Base slot.
    pub base: usize,
}

/// Phase and offset of one row (or one column).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coordinate {
    /// Residue modulo the phases.
    pub phase: usize,
    /// Slot offset; negative above and left of everything held.
    pub offset: isize,
}

/// A layout of one feature map.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layout {
    /// Slots of a ciphertext, or those of them that an image has where there are several images in it.
    pub slots: usize,
    /// The map.
    pub shape: Shape,
    /// Where each channel lives.
    pub channels: Vec<Place>,
    /// Phases per dimension.
    pub phases: usize,
    /// Slots between rows of one phase.
    pub row: usize,
    /// Slots between columns of one phase.
    pub col: usize,
    /// Slots of a block, a power of two: of a channel, or of a position where channels are innermost.
    pub tile: usize,
    /// Whether channels are innermost: bases are below the tile, and rows and columns multiples of it apart.
    pub inner: bool,
    /// Whether each value fills the tile of its position, of an inner layout with a channel in a ciphertext.
    pub spread: bool,
    /// Period of the contents, a power of two dividing the slots.
    pub period: usize,
    /// Zeros around the map.
    pub margin: Margin,
    /// Whether every slot that holds nothing is zero.
    pub clean: bool,
    /// What nothing reads.
    pub unread: Unread,
    /// Where ciphertexts would hold the same: the number of the one that does, for each, in the order of channel ciphertexts and
    /// phases. Empty where all differ.
    pub shared: Vec<usize>,
}

impl Layout {
    /// Checks that everything fits, that no two values meet in a slot, and that no ciphertext is beyond those of the
    /// channels. Nothing else here is meant for a layout that does not pass.
    ///
    /// # Errors
    /// [`Error::Layout`], also above [`MAX_SLOTS`] or [`MAX_VALUES`].
    pub fn check(&self) -> Result<()> {
        check_slots(self.slots)?;
        for (what, v) in [("tile", self.tile), ("period", self.period)] {
            if !v.is_power_of_two() || v > self.slots {
                return Err(Error::layout(what, v, format!("a power of two up to {}", self.slots)));
            }
        }
        if !matches!(self.phases, 1 | 2 | 4) {
            return Err(Error::layout("phases", self.phases, "1, 2 or 4"));
        }
        for (what, v) in [("row", self.row), ("col", self.col)] {
            if v > MAX_SLOTS {
                return Err(Error::layout(what, v, format!("at most {MAX_SLOTS}")));
            }
        }
        if self.channels.len() != self.shape.channels {
            return Err(Error::layout(
                "number of channels",
                self.channels.len(),
                self.shape.channels,
            ));
        }
        let (rows, cols) = self.first_phase()?;
        let last = rows.saturating_sub(1) * self.row + cols.saturating_sub(1) * self.col;
        let outside = |slot: usize| {
            let expected =
                format!("less than the period, {}; use a larger tile or fewer blocks", self.period);
            Error::layout("last slot of a channel", slot, expected)
        };
        if last >= self.period {
            return Err(outside(last));
        }
        let overlapping =
            || Error::layout("rows and columns", "overlapping", "a wider row or column distance");
        if rows * cols > self.period {
            return Err(overlapping());
        }
        let offsets: BTreeSet<usize> =
            (0..rows).flat_map(|y| (0..cols).map(move |x| y * self.row + x * self.col)).collect();
        if offsets.len() != rows * cols {
            return Err(overlapping());
        }
        for place in &self.channels {
            if place.ct >= self.channels.len() {
                let expected = format!("less than the {} channels", self.channels.len());
                return Err(Error::layout("ciphertext of a channel", place.ct, expected));
            }
            if place.base >= self.period || place.base + last >= self.period {
                return Err(outside(place.base.saturating_add(last)));
            }
        }
        let places: BTreeSet<_> = self.channels.iter().collect();
        let apart = places.len() == self.channels.len();
        if self.inner {
            self.check_inner()?;
        } else if self.spread {
            return Err(Error::layout("spread channels", "outermost", "innermost ones"));
        }
        if apart && (self.inner || (last < self.tile && self.is_aligned())) {
            return Ok(());
        }
        // Ciphertext by ciphertext, so that no more than its slots are remembered.
        let mut channels: Vec<&Place> = self.channels.iter().collect();
        channels.sort_unstable();
        let mut taken = vec![None; self.period];
        for place in channels {
            for o in &offsets {
                if taken[place.base + o].replace(place.ct) == Some(place.ct) {
                    return Err(Error::layout("two channels", "overlapping", "a larger tile"));
                }
            }
        }
        Ok(())
    }

    /// Checks that the channels of a position are within its tile.
    fn check_inner(&self) -> Result<()> {
        for (what, distance) in [("row", self.row), ("col", self.col)] {
            if !distance.is_multiple_of(self.tile) {
                let expected = format!("a multiple of the tile, {}, that channels fill", self.tile);
                return Err(Error::layout(what, distance, expected));
            }
        }
        if self.spread && self.tile > self.period {
            let expected = format!("at most the period, {}", self.period);
            return Err(Error::layout("tile of spread channels", self.tile, expected));
        }
        let most = if self.spread { 1 } else { self.tile };
        match self.channels.iter().find(|place| place.base >= most) {
            None => Ok(()),
            Some(place) => {
                let expected = match self.spread {
                    true => "0, where a channel is spread over the tile of a position".into(),
                    false => format!("less than the tile of a position, {}", self.tile),
                };
                Err(Error::layout("first slot of a channel", place.base, expected))
            }
        }
    }

    /// Whether slots outside the map, but in its rows and columns continued, are of no other channel than those inside.
    pub(crate) fn is_aligned(&self) -> bool {
        self.inner || self.channels.iter().all(|p| p.base % self.tile == 0)
    }

    /// Slots after which rows and columns, continued beyond the map, come to where they began in another tile (of the same
    /// channel ciphertext).
    fn around(&self) -> usize {
        if self.inner { self.period } else { self.tile }
    }

    /// Rows and columns in the first phase, the fullest one, with the margin; none of them more than the period, and not too
    /// many over all channels.
    fn first_phase(&self) -> Result<(usize, usize)> {
        let Margin { before, after } = self.margin;
        let extent = |map: usize| {
            let whole = map.checked_add(before)?.checked_add(after)?;
            Some(whole.div_ceil(self.phases)).filter(|&rows| rows <= self.period)
        };
        let found = extent(self.shape.height).zip(extent(self.shape.width));
        let fits = |(rows, cols): &(usize, usize)| {
            let values = rows.checked_mul(*cols)?.checked_mul(self.phases.pow(2))?;
            Some(values.checked_mul(self.channels.len())? <= MAX_VALUES)
        };
        found.filter(|extents| fits(extents) == Some(true)).ok_or_else(|| {
            let found = format!("{} with {before} before and {after} after it", self.shape);
            let expected = format!(
                "rows and columns of a phase within the period of {}, at most {MAX_VALUES} values",
                self.period
            );
            Error::layout("map", found, expected)
        })
    }

    /// Ciphertexts in all.
    pub fn ciphertexts(&self) -> usize {
        match self.shared.iter().max() {
            Some(last) => last + 1,
            None => self.channel_ciphertexts() * self.phases * self.phases,
        }
    }

    /// Slots of the fullest ciphertext that hold a value, copies included.
    pub(crate) fn filled(&self) -> usize {
        self.distinct() * (self.slots / self.period.max(1) * self.copies())
    }

    /// How many values the fullest ciphertext holds, or more.
    pub(crate) fn distinct(&self) -> usize {
        let mut channels = vec![0; self.all_channel_ciphertexts()];
        self.read().for_each(|channel| channels[self.channels[channel].ct] += 1);
        let most = channels.into_iter().max().unwrap_or(0);
        let side = |extent: usize| extent.div_ceil(self.phases);
        most * side(self.shape.height) * side(self.shape.width)
    }

    /// Where a row lies; `y` may be in the margin or outside of everything.
    pub fn row_at(&self, y: isize) -> Coordinate {
        self.coordinate(y, self.row)
    }

    /// Where a column lies.
    pub fn col_at(&self, x: isize) -> Coordinate {
        self.coordinate(x, self.col)
    }

    fn coordinate(&self, at: isize, distance: usize) -> Coordinate {
        let at = at.saturating_add_unsigned(self.margin.before);
        let p = self.phases as isize;
        Coordinate {
            phase: at.rem_euclid(p) as usize,
            offset: at.div_euclid(p).saturating_mul(distance as isize),
        }
    }

    /// Adjacent slots that each value is in.
    pub(crate) fn copies(&self) -> usize {
        if self.spread { self.tile } else { 1 }
    }

    /// Ciphertext number for two phases of a channel ciphertext, numbered among those that are there.
    pub fn ciphertext(&self, channel_ct: usize, row_phase: usize, col_phase: usize) -> usize {
        self.sent((channel_ct * self.phases + row_phase) * self.phases + col_phase)
    }

    /// Ciphertext and slot (the first of its period) of a value of a channel that is read.
    pub fn locate(&self, channel: usize, y: usize, x: usize) -> (usize, usize) {
        let (row, col) = (self.row_at(y as isize), self.col_at(x as isize));
        let place = self.channels[channel];
        let slot = place.base as isize + row.offset + col.offset;
        let Some(number) = self.number(place.ct) else {
            unreachable!("channel {channel} is read by nothing");
        };
        (self.ciphertext(number, row.phase, col.phase), slot as usize)
    }

    /// Offsets within a channel's tile (within the period, of the first channel, where channels are innermost) that may hold
    /// something other than zero, per phase pair `row phase * phases + column phase`; for [`Self::known_zero`].
    pub fn used_offsets(&self) -> Vec<BTreeSet<usize>> {
        let mut used = vec![BTreeSet::new(); self.phases * self.phases];
        let base = |p: &Place| if self.inner { 0 } else { p.base % self.tile };
        let (bases, around): (BTreeSet<usize>, _) =
            (self.channels.iter().map(base).collect(), self.around());
        for y in 0..self.shape.height {
            for x in 0..self.shape.width {
                let (r, c) = (self.row_at(y as isize), self.col_at(x as isize));
                for base in &bases {
                    let slot = base + (r.offset + c.offset) as usize;
                    used[r.phase * self.phases + c.phase].insert(slot % around);
                }
            }
        }
        used
    }

    /// Whether the slot where the position `(y, x)` outside the map would be is surely zero, for every
    /// channel. `used` is [`Self::used_offsets`].
    pub fn known_zero(&self, y: isize, x: isize, used: &[BTreeSet<usize>]) -> bool {
        let within = |at: isize, extent: usize| {
            at >= -(self.margin.before as isize) && at < (extent + self.margin.after) as isize
        };
        if within(y, self.shape.height) && within(x, self.shape.width) {
            return true;
        }
        if !self.clean {
            return false;
        }
        let (r, c) = (self.row_at(y), self.col_at(x));
        let around = self.around() as isize;
        let offset = r.offset.saturating_add(c.offset).rem_euclid(around) as usize;
        self.is_aligned() && !used[r.phase * self.phases + c.phase].contains(&offset)
    }
}

/// Checks the slots of a ciphertext.
fn check_slots(slots: usize) -> Result<()> {
    if slots.is_power_of_two() && slots <= MAX_SLOTS {
        return Ok(());
    }
    Err(Error::layout("slots", slots, format!("a power of two up to {MAX_SLOTS}")))
}
