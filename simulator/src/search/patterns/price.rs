//! Ways of a block whose layer may have any pattern.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::Layered;
use crate::Result;
use crate::config::Schedule;
use crate::fold::LinearStage;
use crate::layout::{Layout, LayoutSpec};
use crate::lowering::{Alive, Census, STEPS, Shapes, Table};
use crate::pattern::{Family, Grouping, PatternChoice, Ranked, Steps};
use crate::search::accuracy::KeptImportance;
use crate::search::candidates::Target;
use crate::search::edges::linear::biased;
use crate::search::edges::{Edge, Tail, Terms};
use crate::search::front::unbeaten;
use crate::search::problem::{Block, Form};
use costmodel::Primitive;

/// Loss of accuracy in hundredths of a point, rounded up: sums of it are exact.
pub(crate) type Loss = u32;

/// A pattern of a layer between two layouts.
#[derive(Debug, Clone)]
pub(crate) struct PatternWay {
    pub(crate) choice: PatternChoice,
    pub(crate) kept: KeptImportance,
    pub(crate) loss: Loss,
    /// The cheapest schedule and its price, in each setting.
    pub(crate) cheapest: Vec<(f64, Schedule, usize)>,
    /// Number of the set of input channels that it does not read.
    pub(crate) unread: u32,
}

/// A way through a block: a layout, and every pattern. Of the result some channels may be left out.
#[derive(Debug, Clone)]
pub(crate) struct PatternEdge {
    pub(crate) layout: LayoutSpec,
    pub(crate) fold: usize,
    pub(crate) ways: Vec<PatternWay>,
    /// Sets of input channels that some way does not read, each ascending.
    pub(crate) unread: Vec<Vec<usize>>,
    pub(crate) tails: Arc<Vec<Tail>>,
    /// In each setting, the ways that no other beats in price and loss, ascending by loss.
    pub(crate) front: Vec<Vec<u32>>,
}

/// The points of a list of (loss, price) that no other beats in both, ascending by loss; of equal ones the first.
pub(crate) fn front(mut all: Vec<(Loss, f64, u32)>) -> Vec<(Loss, f64, u32)> {
    all.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap_or(a.2.cmp(&b.2)));
    let mut least = f64::INFINITY;
    all.retain(|(_, cost, _)| {
        *cost < least && {
            least = *cost;
            true
        }
    });
    all
}

impl PatternEdge {
    fn new(
        (layout, fold): Target,
        (ways, unread): (Vec<PatternWay>, Vec<Vec<usize>>),
        tails: Arc<Vec<Tail>>,
    ) -> Self {
        let settings = ways.first().map_or(0, |way| way.cheapest.len());
        let mut edge = Self { layout, fold, ways, unread, tails, front: Vec::new() };
        edge.front = (0..settings).map(|k| edge.front_without(&[], k)).collect();
        edge
    }

    /// The ways that read none of some channels and that no other of these beats in price and loss, ascending by loss.
    pub(crate) fn front_without(&self, channels: &[usize], setting: usize) -> Vec<u32> {
        let fits: Vec<bool> = self.unread.iter().map(|set| is_subset(channels, set)).collect();
        let fits = |way: &PatternWay| fits[way.unread as usize];
        let all = self.ways.iter().zip(0u32..).filter(|(way, _)| fits(way));
        let all = all.map(|(way, n)| (way.loss, way.cheapest[setting].0, n)).collect();
        front(all).into_iter().map(|(_, _, n)| n).collect()
    }

    /// The sets of channels that are worth leaving out of the input: those that a way within the budget does not read which no
    /// other beats in price, loss and the number of channels.
    pub(crate) fn worth_leaving_out(&self, budget: Loss) -> BTreeSet<&[usize]> {
        let set = |number: &usize| &self.unread[self.ways[*number].unread as usize][..];
        let within = |number: &usize| self.ways[*number].loss <= budget && !set(number).is_empty();
        let numbers: Vec<usize> = (0..self.ways.len()).filter(within).collect();
        let measures = |number: &usize, k: usize| {
            let way = &self.ways[*number];
            [f64::from(way.loss), way.cheapest[k].0, -(set(number).len() as f64)]
        };
        let all = (0..self.front.len()).flat_map(|k| unbeaten(&numbers, |n| measures(n, k)));
        all.map(|number| set(&number)).collect()
    }
}

/// Whether an ascending list holds all of another.
fn is_subset(some: &[usize], all: &[usize]) -> bool {
    some.len() <= all.len() && some.iter().all(|channel| all.binary_search(channel).is_ok())
}

