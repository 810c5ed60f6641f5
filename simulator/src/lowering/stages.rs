//! The stages of a network as a configuration wants them: pools merged, patches, repacks inserted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::repack_name;
use crate::config::{Configuration, PoolMethod};
use crate::fold::{Folded, Stage, StageKind, depthwise_identity, merge_pool, to_patches};
use crate::layout::{Layout, Margin};
use crate::network::ConvGeometry;
use crate::{Error, Result};

/// In which form a linear layer is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearForm {
    /// As it is.
    Plain,
    /// Together with the pool before it, which has this window and stride.
    Merged {
        /// Window extent, both ways.
        kernel: usize,
        /// Stride, both ways.
        stride: usize,
    },
    /// As a 1x1 convolution over patches that the client makes.
    Patches,
}

/// Stages to lower, and the client's side of the first one. Those that stay as they are, are not copied: a fully
/// connected layer may have a hundred million weights.
pub(crate) struct Prepared<'a> {
    pub(crate) stages: Vec<Cow<'a, Stage>>,
    /// The linear layers' own convolutions by name, and the form that the stages have them in.
    pub(crate) forms: BTreeMap<String, (ConvGeometry, LinearForm)>,
    pub(crate) input: Layout,
    pub(crate) patches: Option<ConvGeometry>,
}

pub(crate) fn prepare<'a>(
    folded: &'a Folded,
    c: &Configuration,
    slots: usize,
) -> Result<Prepared<'a>> {
    check_names(folded, c)?;
    let mut stages: Vec<Cow<'a, Stage>> = Vec::new();
    let mut forms = BTreeMap::new();
    let mut pending: Option<Cow<'a, Stage>> = None;
    for stage in &folded.stages {
        let mut stage = Cow::Borrowed(stage);
        if let StageKind::Linear(linear) = &stage.kind {
            let form = match pending.as_ref().map(|pool| &pool.kind) {
                Some(StageKind::SumPool { kernel, stride }) => {
                    LinearForm::Merged { kernel: *kernel, stride: *stride }
                }
                _ => LinearForm::Plain,
            };
            forms.insert(stage.name.clone(), (linear.geometry, form));
        }
        if let Some(pool) = pending.take() {
            stage = Cow::Owned(merge_pool(&pool, &stage)?);
        }
        let merged = matches!(stage.kind, StageKind::SumPool { .. })
            && c.pool_choice(&stage.name)?.method == PoolMethod::Merge;
        if merged {
            pending = Some(stage);
            continue;
        }
        let (name, shape, bound) = (stage.name.clone(), stage.output, stage.bound);
        stages.push(stage);
        if c.repacks.iter().any(|r| r.layer == name) {
            let kind = StageKind::Linear(depthwise_identity(shape));
            let name = repack_name(&name);
            stages.push(Cow::Owned(Stage { name, kind, input: shape, output: shape, bound }));
        }
    }
    if let Some(pool) = pending {
        return Err(Error::unsupported(
            &pool.name,
            "it is to be merged into the next layer, but is the last",
        ));
    }
    let mut margin = Margin::default();
    let mut patches = None;
    let mut shape = folded.input;
    if let Some(first) = stages.first_mut()
        && let StageKind::Linear(linear) = &first.kind
    {
        let g = linear.geometry;
        if c.input.patches {
            let stage = to_patches(first)?;
            shape = stage.input;
            if let Some((_, form @ LinearForm::Plain)) = forms.get_mut(&stage.name) {
                *form = LinearForm::Patches;
            }
            *first = Cow::Owned(stage);
            patches = Some(g);
        } else if c.input.padded {
            margin = Margin { before: g.padding, after: g.padding };
        }
    }
    let input = c.input.layout.layout(slots, shape, margin).map_err(|e| e.of_layer("input"))?;
    Ok(Prepared { stages, forms, input, patches })
}

/// Every choice must name a layer that exists, once.
fn check_names(folded: &Folded, c: &Configuration) -> Result<()> {
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
