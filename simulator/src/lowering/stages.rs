//! The stages of a network as a configuration wants them: pools merged, patches, repacks inserted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::pieces::{Piece, depths, pieces, readers};
use super::repack_name;
use crate::config::{Configuration, PoolMethod};
use crate::fold::{
    Activations, Folded, Origin, Stage, StageKind, depthwise_identity, merge_pool, to_patches,
};
use crate::layout::Layout;
use crate::network::ConvGeometry;
use crate::{Error, Result};

/// In which form a linear layer is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearForm {
    /// As it is.
    Plain,
    /// Together with the pool before it, which has this window and stride.
    Merged {
        /// Window extent: rows, columns.
        kernel: (usize, usize),
        /// Stride, down and across.
        stride: (usize, usize),
    },
    /// As a 1x1 convolution over patches that the client makes.
    Patches,
}

/// What to lower, and the client's side of it. Stages that stay as they are, are not copied: a fully connected layer may
/// have a hundred million weights.
pub(crate) struct Prepared<'a> {
    pub(crate) pieces: Vec<Piece<'a>>,
    /// Levels from what each piece reads to the end of the network.
    pub(crate) depths: Vec<usize>,
    /// The linear layers' own convolutions by name, and the form that the pieces have them in.
    pub(crate) forms: BTreeMap<String, (ConvGeometry, LinearForm)>,
    pub(crate) input: Layout,
    pub(crate) patches: Option<ConvGeometry>,
}

pub(crate) fn prepare<'a>(
    folded: &'a Folded,
    c: &Configuration,
    slots: usize,
) -> Result<Prepared<'a>> {
    c.check()?;
    check_names(folded, c)?;
    let mut stages: Vec<Cow<'a, Stage>> = Vec::new();
    let mut forms = BTreeMap::new();
    let all: Vec<Cow<'_, Stage>> = folded.stages.iter().map(Cow::Borrowed).collect();
    let readers = readers(&all);
    // For each stage of the network, where its result is found, or the pool that its reader does.
    let mut found: Vec<Origin> = Vec::new();
    let mut merged: BTreeMap<usize, Cow<'a, Stage>> = BTreeMap::new();
    for (k, stage) in folded.stages.iter().enumerate() {
        let pool = match stage.sources[..] {
            [Origin::Stage(before)] => merged.remove(&before),
            _ => None,
        };
        let mut now = Cow::Borrowed(stage);
        if let StageKind::Linear(linear) = &stage.kind {
            let form = match pool.as_ref().map(|pool| &pool.kind) {
                Some(StageKind::SumPool { kernel, stride }) => {
                    LinearForm::Merged { kernel: *kernel, stride: *stride }
                }
                _ => LinearForm::Plain,
            };
            forms.insert(stage.name.clone(), (linear.geometry, form));
        }
        match pool {
            Some(pool) => now = Cow::Owned(merge_pool(&pool, stage)?),
            None => {
                let at = |source: &Origin| match source {
                    Origin::Image => Origin::Image,
                    Origin::Stage(n) => found[*n],
                };
                let sources: Vec<Origin> = stage.sources.iter().map(at).collect();
                if sources != stage.sources {
                    now.to_mut().sources = sources;
                }
            }
        }
        let merge = matches!(now.kind, StageKind::SumPool { .. })
            && c.pool_choice(&now.name)?.method == PoolMethod::Merge;
        if merge {
            let reader = folded.stages.iter().find(|s| s.sources == [Origin::Stage(k)]);
            let alone = readers[k] == 1
                && reader.is_some_and(|reader| matches!(reader.kind, StageKind::Linear(_)));
            if !alone {
                return Err(Error::unsupported(
                    &now.name,
                    "it is to be merged into the next layer, and what reads it is not one linear layer alone",
                ));
            }
            // Never looked at: its only reader takes the pool.
            found.push(Origin::Image);
            merged.insert(k, now);
            continue;
        }
        let (name, shape, bound) = (now.name.clone(), now.output, now.bound);
        stages.push(now);
        let mut result = Origin::Stage(stages.len() - 1);
        if c.repacks.iter().any(|r| r.layer == name) {
            let kind = StageKind::Linear(depthwise_identity(shape));
            let (name, sources) = (repack_name(&name), vec![result]);
            let repack = Stage { name, kind, sources, input: shape, output: shape, bound };
            stages.push(Cow::Owned(repack));
            result = Origin::Stage(stages.len() - 1);
        }
        found.push(result);
    }
    let (mut reader, mut patches) = (None, None);
    let alone =
        stages.iter().flat_map(|s| &s.sources).filter(|s| **s == Origin::Image).count() == 1;
    if let Some(first) = stages.first_mut()
        && let StageKind::Linear(linear) = &first.kind
    {
        let g = linear.geometry;
        reader = Some(g);
        if c.input.patches {
            if !alone {
                return Err(Error::unsupported(
                    &first.name,
                    "patches feed one layer, and others read the image too",
                ));
            }
            let stage = to_patches(first)?;
            if let Some((_, form @ LinearForm::Plain)) = forms.get_mut(&stage.name) {
                *form = LinearForm::Patches;
            }
            *first = Cow::Owned(stage);
            patches = reader;
        }
    }
    let input = c.input.packed(slots, folded.input, reader.as_ref());
    let input = input.map_err(|e| e.of_layer("input"))?;
    let pieces = pieces(stages);
    let depths = depths(&pieces);
    Ok(Prepared { pieces, depths, forms, input, patches })
}

/// Activations must be folded as the configuration says, and every choice must name a layer that exists, once.
fn check_names(folded: &Folded, c: &Configuration) -> Result<()> {
    let wanted = Activations::from(c);
    if folded.activations != wanted {
        return Err(Error::Configuration(format!(
            "activations are to be {wanted}, and {} is folded with {}: fold it as the configuration says",
            folded.name, folded.activations
        )));
    }
    let check = |kind: &str, names: Vec<&String>, fits: &dyn Fn(&Stage) -> bool| {
        for (k, name) in names.iter().enumerate() {
            if names[..k].contains(name) {
                return Err(Error::Configuration(format!(
                    "two {kind} choices for layer {name:?}; remove one"
                )));
            }
            if !folded.stages.iter().any(|s| &s.name == *name && fits(s)) {
                return Err(Error::Configuration(format!(
                    "a {kind} choice names {name:?}, which is no such layer of {}",
                    folded.name
                )));
            }
        }
        Ok(())
    };
    for choice in c.linear.iter().chain(&c.repacks) {
        if !matches!(choice.radix, 2 | 4 | 8) {
            return Err(Error::Configuration(format!(
                "layer {:?}: radix is {}, expected 2, 4 or 8",
                choice.layer, choice.radix
            )));
        }
    }
    let linear = |s: &Stage| matches!(s.kind, StageKind::Linear(_));
    let pool = |s: &Stage| matches!(s.kind, StageKind::SumPool { .. });
    check("linear", c.linear.iter().map(|l| &l.layer).collect(), &linear)?;
    check("pool", c.pools.iter().map(|l| &l.layer).collect(), &pool)?;
    check("repack", c.repacks.iter().map(|l| &l.layer).collect(), &|_| true)
}