/// What the patterns between two layouts have in common: the tables of schedules, and what comes after the sums.
struct Counted<'a> {
    tables: &'a [Table],
    biased: usize,
    /// Price and radix of the fold in each setting.
    folds: Vec<(f64, usize)>,
    any_fold: bool,
}

impl Terms<'_> {
    /// Every way of a block with maps in these layouts: with all patterns of its layer if it may have any, else as it is.
    pub(super) fn patterned(
        &self,
        block: &Block,
        layered: Option<&Layered<'_>>,
        form: Form,
        inputs: &[&Layout],
    ) -> Vec<PatternEdge> {
        let Some((_, linear)) = block.linear(form) else { return Vec::new() };
        let targets = self.targets(block, linear, inputs).into_iter();
        let whole = [Vec::new()];
        targets
            .flat_map(|target| self.patterned_without(block, layered, form, inputs, target, &whole))
            .collect()
    }

    /// Ways of a block to one target, for each of some sets of channels of the result that are left out. There are none where a
    /// target does not fit.
    pub(super) fn patterned_without(
        &self,
        block: &Block,
        layered: Option<&Layered<'_>>,
        form: Form,
        inputs: &[&Layout],
        target: Target,
        unread: &[Vec<usize>],
    ) -> Vec<PatternEdge> {
        let Some((name, linear)) = block.linear(form) else { return Vec::new() };
        let as_it_is = || {
            let edge = |unread: &Vec<usize>| self.edge(block, form, inputs, target, unread);
            unread.iter().filter_map(edge).map(plain).collect()
        };
        let window = layered.and_then(|layered| layered.window(linear));
        let (Some(layered), Some(window)) = (layered, window) else { return as_it_is() };
        let (spec, fold) = target;
        let layout = spec.layout(self.chain.slots, linear.geometry.output, Default::default());
        let Ok(whole) = layout else { return Vec::new() };
        let census = match Census::new(name, linear, (inputs, &whole), fold, window) {
            Ok(census) => census,
            // Of units there are layouts whose copies are written one by one, which no pattern is counted for.
            Err(_) if layered.geometry.output.area() == 1 => return as_it_is(),
            Err(_) => return Vec::new(),
        };
        let edge = |unread: &Vec<usize>| {
            let layout = whole.clone().without(unread);
            let layouts = (inputs[0], &layout);
            let ways = self.pattern_ways(layered, linear, &census, layouts, fold).ok()?;
            let tails = self.tails(block, &census.left(&layout, fold));
            (!ways.0.is_empty() && !tails.is_empty())
                .then(|| PatternEdge::new(target, ways, Arc::new(tails)))
        };
        unread.iter().filter_map(edge).collect()
    }

    /// Every pattern between two layouts, each once, and sets of input channels that these do not read.
    fn pattern_ways(
        &self,
        layered: &Layered<'_>,
        linear: &LinearStage,
        census: &Census,
        (input, output): (&Layout, &Layout),
        fold: usize,
    ) -> Result<(Vec<PatternWay>, Vec<Vec<usize>>)> {
        let tables = census.tables();
        let counted = Counted {
            tables: &tables,
            biased: biased(linear, output),
            folds: self.folds(output, fold)?,
            any_fold: fold != 0,
        };
        let ranked = Ranked::new(census, &layered.geometry, layered.scores, (input, output), fold);
        let mut ways: Vec<PatternWay> = Vec::new();
        let mut sets: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
        // What each pattern found so far keeps, by a digest of its cells.
        let mut seen: HashSet<u64> = HashSet::new();
        for (grouping, groups) in &layered.groupings {
            let grouped = ranked.grouped(*grouping, output);
            for family in &layered.families {
                let steps = ranked.steps(&grouped, *family);
                let alive = census.alive(&steps.cells, output);
                let wanted: Vec<usize> = (0..STEPS)
                    .filter(|k| new_step(&steps, *k))
                    .filter(|k| seen.insert(digest(*grouping, &steps, *k)))
                    .collect();
                if wanted.is_empty() {
                    continue;
                }
                let prices = self.prices(&counted, &alive, &wanted);
                for (k, cheapest) in wanted.into_iter().zip(prices) {
                    let family = match k + 1 {
                        STEPS => Family::Dense,
                        _ => *family,
                    };
                    let choice = PatternChoice { grouping: *grouping, family, eighths: k + 1 };
                    let kept = KeptImportance { groups: *groups, units: steps.kept[k] };
                    let loss = layered.loss(kept);
                    let unread = steps.unread(k);
                    if unread.len() == layered.geometry.input.channels {
                        // All that is kept is of outputs that nothing reads.
                        continue;
                    }
                    let next = sets.len() as u32;
                    let unread = *sets.entry(unread).or_insert(next);
                    ways.push(PatternWay { choice, kept, loss, cheapest, unread });
                }
            }
        }
        let mut unread = vec![Vec::new(); sets.len()];
        sets.into_iter().for_each(|(set, number)| unread[number as usize] = set);
        Ok((ways, unread))
    }

    /// The cheapest radix of folding a result, in each setting.
    fn folds(&self, output: &Layout, fold: usize) -> Result<Vec<(f64, usize)>> {
        let mut best = vec![(if fold == 0 { 0.0 } else { f64::INFINITY }, 2); self.settings.len()];
        if fold != 0 {
            for radix in [2, 4, 8] {
                let Ok(steps) = self.fold(output, fold, radix) else { continue };
                for (k, best) in best.iter_mut().enumerate() {
                    let cost = self.cost(&steps, k);
                    if cost < best.0 {
                        *best = (cost, radix);
                    }
                }
            }
        }
        Ok(best)
    }

    /// For each of some steps, and each setting, the cheapest schedule.
    fn prices(
        &self,
        counted: &Counted<'_>,
        alive: &Alive<'_>,
        wanted: &[usize],
    ) -> Vec<Vec<(f64, Schedule, usize)>> {
        let mut best: Vec<Vec<Option<(f64, Schedule, usize)>>> =
            vec![vec![None; self.settings.len()]; wanted.len()];
        for table in counted.tables {
            let schedules = wanted.iter().map(|step| alive.schedule(table, *step));
            let schedules: Vec<Option<Schedule>> = schedules.collect();
            if schedules.iter().all(Option::is_none) {
                continue;
            }
            let counts = alive.count(table, counted.any_fold);
            for ((step, schedule), best) in wanted.iter().zip(schedules).zip(&mut best) {
                let Some(schedule) = schedule else { continue };
                for (k, best) in best.iter_mut().enumerate() {
                    let (fold, radix) = counted.folds[k];
                    let cost = self.biased_ms(&counts[*step], counted.biased, k) + fold;
                    if best.is_none_or(|(known, ..)| cost < known) {
                        *best = Some((cost, schedule, radix));
                    }
                }
            }
        }
        best.into_iter().map(|list| list.into_iter().flatten().collect()).collect()
    }

    /// Price of a stage's instructions before any fold, and of its biases.
    fn biased_ms(&self, shapes: &Shapes, biased: usize, setting: usize) -> f64 {
        let bias = self.cost(&[(Primitive::AddPlain, 1)], setting) * biased as f64;
        self.shapes_ms(shapes, setting) + bias
    }
}

