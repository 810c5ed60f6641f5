//! A folded network cut into the blocks that the dynamic programme walks along.

use crate::fold::{Folded, Stage, StageKind, merge_pool, to_patches};
use crate::lowering::Outline;
use crate::{Error, Result};

/// In which form a block's linear stage reads the map before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Form {
    /// As it is.
    Plain,
    /// Doing the pool before it as well.
    Merged,
    /// Over patches made by the client.
    Patches,
}

/// A linear stage and what follows it up to the next one.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The linear stage.
    pub(crate) plain: Stage,
    /// It and the pool before it, where they can be merged.
    pub(crate) merged: Option<Stage>,
    /// It over patches, if it is the first.
    pub(crate) patches: Option<Stage>,
    /// Squares, quadratics and pools after it.
    pub(crate) tail: Vec<Stage>,
    /// Levels from its entry to the end of the network.
    pub(crate) levels: usize,
    /// Products of a weight and an input in the plain form; the others have no fewer.
    pub(crate) products: usize,
    /// Outlines of its forms, where they have one.
    outlines: [Option<Outline>; 3],
}

impl Block {
    pub(crate) fn stage(&self, form: Form) -> Option<&Stage> {
        match form {
            Form::Plain => Some(&self.plain),
            Form::Merged => self.merged.as_ref(),
            Form::Patches => self.patches.as_ref(),
        }
    }

    pub(crate) fn outline(&self, form: Form) -> Option<&Outline> {
        self.outlines[form as usize].as_ref()
    }

    /// Name of its last stage: a repack would come after it.
    pub(crate) fn last_name(&self) -> &str {
        self.tail.last().map_or(&self.plain.name, |s| &s.name)
    }

    /// Groups of the convolution.
    pub(crate) fn groups(&self) -> usize {
        match &self.plain.kind {
            StageKind::Linear(l) => l.geometry.groups,
            _ => 1,
        }
    }
}

/// Cuts a network into blocks.
pub(crate) fn blocks(folded: &Folded) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    for stage in &folded.stages {
        match (&stage.kind, blocks.last_mut()) {
            (StageKind::Linear(linear), previous) => {
                let pool = previous.and_then(|b| b.tail.last());
                let merged = pool.and_then(|p| merge_pool(p, stage).ok());
                let patches = if blocks.is_empty() { to_patches(stage).ok() } else { None };
                let outline = |stage: Option<&Stage>| match &stage?.kind {
                    StageKind::Linear(linear) => Outline::new(linear),
                    _ => None,
                };
                // In the order of the forms.
                let outlines =
                    [outline(Some(stage)), outline(merged.as_ref()), outline(patches.as_ref())];
                blocks.push(Block {
                    products: linear.geometry.products(&linear.weights),
                    plain: stage.clone(),
                    merged,
                    patches,
                    tail: Vec::new(),
                    levels: 0,
                    outlines,
                });
            }
            (_, Some(block)) => block.tail.push(stage.clone()),
            (_, None) => {
                return Err(Error::unsupported(
                    &stage.name,
                    "the search needs a linear layer first; put one before it",
                ));
            }
        }
    }
    let mut levels = 0;
    for block in blocks.iter_mut().rev() {
        levels += block.plain.levels() + block.tail.iter().map(Stage::levels).sum::<usize>();
        block.levels = levels;
    }
    Ok(blocks)
}
