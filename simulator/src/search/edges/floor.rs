//! What a target takes at least.

use costmodel::{LinearShape, Primitive};

use crate::lowering::Shapes;

/// Instructions of which any way to a target takes one choice, or more than it: for a pricer that asks no less for more, no way
/// costs less than the cheapest of them.
#[derive(Debug, Clone)]
pub(crate) struct Floor(Vec<Shapes>);

impl Floor {
    /// So many products as if nothing had to be rotated.
    pub(super) fn products(products: usize, outputs: usize) -> Self {
        let shape = LinearShape {
            sources: 1,
            decomposed: 0,
            rotations: 0,
            unrotated: 1,
            terms: products,
            plaintexts: 1,
            plaintext_words: 1,
            outputs,
            rescale: false,
            detail: None,
        };
        Self(vec![(Primitive::Linear(shape), None)])
    }

    /// What each schedule takes at least, but for what takes more than another.
    pub(super) fn of_schedules(all: impl IntoIterator<Item = Shapes>) -> Self {
        let mut kept: Vec<Shapes> = Vec::new();
        for shapes in all {
            if kept.iter().any(|other| within(other, &shapes)) {
                continue;
            }
            kept.retain(|other| !within(&shapes, other));
            kept.push(shapes);
        }
        Self(kept)
    }

    /// The choices.
    pub(super) fn choices(&self) -> &[Shapes] {
        &self.0
    }
}

/// Whether shapes take no more of anything than others.
fn within(some: &Shapes, others: &Shapes) -> bool {
    let no_more =
        |a: &Primitive, b: &Primitive| numbers(a).iter().zip(numbers(b)).all(|(a, b)| *a <= b);
    let second = match (&some.1, &others.1) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => no_more(a, b),
    };
    second && no_more(&some.0, &others.0)
}

fn numbers(primitive: &Primitive) -> [usize; 9] {
    let Primitive::Linear(shape) = primitive else {
        unreachable!("products are linear: {primitive:?}")
    };
    [
        shape.sources,
        shape.decomposed,
        shape.rotations,
        shape.unrotated,
        shape.terms,
        shape.plaintexts,
        shape.plaintext_words,
        shape.outputs,
        usize::from(shape.rescale),
    ]
}
