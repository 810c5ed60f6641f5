//! The stages of a folded network as they are emitted, and the emission of all that are not linear.

use std::borrow::Cow;

use super::State;
use super::activation::quadratic;
use super::builder::Builder;
use super::pool::{Pool, pool, square};
use crate::config::PoolMethod;
use crate::fold::{Origin, Stage, StageKind};
use crate::{Error, Result};

/// What is emitted at once: a stage, or a square together with the sums over windows that alone read it, because sums of
/// squares over phases take one instruction.
#[derive(Debug, Clone)]
pub(crate) struct Piece<'a> {
    /// The stage.
    pub(crate) stage: Cow<'a, Stage>,
    /// The pool after a square.
    pub(crate) pool: Option<Cow<'a, Stage>>,
    /// The pieces that it reads; sources of the stages are not to be looked at.
    pub(crate) sources: Vec<Origin>,
}

impl Piece<'_> {
    /// The last of its stages.
    pub(crate) fn last(&self) -> &Stage {
        self.pool.as_ref().unwrap_or(&self.stage)
    }
}

/// How many of a list of stages read each.
pub(crate) fn readers(stages: &[Cow<'_, Stage>]) -> Vec<usize> {
    let mut readers = vec![0; stages.len()];
    for source in stages.iter().flat_map(|stage| &stage.sources) {
        if let Origin::Stage(k) = source {
            readers[*k] += 1;
        }
    }
    readers
}

/// The pieces of a list of stages, whose sources are numbers of that list.
pub(crate) fn pieces(stages: Vec<Cow<'_, Stage>>) -> Vec<Piece<'_>> {
    let readers = readers(&stages);
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    // For each stage, the piece that it is part of.
    let mut numbers: Vec<usize> = Vec::with_capacity(stages.len());
    for stage in stages {
        let number = |source: &Origin| match source {
            Origin::Image => Origin::Image,
            Origin::Stage(k) => Origin::Stage(numbers[*k]),
        };
        let sources: Vec<Origin> = stage.sources.iter().map(number).collect();
        if let (StageKind::SumPool { .. }, [Origin::Stage(before)]) =
            (&stage.kind, &stage.sources[..])
            && let before = *before
            && readers[before] == 1
        {
            let piece = &mut pieces[numbers[before]];
            if matches!(piece.stage.kind, StageKind::Square { .. }) && piece.pool.is_none() {
                piece.pool = Some(stage);
                numbers.push(numbers[before]);
                continue;
            }
        }
        numbers.push(pieces.len());
        pieces.push(Piece { stage, pool: None, sources });
    }
    pieces
}

/// Levels from what each piece reads to the end of the longest way from there.
pub(crate) fn depths(pieces: &[Piece<'_>]) -> Vec<usize> {
    let steps = pieces.iter().map(|p| (p.stage.levels(), &p.sources[..]));
    crate::fold::depths(steps.collect())
}

/// Emits a piece that is not linear; the state holds what it reads, then what it gives. A
/// quadratic's result comes at `scale`; `method` says how a pool is computed.
pub(crate) fn emit(
    b: &mut Builder<'_>,
    state: &mut State,
    piece: &Piece<'_>,
    scale: f64,
    method: impl Fn(&str) -> Result<PoolMethod>,
) -> Result<()> {
    let of = |stage| Pool::new(stage, &method);
    b.layer(&piece.stage.name);
    match &piece.stage.kind {
        StageKind::Square { rescale } => {
            square(b, state, piece.pool.as_deref().map(of).transpose()?, *rescale)
        }
        StageKind::Quadratic(q) => quadratic(b, state, q, scale),
        StageKind::SumPool { .. } => pool(b, state, of(&piece.stage)?),
        StageKind::Linear(_) => Err(Error::unsupported(
            &piece.stage.name,
            "a linear layer is where only others were expected; this is a fault of the lowering",
        )),
    }
}
