//! Layouts that a search keeps to.

use std::collections::BTreeSet;

use super::path::Path;
use crate::config::{Configuration, InputPacking};
use crate::layout::LayoutSpec;
use crate::search::candidates::Target;
use crate::search::problem::Block;

/// Layouts to look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Only {
    /// Packings of the image.
    pub(crate) inputs: BTreeSet<InputPacking>,
    /// Layouts and fold masks of what each block's linear stage gives; of blocks without an entry, all.
    pub(crate) targets: Vec<BTreeSet<Target>>,
}

impl Only {
    /// The layouts of configurations of a network of these blocks, with their channels in any order that these have.
    pub(crate) fn like<'c>(
        known: impl Iterator<Item = &'c Configuration>,
        blocks: &[Block],
        slots: usize,
    ) -> Self {
        let mut only = Self::default();
        for configuration in known {
            let names = configuration.linear.iter().map(|choice| &choice.layer);
            if names.eq(blocks.iter().map(|block| &block.plain.name)) {
                only.add(&Path::of(configuration), slots);
                let InputPacking { layout, .. } = configuration.input;
                let layout = LayoutSpec { blocks: slots / layout.tile, ..layout };
                only.inputs.insert(InputPacking { layout, ..configuration.input });
            }
        }
        for (set, block) in only.targets.iter_mut().zip(blocks) {
            let groups = [1, block.groups, block.next.map_or(1, |next| blocks[next].groups)];
            let of = |(layout, fold): &Target| {
                let (layout, fold) = (*layout, *fold);
                groups.map(|groups| {
                    (LayoutSpec { order: layout.order.with_groups(groups), ..layout }, fold)
                })
            };
            *set = set.iter().flat_map(of).collect();
        }
        only
    }

    /// Adds the layouts of a way, and for each that repeats within so many slots one that does not.
    pub(crate) fn add(&mut self, path: &Path, slots: usize) {
        self.inputs.insert(path.input);
        self.targets.resize_with(path.linear.len(), BTreeSet::new);
        for (set, choice) in self.targets.iter_mut().zip(&path.linear) {
            let (layout, fold) = (choice.layout, choice.fold);
            set.insert((layout, fold));
            let blocks = slots / layout.tile;
            set.insert((LayoutSpec { blocks, ..layout }, fold & (layout.tile * layout.blocks - 1)));
        }
    }
}
