//! A folded network cut into the blocks that the dynamic programme walks along.

use std::borrow::Cow;

use crate::fold::{
    Folded, LinearPart, LinearStage, Origin, Stage, StageKind, merge_pool, to_patches,
};
use crate::lowering::{Outline, readers};
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

/// A linear stage and what follows it up to the next ones. Between blocks there are values: number 0 is the image, number
/// `k + 1` what block `k` gives.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The linear stage.
    pub(crate) plain: Stage,
    /// It and the pool before it, where they can be merged.
    pub(crate) merged: Option<Stage>,
    /// It over patches, if it alone reads the image.
    pub(crate) patches: Option<Stage>,
    /// Squares, quadratics and pools after it.
    pub(crate) tail: Vec<Stage>,
    /// The values that it reads, one for each part.
    pub(crate) sources: Vec<usize>,
    /// The first block that reads its value.
    pub(crate) next: Option<usize>,
    /// The last block that reads its value.
    pub(crate) last: Option<usize>,
    /// Channels of its linear stage's result that nothing reads.
    pub(crate) unread: Vec<usize>,
    /// Levels from its entry to the end of the network.
    pub(crate) levels: usize,
    /// Levels from what it gives to the end of the network.
    pub(crate) after: usize,
    /// Groups of the convolution, as its weights have them, whatever its geometry says: its map's channels may be interleaved by
    /// them.
    pub(crate) groups: usize,
    /// Products of a weight and an input in each form; the plain one has the fewest.
    products: [usize; 3],
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

    /// The name and the linear stage of a form; none if it has not that form.
    pub(crate) fn linear(&self, form: Form) -> Option<(&str, &LinearStage)> {
        match &self.stage(form)?.kind {
            StageKind::Linear(linear) => Some((&self.plain.name, linear)),
            _ => None,
        }
    }

    /// Products of a weight and an input.
    pub(crate) fn products(&self, form: Form) -> usize {
        self.products[form as usize]
    }

    pub(crate) fn outline(&self, form: Form) -> Option<&Outline> {
        // Of the sum of several parts there is none.
        let single = self.sources.len() == 1;
        self.outlines[form as usize].as_ref().filter(|_| single)
    }

    /// Name of its last stage: a repack would come after it.
    pub(crate) fn last_name(&self) -> &str {
        self.tail.last().map_or(&self.plain.name, |s| &s.name)
    }

    /// Whether its value is read only by the next block, which can do the pool that ends this one.
    pub(crate) fn leaves_pool(&self, blocks: &[Self]) -> bool {
        self.next == self.last && self.next.is_some_and(|k| blocks[k].merged.is_some())
    }
}

/// Cuts a network into blocks.
///
/// # Errors
/// [`Error::Unsupported`] where several stages read one and any of them is a pool or an activation, which no fold gives.
pub(crate) fn blocks(folded: &Folded) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let all: Vec<Cow<'_, Stage>> = folded.stages.iter().map(Cow::Borrowed).collect();
    let readers = readers(&all);
    // For each stage, the number of the value that it is, or is a part of.
    let mut values: Vec<usize> = Vec::new();
    let image = |stage: &Stage| stage.sources.contains(&Origin::Image);
    let alone = folded.stages.iter().filter(|s| image(s)).count() == 1;
    for (stage, unread) in folded.stages.iter().zip(folded.unread()) {
        let number = |source: &Origin| match source {
            Origin::Image => 0,
            Origin::Stage(k) => values[*k],
        };
        let sources: Vec<usize> = stage.sources.iter().map(number).collect();
        let StageKind::Linear(linear) = &stage.kind else {
            let single = matches!(stage.sources[0], Origin::Stage(k) if readers[k] == 1);
            match sources[0].checked_sub(1) {
                Some(block) if single => blocks[block].tail.push(stage.clone()),
                _ => {
                    return Err(Error::unsupported(
                        &stage.name,
                        "what it reads is read by other stages, too: a fold of the network has a linear stage between",
                    ));
                }
            }
            values.push(sources[0]);
            continue;
        };
        let before = match stage.sources[0] {
            Origin::Stage(k) if readers[k] == 1 => Some(&folded.stages[k]),
            _ => None,
        };
        let merged = before.and_then(|pool| merge_pool(pool, stage).ok());
        let first = alone && stage.sources == [Origin::Image];
        let patches = if first { to_patches(stage).ok() } else { None };
        let outline = |stage: Option<&Stage>| match &stage?.kind {
            StageKind::Linear(linear) => Outline::new(linear),
            _ => None,
        };
        let products = |stage: Option<&Stage>| match stage.map(|stage| &stage.kind) {
            Some(StageKind::Linear(linear)) => {
                let part = |p: &LinearPart| p.geometry.products(&p.weights, &unread);
                linear.parts().map(part).sum()
            }
            _ => 0,
        };
        // In the order of the forms.
        let forms = [Some(stage), merged.as_ref(), patches.as_ref()];
        let (outlines, products) = (forms.map(outline), forms.map(products));
        for source in sources.iter().filter_map(|s| s.checked_sub(1)) {
            let reader = Some(blocks.len());
            let block = &mut blocks[source];
            (block.next, block.last) = (block.next.or(reader), reader);
        }
        values.push(blocks.len() + 1);
        blocks.push(Block {
            groups: linear.main.channel_groups(),
            products,
            plain: stage.clone(),
            merged,
            patches,
            tail: Vec::new(),
            sources,
            next: None,
            last: None,
            unread,
            levels: 0,
            after: 0,
            outlines,
        });
    }
    for k in (0..blocks.len()).rev() {
        let block = &mut blocks[k];
        let own = block.plain.levels() + block.tail.iter().map(Stage::levels).sum::<usize>();
        block.levels = block.after + own;
        let levels = block.levels;
        for source in block.sources.clone().into_iter().filter_map(|s| s.checked_sub(1)) {
            blocks[source].after = blocks[source].after.max(levels);
        }
    }
    Ok(blocks)
}
