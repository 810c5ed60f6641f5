//! What a target takes at least.

use costmodel::{LinearShape, Primitive};

use super::{Budget, Terms};
use crate::layout::Layout;
use crate::lowering::{Counter, Diagonals, Shapes};
use crate::search::candidates::schedules_of_some;

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
}

impl Terms<'_> {
    /// Whether a floor is within a budget.
    pub(super) fn affords(&self, floor: &Floor, budget: &Budget) -> bool {
        self.floor_ms(floor, budget.setting) <= budget.limit()
    }

    /// What all diagonals take at least, by some of them, if that is too much.
    pub(super) fn too_much(
        &self,
        some: &Diagonals,
        output: &Layout,
        folds: bool,
        budget: &Budget,
    ) -> Option<Floor> {
        let products = Floor::products(some.total(), output.ciphertexts());
        if !self.affords(&products, budget) {
            return Some(products);
        }
        // Of stages that are not fused, only the products are known.
        if !self.space.double_hoisting {
            return None;
        }
        let mut counter = Counter::of_some(some, self.space.images);
        let mut all = Vec::new();
        for schedule in schedules_of_some(some, self.space) {
            let shapes = counter.at_least(&schedule, folds);
            if self.shapes_ms(&shapes, budget.setting) <= budget.limit() {
                return None;
            }
            all.push(shapes);
        }
        Some(Floor::of_schedules(all))
    }

    /// What a floor costs.
    pub(super) fn floor_ms(&self, floor: &Floor, setting: usize) -> f64 {
        let cost = |shapes| self.shapes_ms(shapes, setting);
        floor.0.iter().map(cost).fold(f64::INFINITY, f64::min)
    }

    /// What the one or two instructions of a stage cost.
    pub(in crate::search) fn shapes_ms(&self, (products, sums): &Shapes, setting: usize) -> f64 {
        let sums = sums.map_or(0.0, |sums| self.cost(&[(sums, 0)], setting));
        self.cost(&[(*products, 0)], setting) + sums
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
