//! Ciphertexts whose channels lie alike.
//!
//! In a layer without groups or zero weights, where its channels lie is all that decides which diagonals lead from one
//! ciphertext to another, and which of them could share a plaintext. So ciphertexts that hold their channels at the same
//! slots, in the same order, have the same diagonals with other weights: one of each kind is looked at, and stands for all.
//! Only channels that something reads count.

use std::collections::BTreeMap;

use crate::layout::Layout;

/// The channel ciphertexts of a layout by kind.
pub(super) struct Alike {
    /// Whether each ciphertext is there.
    there: Vec<bool>,
    /// Of each ciphertext that is the first of its kind, all of that kind, itself included; of others, none.
    kinds: Vec<Vec<usize>>,
}

impl Alike {
    /// The kinds of a layout, or with `apart` each ciphertext as one of its own: so are those that phases share, which some read as
    /// one channel's, others as another's.
    pub(super) fn new(layout: &Layout, apart: bool) -> Self {
        let apart = apart || !layout.shared.is_empty();
        let there: Vec<bool> = layout.numbers().iter().map(Option::is_some).collect();
        let mut bases: Vec<Vec<usize>> = vec![Vec::new(); there.len()];
        let read = layout.read().map(|channel| layout.channels[channel]);
        read.for_each(|place| bases[place.ct].push(place.base));
        let mut kinds = vec![Vec::new(); bases.len()];
        let mut first: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for (ct, bases) in bases.into_iter().enumerate().filter(|(ct, _)| there[*ct]) {
            let leader = if apart { ct } else { *first.entry(bases).or_insert(ct) };
            kinds[leader].push(ct);
        }
        Self { there, kinds }
    }

    /// Whether a ciphertext is the first of its kind.
    pub(super) fn leads(&self, ct: usize) -> bool {
        !self.kinds[ct].is_empty()
    }

    /// How many each ciphertext of the layout stands for, those of every phase of one channel ciphertext after the other.
    pub(super) fn copies(&self, layout: &Layout) -> Vec<usize> {
        let all = self.kinds.iter().zip(&self.there).filter(|(_, there)| **there);
        let all = all.map(|(kind, _)| kind.len());
        let phases = layout.phases * layout.phases;
        // Where phases share some, all are apart, and there are fewer.
        all.flat_map(|copies| std::iter::repeat_n(copies, phases))
            .take(layout.ciphertexts())
            .collect()
    }

    /// Those of the kind that `leader` is the first of, ascending.
    pub(super) fn of(&self, leader: usize) -> &[usize] {
        &self.kinds[leader]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LayoutSpec;
    use crate::network::Shape;

    #[test]
    fn a_partly_filled_ciphertext_is_of_another_kind() {
        let units = LayoutSpec::units(8, 16);
        let layout = units.layout(128, Shape::new(40, 1, 1), Default::default()).unwrap();
        let alike = Alike::new(&layout, false);
        assert_eq!([alike.of(0), alike.of(1), alike.of(2)], [&[0, 1][..], &[], &[2]]);
        assert_eq!([0, 1, 2].map(|ct| alike.leads(ct)), [true, false, true]);
        let apart = Alike::new(&layout, true);
        assert_eq!([0, 1, 2].map(|ct| apart.of(ct).to_vec()), [vec![0], vec![1], vec![2]]);
    }
}