/// A way of a block whose layer stays as it is.
fn plain(edge: Edge) -> PatternEdge {
    let cheapest = edge.cheapest.iter().map(|c| (c.cost, c.schedule, c.radix));
    let way = PatternWay {
        choice: PatternChoice::DENSE,
        kept: KeptImportance::ALL,
        loss: 0,
        cheapest: cheapest.collect(),
        unread: 0,
    };
    PatternEdge::new((edge.layout, edge.fold), (vec![way], vec![Vec::new()]), edge.tails)
}

/// Whether a share keeps something, and other units than the share below.
fn new_step(steps: &Steps, k: usize) -> bool {
    let before = k.checked_sub(1).map_or(0, |k| steps.units[k]);
    steps.units[k] > before
}

/// What tells the cells of a share from those of others.
fn digest(grouping: Grouping, steps: &Steps, k: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    grouping.hash(&mut hasher);
    let alive: Vec<bool> = steps.cells.iter().map(|step| usize::from(*step) <= k).collect();
    alive.hash(&mut hasher);
    steps.units[k].hash(&mut hasher);
    hasher.finish()
}

impl Layered<'_> {
    /// Extent of the pool that a form of the layer does as well: 1 if none; none if it is another convolution.
    fn window(&self, stage: &LinearStage) -> Option<usize> {
        let (own, g) = (&self.geometry, &stage.geometry);
        let window = g.kernel.0 / own.kernel.0;
        let times = |(rows, cols): (usize, usize)| (rows * window, cols * window);
        let scaled = times(own.kernel) == g.kernel
            && times(own.stride) == g.stride
            && times(own.padding) == g.padding;
        let same = g.input.channels == own.input.channels && g.output == own.output;
        (scaled && same && g.groups == 1).then_some(window)
    }

    fn loss(&self, kept: KeptImportance) -> Loss {
        let points = self.accuracy.layer(kept, self.layers);
        // A hundredth is well above what rounding leaves.
        (100.0 * points - 1e-9).ceil().max(0.0) as Loss
    }
}
