//! Channels that nothing reads: a channel ciphertext that holds no others is not there.
//!
//! Where a pattern has no unit left of an input ciphertext, the layer before need not make it, nor the activation between
//! them square it. Eight channels, two to a ciphertext, of which 2, 3 and 5 are unread:
//!
//! ```text
//!   channels             0 1 | 2 3 | 4 5 | 6 7
//!   channel ciphertext    0  |  1  |  2  |  3     as in `Place::ct`
//!   number                0  |  -  |  1  |  2     among those that are there
//! ```

use super::Layout;

/// The channels of a layout that nothing reads, not all of them, and the ciphertexts that are not there for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unread {
    /// Ascending.
    channels: Vec<usize>,
    /// Channel ciphertexts that hold no other channels, ascending: they follow from those.
    ciphertexts: Vec<usize>,
}

impl Unread {
    /// The channels, ascending.
    pub fn channels(&self) -> &[usize] {
        &self.channels
    }

    /// Whether every channel is read.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }
}

impl Layout {
    /// The same without some channels, ascending, unless they are all that there are.
    #[must_use]
    pub fn without(self, unread: &[usize]) -> Self {
        assert!(unread.is_sorted() && unread.last().is_none_or(|c| *c < self.channels.len()));
        if unread.is_empty() || unread.len() == self.channels.len() {
            return Self { unread: Unread::default(), ..self };
        }
        let mut there = vec![false; self.all_channel_ciphertexts()];
        let read =
            (0..self.channels.len()).filter(|channel| unread.binary_search(channel).is_err());
        read.for_each(|channel| there[self.channels[channel].ct] = true);
        let ciphertexts = (0..there.len()).filter(|ct| !there[*ct]).collect();
        Self { unread: Unread { channels: unread.to_vec(), ciphertexts }, ..self }
    }

    /// Whether something reads a channel.
    pub(crate) fn is_read(&self, channel: usize) -> bool {
        self.unread.channels.binary_search(&channel).is_err()
    }

    /// The channels that are read, ascending.
    pub(crate) fn read(&self) -> impl Iterator<Item = usize> {
        (0..self.channels.len()).filter(|channel| self.is_read(*channel))
    }

    /// The channels of ciphertexts that would not be there without some channels, ascending.
    pub(crate) fn left_out(&self, unread: &[usize]) -> Vec<usize> {
        let without = self.clone().without(unread);
        let is_gone = |channel: &usize| without.number(self.channels[*channel].ct).is_none();
        unread.iter().copied().filter(is_gone).collect()
    }

    /// Channel ciphertexts, whether they are there or not.
    pub(crate) fn all_channel_ciphertexts(&self) -> usize {
        self.channels.iter().map(|p| p.ct + 1).max().unwrap_or(0)
    }

    /// The number of a channel ciphertext among those that are there; none if it is not.
    pub(crate) fn number(&self, ct: usize) -> Option<usize> {
        self.unread.ciphertexts.binary_search(&ct).err().map(|before| ct - before)
    }

    /// The number of each channel ciphertext.
    pub(crate) fn numbers(&self) -> Vec<Option<usize>> {
        (0..self.all_channel_ciphertexts()).map(|ct| self.number(ct)).collect()
    }

    /// Channel ciphertexts that are there, not counting phases.
    pub fn channel_ciphertexts(&self) -> usize {
        self.all_channel_ciphertexts() - self.unread.ciphertexts.len()
    }
}

#[cfg(test)]
mod tests {
    use crate::layout::{ChannelOrder, LayoutSpec, pack, unpack};
    use crate::network::Shape;

    #[test]
    fn ciphertexts_of_unread_channels_are_not_there() {
        let spec =
            LayoutSpec { blocks: 2, ..LayoutSpec::raster(ChannelOrder::Sequential, 4, 16, 32) };
        let full = spec.layout(32, Shape::new(8, 4, 4), Default::default()).unwrap();
        let some = full.clone().without(&[2, 3, 5]);
        assert_eq!([full.channel_ciphertexts(), some.channel_ciphertexts()], [4, 3]);
        assert_eq!(some.numbers(), [Some(0), None, Some(1), Some(2)]);
        assert_eq!([full.locate(6, 1, 2), some.locate(6, 1, 2)], [(3, 6), (2, 6)]);
        let map: Vec<f64> = (0..8 * 16).map(f64::from).collect();
        let [all, packed] = [&full, &some].map(|layout| pack(layout, &map).unwrap());
        assert_eq!(packed[0], all[0]);
        assert_eq!(packed[1][..16], all[2][..16]);
        assert!(packed[1][16..].iter().all(|v| *v == 0.0), "channel 5 is in no slot");
        // Read back, unread channels are zero.
        let back = unpack(&some, &packed).unwrap();
        let read = |k: usize| ![2, 3, 5].contains(&(k / 16));
        assert!(back.iter().enumerate().all(|(k, v)| *v == if read(k) { map[k] } else { 0.0 }));
        assert_eq!(full.left_out(&[2, 3, 5]), [2, 3]);
        assert_eq!(full.clone().without(&[0, 1, 2, 3, 4, 5, 6, 7]), full);
    }
}
