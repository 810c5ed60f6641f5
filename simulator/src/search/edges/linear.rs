//! Ways through a linear stage between two layouts.

use costmodel::Primitive;

use super::{Budget, Cheapest, Floor, Step, Terms, Weights};
use crate::Result;
use crate::fold::LinearStage;
use crate::layout::Layout;
use crate::lowering::{Counter, Diagonals, LinearEmission, Shapes, State, fold};
use crate::search::candidates::schedules;

/// What came of a target.
pub(super) enum Found {
    /// Its ways: the cheapest in each setting.
    Ways(Vec<Cheapest>),
    /// None within the budget: each takes no less than this.
    TooMuch(Floor),
}

/// Ciphertexts that get a bias.
pub(in crate::search) fn biased(linear: &LinearStage, output: &Layout) -> usize {
    let shape = output.shape;
    let mut some = vec![false; output.ciphertexts()];
    for (k, _) in linear.bias.iter().enumerate().filter(|(_, b)| **b != 0.0) {
        let (x, rest) = (k % shape.width, k / shape.width);
        let channel = rest / shape.height;
        if output.is_read(channel) {
            some[output.locate(channel, rest % shape.height, x).0] = true;
        }
    }
    some.into_iter().filter(|b| *b).count()
}

impl Terms<'_> {
    /// The cheapest ways into a layout, if they are within the budget, and the layout that they leave.
    pub(super) fn linear(
        &self,
        name: &str,
        Weights { linear, outline, .. }: Weights<'_>,
        (inputs, output): (&[&Layout], &Layout),
        fold: usize,
        budget: &Budget,
    ) -> Result<(Found, Layout)> {
        // Only fused stages are counted; the others are made, and told apart by their weights.
        let outline = outline.filter(|_| self.space.double_hoisting);
        let most = self.affordable(output, budget);
        let diagonals = Diagonals::counted(name, linear, outline, (inputs, output), fold, most)?;
        let all = Floor::products(diagonals.total(), output.ciphertexts());
        if !self.affords(&all, budget) {
            return Ok((Found::TooMuch(all), output.clone()));
        }
        let biased = biased(linear, output);
        let found = match self.space.double_hoisting {
            true => self.fused(&diagonals, fold != 0, biased, budget),
            false => Found::Ways(self.unfused(linear, &diagonals, output)?),
        };
        let mut best = match found {
            Found::Ways(best) => best,
            too_much @ Found::TooMuch(_) => return Ok((too_much, output.clone())),
        };
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
        Ok((Found::Ways(best), diagonals.left(output, fold)))
    }

    /// The cheapest schedule of a fused stage in each setting. One is only counted where it may be that, by what its
    /// rotations cost; of equal ones, the first in order is taken.
    fn fused(&self, diagonals: &Diagonals, folds: bool, biased: usize, budget: &Budget) -> Found {
        let mut counter = Counter::new(diagonals, self.space.images);
        let costs = |(products, sums): Shapes| -> Vec<f64> {
            let mut steps = vec![(products, 0)];
            steps.extend(sums.map(|s| (s, 0)));
            steps.extend(std::iter::repeat_n((Primitive::AddPlain, 1), biased));
            (0..self.settings.len()).map(|k| self.cost(&steps, k)).collect()
        };
        let schedules = schedules(diagonals, self.space);
        let least: Vec<Shapes> = schedules.iter().map(|s| counter.at_least(s, folds)).collect();
        let mut open: Vec<(Vec<f64>, usize)> =
            least.iter().enumerate().map(|(order, shapes)| (costs(*shapes), order)).collect();
        let too_much = open.iter().all(|(costs, _)| costs[budget.setting] > budget.limit());
        if too_much {
            return Found::TooMuch(Floor::of_schedules(least));
        }
        let total = |costs: &[f64]| costs.iter().sum::<f64>();
        open.sort_by(|a, b| total(&a.0).total_cmp(&total(&b.0)).then(a.1.cmp(&b.1)));
        let mut best = vec![(f64::INFINITY, usize::MAX); self.settings.len()];
        for (least, order) in open {
            if least.iter().zip(&best).all(|(least, (cost, _))| least > cost) {
                continue;
            }
            let exact = costs(counter.count(&schedules[order], folds));
            for (best, cost) in best.iter_mut().zip(exact) {
                if (cost, order) < *best {
                    *best = (cost, order);
                }
            }
        }
        let cheapest =
            |(cost, order): (f64, usize)| Cheapest { cost, schedule: schedules[order], radix: 2 };
        Found::Ways(best.into_iter().map(cheapest).collect())
    }

    /// The cheapest schedule of a stage whose rotations are not fused with its products, in each setting.
    fn unfused(
        &self,
        linear: &LinearStage,
        diagonals: &Diagonals,
        output: &Layout,
    ) -> Result<Vec<Cheapest>> {
        let mut best: Vec<Option<Cheapest>> = vec![None; self.settings.len()];
        for schedule in schedules(diagonals, self.space) {
            let emission = LinearEmission {
                diagonals,
                schedule,
                scale: self.chain.scale,
                fold: 0,
                radix: 2,
                output,
                bias: &linear.bias,
            };
            let cts = diagonals.input_periods.len();
            let (steps, _) = self.emit(cts, |b, values| emission.emit(b, &values))?;
            for (k, slot) in best.iter_mut().enumerate() {
                let cost = self.cost(&steps, k);
                if slot.is_none_or(|s| cost < s.cost) {
                    *slot = Some(Cheapest { cost, schedule, radix: 2 });
                }
            }
        }
        Ok(best.into_iter().flatten().collect())
    }

    /// The fewest diagonals, or hardly more, that are too much for the budget.
    pub(super) fn affordable(&self, output: &Layout, budget: &Budget) -> usize {
        let outputs = output.ciphertexts();
        let fits = |many: usize| self.affords(&Floor::products(many, outputs), budget);
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
    pub(in crate::search) fn fold(
        &self,
        output: &Layout,
        mask: usize,
        radix: usize,
    ) -> Result<Vec<Step>> {
        let fused = self.space.double_hoisting;
        let (steps, _) = self.emit(output.ciphertexts(), |b, values| {
            let values = fold(b, values, (mask, radix), fused)?;
            Ok(State { values, layout: output.clone() })
        })?;
        let extra = if fused { 0 } else { 1 };
        Ok(steps.into_iter().map(|(p, below)| (p, below + extra)).collect())
    }
}
