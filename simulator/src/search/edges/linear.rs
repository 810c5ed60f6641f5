//! Ways through a linear stage between two layouts.

use costmodel::Primitive;

use super::{Budget, Cheapest, Step, Terms, least};
use crate::Result;
use crate::fold::LinearStage;
use crate::layout::Layout;
use crate::lowering::{Diagonals, LinearEmission, Outline, State, count, fold};
use crate::search::candidates::schedules;

/// What came of a target.
pub(super) enum Found {
    /// Its ways, and the layout that they leave.
    Ways(Vec<Cheapest>, Layout),
    TooMuch(Primitive),
}

/// Ciphertexts that get a bias.
fn biased(linear: &LinearStage, output: &Layout) -> usize {
    let shape = output.shape;
    let mut some = vec![false; output.ciphertexts()];
    for (k, _) in linear.bias.iter().enumerate().filter(|(_, b)| **b != 0.0) {
        let (x, rest) = (k % shape.width, k / shape.width);
        some[output.locate(rest / shape.height, rest % shape.height, x).0] = true;
    }
    some.into_iter().filter(|b| *b).count()
}

impl Terms<'_> {
    /// The cheapest ways into a layout, if they are within the budget.
    pub(super) fn linear(
        &self,
        name: &str,
        (linear, outline): (&LinearStage, Option<&Outline>),
        (inputs, output): (&[&Layout], &Layout),
        fold: usize,
        budget: &Budget,
    ) -> Result<Found> {
        // Only fused stages are counted; the others are made, and told apart by their weights.
        let outline = outline.filter(|_| self.space.double_hoisting);
        let most = self.affordable(output, budget);
        let diagonals = Diagonals::counted(name, linear, outline, (inputs, output), fold, most)?;
        let all = least(diagonals.total(), output.ciphertexts());
        if self.cost(&[(all, 0)], budget.setting) > budget.limit() {
            return Ok(Found::TooMuch(all));
        }
        let mut best: Vec<Option<Cheapest>> = vec![None; self.settings.len()];
        let biased = biased(linear, output);
        for schedule in schedules(&linear.geometry, &diagonals, self.space) {
            let steps = if schedule.double_hoisting {
                let (products, sums) = count(&diagonals, &schedule, fold != 0);
                let mut steps = vec![(products, 0)];
                steps.extend(sums.map(|s| (s, 0)));
                steps.extend(std::iter::repeat_n((Primitive::AddPlain, 1), biased));
                steps
            } else {
                let emission = LinearEmission {
                    diagonals: &diagonals,
                    schedule,
                    scale: self.chain.scale,
                    fold: 0,
                    radix: 2,
                    output,
                    bias: &linear.bias,
                };
                let cts = diagonals.input_periods.len();
                self.emit(cts, |b, values| emission.emit(b, &values))?.0
            };
            for (k, slot) in best.iter_mut().enumerate() {
                let cost = self.cost(&steps, k);
                if slot.is_none_or(|s| cost < s.cost) {
                    *slot = Some(Cheapest { cost, schedule, radix: 2 });
                }
            }
        }
        let mut best: Vec<Cheapest> = best.into_iter().flatten().collect();
        if fold != 0 {
            let folds = [2, 4, 8].map(|radix| (radix, self.fold(output, fold, radix)));
            for (k, slot) in best.iter_mut().enumerate() {
                let mut cheapest = (f64::INFINITY, 2);
                for (radix, steps) in &folds {
                    let cost = self.cost(steps.as_deref().unwrap_or(&[]), k);
                    if steps.is_ok() && cost < cheapest.0 {
                        cheapest = (cost, *radix);
                    }
                }
                slot.cost += cheapest.0;
                slot.radix = cheapest.1;
            }
        }
        Ok(Found::Ways(best, diagonals.left(output, fold)))
    }

    /// The fewest diagonals, or hardly more, that are too much for the budget.
    fn affordable(&self, output: &Layout, budget: &Budget) -> usize {
        let outputs = output.ciphertexts();
        let fits =
            |many: usize| self.cost(&[(least(many, outputs), 0)], budget.setting) <= budget.limit();
        let (mut some, mut too_many) = (0, 1);
        while fits(too_many) {
            if too_many >= 1 << 30 {
                return usize::MAX;
            }
            (some, too_many) = (too_many, 2 * too_many);
        }
        while too_many - some > 1 + too_many / 64 {
            let middle = some.midpoint(too_many);
            *(if fits(middle) { &mut some } else { &mut too_many }) = middle;
        }
        too_many
    }

    /// Instructions of folding the results of a linear stage: before its rescale, which the last one does, or, in
    /// an unfused stage, after.
    fn fold(&self, output: &Layout, mask: usize, radix: usize) -> Result<Vec<Step>> {
        let fused = self.space.double_hoisting;
        let (steps, _) = self.emit(output.ciphertexts(), |b, values| {
            let values = fold(b, values, (mask, radix), fused)?;
            Ok(State { values, layout: output.clone() })
        })?;
        let extra = if fused { 0 } else { 1 };
        Ok(steps.into_iter().map(|(p, below)| (p, below + extra)).collect())
    }
}
