//! Ways through the stages of a block after its linear one.

use std::borrow::Cow;

use costmodel::Primitive;

use super::{Step, Tail, Terms};
use crate::Result;
use crate::config::{PoolChoice, PoolMethod};
use crate::fold::{Origin, Stage, StageKind};
use crate::layout::Layout;
use crate::lowering::{State, emit, pieces};
use crate::search::candidates::pools;
use crate::search::problem::{Block, Form};

impl Terms<'_> {
    /// Every way through the stages after the linear one.
    pub(in crate::search) fn tails(&self, block: &Block, layout: &Layout) -> Vec<Tail> {
        let mut done = Vec::new();
        let pool = block.tail.iter().find_map(|s| match s.kind {
            StageKind::SumPool { kernel, stride } => Some((s, kernel, stride)),
            _ => None,
        });
        let methods = match pool {
            None => vec![PoolMethod::Merge],
            Some((stage, kernel, stride)) => pools(kernel, stride, layout, stage.output),
        };
        for method in methods {
            let merges = method == PoolMethod::Merge && pool.is_some();
            let last = block.tail.last();
            let ends_with_pool =
                last.is_some_and(|stage| matches!(stage.kind, StageKind::SumPool { .. }));
            if merges && (!ends_with_pool || !block.leaves_pool(self.blocks)) {
                continue;
            }
            let stages = if merges { &block.tail[..block.tail.len() - 1] } else { &block.tail[..] };
            let Ok((steps, layout)) = self.tail(stages, layout, method) else { continue };
            let steps: Vec<Step> =
                steps.into_iter().map(|(p, below)| (lower(p), below + 1)).collect();
            let all = block.tail.iter().filter(|s| matches!(s.kind, StageKind::SumPool { .. }));
            let pools = all.map(|s| PoolChoice { layer: s.name.clone(), method });
            done.push(Tail {
                pools: pools.collect(),
                cost: (0..self.settings.len()).map(|k| self.cost(&steps, k)).collect(),
                form: if merges { Form::Merged } else { Form::Plain },
                layout,
            });
        }
        done
    }

    /// Instructions of a block's stages after the linear one, and the layout that they leave.
    fn tail(
        &self,
        stages: &[Stage],
        layout: &Layout,
        method: PoolMethod,
    ) -> Result<(Vec<Step>, Layout)> {
        // Each reads the one before it.
        let chain = stages.iter().enumerate().map(|(k, stage)| {
            let before = k.checked_sub(1).map_or(Origin::Image, Origin::Stage);
            Cow::Owned(Stage { sources: vec![before], ..stage.clone() })
        });
        let pieces = pieces(chain.collect());
        self.emit(layout.ciphertexts(), |b, values| {
            let (mut state, scale) = (State { values, layout: layout.clone() }, b.chain.scale);
            pieces.iter().try_for_each(|p| emit(b, &mut state, p, scale, |_| Ok(method)))?;
            Ok(state)
        })
    }
}

/// An instruction one level further below the entry.
fn lower(primitive: Primitive) -> Primitive {
    match primitive {
        Primitive::DropLevel { to } => Primitive::DropLevel { to: to + 1 },
        other => other,
    }
}
